"""
The language's seven ways of making one value from the outputs of several stages.

Pure functions over *parts*: pairs of a stage's name and its output, in the template's order. ``by`` is a function of
one item; without it an item stands for itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from airflow_agentic.errors import AgenticError

Part = tuple[str, Any]
By = Callable[[Any], Any]


class MergeError(AgenticError):
    """The parts at hand are too few, or can't be merged in the way asked for."""


def merge(how: str, parts: Sequence[Part], by: By | None = None) -> Any:
    """
    One value from the parts.

    :param how: ``object``, ``list``, ``concat``, ``union``, ``majority``, ``first`` or ``best``.
    :param parts: at least one, unless all of them are from lists that were empty.
    :param by: what ``union`` makes unique, what must be equal for ``majority``, what ``best`` maximizes.
    :raises MergeError: a part isn't what the way needs, or there is none to choose from.
    """
    if not parts and how in ("majority", "first", "best"):
        raise MergeError(f"{how!r} has nothing to choose from: none of the stages has left an output.")
    return _WAYS[how](parts, by or _itself)


def _object(parts: Sequence[Part], by: By) -> dict[str, Any]:
    return dict(parts)


def _list(parts: Sequence[Part], by: By) -> list[Any]:
    return [value for _, value in parts]


def _concat(parts: Sequence[Part], by: By) -> list[Any]:
    return [item for name, value in parts for item in _items("concat", name, value)]


def _union(parts: Sequence[Part], by: By) -> list[Any]:
    """The first of equals stays, in the order of the parts."""
    kept: dict[str, Any] = {}
    for name, value in parts:
        for item in _items("union", name, value):
            kept.setdefault(_identity(by(item)), item)
    return list(kept.values())


def _majority(parts: Sequence[Part], by: By) -> dict[str, Any]:
    """The value that most parts agree on; of several such, the one that came first."""
    votes: dict[str, list[Any]] = {}
    for _, value in parts:
        votes.setdefault(_identity(by(value)), []).append(value)
    winners = max(votes.values(), key=len)
    return {
        "value": winners[0],
        "votes": len(winners),
        "of": len(parts),
        "candidates": [{"from": name, "value": value} for name, value in parts],
    }


def _first(parts: Sequence[Part], by: By) -> Any:
    return parts[0][1]


def _best(parts: Sequence[Part], by: By) -> dict[str, Any]:
    """The part of the highest rank; of several such, the one that came first."""
    ranked = [(_rank(name, by(value)), name, value) for name, value in parts]
    _, name, value = max(ranked, key=lambda entry: entry[0])
    return {"value": value, "from": name}


def _rank(name: str, rank: Any) -> float:
    if isinstance(rank, bool) or not isinstance(rank, (int, float)):
        raise MergeError(f"'best' needs a number from its 'by', and for {name!r} it is {_shown(rank)}.")
    return rank


def _items(how: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise MergeError(f"{how!r} needs lists, and {name!r} gave {_shown(value)}.")
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _itself(item: Any) -> Any:
    return item


def _identity(value: Any) -> str:
    """Equal data, equal text: the order of keys doesn't count, and 1 is 1.0 but not true."""
    return json.dumps(_normal(value), sort_keys=True)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_normal(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WAYS: dict[str, Callable[[Sequence[Part], By], Any]] = {
    "object": _object,
    "list": _list,
    "concat": _concat,
    "union": _union,
    "majority": _majority,
    "first": _first,
    "best": _best,
}

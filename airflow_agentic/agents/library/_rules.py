"""
The rules of a brief: what a review asks of the next draft, in a form that a writer without a model can follow.

A review makes them, a loop collects them, a draft keeps all of them; where two of a kind disagree, the stricter counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_agentic.agents.library._given import mappings_given
from airflow_agentic.errors import FinalError

_TEXTS = {
    "max_words": "Use at most {} words.",
    "cite_all": "Say nothing without a citation.",
    "cover": "Speak of {}.",
    "avoid": "Leave out “{}”",
    "without_source": "Do without {}.",
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """
    What a draft has to keep to.

    :param max_words: the lowest limit that was set.
    :param cite_all: whether every statement needs a citation.
    :param cover: themes that it has to speak of.
    :param avoid: what it must not say.
    :param without: addresses of sources that it must not use.
    :param texts: all of it for people, each rule once.
    """

    max_words: int
    cite_all: bool
    cover: tuple[str, ...]
    avoid: tuple[str, ...]
    without: frozenset[str]
    texts: tuple[str, ...]


def rule(name: str, value: Any = None) -> dict[str, Any]:
    """A rule, with a sentence that says it."""
    return {"rule": name, "value": value, "text": _TEXTS[name].format(value)}


def rules_given(value: Any, *, max_words: int) -> Rules:
    """
    The rules in an agent's input.

    :param max_words: the limit as long as no rule sets a lower one.
    :raises FinalError: one of them is unknown, or of a wrong form.
    """
    given = mappings_given(value, "constraints")
    unknown = next((entry for entry in given if entry.get("rule") not in _TEXTS), None)
    if unknown is not None:
        raise FinalError(f"constraints: {unknown.get('rule')!r} is none of {', '.join(_TEXTS)}.", kind="rejected")
    return Rules(
        max_words=min([max_words, *(_limit(entry) for entry in given if entry["rule"] == "max_words")]),
        cite_all=any(entry["rule"] == "cite_all" for entry in given),
        cover=_values(given, "cover"),
        avoid=_values(given, "avoid"),
        without=frozenset(_values(given, "without_source")),
        texts=tuple(dict.fromkeys(rule(entry["rule"], entry.get("value"))["text"] for entry in given)),
    )


def _limit(entry: Any) -> int:
    value = entry.get("value")
    if type(value) is not int or value < 1:
        raise FinalError(f"constraints: max_words must be a number of at least 1, not {value!r}.", kind="rejected")
    return value


def _values(given: list[Any], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(entry.get("value")) for entry in given if entry["rule"] == name))

"""
Values of a trace as text for people: readable, cut where they are long, and whole on demand.

A value is named by the id of what it belongs to and a name: ``sent`` or ``output`` of an attempt, ``inputs`` of the
run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.trace.document import Trace

#: Characters that are shown at first.
LONGEST = 4000
#: Characters of a value that needs no lines of its own, and how many such a list may have.
_SHORT, _FEW = 160, 20
#: Keys of a message between a model and others.
_ROLE, _TOOL, _CONTENT = "role", "tool", "content"
#: The id of what belongs to the whole run.
RUN = "run"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """
    A value.

    :param text: what is shown at first.
    :param whole: all of it, where that is more.
    :param kind: ``line``: a short one; ``list``: of short ones, in ``lines``; ``text``; ``json``.
    :param ref, name: see :func:`whole_value`.
    :param label: what it is called; None for a value that stands alone.
    """

    text: str
    whole: str | None
    characters: int
    kind: str
    ref: str
    name: str
    label: str | None = None
    lines: tuple[str, ...] = ()


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def shown(value: Any, ref: str, name: str, label: str | None = None, longest: int = LONGEST) -> Shown:
    """A value, cut where it is long."""
    text = as_text(value)
    cut = len(text) > longest
    lines = _lines(value)
    return Shown(
        text=text[:longest] if cut else text,
        whole=text if cut else None,
        characters=len(text),
        kind=_kind(value, lines),
        ref=ref,
        name=name,
        label=label,
        lines=lines,
    )


def _kind(value: Any, lines: tuple[str, ...]) -> str:
    if lines:
        return "list"
    if _is_short(value):
        return "line"
    return "text" if isinstance(value, str) else "json"


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _SHORT and "\n" not in value
    return value is None or isinstance(value, (int, float))


def _lines(value: Any) -> tuple[str, ...]:
    """Of a list of a few short values, these."""
    if not isinstance(value, list) or not value or len(value) > _FEW or not all(_is_short(each) for each in value):
        return ()
    return tuple(as_text(each) for each in value)


def parts(value: Any, ref: str, name: str) -> list[Shown]:
    """A value in readable parts: of a mapping its entries, of a conversation its messages."""
    if isinstance(value, dict) and value:
        return [part for key, entry in value.items() for part in _entry(str(key), entry, ref, name)]
    return [shown(value, ref, name)]


def _entry(key: str, value: Any, ref: str, name: str) -> Iterator[Shown]:
    if not (isinstance(value, list) and value and all(_is_message(message) for message in value)):
        yield shown(value, ref, name, key)
        return
    for message in value:
        who = " ".join(str(message[key]) for key in (_ROLE, _TOOL) if message.get(key))
        if message[_CONTENT] is not None:
            yield shown(message[_CONTENT], ref, name, who)
        more = {other: given for other, given in message.items() if other not in (_ROLE, _TOOL, _CONTENT)}
        if more:
            yield shown(more, ref, name, f"{who}, more")


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get(_ROLE), str) and _CONTENT in value


def whole_value(trace: Trace, ref: str, name: str) -> Any:
    """
    All of a value that the page cuts.

    :param ref: id of an attempt, an answer, a decision, an artifact; ``run`` for the run's own.
    :raises KeyError: there is none of that name.
    """
    if ref == RUN:
        found: dict[str, Any] = {"inputs": trace.inputs, "output": trace.output, "template": trace.template}
        return {**found, "error": trace.error, "budget": trace.budget}[name]
    for attempt in trace.attempts:
        if attempt.id == ref:
            error = attempt.error or {}
            found = {"sent": attempt.sent, "output": attempt.output, "tool_calls": list(attempt.tool_calls)}
            return {**found, "error": attempt.error, "window": attempt.window, "reply": error.get("reply")}[name]
    for answer in trace.answers:
        if answer.id == ref:
            return {"body": answer.body, "fields": answer.fields}[name]
    for decision in trace.decisions:
        if decision.id == ref:
            return {"feedback": decision.feedback, "values": [list(each.values) for each in decision.conditions]}[name]
    for artifact in trace.artifacts:
        if artifact.id == ref:
            return {"content": artifact.content}[name]
    raise KeyError(ref)

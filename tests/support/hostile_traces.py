"""Traces whose every text is an attack: what came from agents, people and templates, and what never should."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

#: Keys that the document's own format fixes; all other keys are data.
FIXED = frozenset(
    (
        *(
            "path",
            "value",
            "kind",
            "message",
            "reply",
            "details",
            "traceback",
            "type",
            "by",
            "index",
            "at",
            "try_number",
        ),
        *("total", "failed", "recovered", "name", "id", "stage", "task_id", "rounds", "item", "attempt", "answer"),
        *("agent", "model", "parts", "run", "record", "stored", "calls", "tokens", "cost_usd", "tool", "arguments"),
        *("result", "role", "content", "tool_calls", "title", "description", "nodes", "frames", "edges", "notes"),
        *("frame", "stacked", "source", "target", "label", "outcome", "logical_date", "run_after", "assets"),
    )
)


def poisoned(value: Any, payload: str) -> Any:
    """The same with the payload in the place of each text, and of each key that is data."""
    if isinstance(value, str):
        return payload
    if isinstance(value, dict):
        return {_key(key, number, payload): poisoned(each, payload) for number, (key, each) in enumerate(value.items())}
    if isinstance(value, (list, tuple)):
        return type(value)(poisoned(each, payload) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: poisoned(getattr(value, field.name), payload) for field in fields(value)})
    return value


def _key(key: str, number: int, payload: str) -> str:
    return key if key in FIXED else f"{payload}{number}"


def poisoned_values(trace: Any, payload: str) -> Any:
    """The same, but what the page goes by (ids, states, times, the picture) is left, so that all of it shows."""
    return _where_it_shows(trace, payload)


_KEPT = frozenset(
    (
        *(
            "id",
            "state",
            "started",
            "ended",
            "queued",
            "asked",
            "answered",
            "written",
            "decided",
            "at",
            "record",
            "ref",
        ),
        *("task_id", "attempts", "kind", "picture", "skipped_by", "recovered_by", "about", "stage"),
    )
)


def _where_it_shows(value: Any, payload: str) -> Any:
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return tuple(_where_it_shows(each, payload) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return replace(
            value,
            **{name: _where_it_shows(each, payload) for name, each in named.items() if name not in _KEPT},
        )
    return poisoned(value, payload)

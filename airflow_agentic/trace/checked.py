"""
Records and manifests as they were read, checked: whoever wrote them, what goes on has the shape that it should have.

Files may be damaged, cut, or written by somebody else; and a trace is what people look at then.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.manifest import Manifest
from airflow_agentic.trace.record import KINDS, RECORD_FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import TypeAdapter

    from airflow_agentic.trace.record import Record

_TIMES = ("at", "started", "ended", "decided", "asked", "answered", "written", "until", "sealed")
#: Keys of mappings in records, and what they have to be where they are there.
_INNER: dict[str, dict[str, tuple[type, ...]]] = {
    "item": {"index": (int,)},
    "error": {"details": (dict, type(None))},
    "agent": {"name": (str,), "type": (str,)},
}


def checked_record(data: Mapping[str, Any]) -> Record:
    """
    A record; keys that a later version may have added are left out.

    :raises ValueError: it is none, or not a whole one; the message says what is wrong.
    """
    cls = KINDS.get(str(data.get("kind")))
    if data.get("format") != RECORD_FORMAT or cls is None:
        raise ValueError(f"it is no record of format {RECORD_FORMAT}")
    record: Record = _checked(cls, data)
    return record


def checked_manifest(data: Mapping[str, Any]) -> Manifest:
    """
    A manifest.

    :raises ValueError: it is none, or not a whole one.
    """
    if data.get("format") != RECORD_FORMAT or data.get("kind") != "manifest":
        raise ValueError(f"it is no manifest of format {RECORD_FORMAT}")
    manifest: Manifest = _checked(Manifest, data)
    if not all(isinstance(entry.get("path"), str) for entry in manifest.records):
        raise ValueError("a file that it names has no path")
    return manifest


def _checked(cls: type, data: Mapping[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        found = _adapter(cls).validate_python({key: data[key] for key in _fields(cls) if key in data})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}") from None
    problem = next(_problems(data), None)
    if problem is not None:
        raise ValueError(problem)
    return found


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _fields(cls: Any) -> tuple[str, ...]:
    return tuple(cls.__dataclass_fields__)


def _problems(data: Mapping[str, Any]) -> Iterator[str]:
    for key in _TIMES:
        if isinstance(data.get(key), str) and not _is_time(data[key]):
            yield f"{key}: {data[key]!r} is no time in UTC"
    for key in ("seconds", "waited", "next_wait", "cost_usd"):
        if isinstance(data.get(key), float) and not math.isfinite(data[key]):
            yield f"{key}: {data[key]!r} is no number"
    for key, wanted in _INNER.items():
        inner = data.get(key)
        if not isinstance(inner, dict):
            continue
        for name, types in wanted.items():
            if (name in inner or key != "error") and not isinstance(inner.get(name), types):
                yield f"{key}.{name}: {inner.get(name)!r} is of the wrong type"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False

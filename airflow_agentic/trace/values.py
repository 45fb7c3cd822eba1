"""
Large values of records: stored once, under their digest, and referred to.

In stored JSON, a mapping whose only keys are ``$value`` (a SHA-256) and ``bytes`` refers to a value. Data that has a
key ``$value`` or ``$literal`` itself is stored inside ``{"$literal": …}``, so what an agent wrote can never be taken
for a reference, and :func:`unpack` gives back exactly what :func:`pack` was given.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REFERENCE = "$value"
LITERAL = "$literal"


def to_bytes(value: Any) -> bytes:
    """
    Compact JSON in UTF-8.

    :raises TypeError, ValueError: the value is no JSON.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def digest_of(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


def pack(value: Any, limit: int, store: Callable[[str, bytes], None]) -> Any:
    """
    The value with everything larger than a limit moved out.

    In a mapping, the large parts move and the rest stays, so that a value which several stages hand on is stored
    once for all of them.

    :param limit: bytes of JSON that may stay.
    :param store: called with the digest and the JSON of each value that moves.
    """
    data = to_bytes(value)
    if len(data) <= limit:
        return _escape(value)
    if isinstance(value, dict):
        parts = {key: pack(part, limit, store) for key, part in value.items()}
        if len(to_bytes(parts)) <= limit:
            return _guard(parts, value)
    digest = digest_of(data)
    store(digest, data)
    return {REFERENCE: digest, "bytes": len(data)}


def unpack(stored: Any, load: Callable[[str], bytes]) -> Any:
    """
    Undo :func:`pack`.

    :param load: gives a digest's JSON.
    """
    if isinstance(stored, list):
        return [unpack(part, load) for part in stored]
    if not isinstance(stored, dict):
        return stored
    if REFERENCE in stored:
        return json.loads(load(stored[REFERENCE]).decode("utf-8", "surrogatepass"))
    if LITERAL in stored:
        stored = stored[LITERAL]
    return {key: unpack(part, load) for key, part in stored.items()}


def references(stored: Any) -> Iterator[str]:
    """The digests of all values that something stored refers to."""
    if isinstance(stored, list):
        for part in stored:
            yield from references(part)
    elif isinstance(stored, dict):
        if REFERENCE in stored:
            yield str(stored[REFERENCE])
            return
        for part in stored.get(LITERAL, stored).values():
            yield from references(part)


def _escape(value: Any) -> Any:
    if isinstance(value, dict):
        return _guard({key: _escape(part) for key, part in value.items()}, value)
    if isinstance(value, (list, tuple)):
        return [_escape(part) for part in value]
    return value


def _guard(stored: dict[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {LITERAL: stored} if REFERENCE in value or LITERAL in value else stored

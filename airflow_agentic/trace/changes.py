"""What differs between two values, place by place."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Texts from here on are compared line by line; of those above the other, only where they part is told, because
#: comparing takes time that grows with the square of their lines.
_SHORT, _LINES = 80, 4000
_BEFORE = 40
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    One place at which two values differ.

    :param path: of the place, as templates write it: ``items[3].title``; empty for the whole value.
    :param what: as seen from the first value.
    :param a, b: the values there; null where there is none.
    :param lines: of two long texts, their difference as ``diff -u`` tells it; else null.
    """

    path: str
    what: Literal["changed", "added", "removed"]
    a: Any = None
    b: Any = None
    lines: tuple[str, ...] | None = None


def changes(a: Any, b: Any, path: str = "") -> Iterator[Change]:
    """All places at which two JSON values differ, in the order of the first one."""
    if isinstance(a, dict) and isinstance(b, dict):
        yield from _of_mappings(a, b, path)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        for index in range(max(len(a), len(b))):
            place = f"{path}[{index}]"
            if index >= len(a):
                yield Change(path=place, what="added", b=b[index])
            elif index >= len(b):
                yield Change(path=place, what="removed", a=a[index])
            else:
                yield from changes(a[index], b[index], place)
    elif not _same(a, b):
        yield Change(path=path, what="changed", a=a, b=b, lines=text_lines(a, b))


def text_lines(a: Any, b: Any, name: str = "") -> tuple[str, ...] | None:
    """The difference of two texts line by line; null for what is short, or no text."""
    if not isinstance(a, str) or not isinstance(b, str) or ("\n" not in a + b and max(len(a), len(b)) < _SHORT):
        return None
    if "\n" not in a + b:
        return _around(a, b)
    one, other = a.splitlines(), b.splitlines()
    if len(one) + len(other) > _LINES:
        place = next((number for number, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
        line = min(len(one), len(other)) if place is None else place
        return (f"@@ {len(one)} and {len(other)} lines; they part in line {line + 1} @@", *_at(one, other, line))
    found = list(difflib.unified_diff(one, other, f"A {name}".strip(), f"B {name}".strip(), lineterm="", n=2))
    # texts that differ in nothing but the end of a line
    return tuple(found) or ("@@ they differ in how lines end @@",)


def _around(a: str, b: str) -> tuple[str, ...]:
    """Of two long lines, what is around the first character that differs."""
    place = next(
        (number for number, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b))
    )
    start = max(0, place - _BEFORE)
    dots = "…" if start else ""
    cut = [f"{dots}{text[start : place + _SHORT]}{'…' if len(text) > place + _SHORT else ''}" for text in (a, b)]
    return f"@@ they part at character {place + 1} @@", f"-{cut[0]}", f"+{cut[1]}"


def _at(one: list[str], other: list[str], line: int) -> Iterator[str]:
    yield from (f"{sign}{lines[line]}" for sign, lines in (("-", one), ("+", other)) if line < len(lines))


def _of_mappings(a: dict[str, Any], b: dict[str, Any], path: str) -> Iterator[Change]:
    for key in [*a, *(key for key in b if key not in a)]:
        place = _below(path, key)
        if key not in b:
            yield Change(path=place, what="removed", a=a[key])
        elif key not in a:
            yield Change(path=place, what="added", b=b[key])
        else:
            yield from changes(a[key], b[key], place)


def _below(path: str, key: str) -> str:
    if not _NAME.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def _same(a: Any, b: Any) -> bool:
    """Whether two single values are the same; ``true`` isn't 1, and what is no number is the same as another."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return bool(a == b or (a != a and b != b))

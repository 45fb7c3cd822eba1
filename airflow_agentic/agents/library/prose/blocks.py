"""
Where the prose of a text is: paragraphs and list items with their headings, and nothing else.

Understands the common ground of Markdown, reStructuredText and plain text, line by line: code (fenced, indented,
literal blocks), tables, directives, HTML and lines of nothing but badges are passed over. Positions are exact, so
that whatever is found can be quoted from where it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Block:
    """
    A paragraph or list item.

    :param start, end: offsets in characters into the text; a list item starts after its bullet.
    :param headings: the headings above it, outermost first.
    :param introduces: code or a table follows at once.
    """

    start: int
    end: int
    kind: Literal["paragraph", "item"]
    headings: tuple[str, ...] = ()
    introduces: bool = False


@dataclass(frozen=True)
class _Line:
    start: int
    text: str

    @property
    def indent(self) -> int:
        return len(self.text) - len(self.text.lstrip())

    @property
    def bare(self) -> str:
        return self.text.strip()


_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_ATX = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_RULE = re.compile(r"\s*([=\-~^\"'*+#:._])\1{2,}\s*$|\s{0,3}([-*_])(?:\s+\2){2,}\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?\d{1,3}[.)])\s+")
_QUOTE = re.compile(r"\s{0,3}>+\s?")
_TABLE = re.compile(r"\s*(\||\+[-=+]+\+|[-=]{3,}(\s+[-=]{3,})+\s*$)")
_DIRECTIVE = re.compile(r"\s*\.\.(\s|$)")
_FIELD = re.compile(r"\s*:[a-z][\w ]*:(\s|$)")
_HTML = re.compile(r"\s*</?[a-zA-Z!][^>]*>?\s*")
_BADGE = re.compile(r"\s*(\[?!\[[^\]]*\]\([^)]*\)(\]\([^)]*\)|\]\[[^\]]*\])?\s*)+$")
_LEVELS = "=-~^\"'*+#:._"


def blocks(text: str) -> list[Block]:
    """The text's paragraphs and list items, in order."""
    return list(_Scanner(text).scan())


class _Scanner:
    """Reads lines from top to bottom; ``at`` is the line that is looked at next."""

    def __init__(self, text: str) -> None:
        self.lines = _lines(text)
        self.listed = list(_below_list(self.lines))
        self.at = 0
        self.headings: list[tuple[int, str]] = []

    def scan(self) -> Iterator[Block]:
        while self.at < len(self.lines):
            if not self._skip():
                yield from self._prose()

    def _skip(self) -> bool:
        """Pass over what is no prose; False if the line is prose."""
        line = self.lines[self.at]
        if fence := _FENCE.match(line.text):
            self._skip_fence(fence[1])
        elif not line.bare or _RULE.match(line.text):
            self.at += 1
        elif heading := _ATX.match(line.text):
            self._head(len(heading[1]), heading[2])
            self.at += 1
        elif self._underlined():
            self._head(1 + _LEVELS.index(self.lines[self.at + 1].bare[0]), line.bare)
            self.at += 2
        elif _DIRECTIVE.match(line.text) or (line.indent >= 4 and not self.listed[self.at]):
            self._skip_indented(line.indent)
        elif _TABLE.match(line.text) or _HTML.fullmatch(line.text) or _BADGE.match(line.text):
            self.at += 1
        else:
            return False
        return True

    def _skip_fence(self, fence: str) -> None:
        self.at += 1
        while self.at < len(self.lines) and not self.lines[self.at].bare.startswith(fence):
            self.at += 1
        self.at += 1

    def _skip_indented(self, indent: int) -> None:
        """Pass over a line, the lines that are indented deeper or (for code) as deep, and the blanks between."""
        directive = bool(_DIRECTIVE.match(self.lines[self.at].text))
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.bare and (line.indent < indent or (directive and line.indent == indent)):
                return
            self.at += 1

    def _underlined(self) -> bool:
        if self.at + 1 >= len(self.lines):
            return False
        title, rule = self.lines[self.at], self.lines[self.at + 1]
        return (
            bool(_RULE.match(rule.text))
            and title.indent <= 1
            and len(rule.bare) >= max(3, min(len(title.bare) - 2, 12))
            and not _ITEM.match(title.text)
            and not _TABLE.match(title.text)
        )

    def _head(self, level: int, title: str) -> None:
        self.headings = [(depth, name) for depth, name in self.headings if depth < level]
        if title:
            self.headings.append((level, title))

    def _prose(self) -> Iterator[Block]:
        """One paragraph or item, with all its lines."""
        first = self.lines[self.at]
        bullet = _ITEM.match(first.text) or _QUOTE.match(first.text)
        is_item = bool(_ITEM.match(first.text) or _FIELD.match(first.text))
        last = self._last_line()
        start = first.start + (bullet.end() if bullet else first.indent)
        end = last.start + len(last.text.rstrip())
        block = Block(
            start=start,
            end=end,
            kind="item" if is_item else "paragraph",
            headings=tuple(name for _, name in self.headings),
            introduces=self._introduces(),
        )
        if last.bare.endswith("::"):
            self._skip_literal(last.indent)
        if end > start:
            yield block

    def _introduces(self) -> bool:
        at = self.at
        while at < len(self.lines) and not self.lines[at].bare:
            at += 1
        return at < len(self.lines) and bool(_FENCE.match(self.lines[at].text) or _TABLE.match(self.lines[at].text))

    def _last_line(self) -> _Line:
        """Step over the lines of the prose that starts here."""
        last = self.lines[self.at]
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            stops = (_ITEM, _FENCE, _ATX, _TABLE, _FIELD, _DIRECTIVE, _QUOTE, _BADGE)
            if not line.bare or self._underlined() or any(stop.match(line.text) for stop in stops):
                break
            last = line
            self.at += 1
        return last

    def _skip_literal(self, indent: int) -> None:
        """Pass over reStructuredText's literal block, which follows a paragraph ending in ``::``."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.bare and line.indent <= indent:
                return
            self.at += 1


def _lines(text: str) -> list[_Line]:
    """The lines of a text with their offsets."""
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        found.append(_Line(start, line.rstrip("\r\n\f\v\x1c\x1d\x1e\x85\u2028\u2029")))
        start += len(line)
    return found


def _below_list(lines: list[_Line]) -> Iterator[bool]:
    """For each line, if it would go on with a list item when it is indented."""
    is_item = False
    for line in lines:
        yield is_item
        if line.bare and not line.indent:
            is_item = bool(_ITEM.match(line.text) or _FIELD.match(line.text))

"""
What every format is read into: a title and a text in one plain, quotable form.

The form is a small part of Markdown, so that sentences can be found in it and people can read it: ``#`` headings,
paragraphs and ``-`` items on one line each, code between fences, tables as rows of ``|``. Emphasis, links, images,
badges and raw HTML are gone; code within a sentence keeps its backticks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document that was read. ``title`` is empty when the document has none."""

    title: str
    text: str


class UnreadableError(ValueError):
    """The bytes are not what their format says, or hold no text. The message says which."""


def clean(text: str) -> str:
    """Without control characters (databases refuse NUL), with plain line ends, ending without blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    return _BLANK_LINES.sub("\n\n", _CONTROL.sub("", text)).strip("\n")


class Writer:
    """Puts a document into the one form, block by block."""

    def __init__(self) -> None:
        self.title = ""
        self._blocks: list[str] = []
        self._last = ""

    def heading(self, level: int, text: str) -> None:
        text = one_line(text)
        if text:
            self.title = self.title or text.replace("`", "")
            self._add("heading", f"{'#' * min(max(level, 1), 6)} {text}")

    def paragraph(self, text: str) -> None:
        text = one_line(text)
        if text:
            self._add("paragraph", _not_markup(text))

    def item(self, text: str) -> None:
        text = one_line(text)
        if text:
            self._add("item", f"- {text}")

    def table(self, rows: list[list[str]]) -> None:
        """A table; rows with less than two filled cells say nothing, and neither does a head without a body."""
        tidy = [[one_line(cell).replace("|", "/") for cell in row] for row in rows]
        filled = [row for row in tidy if sum(1 for cell in row if cell) > 1]
        if len(filled) > 1:
            self._add("table", "\n".join(f"| {' | '.join(row)} |" for row in filled))

    def code(self, text: str) -> None:
        text = text.strip("\n")
        if text.strip():
            fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"^\s*(`{3,})", text, re.MULTILINE))])
            self._add("code", f"{fence}\n{text}\n{fence}")

    def document(self, title: str = "") -> Document:
        """
        What was written.

        :param title: goes before the first heading as the document's title.
        :raises UnreadableError: there is no text.
        """
        text = clean("".join(self._blocks))
        if not text.strip():
            raise UnreadableError("it holds no text")
        return Document(title=title or self.title, text=text)

    def _add(self, kind: str, text: str) -> None:
        tight = kind == self._last == "item"
        self._blocks.append(("\n" if tight else "\n\n") + text)
        self._last = kind


def one_line(text: str) -> str:
    """The text with its white space collapsed."""
    return " ".join(text.split())


def _not_markup(text: str) -> str:
    """A paragraph that starts like a heading, an item, a table or a fence would be read as one."""
    return f"\\{text}" if re.match(r"#{1,6}\s|[-*+>|]|`{3}|~{3}|\d{1,3}[.)]\s|\.\.\s", text) else text

"""Markdown (CommonMark with tables), by markdown-it-py."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.reading.document import Writer

if TYPE_CHECKING:
    from airflow_agentic.agents.library.reading.document import Document

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_ALERT = re.compile(r"^\[!\w+\]\s*")
_NOT_SHOWN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
#: Characters. A longer block of HTML in Markdown is data, and taking comments out of it could take for ever.
_LONGEST_HTML = 50_000
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_BLOCK_TAG = re.compile(r"</?(?:p|div|br|li|tr|h[1-6]|details|summary|table|ul|ol)\b[^<>]*>", re.IGNORECASE)


def read(text: str) -> Document:
    """
    The document in a Markdown text.

    :raises UnreadableError: it holds no text.
    """
    parser = need("markdown_it", extra="library").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    writer = Writer()
    _Walker(writer).walk(parser.parse(_FRONT_MATTER.sub("", text.removeprefix("\ufeff"))))
    return writer.document()


class _Walker:
    """Goes once over the parser's flat list of tokens."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.lists = 0
        self.heading = 0
        self.rows: list[list[str]] | None = None

    def walk(self, tokens: list[Any]) -> None:
        for token in tokens:
            self._token(token)

    def _token(self, token: Any) -> None:
        match token.type:
            case "heading_open" | "heading_close":
                self.heading = int(token.tag[1]) if token.nesting == 1 else 0
            case "bullet_list_open" | "ordered_list_open" | "bullet_list_close" | "ordered_list_close":
                self.lists += token.nesting
            case "table_open":
                self.rows = []
            case "tr_open" if self.rows is not None:
                self.rows.append([])
            case "table_close":
                self.writer.table(self.rows or [])
                self.rows = None
            case "fence" | "code_block":
                self.writer.code(token.content)
            case "html_block":
                self._html(token.content)
            case "inline":
                self._inline(token)

    def _inline(self, token: Any) -> None:
        text = _inline_text(token.children)
        if self.rows:
            self.rows[-1].append(text)
        elif self.heading:
            self.writer.heading(self.heading, text)
        elif self.lists:
            if not _is_anchor(token.children):
                self.writer.item(text)
        else:
            self.writer.paragraph(_ALERT.sub("", text))

    def _html(self, content: str) -> None:
        if len(content) > _LONGEST_HTML:
            return
        for part in _BLOCK_TAG.split(_NOT_SHOWN.sub("", content)):
            text = html.unescape(_TAG.sub("", part))
            if len(text.split()) > 1:
                self.writer.paragraph(text)


def _inline_text(tokens: list[Any]) -> str:
    parts: list[str] = []
    for token in tokens:
        if token.type == "code_inline":
            parts.append(f"`{token.content}`")
        elif token.type == "text":
            parts.append(token.content)
        elif token.type in {"softbreak", "hardbreak"} or (token.type == "html_inline" and "<br" in token.content):
            parts.append(" ")
    return "".join(parts)


def _is_anchor(tokens: list[Any]) -> bool:
    """If an item is nothing but a link within the page: an entry of its table of contents."""
    links = [token for token in tokens if token.type == "link_open"]
    return (
        len(links) == 1
        and str(links[0].attrGet("href")).startswith("#")
        and tokens[0] is links[0]
        and tokens[-1].type == "link_close"
    )

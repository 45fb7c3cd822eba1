"""
reStructuredText, by docutils: project descriptions and docstrings.

Sphinx' own roles and directives are unknown to docutils. Roles are turned into code before it reads the text; what
it doesn't understand it leaves out. Nothing is included, no raw output passes, and no configuration is read.
"""

from __future__ import annotations

import io
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.reading.document import Writer

if TYPE_CHECKING:
    from airflow_agentic.agents.library.reading.document import Document

_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "syntax_highlight": "none",
    "smart_quotes": False,
    "line_length_limit": 1_000_000,
}
_ROLE = re.compile(r":[a-zA-Z][\w:.+-]*:`([^`]+)`")
_TARGET = re.compile(r"^(?P<title>.*?)\s*<[^<>]*>$", re.DOTALL)
_TIGHT_LIST = re.compile(r"(?m)^(?P<before>[^\n]*:)\n(?=[ \t]*[-*] )")
_SKIPPED = """
comment target substitution_definition system_message image raw footnote citation math_block meta pending sidebar
topic docinfo decoration
"""
_NOT_PROSE = frozenset(_SKIPPED.split())
_LISTS = {
    "bullet_list": "item",
    "enumerated_list": "item",
    "definition_list": "entry",
    "field_list": "entry",
    "option_list": "entry",
}


def read(text: str) -> Document:
    """
    The document in a reStructuredText.

    :raises UnreadableError: it holds no text.
    """
    writer = Writer()
    write(text, writer)
    return writer.document()


def write(text: str, writer: Writer, *, level: int = 1) -> None:
    """Read the text and write its blocks; ``level`` is that of its outermost headings."""
    source = _TIGHT_LIST.sub(r"\g<before>\n\n", _ROLE.sub(_as_code, text))
    tree = need("docutils.utils", extra="library").new_document("text", _settings())
    need("docutils.parsers.rst", extra="library").Parser().parse(source, tree)
    _children(tree, writer, level)


@cache
def _settings() -> Any:
    """The parser's settings, which take longer to make than a docstring to read."""
    parser = need("docutils.parsers.rst", extra="library").Parser
    settings = need("docutils.frontend", extra="library").get_default_settings(parser)
    for name, value in _SETTINGS.items():
        setattr(settings, name, value)
    settings.warning_stream = io.StringIO()
    return settings


def _children(node: Any, writer: Writer, level: int) -> None:
    for child in node.children:
        _block(child, writer, level)


def _block(node: Any, writer: Writer, level: int) -> None:
    match node.tagname:
        case "title" | "subtitle" | "rubric":
            writer.heading(level - 1 if node.tagname == "title" else level, _text(node))
        case "paragraph":
            writer.paragraph(_text(node))
        case "literal_block" | "doctest_block":
            writer.code(node.astext())
        case "table":
            writer.table([[_text(cell) for cell in row.children] for row in _rows(node)])
        case kind if kind in _LISTS:
            for part in node.children:
                (_item if _LISTS[kind] == "item" else _entry)(part, writer, level)
        case kind if kind not in _NOT_PROSE:
            _children(node, writer, level + (kind == "section"))


def _item(item: Any, writer: Writer, level: int) -> None:
    """An item's first paragraph is the item; what follows stays below it."""
    first, *rest = item.children or [None]
    if first is not None and first.tagname == "paragraph":
        writer.item(_text(first))
    elif first is not None:
        _block(first, writer, level)
    for node in rest:
        _item_part(node, writer, level)


def _entry(entry: Any, writer: Writer, level: int) -> None:
    """A term, field or option with what is said about it, as one item: ``name: what it is``."""
    term, body = _text(entry.children[0]), entry.children[-1]
    name = _field_name(term) if entry.tagname == "field" else term
    paragraphs = [node for node in body.children if node.tagname == "paragraph"]
    if paragraphs and name is not None:
        prefix = f"{name}: " if name else ""
        writer.item(prefix + " ".join(_text(node) for node in paragraphs))
    for node in body.children:
        if node.tagname != "paragraph":
            _item_part(node, writer, level)


def _item_part(node: Any, writer: Writer, level: int) -> None:
    if node.tagname == "paragraph":
        writer.item(_text(node))
    else:
        _block(node, writer, level)


def _rows(table: Any) -> list[Any]:
    return [row for group in table.children if group.tagname == "tgroup" for part in group.children for row in part]


def _field_name(name: str) -> str | None:
    """A docstring's field as a reader would name it; None for a field that says nothing to one."""
    kind, _, rest = name.partition(" ")
    if kind in {"param", "parameter", "arg", "argument", "key", "keyword", "ivar", "var", "cvar"} and rest:
        return f"`{rest.split()[-1]}`"
    if kind in {"raises", "raise", "except", "exception"} and rest:
        return f"Raises `{rest.strip('`')}`"
    if kind in {"return", "returns"}:
        return "Returns"
    return None if kind in {"type", "rtype", "meta"} else name


def _text(node: Any) -> str:
    """The text of a node, code in backticks, notes and errors left out."""
    if node.tagname == "#text":
        return str(node)
    if node.tagname in {"literal", "title_reference"}:
        titled = _TARGET.match(node.astext())
        return titled["title"] if titled and titled["title"] else f"`{node.astext()}`"
    if node.tagname in {"footnote_reference", "citation_reference", "substitution_reference", *_NOT_PROSE}:
        return ""
    between = " " if node.tagname in {"entry", "definition", "field_body"} else ""
    return between.join(_text(child) for child in node.children)


def _as_code(role: re.Match[str]) -> str:
    """A Sphinx role as code: its title, or the last part of what it points at."""
    content = role[1]
    if titled := _TARGET.match(content):
        return titled["title"] or content
    name = content.split(".")[-1] if content.startswith("~") else content.lstrip("!")
    return f"``{name}``"

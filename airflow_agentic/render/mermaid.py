"""A picture as Mermaid's text, for pages that draw it themselves, such as a README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.render.picture import Node
from airflow_agentic.render.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.render.picture import Edge, Frame, Picture

#: Kind → what Mermaid writes around its text.
_SHAPES = {
    "llm": '["{}"]',
    "http": '["{}"]',
    "python": '["{}"]',
    "merge": '["{}"]',
    "human": '[/"{}"\\]',
    "artifact": '["{}"]',
    "end": '(["{}"])',
    "fail": '(["{}"])',
}
#: Newer shapes; a label among their settings would be read as Markdown.
_STACKED, _SHEET = "@{ shape: processes }", "@{ shape: doc }"
_ARROWS = {"required": "-->", "waiting": "-.->", "route": "-->", "error": "-.->", "back": "==>"}
#: Readable on light pages and on dark ones, whose text Mermaid colours itself: only rims.
_CLASSES = {
    "llm": "stroke:#4493f8,stroke-width:2px",
    "http": "stroke:#2ba18a,stroke-width:2px",
    "python": "stroke:#87929e,stroke-width:2px",
    "merge": "stroke:#d3629a,stroke-width:2px",
    "human": "stroke:#d29922,stroke-width:2px",
    "artifact": "stroke:#87929e",
    "end": "stroke:#2ea043,stroke-width:2px",
    "fail": "stroke:#e5534b,stroke-width:2px",
    "loop": "fill:none,stroke:#986ee2,stroke-width:2px,stroke-dasharray:7 4",
    "pipeline": "fill:none,stroke:#87929e,stroke-width:2px",
}
_ERROR, _BACK = "stroke:#e5534b", "stroke:#986ee2"
#: Everything else is written as a number, so that no text is taken for Mermaid's, HTML or Markdown.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,/:()?!'=+")


def to_mermaid(picture: Picture) -> str:
    """The picture as the text of one Mermaid diagram."""
    ids = {unit.id: _id(unit.id) for unit in picture.units}
    return "".join(f"{line}\n" for line in _lines(picture, ids))


def _id(name: str) -> str:
    """A name that Mermaid doesn't take for a word of its own; no stage has two underscores side by side."""
    return "s_" + name.replace(".", "__").replace("/", "__")


def _lines(picture: Picture, ids: dict[str, str]) -> Iterator[str]:
    yield f"%% {''.join(character for character in visible(picture.title) if character in _PLAIN)}"
    yield "flowchart TD"
    yield from _inside(picture, ids, None, "  ")
    for edge in picture.edges:
        yield f"  {ids[edge.source]} {_arrow(edge)} {ids[edge.target]}"
    yield from _styles(picture, ids)


def _inside(picture: Picture, ids: dict[str, str], frame: str | None, indent: str) -> Iterator[str]:
    """What is in a frame. Where Mermaid sees a loop's first stage first, it draws the line back as one that goes up."""
    targets = {edge.target for edge in picture.edges if edge.kind == "back"}
    units = [unit for unit in picture.units if unit.frame == frame]
    for unit in sorted(units, key=lambda unit: (unit.id not in targets, unit.kind != "loop")):
        if isinstance(unit, Node):
            yield f"{indent}{ids[unit.id]}{_SHAPES[unit.kind].format(_text(unit))}"
            if unit.stacked or unit.kind == "artifact":
                yield f"{indent}{ids[unit.id]}{_STACKED if unit.stacked else _SHEET}"
            continue
        yield f'{indent}subgraph {ids[unit.id]} ["{_text(unit)}"]'
        yield f"{indent}  direction TB"
        yield from _inside(picture, ids, unit.id, indent + "  ")
        yield f"{indent}end"


def _text(unit: Node | Frame) -> str:
    """The title in bold, the notes below it."""
    if unit.kind in ("end", "fail"):
        return _escaped(unit.title)
    title = f"<b>{_escaped(unit.title)}</b>"
    return "<br>".join((title, *(_escaped(note) for note in unit.notes)))


def _arrow(edge: Edge) -> str:
    if not edge.label:
        return _ARROWS[edge.kind]
    return f'{_ARROWS[edge.kind]}|"{"<br>".join(_escaped(paragraph) for paragraph in edge.label)}"|'


def _styles(picture: Picture, ids: dict[str, str]) -> Iterator[str]:
    for kind, style in _CLASSES.items():
        members = [ids[unit.id] for unit in picture.units if unit.kind == kind]
        if members:
            yield f"  classDef k_{kind} {style}"
            yield f"  class {','.join(members)} k_{kind}"
    for kind, style in (("error", _ERROR), ("back", _BACK)):
        numbers = [str(number) for number, edge in enumerate(picture.edges) if edge.kind == kind]
        if numbers:
            yield f"  linkStyle {','.join(numbers)} {style}"


def _escaped(text: str) -> str:
    """The text as nothing but text."""
    return "".join(
        character if character in _PLAIN else f"#{ord(character)};" for character in " ".join(visible(text).split())
    )

"""The colours of a picture, on light pages and on dark ones, and its sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FONT = 'Helvetica, Arial, "Liberation Sans", sans-serif'
TITLE_SIZE, NOTE_SIZE = 13.5, 11.5
TITLE_LINE, NOTE_LINE = 18.0, 15.0

#: Class → (property, on light, on dark) each.
_COLOURS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "paper": (("fill", "#ffffff", "#0d1117"), ("stroke", "#d1d9e0", "#3d444d")),
    "title": (("fill", "#1f2328", "#e6edf3"),),
    "note": (("fill", "#57606a", "#9ea7b3"),),
    "llm": (("fill", "#ddf0ff", "#12304d"), ("stroke", "#4a9be0", "#4493f8")),
    "http": (("fill", "#d6f5ee", "#0f3b35"), ("stroke", "#2ba18a", "#2ea98f")),
    "python": (("fill", "#eceff2", "#252b34"), ("stroke", "#87929e", "#7d8590")),
    "merge": (("fill", "#ffe9f3", "#45203a"), ("stroke", "#d3629a", "#db72a8")),
    "human": (("fill", "#fff1cf", "#3d2f0a"), ("stroke", "#c9900b", "#d29922")),
    "artifact": (("fill", "#ffffff", "#161b22"), ("stroke", "#6e7781", "#8b949e")),
    "end": (("fill", "#ffffff", "#0d1117"), ("stroke", "#2c9a57", "#3fb950")),
    "fail": (("fill", "#ffffff", "#0d1117"), ("stroke", "#cf222e", "#ff7b72")),
    "loop": (("fill", "#f7f3fe", "#181527"), ("stroke", "#8250df", "#a888f0")),
    "pipeline": (("fill", "#f5f7f9", "#14191f"), ("stroke", "#87929e", "#7d8590")),
    "line": (("stroke", "#6e7781", "#8b949e"),),
    "head": (("fill", "#6e7781", "#8b949e"),),
    "label": (("fill", "#1f2328", "#e6edf3"),),
    "line.error": (("stroke", "#cf222e", "#ff7b72"),),
    "head.error": (("fill", "#cf222e", "#ff7b72"),),
    "label.error": (("fill", "#cf222e", "#ff7b72"),),
    "line.back": (("stroke", "#8250df", "#a888f0"),),
    "head.back": (("fill", "#8250df", "#a888f0"),),
    "label.back": (("fill", "#6f3fd0", "#b79cf5"),),
    "sign": (("stroke", "#57606a", "#9ea7b3"),),
}
_SHAPES = f"""\
text{{font-family:{FONT}}}
.title{{font-size:{TITLE_SIZE}px;font-weight:bold}}
.note,.label{{font-size:{NOTE_SIZE}px}}
.box,.frame{{stroke-width:1.5}}
.loop{{stroke-dasharray:7 4}}
.line,.sign{{fill:none;stroke-width:1.5}}
.waiting,.error{{stroke-dasharray:5 4}}
.back{{stroke-width:2}}
"""


def css() -> str:
    """The style sheet of a picture."""
    light = "".join(_rule(f".{name}", ((key, value) for key, value, _ in found)) for name, found in _COLOURS.items())
    dark = "".join(_rule(f".{name}", ((key, value) for key, _, value in found)) for name, found in _COLOURS.items())
    return f"{_SHAPES}{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n"


def page_css(scope: str) -> str:
    """
    The same for a picture that stands in a page, whose ``color-scheme`` says whether it is light or dark.

    :param scope: a selector of what is around the picture.
    """
    rules = (
        _rule(f"{scope} .{name}", ((key, f"light-dark({light},{dark})") for key, light, dark in found))
        for name, found in _COLOURS.items()
    )
    shapes = "".join(f"{scope} {line}\n" for line in _SHAPES.replace(",.", f",{scope} .").splitlines())
    return shapes + "".join(rules)


def _rule(name: str, properties: Iterable[tuple[str, str]]) -> str:
    return f"{name}{{{';'.join(f'{key}:{value}' for key, value in properties)}}}\n"

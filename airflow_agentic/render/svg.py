"""A picture as SVG: one file that refers to nothing, for light pages and dark ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from airflow_agentic.render.layout import lay_out
from airflow_agentic.render.shapes import Box, Frame, Link, Rect
from airflow_agentic.render.style import NOTE_LINE, NOTE_SIZE, TITLE_LINE, TITLE_SIZE, css
from airflow_agentic.render.text import visible, width, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_agentic.render.picture import Edge, Node, Picture, Unit
    from airflow_agentic.render.picture import Frame as PictureFrame
    from airflow_agentic.render.shapes import Line, Point

#: Widths of boxes, and of the texts of lines and of those back.
_LEAST, _MOST, _MOST_LABEL, _MOST_BACK = 92.0, 230.0, 190.0, 150.0
_PAD_X, _PAD_Y = 14.0, 8.0
_LABEL_PAD = 6.0
#: Lines of a title, a note, a paragraph of a label.
_TITLE_LINES, _NOTE_LINES, _LABEL_LINES = 3, 2, 4
#: How far the boxes behind a stacked one stand out, in all.
_STACK = 8.0
#: The sign of a person, or of a loop, and the space it takes.
_SIGN = 20.0
_CORNER, _TURN, _HEAD, _FOLD = 7.0, 9.0, 7.0, 12.0
_PERSON = "M8 1.5a3 3 0 1 0 0.01 0M2 14.5c0-4 2.5-6 6-6s6 2 6 6z"
_ROUND = "M13.6 8.5a5.8 5.8 0 1 1-1.7-4.6M12.2 0.6v3.6h-3.6"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """
    A picture's shapes, for whoever puts them into a page of their own; none carries an id or a style.

    :param frames, nodes: by the unit's id, in the order in which they are drawn.
    :param lines, labels: one for each edge, in their order; a label is empty where there is none.
    """

    width: float
    height: float
    frames: dict[str, str]
    nodes: dict[str, str]
    lines: tuple[str, ...]
    labels: tuple[str, ...]


def drawn(picture: Picture) -> Drawing:
    """The picture's shapes."""
    layout = lay_out(*shapes_of(picture))
    lines = list(zip(picture.edges, layout.lines, strict=True))
    return Drawing(
        width=layout.width,
        height=layout.height,
        frames={frame.id: _frame(frame, layout.frames[frame.id]) for frame in picture.frames},
        nodes={node.id: _node(node, layout.boxes[node.id]) for node in picture.nodes},
        lines=tuple(_line(edge, line) for edge, line in lines),
        labels=tuple("" if line.label is None else _label_text(edge, line.label) for edge, line in lines),
    )


def to_svg(picture: Picture) -> str:
    """The picture as an SVG document."""
    drawing = drawn(picture)
    parts = [
        *(_group(name, shapes) for name, shapes in drawing.frames.items()),
        *drawing.lines,
        *(_group(name, shapes) for name, shapes in drawing.nodes.items()),
        *(f"<g>{label}</g>" for label in drawing.labels if label),
    ]
    return _document(picture, drawing, parts)


def shapes_of(picture: Picture) -> tuple[list[Box], list[Frame], list[Link]]:
    """What has to be laid out for a picture."""
    return (
        [_box(node) for node in picture.nodes],
        [Frame(id=frame.id, frame=frame.frame, **_size(frame)) for frame in picture.frames],
        [_link(edge) for edge in picture.edges],
    )


def _document(picture: Picture, layout: Drawing, parts: Iterable[str]) -> str:
    size = f"{_number(layout.width)} {_number(layout.height)}"
    across, down = size.split()
    description = f"<desc>{_text(picture.description)}</desc>\n" if picture.description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{across}" height="{down}" role="img">\n'
        f"<title>{_text(picture.title)}</title>\n{description}<style>\n{css()}</style>\n"
        f'<rect class="paper" x="0.5" y="0.5" width="{_number(layout.width - 1)}" '
        f'height="{_number(layout.height - 1)}" rx="10"/>\n' + "".join(f"{part}\n" for part in parts) + "</svg>\n"
    )


# -- sizes -----------------------------------------------------------------------------------------------------------


def _texts(unit: Unit) -> tuple[list[str], list[str]]:
    """The lines of a title and of the notes."""
    title = wrap(unit.title, TITLE_SIZE, _MOST - 2 * _PAD_X, _TITLE_LINES)
    return title, [line for note in unit.notes for line in wrap(note, NOTE_SIZE, _MOST - 2 * _PAD_X, _NOTE_LINES)]


def _size(unit: Node | PictureFrame) -> dict[str, float]:
    title, notes = _texts(unit)
    sign = _SIGN if unit.kind in ("human", "loop") else 0.0
    widths = [*(width(line, TITLE_SIZE) + sign for line in title), *(width(line, NOTE_SIZE) for line in notes)]
    return {"width": max(widths, default=0.0), "height": len(title) * TITLE_LINE + len(notes) * NOTE_LINE}


def _box(node: Node) -> Box:
    size = _size(node)
    stack = _STACK if node.stacked else 0.0
    if node.kind in ("end", "fail"):
        return Box(id=node.id, frame=node.frame, width=size["width"] + 2 * _PAD_X, height=size["height"] + _PAD_Y)
    return Box(
        id=node.id,
        frame=node.frame,
        width=max(size["width"] + 2 * _PAD_X, _LEAST) + stack,
        height=size["height"] + 2 * _PAD_Y + stack,
    )


def _label(edge: Edge) -> list[str]:
    most = _MOST_BACK if edge.kind == "back" else _MOST_LABEL
    return [line for paragraph in edge.label for line in wrap(paragraph, NOTE_SIZE, most, _LABEL_LINES)]


def _link(edge: Edge) -> Link:
    label = _label(edge)
    return Link(
        source=edge.source,
        target=edge.target,
        width=max((width(line, NOTE_SIZE) for line in label), default=-_LABEL_PAD) + _LABEL_PAD,
        height=len(label) * NOTE_LINE,
        back=edge.kind == "back",
    )


# -- shapes ----------------------------------------------------------------------------------------------------------


def _frame(frame: PictureFrame, place: Rect) -> str:
    sign = frame.kind == "loop"
    x, y = place.x + _PAD_X, place.y + _PAD_Y + 2
    shapes = [_rect(f"frame {frame.kind}", place, _CORNER + 3)]
    if frame.stacked:
        behind = place.moved(_STACK / 2, -_STACK / 2)
        shapes.insert(0, _rect(f"frame {frame.kind}", behind, _CORNER + 3))
    if sign:
        shapes.append(_sign(_ROUND, x, y))
    return _told(frame, [*shapes, *_lines(_texts(frame), x, y, "start", _SIGN if sign else 0.0)])


def _node(node: Node, place: Rect) -> str:
    texts = _texts(node)
    stack = _STACK if node.stacked else 0.0
    front = Rect(x=place.x, y=place.y + stack, width=place.width - stack, height=place.height - stack)
    shapes = [_rect(f"box {node.kind}", front.moved(offset, -offset), _CORNER) for offset in _behind(stack)]
    if node.kind == "artifact":
        shapes.append(_sheet(front))
    else:
        shapes.append(_rect(f"box {node.kind}", front, front.height / 2 if node.kind in ("end", "fail") else _CORNER))
    size = _size(node)
    y = front.y + (front.height - size["height"]) / 2
    middle = front.x + front.width / 2
    if node.kind == "human":
        title = max((width(line, TITLE_SIZE) for line in texts[0]), default=0.0)
        shapes.append(_sign(_PERSON, middle - (title + _SIGN) / 2, y))
    return _told(node, [*shapes, *_lines(texts, middle, y, "middle", _SIGN / 2 if node.kind == "human" else 0.0)])


def _behind(stack: float) -> tuple[float, ...]:
    return (stack, stack / 2) if stack else ()


def _sheet(place: Rect) -> str:
    """A sheet of paper with a corner folded."""
    right, bottom = place.x + place.width, place.y + place.height
    outline = (
        f"M{_point(place.x, place.y)}H{_number(right - _FOLD)}L{_point(right, place.y + _FOLD)}V{_number(bottom)}"
        f"H{_number(place.x)}ZM{_point(right - _FOLD, place.y)}v{_number(_FOLD)}h{_number(_FOLD)}"
    )
    return f'<path class="box artifact" d="{outline}"/>'


def _group(name: str, shapes: str) -> str:
    return f"<g id={quoteattr(name)}>{shapes}</g>"


def _told(unit: Unit, shapes: Sequence[str]) -> str:
    """The shapes of a unit, with what is shown when one points at it."""
    told = f"{unit.title}: {unit.description}" if unit.description else unit.title
    return f"<title>{_text(told)}</title>" + "".join(shapes)


def _rect(kind: str, place: Rect, corner: float) -> str:
    return (
        f'<rect class="{kind}" x="{_number(place.x)}" y="{_number(place.y)}" width="{_number(place.width)}" '
        f'height="{_number(place.height)}" rx="{_number(corner)}"/>'
    )


def _sign(path: str, x: float, y: float) -> str:
    return f'<path class="sign" transform="translate({_point(x, y + 0.5)})" d="{path}"/>'


def _lines(texts: tuple[list[str], list[str]], x: float, y: float, anchor: str, shift: float) -> Iterator[str]:
    """Lines of text below each other; :param shift: of the title, for what stands before it."""
    title, notes = texts
    for line in title:
        yield _line_of_text("title", line, x + shift, y + TITLE_LINE - 4.5, anchor)
        y += TITLE_LINE
    for line in notes:
        yield _line_of_text("note", line, x, y + NOTE_LINE - 4, anchor)
        y += NOTE_LINE


def _line_of_text(kind: str, text: str, x: float, y: float, anchor: str) -> str:
    anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{kind}" x="{_number(x)}" y="{_number(y)}"{anchored}>{_text(text)}</text>'


# -- lines -----------------------------------------------------------------------------------------------------------


def _line(edge: Edge, line: Line) -> str:
    *_, before, end = line.points
    across = (end[0] > before[0]) - (end[0] < before[0]) if before[1] == end[1] else 0
    down = 0 if across else 1
    tip = (end[0] - across * _HEAD, end[1] - down * _HEAD)
    half = _HEAD * 0.55
    head = (end, (tip[0] - down * half, tip[1] - across * half), (tip[0] + down * half, tip[1] + across * half))
    corners = " ".join(_point(*corner) for corner in head)
    ways = "".join(_way(points) for points in _around_label((*line.points[:-1], tip), edge, line.label))
    return f'<path class="line {edge.kind}" d="{ways}"/><polygon class="head {edge.kind}" points="{corners}"/>'


def _around_label(points: tuple[Point, ...], edge: Edge, label: Rect | None) -> Iterator[tuple[Point, ...]]:
    """A line in two parts, above its text and below it; a line back has its text beside it."""
    if label is None or edge.kind == "back":
        yield points
        return
    x, middle = label.x + label.width / 2, label.y + label.height / 2
    for index, (upper, lower) in enumerate(pairwise(points)):
        if abs(upper[0] - x) < 1 > abs(lower[0] - x) and upper[1] <= middle <= lower[1]:
            yield (*points[: index + 1], (x, label.y))
            yield ((x, label.y + label.height), *points[index + 1 :])
            return
    yield points


def _way(points: Sequence[Point]) -> str:
    """A line through points: straight where two are above or beside each other, else a curve; corners are round."""
    points = [points[0], *(after for before, after in pairwise(points) if before != after)]
    way = [f"M{_point(*points[0])}"]
    for index, (start, end) in enumerate(pairwise(points)):
        if start[0] != end[0] and start[1] != end[1]:
            middle = (start[1] + end[1]) / 2
            way.append(f"C{_point(start[0], middle)} {_point(end[0], middle)} {_point(*end)}")
            continue
        follower = points[index + 2] if index + 2 < len(points) else None
        if follower is None or not _turns(start, end, follower):
            way.append(f"L{_point(*end)}")
        else:
            way.append(f"L{_point(*_near(end, start))}Q{_point(*end)} {_point(*_near(end, follower))}")
    return "".join(way)


def _turns(start: Point, corner: Point, end: Point) -> bool:
    """Whether a line goes round a right angle there."""
    return (start[0] == corner[0]) != (corner[0] == end[0]) and (start[1] == corner[1]) != (corner[1] == end[1])


def _near(corner: Point, other: Point) -> Point:
    """A point on the way from a corner to the next one."""
    away = (other[0] - corner[0], other[1] - corner[1])
    length = abs(away[0]) + abs(away[1])
    share = min(_TURN, length / 2) / length
    return corner[0] + away[0] * share, corner[1] + away[1] * share


def _label_text(edge: Edge, place: Rect) -> str:
    anchor = "start" if edge.kind == "back" else "middle"
    x = place.x if edge.kind == "back" else place.x + place.width / 2
    lines = (
        _line_of_text(f"label {edge.kind}", text, x, place.y + (index + 1) * NOTE_LINE - 4, anchor)
        for index, text in enumerate(_label(edge))
    )
    return f"<title>{_text(': '.join(edge.label))}</title>" + "".join(lines)


# -- characters ------------------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    return escape(visible(text))


def _point(x: float, y: float) -> str:
    return f"{_number(x)} {_number(y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

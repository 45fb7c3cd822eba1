"""
Where everything of a picture is: boxes in layers from top to bottom, frames around them, lines that avoid them.

Frames are laid out from the inside to the outside; from the outside, one is a box like others. A line that crosses
frames passes each frame's border at a point of its own, at the top when it goes in and at the bottom when it comes
out. Lines back run up at the right side of their frame. Equal pictures get equal places.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_agentic.render.arranging import arrange
from airflow_agentic.render.inside import Inside, Piece
from airflow_agentic.render.placing import place
from airflow_agentic.render.shapes import Box, Frame, Layout, Line, Link, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Frames that are deeper in each other need not know how their lines go on outside.
_LEVELS = 3
#: Around the whole picture.
MARGIN = 16.0


def lay_out(boxes: Sequence[Box], frames: Sequence[Frame], links: Sequence[Link]) -> Layout:
    """
    Find a place for everything.

    :param frames: outer ones before inner ones.
    :raises ValueError: the links that don't go back hold a cycle.
    """
    tree = _Tree(boxes, frames)
    routes = [tree.route(link) for link in links]
    pieces = {None if frame is None else frame.id: _pieces(frame, links, routes, tree) for frame in (None, *frames)}
    before: dict[str | None, Inside] | None = None
    # Each time, one more level of frames knows how its lines go on outside.
    for _ in range(min(tree.depth, _LEVELS) + 1):
        inside: dict[str | None, Inside] = {}
        for frame in (*reversed(frames), None):
            name = None if frame is None else frame.id
            ranks = None if before is None else {} if frame is None else before[frame.frame].ranks.get(frame.id, {})
            inside[name] = place(arrange(frame, tree.units[name], pieces[name], inside, ranks))
        before = inside
    return _assembled(boxes, frames, links, routes, inside)


def _pieces(
    frame: Frame | None, links: Sequence[Link], routes: Sequence[Sequence[str | None]], tree: _Tree
) -> list[Piece]:
    """What runs in a frame."""
    name = None if frame is None else frame.id
    return [
        Piece(index=index, link=link, source=tree.unit(name, link.source), target=tree.unit(name, link.target))
        for index, link in enumerate(links)
        if name in routes[index]
    ]


class _Tree:
    """Which box is in which frames."""

    def __init__(self, boxes: Sequence[Box], frames: Sequence[Frame]) -> None:
        units: list[Box] = [*frames, *boxes]
        self.frame_of = {unit.id: unit.frame for unit in units}
        self.units: dict[str | None, list[Box]] = {None: [], **{frame.id: [] for frame in frames}}
        for unit in units:
            self.units[unit.frame].append(unit)

    @property
    def depth(self) -> int:
        """Of frames in each other."""
        return max((len(self.around(unit)) for unit in self.frame_of), default=1) - 1

    def around(self, unit: str) -> list[str | None]:
        """The frames around a box or frame, the innermost first; the last is None, the picture."""
        frames: list[str | None] = []
        frame = self.frame_of[unit]
        while frame is not None:
            frames.append(frame)
            frame = self.frame_of[frame]
        return [*frames, None]

    def route(self, link: Link) -> list[str | None]:
        """The frames in which a line runs, in its order."""
        out, into = self.around(link.source), self.around(link.target)
        common = next(frame for frame in out if frame in into)
        return [*out[: out.index(common)], common, *reversed(into[: into.index(common)])]

    def unit(self, frame: str | None, name: str) -> str | None:
        """The box or frame directly inside ``frame`` that is or holds another one; None: it is outside."""
        chain: list[str | None] = [name, *self.around(name)]
        return chain[chain.index(frame) - 1] if frame in chain[1:] else None


def _assembled(
    boxes: Sequence[Box],
    frames: Sequence[Frame],
    links: Sequence[Link],
    routes: Sequence[Sequence[str | None]],
    inside: dict[str | None, Inside],
) -> Layout:
    """Places in frames as places in the picture."""
    corners: dict[str | None, Point] = {None: (MARGIN, MARGIN)}
    frame_places = {}
    for frame in frames:
        place = inside[frame.frame].places[frame.id].moved(*corners[frame.frame])
        frame_places[frame.id] = place
        corners[frame.id] = (place.x, place.y)
    return Layout(
        width=inside[None].width + 2 * MARGIN,
        height=inside[None].height + 2 * MARGIN,
        boxes={box.id: inside[box.frame].places[box.id].moved(*corners[box.frame]) for box in boxes},
        frames=frame_places,
        lines=tuple(_line(index, routes[index], inside, corners) for index in range(len(links))),
    )


def _line(
    index: int, route: Sequence[str | None], inside: dict[str | None, Inside], corners: dict[str | None, Point]
) -> Line:
    points: list[Point] = []
    label = None
    for frame in route:
        x, y = corners[frame]
        points += [(round(point[0] + x, 1), round(point[1] + y, 1)) for point in inside[frame].ways[index]]
        if index in inside[frame].labels:
            label = inside[frame].labels[index].moved(x, y)
    return Line(points=tuple(_without_repetition(points)), label=label)


def _without_repetition(points: Sequence[Point]) -> Iterator[Point]:
    yield points[0]
    for before, point in pairwise(points):
        if before != point:
            yield point

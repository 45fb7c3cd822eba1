"""
The inside of one frame, or of the whole picture: its boxes and inner frames in layers, the lines among them.

A line that leads out of the frame ends at its lower border, one that leads in begins at its upper one. A line's text
takes part as a small box of its own, directly below the box that the line comes from.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_agentic.render.layers import Layered, Step, Vertex, longest_paths
from airflow_agentic.render.shapes import Box, Frame, Link, Point, Rect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

#: Between boxes side by side; between lines; inside a frame's border.
_BOX_GAP, _LINE_GAP, _PADDING = 28.0, 16.0, 16.0
#: Between layers: at least, at most, and how much more for lines that go far to the side.
_GAP, _MOST_GAP, _SLOPE = 30.0, 64.0, 0.14
#: Above and below a layer of texts only.
_TEXT_GAP = 14.0
#: Between lines that end side by side at a box.
_SPREAD = 18.0
#: What is a kink rather than a curve.
_NEARLY = 9.0
#: From the boxes to a line back, from there to its text, and how far from a layer it turns.
_LANE, _LANE_TEXT, _TURN = 20.0, 8.0, 12.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """
    A link, as far as it runs in one frame.

    :param index: of the link.
    :param source, target: directly inside the frame; None: it enters, or leaves.
    """

    index: int
    link: Link
    source: str | None
    target: str | None


@dataclass
class Inside:
    """
    Places relative to the frame's upper left corner.

    :param places: of what is directly inside, by id.
    :param ways, labels: by index of the link.
    :param ranks: inner frame → index of a link that crosses its border → how far to the right it goes on.
    """

    width: float = 0.0
    height: float = 0.0
    places: dict[str, Rect] = field(default_factory=dict)
    ways: dict[int, list[Point]] = field(default_factory=dict)
    labels: dict[int, Rect] = field(default_factory=dict)
    ranks: dict[str, dict[int, float]] = field(default_factory=dict)


def lay_out_inside(
    frame: Frame | None,
    units: Sequence[Box],
    pieces: Sequence[Piece],
    inner: Mapping[str | None, Inside],
    ranks: Mapping[int, float] | None,
) -> Inside:
    """
    Lay out what is directly inside a frame.

    :param units: what that is.
    :param inner: the insides of the frames among them.
    :param ranks: index of a link that crosses the frame's border → its place among them, from left to right; None
        before that is known: then it is as the inside would like it, and the insides of ``inner`` are not asked.
    """
    return _InsideLayout(frame, units, pieces, inner, ranks).run()


@dataclass(kw_only=True)
class _Chain:
    """
    A piece's vertices from top to bottom.

    :param label: the one of its text.
    :param steps: between them, in their order.
    """

    piece: Piece
    vertices: list[int]
    label: int | None = None
    steps: list[Step] = field(default_factory=list)


class _InsideLayout:
    def __init__(
        self,
        frame: Frame | None,
        units: Sequence[Box],
        pieces: Sequence[Piece],
        inner: Mapping[str | None, Inside],
        ranks: Mapping[int, float] | None,
    ) -> None:
        self.frame = frame
        self.inner = inner
        self.ranks = ranks
        self.vertices: list[Vertex] = []
        self.header = None if frame is None else self._add(frame.width, frame.height, _BOX_GAP)
        self.unit: dict[str, int] = {}
        for unit in units:
            size = inner[unit.id] if isinstance(unit, Frame) else unit
            self.unit[unit.id] = self._add(size.width, size.height, _BOX_GAP)
        self.id_of = {vertex: name for name, vertex in self.unit.items()}
        self.chains = [self._chain(piece) for piece in pieces if not self._is_back(piece)]
        self.backs = [piece for piece in pieces if self._is_back(piece)]
        self.graph = Layered(vertices=self.vertices, steps=[])
        self.tops: list[float] = []
        self.bottoms: list[float] = []
        self.inside = Inside()

    def run(self) -> Inside:
        """All steps."""
        self._choose_layers()
        if self.ranks is not None:
            self._fix_at_frames()
        self.graph.arrange()
        self._fix_at_frames()
        self._spread()
        self.graph.place()
        self._measure()
        self._put_boxes()
        for chain in self.chains:
            self._put_line(chain)
        self._put_backs()
        self._rank_inner()
        return self.inside

    # -- vertices ----------------------------------------------------------------------------------------------------

    def _add(self, width: float, height: float, margin: float, *, passes: bool = False) -> int:
        self.vertices.append(Vertex(width=width, height=height, margin=margin, passes=passes))
        return len(self.vertices) - 1

    def _is_back(self, piece: Piece) -> bool:
        return piece.link.back and piece.source is not None and piece.target is not None

    def _chain(self, piece: Piece) -> _Chain:
        ends = [self._point() if name is None else self.unit[name] for name in (piece.source, piece.target)]
        chain = _Chain(piece=piece, vertices=ends)
        if piece.source == piece.link.source and piece.link.width and not piece.link.back:
            chain.label = self._add(piece.link.width, piece.link.height, _LINE_GAP, passes=True)
            chain.vertices.insert(1, chain.label)
        return chain

    def _point(self) -> int:
        return self._add(0.0, 0.0, _LINE_GAP, passes=True)

    # -- layers ------------------------------------------------------------------------------------------------------

    def _choose_layers(self) -> None:
        """Boxes by the longest way to them; the title and the borders' points above and below all of them."""
        entries = [chain.vertices[0] for chain in self.chains if chain.piece.source is None]
        exits = [chain.vertices[-1] for chain in self.chains if chain.piece.target is None]
        outer = {*entries, *exits, *(() if self.header is None else (self.header,))}
        edges = [edge for chain in self.chains for edge in pairwise(chain.vertices) if not outer.intersection(edge)]
        found = longest_paths(len(self.vertices), edges)
        inner = [vertex for vertex in range(len(found)) if vertex not in outer]
        shift = (1 if self.header is not None or entries else 0) - min((found[vertex] for vertex in inner), default=0)
        for vertex in inner:
            self.vertices[vertex].layer = found[vertex] + shift
        bottom = max((self.vertices[vertex].layer for vertex in inner), default=0)
        for vertex in exits:
            self.vertices[vertex].layer = bottom + 1
        for chain in self.chains:
            self._pass_layers(chain)
        self.graph.layers = [[] for _ in range(bottom + (2 if exits else 1))]
        for vertex in self._in_first_order():
            self.graph.layers[self.vertices[vertex].layer].append(vertex)
        self.graph.steps = [step for chain in self.chains for step in chain.steps]
        if self.ranks is not None:
            self._fix_ports(entries, exits, self.ranks)

    def _fix_ports(self, entries: Collection[int], exits: Collection[int], ranks: Mapping[int, float]) -> None:
        """Let lines cross the border in the order in which they go on outside; the title is the first."""
        rank = {}
        for chain in self.chains:
            if chain.piece.source is None:
                rank[chain.vertices[0]] = ranks[chain.piece.index]
            if chain.piece.target is None:
                rank[chain.vertices[-1]] = ranks[chain.piece.index]
        layers = [index for index, ports in ((0, entries), (len(self.graph.layers) - 1, exits)) if ports]
        for index in layers:
            self.graph.layers[index].sort(key=lambda vertex: rank.get(vertex, float("-inf")))
        self.graph.fixed = frozenset(layers)

    def _rank_inner(self) -> None:
        """How lines go on that cross the borders of inner frames; lines back do so to the right."""
        for chain in self.chains:
            for name, following in ((chain.piece.source, 1), (chain.piece.target, -2)):
                if self._crossed(chain.piece, name) is not None:
                    x = self._x(chain.vertices[following])
                    self.inside.ranks.setdefault(str(name), {})[chain.piece.index] = x
        for piece in self.backs:
            for name in (piece.source, piece.target):
                if self._crossed(piece, name) is not None:
                    self.inside.ranks.setdefault(str(name), {})[piece.index] = float("inf")

    def _pass_layers(self, chain: _Chain) -> None:
        """Put a point into each layer that a line passes."""
        passed = chain.vertices[:1]
        for upper, lower in pairwise(chain.vertices):
            for layer in range(self.vertices[upper].layer + 1, self.vertices[lower].layer):
                passed.append(self._point())
                self.vertices[passed[-1]].layer = layer
            passed.append(lower)
        chain.vertices = passed
        chain.steps = [Step(upper=upper, lower=lower) for upper, lower in pairwise(passed)]

    def _fix_at_frames(self) -> None:
        """A line that leads into an inner frame, or out of it, meets the border where it crosses it."""
        for chain in self.chains:
            source = self._crossed(chain.piece, chain.piece.source)
            target = self._crossed(chain.piece, chain.piece.target)
            if source is not None:
                chain.steps[0].leaves = source.ways[chain.piece.index][-1][0] - source.width / 2
            if target is not None:
                chain.steps[-1].enters = target.ways[chain.piece.index][0][0] - target.width / 2

    def _crossed(self, piece: Piece, name: str | None) -> Inside | None:
        """The inside of an inner frame that a line's end lies in."""
        if name is None or name in (piece.link.source, piece.link.target):
            return None
        return self.inner[name]

    def _in_first_order(self) -> list[int]:
        """All vertices, those of one line together: an order to start from."""
        below: dict[int, list[int]] = defaultdict(list)
        for chain in self.chains:
            for upper, lower in pairwise(chain.vertices):
                below[upper].append(lower)
        lower_ones = {vertex for chain in self.chains for vertex in chain.vertices[1:]}
        seen: dict[int, None] = {}
        stack = [vertex for vertex in reversed(range(len(self.vertices))) if vertex not in lower_ones]
        while stack:
            vertex = stack.pop()
            if vertex not in seen:
                seen[vertex] = None
                stack += reversed(below[vertex])
        return list(seen)

    # -- places ------------------------------------------------------------------------------------------------------

    def _spread(self) -> None:
        """Lines that end at one side of a box end beside each other; those at a frame are fixed already."""
        left = {id(chain.steps[0]) for chain in self.chains if self._crossed(chain.piece, chain.piece.source)}
        entered = {id(chain.steps[-1]) for chain in self.chains if self._crossed(chain.piece, chain.piece.target)}
        for vertex in self.unit.values():
            box = self.vertices[vertex]
            below = [step for step in self.graph.steps_below(vertex) if id(step) not in left]
            for step, offset in zip(below, _offsets(box.width, len(below)), strict=True):
                step.leaves = offset
            above = [step for step in self.graph.steps_above(vertex) if id(step) not in entered]
            for step, offset in zip(above, _offsets(box.width, len(above)), strict=True):
                step.enters = offset

    def _measure(self) -> None:
        """The upper and lower end of each layer."""
        y = _PADDING * 0.6 if self.frame is not None else 2 * _TURN if self.backs else 0.0
        for index, layer in enumerate(self.graph.layers):
            self.tops.append(y)
            self.bottoms.append(y + max((self.vertices[vertex].height for vertex in layer), default=0.0))
            y = self.bottoms[-1] + self._gap(index)

    def _gap(self, index: int) -> float:
        """The space below a layer: more where lines go far to the side."""
        if index == len(self.graph.layers) - 1:
            return 0.0
        far = 0.0
        for step in self.graph.steps:
            if self.vertices[step.upper].layer == index:
                far = max(far, abs(self._x(step.upper) + step.leaves - self._x(step.lower) - step.enters))
        texts = any(self._is_text_only(near) for near in (index, index + 1))
        return min((_TEXT_GAP if texts else _GAP) + _SLOPE * far, _MOST_GAP)

    def _is_text_only(self, index: int) -> bool:
        return all(vertex not in self.id_of for vertex in self.graph.layers[index])

    def _x(self, vertex: int) -> float:
        return self.vertices[vertex].x

    def _put_boxes(self) -> None:
        """Where the boxes are, and how large the frame has to be, without its lines back."""
        used = range(len(self.vertices))
        sides = [
            (self._x(vertex) - each.width / 2, self._x(vertex) + each.width / 2)
            for vertex, each in ((vertex, self.vertices[vertex]) for vertex in used)
        ]
        left = min((side[0] for side in sides), default=0.0)
        padding = 0.0 if self.frame is None else _PADDING
        for vertex in used:
            self.vertices[vertex].x += padding - left
        right = max((side[1] for side in sides), default=0.0) - left + padding
        self.inside.width = right + padding
        self.inside.height = self.bottoms[-1] + padding if self.bottoms else 0.0
        for name, vertex in self.unit.items():
            box = self.vertices[vertex]
            middle = (self.tops[box.layer] + self.bottoms[box.layer]) / 2
            self.inside.places[name] = Rect(
                x=box.x - box.width / 2, y=middle - box.height / 2, width=box.width, height=box.height
            )

    # -- lines -------------------------------------------------------------------------------------------------------

    def _put_line(self, chain: _Chain) -> None:
        points: list[Point] = []
        if chain.piece.source is None:
            points.append((self._x(chain.vertices[0]), 0.0))
        for step in chain.steps:
            self._align(step)
            points.append((self._x(step.upper) + step.leaves, self._lower_end(step.upper)))
            points.append((self._x(step.upper) + step.leaves, self.bottoms[self.vertices[step.upper].layer]))
            points.append((self._x(step.lower) + step.enters, self.tops[self.vertices[step.lower].layer]))
            points.append((self._x(step.lower) + step.enters, self._upper_end(step.lower)))
        if chain.piece.target is None:
            points.append((self._x(chain.vertices[-1]), self.inside.height))
        self.inside.ways[chain.piece.index] = points
        if chain.label is not None:
            label = self.vertices[chain.label]
            middle = (self.tops[label.layer] + self.bottoms[label.layer]) / 2
            self.inside.labels[chain.piece.index] = Rect(
                x=label.x - label.width / 2, y=middle - label.height / 2, width=label.width, height=label.height
            )

    def _align(self, step: Step) -> None:
        """Make a line straight that nearly is, where it ends at a box."""
        away = self._x(step.upper) + step.leaves - self._x(step.lower) - step.enters
        if not 0 < abs(away) < _NEARLY:
            return
        if self._is_box(step.lower) and abs(step.enters + away) < self.vertices[step.lower].width / 2:
            step.enters += away
        elif self._is_box(step.upper) and abs(step.leaves - away) < self.vertices[step.upper].width / 2:
            step.leaves -= away

    def _is_box(self, vertex: int) -> bool:
        return vertex in self.id_of and self.id_of[vertex] not in self.inner

    def _upper_end(self, vertex: int) -> float:
        name = self.id_of.get(vertex)
        return self.inside.places[name].y if name is not None else self.tops[self.vertices[vertex].layer]

    def _lower_end(self, vertex: int) -> float:
        name = self.id_of.get(vertex)
        if name is None:
            return self.bottoms[self.vertices[vertex].layer]
        return self.inside.places[name].y + self.inside.places[name].height

    def _put_backs(self) -> None:
        """Lines back, each at the right of what there is so far."""
        for piece in sorted(self.backs, key=self._span):
            padding = 0.0 if self.frame is None else _PADDING
            lane = self.inside.width - padding + _LANE
            start, end = self._back_start(piece), self._back_end(piece)
            self.inside.ways[piece.index] = [*start, (lane, start[-1][1]), (lane, end[0][1]), *end]
            self.inside.width = lane + padding
            if piece.link.width:
                y = max((start[-1][1] + end[0][1] - piece.link.height) / 2, 2 * _PADDING)
                x = lane + _LANE_TEXT
                self.inside.height = max(self.inside.height, y + piece.link.height + padding)
                self.inside.labels[piece.index] = Rect(x=x, y=y, width=piece.link.width, height=piece.link.height)
                self.inside.width = x + piece.link.width + padding

    def _span(self, piece: Piece) -> tuple[int, int]:
        source, target = self.unit[str(piece.source)], self.unit[str(piece.target)]
        return self.vertices[source].layer - self.vertices[target].layer, piece.index

    def _back_start(self, piece: Piece) -> list[Point]:
        """From the source to where the line turns to the lane."""
        vertex = self.unit[str(piece.source)]
        box = self.vertices[vertex]
        place = self.inside.places[str(piece.source)]
        crossed = self._crossed(piece, piece.source)
        if crossed is None and self._is_last(vertex):
            return [(place.x + place.width, place.y + place.height * (0.7 if piece.source == piece.target else 0.5))]
        x = box.x + box.width * 0.3 if crossed is None else place.x + crossed.ways[piece.index][-1][0]
        y = self.bottoms[box.layer] + _TURN
        self.inside.height = max(self.inside.height, y + _TURN)
        return [(x, place.y + place.height), (x, y)]

    def _back_end(self, piece: Piece) -> list[Point]:
        """From where the line turns from the lane to the target."""
        vertex = self.unit[str(piece.target)]
        box = self.vertices[vertex]
        place = self.inside.places[str(piece.target)]
        crossed = self._crossed(piece, piece.target)
        if crossed is None and self._is_last(vertex):
            return [(place.x + place.width, place.y + place.height * (0.3 if piece.source == piece.target else 0.5))]
        x = box.x + box.width * 0.3 if crossed is None else place.x + crossed.ways[piece.index][0][0]
        y = self.tops[box.layer] - _TURN
        return [(x, y), (x, place.y)]

    def _is_last(self, vertex: int) -> bool:
        """Whether there is nothing but lines to the right of a box."""
        layer = self.graph.layers[self.vertices[vertex].layer]
        return not any(self.vertices[other].width for other in layer[layer.index(vertex) + 1 :])


def _offsets(width: float, count: int) -> Iterable[float]:
    """Places side by side around a box's middle."""
    between = min(_SPREAD, width * 0.7 / count) if count else 0.0
    return [(index - (count - 1) / 2) * between for index in range(count)]

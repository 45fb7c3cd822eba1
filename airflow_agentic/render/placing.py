"""From what is arranged in layers to places: heights, boxes, the ways of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.render.inside import PADDING, Arranged, Chain, Inside
from airflow_agentic.render.shapes import Rect

if TYPE_CHECKING:
    from airflow_agentic.render.inside import Piece
    from airflow_agentic.render.layers import Step
    from airflow_agentic.render.shapes import Point

#: Between layers: at least, at most, and how much more for lines that go far to the side.
_GAP, _MOST_GAP, _SLOPE = 30.0, 64.0, 0.14
#: Above and below a layer of texts only.
_TEXT_GAP = 14.0
#: What is a kink rather than a curve.
_NEARLY = 9.0
#: From the boxes to a line back, from there to its text, and how far from a layer it turns.
_LANE, _LANE_TEXT, _TURN = 20.0, 8.0, 12.0


def place(arranged: Arranged) -> Inside:
    """Give everything its place."""
    return _Placing(arranged).run()


class _Placing:
    def __init__(self, arranged: Arranged) -> None:
        self.arranged = arranged
        self.vertices = arranged.graph.vertices
        self.id_of = {vertex: name for name, vertex in arranged.unit.items()}
        self.tops: list[float] = []
        self.bottoms: list[float] = []
        self.inside = Inside()

    def run(self) -> Inside:
        """All steps."""
        self._measure()
        self._put_boxes()
        for chain in self.arranged.chains:
            self._put_line(chain)
        self._put_backs()
        self._rank_inner()
        return self.inside

    def _measure(self) -> None:
        """The upper and lower end of each layer."""
        y = PADDING * 0.6 if self.arranged.frame is not None else 2 * _TURN if self.arranged.backs else 0.0
        for index, layer in enumerate(self.arranged.graph.layers):
            self.tops.append(y)
            self.bottoms.append(y + max((self.vertices[vertex].height for vertex in layer), default=0.0))
            y = self.bottoms[-1] + self._gap(index)

    def _gap(self, index: int) -> float:
        """The space below a layer: more where lines go far to the side."""
        if index == len(self.arranged.graph.layers) - 1:
            return 0.0
        far = 0.0
        for step in self.arranged.graph.steps:
            if self.vertices[step.upper].layer == index:
                far = max(far, abs(self._x(step.upper) + step.leaves - self._x(step.lower) - step.enters))
        texts = any(self._is_text_only(near) for near in (index, index + 1))
        return min((_TEXT_GAP if texts else _GAP) + _SLOPE * far, _MOST_GAP)

    def _is_text_only(self, index: int) -> bool:
        return all(vertex not in self.id_of for vertex in self.arranged.graph.layers[index])

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
        padding = self.arranged.padding
        for vertex in used:
            self.vertices[vertex].x += padding - left
        right = max((side[1] for side in sides), default=0.0) - left + padding
        self.inside.width = right + padding
        self.inside.height = self.bottoms[-1] + padding if self.bottoms else 0.0
        for name, vertex in self.arranged.unit.items():
            box = self.vertices[vertex]
            middle = (self.tops[box.layer] + self.bottoms[box.layer]) / 2
            self.inside.places[name] = Rect(
                x=box.x - box.width / 2, y=middle - box.height / 2, width=box.width, height=box.height
            )

    # -- lines -------------------------------------------------------------------------------------------------------

    def _put_line(self, chain: Chain) -> None:
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
        return vertex in self.id_of and self.id_of[vertex] not in self.arranged.inner

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
        for piece in sorted(self.arranged.backs, key=self._span):
            padding = self.arranged.padding
            lane = self.inside.width - padding + _LANE
            start, end = self._back_start(piece), self._back_end(piece)
            self.inside.ways[piece.index] = [*start, (lane, start[-1][1]), (lane, end[0][1]), *end]
            self.inside.width = lane + padding
            if piece.link.width:
                y = max((start[-1][1] + end[0][1] - piece.link.height) / 2, 2 * PADDING)
                x = lane + _LANE_TEXT
                self.inside.height = max(self.inside.height, y + piece.link.height + padding)
                self.inside.labels[piece.index] = Rect(x=x, y=y, width=piece.link.width, height=piece.link.height)
                self.inside.width = x + piece.link.width + padding

    def _span(self, piece: Piece) -> tuple[int, int]:
        source, target = self.arranged.unit[str(piece.source)], self.arranged.unit[str(piece.target)]
        return self.vertices[source].layer - self.vertices[target].layer, piece.index

    def _back_start(self, piece: Piece) -> list[Point]:
        """From the source to where the line turns to the lane."""
        vertex = self.arranged.unit[str(piece.source)]
        box = self.vertices[vertex]
        place = self.inside.places[str(piece.source)]
        crossed = self.arranged.crossed(piece, piece.source)
        if crossed is None and self._is_last(vertex):
            return [(place.x + place.width, place.y + place.height * (0.7 if piece.source == piece.target else 0.5))]
        x = box.x + box.width * 0.3 if crossed is None else place.x + crossed.ways[piece.index][-1][0]
        y = self.bottoms[box.layer] + _TURN
        self.inside.height = max(self.inside.height, y + _TURN)
        return [(x, place.y + place.height), (x, y)]

    def _back_end(self, piece: Piece) -> list[Point]:
        """From where the line turns from the lane to the target."""
        vertex = self.arranged.unit[str(piece.target)]
        box = self.vertices[vertex]
        place = self.inside.places[str(piece.target)]
        crossed = self.arranged.crossed(piece, piece.target)
        if crossed is None and self._is_last(vertex):
            return [(place.x + place.width, place.y + place.height * (0.3 if piece.source == piece.target else 0.5))]
        x = box.x + box.width * 0.3 if crossed is None else place.x + crossed.ways[piece.index][0][0]
        y = self.tops[box.layer] - _TURN
        return [(x, y), (x, place.y)]

    def _is_last(self, vertex: int) -> bool:
        """Whether there is nothing but lines to the right of a box."""
        layer = self.arranged.graph.layers[self.vertices[vertex].layer]
        return not any(self.vertices[other].width for other in layer[layer.index(vertex) + 1 :])

    def _rank_inner(self) -> None:
        """How lines go on that cross the borders of inner frames; lines back do so to the right."""
        for chain in self.arranged.chains:
            for name, following in ((chain.piece.source, 1), (chain.piece.target, -2)):
                if self.arranged.crossed(chain.piece, name) is not None:
                    x = self._x(chain.vertices[following])
                    self.inside.ranks.setdefault(str(name), {})[chain.piece.index] = x
        for piece in self.arranged.backs:
            for name in (piece.source, piece.target):
                if self.arranged.crossed(piece, name) is not None:
                    self.inside.ranks.setdefault(str(name), {})[piece.index] = float("inf")

"""
The inside of a frame in layers: its boxes and inner frames, the texts of lines, and the points where lines pass.

A line that leads out of the frame ends at its lower border, one that leads in begins at its upper one. A line's text
takes part as a small box of its own, directly below the box that the line comes from.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_agentic.render.inside import LINE_GAP, Arranged, Chain
from airflow_agentic.render.layers import Layered, Step, Vertex, longest_paths
from airflow_agentic.render.shapes import Box, Frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow_agentic.render.inside import Inside, Piece

#: Between boxes side by side.
_BOX_GAP = 28.0
#: Between lines that end side by side at a box.
_SPREAD = 18.0


def arrange(
    frame: Frame | None,
    units: Sequence[Box],
    pieces: Sequence[Piece],
    inner: Mapping[str | None, Inside],
    ranks: Mapping[int, float] | None,
) -> Arranged:
    """
    Arrange what is directly inside a frame.

    :param units: what that is.
    :param inner: the insides of the frames among them.
    :param ranks: index of a link that crosses the frame's border → its place among them, from left to right; None
        before that is known: then it is as the inside would like it, and the insides of ``inner`` are not asked.
    """
    return _Arranging(frame, units, pieces, inner, ranks).run()


class _Arranging:
    def __init__(
        self,
        frame: Frame | None,
        units: Sequence[Box],
        pieces: Sequence[Piece],
        inner: Mapping[str | None, Inside],
        ranks: Mapping[int, float] | None,
    ) -> None:
        self.ranks = ranks
        self.vertices: list[Vertex] = []
        self.header = None if frame is None else self._add(frame.width, frame.height, _BOX_GAP)
        self.unit: dict[str, int] = {}
        for unit in units:
            size = inner[unit.id] if isinstance(unit, Frame) else unit
            self.unit[unit.id] = self._add(size.width, size.height, _BOX_GAP)
        self.graph = Layered(vertices=self.vertices, steps=[])
        self.arranged = Arranged(
            frame=frame,
            inner=inner,
            graph=self.graph,
            unit=self.unit,
            chains=[self._chain(piece) for piece in pieces if not _is_back(piece)],
            backs=[piece for piece in pieces if _is_back(piece)],
        )
        self.chains = self.arranged.chains

    def run(self) -> Arranged:
        """All steps."""
        self._choose_layers()
        if self.ranks is not None:
            self._fix_at_frames()
        self.graph.arrange()
        self._fix_at_frames()
        self._spread()
        self.graph.place()
        return self.arranged

    # -- vertices ----------------------------------------------------------------------------------------------------

    def _add(self, width: float, height: float, margin: float, *, passes: bool = False) -> int:
        self.vertices.append(Vertex(width=width, height=height, margin=margin, passes=passes))
        return len(self.vertices) - 1

    def _chain(self, piece: Piece) -> Chain:
        ends = [self._point() if name is None else self.unit[name] for name in (piece.source, piece.target)]
        chain = Chain(piece=piece, vertices=ends)
        if piece.source == piece.link.source and piece.link.width and not piece.link.back:
            chain.label = self._add(piece.link.width, piece.link.height, LINE_GAP, passes=True)
            chain.vertices.insert(1, chain.label)
        return chain

    def _point(self) -> int:
        return self._add(0.0, 0.0, LINE_GAP, passes=True)

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

    def _pass_layers(self, chain: Chain) -> None:
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
            source = self.arranged.crossed(chain.piece, chain.piece.source)
            target = self.arranged.crossed(chain.piece, chain.piece.target)
            if source is not None:
                chain.steps[0].leaves = source.ways[chain.piece.index][-1][0] - source.width / 2
            if target is not None:
                chain.steps[-1].enters = target.ways[chain.piece.index][0][0] - target.width / 2

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

    def _spread(self) -> None:
        """Lines that end at one side of a box end beside each other; those at a frame are fixed already."""
        left = {id(chain.steps[0]) for chain in self.chains if self.arranged.crossed(chain.piece, chain.piece.source)}
        entered = {
            id(chain.steps[-1]) for chain in self.chains if self.arranged.crossed(chain.piece, chain.piece.target)
        }
        for vertex in self.unit.values():
            box = self.vertices[vertex]
            below = [step for step in self.graph.steps_below(vertex) if id(step) not in left]
            for step, offset in zip(below, _offsets(box.width, len(below)), strict=True):
                step.leaves = offset
            above = [step for step in self.graph.steps_above(vertex) if id(step) not in entered]
            for step, offset in zip(above, _offsets(box.width, len(above)), strict=True):
                step.enters = offset


def _is_back(piece: Piece) -> bool:
    return piece.link.back and piece.source is not None and piece.target is not None


def _offsets(width: float, count: int) -> Iterable[float]:
    """Places side by side around a box's middle."""
    between = min(_SPREAD, width * 0.7 / count) if count else 0.0
    return [(index - (count - 1) / 2) * between for index in range(count)]

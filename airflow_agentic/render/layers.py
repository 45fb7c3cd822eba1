"""
A graph in layers (Sugiyama's method): which layer each vertex is in, in which order, and where.

Vertices are numbers. All lines lead from an upper layer to a lower one; one that leads over several layers has a thin
vertex of its own in each layer between, so that nothing else is placed where it passes.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: More change nothing that can be seen.
_ORDER_SWEEPS = 12
_FIRST_SWEEPS, _PLACE_SWEEPS = 10, 100
#: A move that can't be seen.
_STILL = 0.2
_STRAIGHTENINGS = 3
#: Layers with more vertices than that are not improved by exchanging neighbours, which takes quadratic time.
_MANY = 40
#: How much straighter than others a line is between two of its own vertices, and next to one.
_STRAIGHT, _STRAIGHTER = 2.0, 8.0
_NO_WEIGHT = 1e-3


@dataclass(kw_only=True)
class Vertex:
    """
    A box, a text at a line, or a point that a line passes.

    :param width, height: of the space it takes.
    :param margin: on either side of it.
    :param passes: it belongs to a line.
    :param layer: from 0 at the top.
    :param x: of its middle.
    """

    width: float
    height: float
    margin: float
    passes: bool = False
    layer: int = 0
    x: float = 0.0


@dataclass(kw_only=True)
class Step:
    """
    A line, or a part of one, from a layer to the next.

    :param leaves, enters: where it is fixed at either vertex, to the right of the middle.
    """

    upper: int
    lower: int
    leaves: float = 0.0
    enters: float = 0.0


@dataclass(kw_only=True)
class Layered:
    """
    Vertices in layers.

    :param layers: vertices from left to right.
    :param fixed: layers whose order stays as it is.
    """

    vertices: list[Vertex]
    steps: list[Step]
    layers: list[list[int]] = field(default_factory=list)
    fixed: frozenset[int] = frozenset()
    _above: dict[int, list[Step]] = field(default_factory=dict)
    _below: dict[int, list[Step]] = field(default_factory=dict)

    def arrange(self) -> None:
        """Choose the order in each layer, for few crossings."""
        for step in self.steps:
            self._below.setdefault(step.upper, []).append(step)
            self._above.setdefault(step.lower, []).append(step)
        start = [list(layer) for layer in self.layers]
        mirrored = [layer if index in self.fixed else layer[::-1] for index, layer in enumerate(start)]
        found = [self._improved(start), self._improved(mirrored)]
        _, self.layers = min(found, key=lambda each: each[0])

    def _improved(self, start: list[list[int]]) -> tuple[int, list[list[int]]]:
        """The best order that is found from another one, and how many lines cross in it."""
        self.layers = [list(layer) for layer in start]
        best, fewest = start, self._crossings()
        for sweep in range(_ORDER_SWEEPS):
            if not fewest:
                break
            self._sweep(down=sweep % 2 == 0)
            self._exchange()
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        return fewest, best

    def _sweep(self, *, down: bool) -> None:
        """Sort each layer by where the lines from the one before come from."""
        steps = self._above if down else self._below
        indexes = range(len(self.layers))
        for layer_index in indexes if down else reversed(indexes):
            if layer_index in self.fixed:
                continue
            layer = self.layers[layer_index]
            places = self._places()
            keys = {}
            for vertex in layer:
                seen = [self._end(step, places, upper=down) for step in steps.get(vertex, ())]
                keys[vertex] = sum(seen) / len(seen) if seen else places[vertex]
            layer.sort(key=keys.__getitem__)

    def _places(self) -> dict[int, float]:
        """Where each vertex is in its layer, from 0 to 1."""
        return {vertex: (index + 0.5) / len(layer) for layer in self.layers for index, vertex in enumerate(layer)}

    def _end(self, step: Step, places: dict[int, float], *, upper: bool) -> float:
        """The same for one end of a line: wide boxes have several."""
        vertex, offset = (step.upper, step.leaves) if upper else (step.lower, step.enters)
        box = self.vertices[vertex]
        share = offset / box.width if box.width else 0.0
        return places[vertex] + share / len(self.layers[box.layer])

    def _exchange(self) -> None:
        """Exchange neighbours as long as lines cross less."""
        for index, layer in enumerate(self.layers):
            if len(layer) > _MANY or index in self.fixed:
                continue
            for left in range(len(layer) - 1):
                before = self._crossings_at(index)
                layer[left], layer[left + 1] = layer[left + 1], layer[left]
                if self._crossings_at(index) >= before:
                    layer[left], layer[left + 1] = layer[left + 1], layer[left]

    def _crossings_at(self, index: int) -> int:
        return self._crossings_below(index - 1) + self._crossings_below(index)

    def _crossings(self) -> int:
        return sum(self._crossings_below(index) for index in range(len(self.layers) - 1))

    def _crossings_below(self, index: int) -> int:
        """How often lines cross between a layer and the next."""
        if not 0 <= index < len(self.layers) - 1:
            return 0
        lower = {vertex: place for place, vertex in enumerate(self.layers[index + 1])}
        ends = sorted(
            ((place, step.leaves), (lower[step.lower], step.enters))
            for place, vertex in enumerate(self.layers[index])
            for step in self._below.get(vertex, ())
        )
        seen: list[tuple[int, float]] = []
        crossings = 0
        for _, end in ends:
            crossings += len(seen) - bisect_right(seen, end)
            insort(seen, end)
        return crossings

    def place(self) -> None:
        """Choose ``x`` of all vertices: no two too close, lines as straight as that allows."""
        for layer in self.layers:
            for vertex, x in zip(layer, self._packed(layer), strict=True):
                self.vertices[vertex].x = x
        for sweep in range(_FIRST_SWEEPS):
            self._place_layers(above=sweep % 2 == 0, below=sweep % 2 == 1)
        for _ in range(_PLACE_SWEEPS):
            before = [vertex.x for vertex in self.vertices]
            self._place_layers(above=True, below=True)
            if all(abs(vertex.x - x) < _STILL for vertex, x in zip(self.vertices, before, strict=True)):
                break
        for _ in range(_STRAIGHTENINGS):
            for run in self._runs():
                self._straighten(run)

    def _runs(self) -> list[list[tuple[int, float]]]:
        """
        Vertices that are worth being below each other: of one line, or of boxes that only one line joins.

        Each has how far its middle is to the right of the run's line.
        """
        follower = {step.upper: step for step in self.steps if self._joins(step)}
        reached = {step.lower for step in follower.values()}
        runs = []
        for vertex in sorted(follower.keys() - reached):
            run = [(vertex, 0.0)]
            while run[-1][0] in follower:
                step = follower[run[-1][0]]
                run.append((step.lower, run[-1][1] + step.leaves - step.enters))
            runs.append(run)
        return sorted(runs, key=len, reverse=True)

    def _joins(self, step: Step) -> bool:
        alone = len(self._below[step.upper]) == 1 == len(self._above[step.lower])
        return alone or (self.vertices[step.upper].passes and self.vertices[step.lower].passes)

    def _straighten(self, run: Sequence[tuple[int, float]]) -> None:
        """Put a run's vertices below each other, as many as there is room for, and then the rest."""
        left, right = self._space(*run[0])
        count = 1
        for vertex, shift in run[1:]:
            space = self._space(vertex, shift)
            if max(left, space[0]) > min(right, space[1]):
                break
            left, right, count = max(left, space[0]), min(right, space[1]), count + 1
        middle = sorted(self.vertices[vertex].x - shift for vertex, shift in run[:count])[count // 2]
        for vertex, shift in run[:count]:
            self.vertices[vertex].x = min(max(middle, left), right) + shift
        if count < len(run):
            self._straighten(run[count:])

    def _space(self, vertex: int, shift: float) -> tuple[float, float]:
        """How far to the left and to the right a vertex's line could be."""
        layer = self.layers[self.vertices[vertex].layer]
        place = layer.index(vertex)
        left, right = float("-inf"), float("inf")
        if place:
            left = self.vertices[layer[place - 1]].x + self._distance(layer[place - 1], vertex)
        if place + 1 < len(layer):
            right = self.vertices[layer[place + 1]].x - self._distance(vertex, layer[place + 1])
        return left - shift, right - shift

    def _distance(self, left: int, right: int) -> float:
        """Between the middles of two neighbours, at least."""
        one, other = self.vertices[left], self.vertices[right]
        return (one.width + other.width) / 2 + max(one.margin, other.margin)

    def _packed(self, layer: Sequence[int]) -> list[float]:
        """The places of a layer's vertices, as far left as they can be."""
        packed = [0.0] if layer else []
        for left, right in pairwise(layer):
            packed.append(packed[-1] + self._distance(left, right))
        return packed

    def _place_layers(self, *, above: bool, below: bool) -> None:
        for layer in self.layers if above else reversed(self.layers):
            self._place_layer(layer, above=above, below=below)

    def _place_layer(self, layer: Sequence[int], *, above: bool, below: bool) -> None:
        """Place one layer by its neighbours: the least squares that keep order and distance."""
        packed = self._packed(layer)
        wishes = []
        for vertex, shift in zip(layer, packed, strict=True):
            wish, weight = self._wish(vertex, above=above, below=below)
            wishes.append((wish - shift, weight))
        for vertex, shift, x in zip(layer, packed, _monotone(wishes), strict=True):
            self.vertices[vertex].x = x + shift

    def _wish(self, vertex: int, *, above: bool, below: bool) -> tuple[float, float]:
        """Where its lines draw a vertex, and how strongly."""
        total = weights = 0.0
        for step in self._above.get(vertex, ()) if above else ():
            weight = self._weight(step)
            total += weight * (self.vertices[step.upper].x + step.leaves - step.enters)
            weights += weight
        for step in self._below.get(vertex, ()) if below else ():
            weight = self._weight(step)
            total += weight * (self.vertices[step.lower].x + step.enters - step.leaves)
            weights += weight
        if not weights:
            return self.vertices[vertex].x, _NO_WEIGHT
        return total / weights, weights

    def _weight(self, step: Step) -> float:
        passes = self.vertices[step.upper].passes + self.vertices[step.lower].passes
        return (1.0, _STRAIGHT, _STRAIGHTER)[passes]

    def steps_below(self, vertex: int) -> list[Step]:
        """The lines that leave a vertex, from left to right."""
        return self._sorted(self._below.get(vertex, ()), upper=False)

    def steps_above(self, vertex: int) -> list[Step]:
        """The lines that reach a vertex, from left to right."""
        return self._sorted(self._above.get(vertex, ()), upper=True)

    def _sorted(self, steps: Iterable[Step], *, upper: bool) -> list[Step]:
        places = self._places()
        return sorted(steps, key=lambda step: self._end(step, places, upper=upper))


def _monotone(wishes: Sequence[tuple[float, float]]) -> list[float]:
    """The values that never fall and are nearest to the wishes, by weighted squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in wishes:
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            right, left = blocks.pop(), blocks.pop()
            total = left[1] + right[1]
            blocks.append(((left[0] * left[1] + right[0] * right[1]) / total, total, left[2] + right[2]))
    return [value for value, _, count in blocks for _ in range(count)]


def longest_paths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """
    The layer of each vertex: below everything that leads to it, and near to what it leads to.

    :raises ValueError: the edges hold a cycle.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in edges:
        above[lower].append(upper)
        below[upper].append(lower)
    order = _in_order(above, below)
    layers = [0] * count
    for vertex in order:
        layers[vertex] = max((layers[other] + 1 for other in above[vertex]), default=0)
    for vertex in reversed(order):
        if len(below[vertex]) > len(above[vertex]):
            layers[vertex] = min(layers[other] for other in below[vertex]) - 1
    return layers


def _in_order(above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> list[int]:
    missing = [len(others) for others in above]
    order = [vertex for vertex, number in enumerate(missing) if not number]
    for vertex in order:
        for other in below[vertex]:
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    if len(order) < len(above):
        raise ValueError("the edges hold a cycle")
    return order

"""
The time axis of the timeline: where a moment is, in percent of the width.

A week's wait for a person would squash everything else into nothing, so long stretches in which nothing worked can be
pressed into a narrow gap each. Both scales are piecewise linear.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_agentic.view.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: A stretch without work is pressed when it is longer than this share of the whole, and than this many seconds.
_IDLE_SHARE, _IDLE_SECONDS = 0.12, 1.0
#: Percent of the width that a pressed stretch gets, and all of them at most.
_GAP, _GAPS = 7.0, 45.0
#: Steps between ticks, in seconds.
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000),
)
_TICKS = 7
#: Percent of the width that must be between two ticks, and between one and the right end.
_APART = 8.0


@dataclass(frozen=True, kw_only=True)
class Tick:
    """
    A mark of the axis.

    :param gap: it stands for a pressed stretch; its label is how long that is.
    """

    x: float
    label: str
    gap: bool = False


@dataclass(frozen=True, kw_only=True)
class Scale:
    """
    One scale.

    :param points: (seconds since the run's beginning, percent), ascending.
    :param gaps: the pressed stretches, in seconds.
    """

    points: tuple[tuple[float, float], ...]
    gaps: tuple[tuple[float, float], ...] = ()

    def at(self, second: float) -> float:
        """Where a moment is; what is outside is at the edge."""
        points = self.points
        second = min(max(second, points[0][0]), points[-1][0])
        index = min(max(bisect_right(points, (second, float("inf"))), 1), len(points) - 1)
        (before, left), (after, right) = points[index - 1], points[index]
        share = (second - before) / (after - before) if after > before else 0.0
        return round(left + share * (right - left), 3)

    def ticks(self) -> list[Tick]:
        """The marks, from the left to the right."""
        found = [
            Tick(x=(self.at(start) + self.at(end)) / 2, label=duration(end - start), gap=True)
            for start, end in self.gaps
        ]
        for second in _steps(self.points, self.gaps):
            x = self.at(second)
            if all(abs(x - tick.x) >= _APART for tick in found) and x <= 100 - _APART / 2:
                found.append(Tick(x=x, label=f"+{duration(second)}" if second else "0"))
        return sorted(found, key=lambda tick: tick.x)


def _steps(points: Sequence[tuple[float, float]], gaps: Sequence[tuple[float, float]]) -> Iterable[float]:
    """Round times, as many as there is room for between the gaps."""
    yield points[0][0]
    for (start, left), (end, right) in pairwise(points):
        if (start, end) in gaps:
            continue
        most = max(1.0, _TICKS * (right - left) / 100)
        step = next((step for step in _STEPS if (end - start) / step <= most), _STEPS[-1])
        number = int(start // step) + 1
        while number * step < end and number - start // step < 4 * _TICKS:
            yield number * step
            number += 1


def true_scale(seconds: float) -> Scale:
    """Every second is as wide as every other."""
    return Scale(points=((0.0, 0.0), (max(seconds, 0.001), 100.0)))


def pressed_scale(seconds: float, busy: Iterable[tuple[float, float]]) -> Scale | None:
    """
    The scale with long idle stretches pressed.

    :param busy: from when to when something worked, in any order.
    :returns: None where there is nothing to press.
    """
    gaps = [gap for gap in _between(busy, seconds) if _is_long(gap, seconds)]
    if not gaps:
        return None
    width = min(_GAP, _GAPS / len(gaps))
    worked = seconds - sum(end - start for start, end in gaps)
    per_second = (100 - width * len(gaps)) / worked if worked > 0 else 0.0
    points = [(0.0, 0.0)]
    for start, end in gaps:
        points.append((start, points[-1][1] + (start - points[-1][0]) * per_second))
        points.append((end, points[-1][1] + width))
    points.append((seconds, 100.0))
    return Scale(points=tuple(dict(points).items()), gaps=tuple(gaps))


def _is_long(gap: tuple[float, float], seconds: float) -> bool:
    return gap[1] - gap[0] > max(_IDLE_SECONDS, seconds * _IDLE_SHARE)


def _between(busy: Iterable[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """When nothing worked."""
    found, last = [], 0.0
    for start, end in sorted(busy):
        if start > last:
            found.append((last, start))
        last = max(last, end)
    if last < seconds:
        found.append((last, seconds))
    return found

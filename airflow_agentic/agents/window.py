"""
Shortening data until what is made from it fits.

The values that a prompt is made from are shortened, not the prompt: a cut through rendered text would leave half a
quotation or an open brace, and nobody could say what is missing. What is longest loses first: all texts and lists are
cut to one common length, the greatest with which the whole fits, so that a short one stays as it is for as long as
there is a longer one. How a value is cut to a length is in :mod:`airflow_agentic.agents.window_values`.

Nothing here knows models: whoever asks says how much is too much. The same values are always cut in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.window_values import (
    NOTE,
    SHORTEST,
    common_length,
    cut_values,
    leaves_of,
    replaced,
    size_of,
    with_notes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_agentic.agents.window_values import Cut, Path

    Measure = Callable[[Mapping[str, Any]], int]

#: How often the whole is made anew to find the greatest length that fits.
_MOST_TRIES = 12
#: A result that fills this much of what is allowed is good enough.
_FULL = 0.95


class TooLongError(Exception):
    """
    It can't be made short enough: what isn't data is too long by itself.

    :param least: what the measure says of the shortest there is.
    """

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.least = least


@dataclass(frozen=True, kw_only=True)
class Shortened:
    """
    Values that fit.

    :param kept: what is left, without notes.
    :param cuts: outer ones before those inside of them.
    :param measured: what the measure says of it, notes included.
    """

    kept: Mapping[str, Any]
    cuts: tuple[Cut, ...]
    measured: int

    def values(self, summaries: Mapping[Path, str] | None = None) -> dict[str, Any]:
        """
        What is left, with a note at each place where something is missing.

        :param summaries: path of a cut → what stands for what is missing.
        """
        return with_notes(self.kept, self.cuts, summaries or {})


def shortened(values: Mapping[str, Any], measure: Measure, most: int, *, spare: float = 0.0) -> Shortened:
    """
    The values, with as little left out as it takes.

    :param measure: how much that is which is made from values. It is asked a dozen times at most to find the length,
        and once for each cut, to see whether anything is made from what was cut at all.
    :param most: how much it may be.
    :param spare: the share of a cut list's length that is kept free for a summary of what is left out.
    :raises TooLongError: it can't be that short.
    """
    measured = measure(values)
    if measured <= most:
        return Shortened(kept=values, cuts=(), measured=measured)
    search = _Search(values, measure, most, spare)
    return search.without_needless_cuts(search.best(measured))


def longest(values: Mapping[str, Any]) -> list[tuple[Path, int]]:
    """The texts and lists among the values with their sizes in bytes, the longest first."""
    sizes = [(path, size_of(leaf)) for path, leaf in leaves_of(values)]
    return sorted(sizes, key=lambda pair: -pair[1])


def shown(path: Path) -> str:
    """A path as templates write it."""
    return str(path[0]) + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path[1:])


class _Search:
    """Looks for the greatest common length with which the whole fits."""

    def __init__(self, values: Mapping[str, Any], measure: Measure, most: int, spare: float) -> None:
        self._values = values
        self._measure = measure
        self._most = most
        self._spare = spare

    def best(self, measured: int) -> Shortened:
        """:param measured: of the values as they are."""
        sizes = [size for _, size in longest(self._values)]
        low, at_low = SHORTEST, 0
        high, at_high = max([SHORTEST, *sizes]), measured
        best: Shortened | None = None
        length = common_length(sizes, int(sum(sizes) * self._most / measured))
        for _ in range(_MOST_TRIES):
            length = min(max(length, low), high)
            found = self._at(length)
            if found.measured > self._most:
                high, at_high = length, found.measured
            else:
                best, low, at_low = found, length, found.measured
            if high - low <= NOTE or (best is not None and best.measured >= self._most * _FULL):
                break
            # until something fits, only the magnitude is looked for
            length = math.isqrt(low * high) if best is None else self._between(low, at_low, high, at_high)
        return best or self._shortest()

    def _between(self, low: int, at_low: int, high: int, at_high: int) -> int:
        """Where the whole would just fit, if it grew evenly from one length to the other."""
        share = (self._most * (1 + _FULL) / 2 - at_low) / max(at_high - at_low, 1)
        return low + int((high - low) * min(max(share, 0.1), 0.9))

    def _shortest(self) -> Shortened:
        found = self._at(SHORTEST)
        if found.measured > self._most:
            raise TooLongError(found.measured)
        return found

    def _at(self, length: int) -> Shortened:
        cuts: list[Cut] = []
        kept = cut_values(self._values, length, self._spare, (), cuts)
        found = Shortened(kept=kept, cuts=tuple(cuts), measured=0)
        return replace(found, measured=self._measure(found.values()))

    def without_needless_cuts(self, found: Shortened) -> Shortened:
        """What nothing is made from may stay whole."""
        for path, leaf in leaves_of(self._values):
            others = tuple(cut for cut in found.cuts if cut.path[: len(path)] != path)
            if len(others) == len(found.cuts):
                continue
            kept = replaced(found.kept, path, partial(_instead, leaf))
            without = replace(found, kept=kept, cuts=others)
            if self._measure(without.values()) == found.measured:
                found = without
        return found


def _instead(whole: Any, cut: Any) -> Any:
    return whole

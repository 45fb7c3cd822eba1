"""
The arithmetic of limits: may a request go now, and if not, when.

*Used* is what was let in within the last window (a log of every request, so that the limit holds in any window and not
only in those of a clock); *ahead* are those who wait and came earlier. Whoever asks is let in when everybody ahead
could be let in as well: the order is that of arrival, a large request isn't overtaken by small ones for ever, and
several can go at once without waiting for one another's turn.

The script in :mod:`~airflow_agentic.limits.redis` does the same inside Redis; both are tested by the same tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.limits.settings import Limits

#: Seconds by which the window is longer than it has to be. A request reaches the other side a little after it was let
#: in, and one that is delayed must not get into the window of those that come a whole window later.
MARGIN = 1.8
#: Seconds between two looks of somebody who waits for requests to get out of the window, and for anything else.
_CALM_LOOK, _KEEN_LOOK = 5.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Used:
    """
    What is used of a connection.

    :param log: time and tokens of the requests of the last window, oldest first.
    :param at_work: requests that haven't ended.
    """

    log: Sequence[tuple[float, int]]
    at_work: int


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """Those who wait and came earlier: how many, and how many tokens they want in all."""

    requests: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Wait:
    """
    Why a request can't go yet.

    :param seconds: until it can, as far as that can be told; 0 if only other requests have to end first.
    :param look: seconds after which to ask again, because things may have changed.
    """

    seconds: float
    look: float


def wait_of(limits: Limits, used: Used, ahead: Ahead, *, tokens: int, now: float, window: float) -> Wait | None:
    """
    None if a request may go now.

    :param tokens: that it wants, not more than the limit.
    """
    seconds = [0.0]
    look = _CALM_LOOK
    blocked = False
    if limits.requests_per_minute is not None:
        log = [(at, 1) for at, _ in used.log]
        seconds.append(_until(log, ahead.requests + 1, limits.requests_per_minute, now, window))
    if limits.tokens_per_minute is not None:
        until = _until(used.log, ahead.tokens + tokens, limits.tokens_per_minute, now, window)
        seconds.append(until)
        look = _keen_look(ahead) if until else look
    if limits.max_concurrent is not None and used.at_work + ahead.requests + 1 > limits.max_concurrent:
        blocked, look = True, _keen_look(ahead)
    longest = max(seconds)
    if not longest and not blocked:
        return None
    return Wait(seconds=longest, look=max(0.01, min(longest, look) if longest and not blocked else look))


def _keen_look(ahead: Ahead) -> float:
    """A request that ends, or took fewer tokens than reserved, can let somebody in at any time; the next one first."""
    return min(_KEEN_LOOK, 0.05 * (1 + ahead.requests))


def _until(log: Iterable[tuple[float, int]], wanted: int, limit: int, now: float, window: float) -> float:
    """
    Seconds until so much can be had.

    What isn't used is had by the first who wait, now; from then on, everything comes back a window after it was had.
    """
    entries = list(log)
    used = sum(amount for _, amount in entries)
    missing = used + wanted - limit
    if missing <= 0:
        return 0.0
    rounds, rest = divmod(missing - 1, limit)
    back = 0
    for at, amount in [*entries, (now, max(0, limit - used))]:
        back += amount
        if back > rest:
            return max(0.001, at + window * (rounds + 1) - now)
    return window * (rounds + 1)

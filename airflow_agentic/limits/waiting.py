"""What an attempt knows about its waits for a connection's limits and the run's budget."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(kw_only=True)
class Waiting:
    """
    The waits of one attempt.

    :param longest: seconds; an attempt that would have to wait longer before its first request gives its worker back.
    :param place: names the attempt, also in a later process, so that it keeps its place in the queue; None: it isn't
        coming back.
    :param total: seconds waited until now, those without a worker included.
    :param here: seconds of them that were spent in this process.
    """

    longest: float = math.inf
    place: str | None = None
    total: float = 0.0
    here: float = 0.0

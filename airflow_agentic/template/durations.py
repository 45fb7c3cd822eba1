"""Durations: ``500ms``, ``30s``, ``5m``, ``2h``, ``1d``, or a number of seconds."""

from __future__ import annotations

import re
from typing import Any

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MAX_SECONDS = 10 * 365 * 86400.0


def seconds(value: Any) -> float:
    """
    A duration in seconds.

    :raises ValueError: it is none, is not positive, or is longer than ten years.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    else:
        match = _DURATION.match(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("a duration is written 500ms, 30s, 5m, 2h or 1d, or as a number of seconds")
        number = float(match[1]) * _SECONDS[match[2]]
    if not 0 < number <= MAX_SECONDS:
        raise ValueError("a duration is longer than nothing and at most ten years")
    return number

"""How long another side asked to wait: the ``Retry-After`` header of HTTP, in seconds or as a date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds. Nobody means more than a week; without a limit one bad header would park a run for years.
LONGEST_WAIT = 7 * 24 * 3600.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Seconds to wait, or None when the headers (whose names ignore case, or are in lower case) don't say.

    A date is read against the reply's own ``Date``, where there is one: the two clocks may differ.
    """
    value = _value(headers, "Retry-After")
    if value is None:
        return None
    try:
        return bounded(float(value))
    except ValueError:
        pass
    until = _date(value)
    if until is None:
        return None
    now = _date(_value(headers, "Date") or "") or datetime.now(UTC)
    return bounded((until - now).total_seconds())


def bounded(seconds: float) -> float | None:
    """The wait between 0 and :data:`LONGEST_WAIT`; None for what is no number."""
    return None if seconds != seconds else min(max(seconds, 0.0), LONGEST_WAIT)


def _value(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(name.lower())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)

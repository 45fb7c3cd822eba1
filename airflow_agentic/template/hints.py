"""The nearest known name for one that isn't."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Comparing is slow: a hundred names take a millisecond.
_MANY = 100
_SHOWN = 20


def nearest(name: str, known: Iterable[str]) -> str | None:
    """
    The known name most like ``name``, if one is like it; capitals don't count.

    Of very many names, only those of its length are asked.
    """
    names = list(known)
    if len(names) > _MANY:
        names = [other for other in names if len(other) == len(name)][:_MANY]
    by_small = {other.lower(): other for other in reversed(names)}
    found = get_close_matches(name.lower(), list(by_small), n=1, cutoff=0.6)
    return by_small[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, if one is near."""
    found = nearest(name, known)
    return f"did you mean '{found}'?" if found else None


def listed(names: Iterable[str]) -> str:
    """Names, for a hint; of many, the first ones."""
    shown = list(names)
    return ", ".join(shown) if len(shown) <= _SHOWN else ", ".join(shown[:_SHOWN]) + ", …"

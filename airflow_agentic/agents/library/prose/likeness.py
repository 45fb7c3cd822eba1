"""When two statements say the same in nearly the same words."""

from __future__ import annotations

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.prose.words import count_words, stems

#: rapidfuzz' ratios, 0 to 100: of two statements with their words in order, and of one with a part of the other.
_SAME, _PART = 88.0, 95.0
#: Words. A shorter statement is a part of many others.
_LONG_ENOUGH = 6


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the stems of both that both have (Jaccard), 0 to 1."""
    both = len(one | other)
    return len(one & other) / both if both else 0.0


def may_be_same(one: frozenset[str], other: frozenset[str]) -> bool:
    """If two statements with these stems can say the same at all; quick, to be asked first."""
    return len(one & other) >= 0.75 * min(len(one), len(other)) > 0


def is_same(one: str, other: str) -> bool:
    """If two statements differ in hardly more than the order of their words, or one is a part of the other."""
    if not may_be_same(frozenset(stems(one)), frozenset(stems(other))):
        return False
    fuzz = need("rapidfuzz.fuzz", extra="library")
    short, long = sorted((one.lower(), other.lower()), key=len)
    if fuzz.token_sort_ratio(short, long) >= _SAME:
        return True
    return count_words(short) >= _LONG_ENOUGH and fuzz.partial_ratio(short, long) >= _PART

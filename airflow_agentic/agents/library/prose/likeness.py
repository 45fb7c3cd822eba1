"""When two statements say the same in nearly the same words."""

from __future__ import annotations

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.prose.words import stems

#: rapidfuzz' token sort ratio, 0 to 100.
_SAME = 88.0


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the stems of both that both have (Jaccard), 0 to 1."""
    both = len(one | other)
    return len(one & other) / both if both else 0.0


def is_same(one: str, other: str) -> bool:
    """If two statements differ in hardly more than the order of their words."""
    if overlap(frozenset(stems(one)), frozenset(stems(other))) < 0.5:
        return False
    score: float = need("rapidfuzz.fuzz", extra="library").token_sort_ratio(one.lower(), other.lower())
    return score >= _SAME

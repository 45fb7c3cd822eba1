"""Agents and tools whose work is told to a deployment's observability."""

from __future__ import annotations


def word_count(text: str) -> int:
    """How many words a text has."""
    return len(text.split())


def fails(text: str) -> dict[str, int]:
    """Whatever the text is."""
    raise ValueError(f"nothing can be measured in {text}")


def half(number: int) -> dict[str, float]:
    """Half of it."""
    return {"half": number / 2}

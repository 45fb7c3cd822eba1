"""The Python agents of the templates beside this file."""

from __future__ import annotations


def names(count: int) -> dict[str, list[str]]:
    """So many names."""
    return {"names": [f"item {number}" for number in range(count)]}


def joined(texts: list[str]) -> dict[str, object]:
    """How many texts, and all of them."""
    return {"count": len(texts), "text": ", ".join(texts)}


def appendix(letters: int) -> str:
    """A long text: more than is kept in the database as an XCom."""
    return ("All work and no play makes a long appendix. " * (letters // 40 + 1))[:letters]

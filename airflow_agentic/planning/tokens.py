"""
When the flow reaches a stage, as a formula over tasks.

A stage that requires nothing and only waits for others runs if the flow reaches it through one of them. Whether it
does can't be told from the others' states: one that was skipped by its own condition lets the flow pass, one on a way
not taken doesn't, and Airflow calls both skipped. What does tell is the tasks that stand for decisions, so the formula
is over those: its leaves are the ids of tasks that succeed when a decision opened a way, and skip when it didn't.

``None`` is the formula that always holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Token = str | tuple[Literal["and", "or"], tuple["Token", ...]] | None


def all_of(tokens: Iterable[Token]) -> Token:
    """A formula that holds when all do."""
    return _joined("and", [token for token in tokens if token is not None])


def any_of(tokens: Iterable[Token]) -> Token:
    """A formula that holds when one does; with a single one that always holds it always holds, and so without any."""
    found = list(tokens)
    return None if None in found else _joined("or", found)


def _joined(word: Literal["and", "or"], tokens: list[Token]) -> Token:
    flat: dict[Token, None] = {}
    for token in tokens:
        parts = token[1] if isinstance(token, tuple) and token[0] == word else (token,)
        flat.update(dict.fromkeys(parts))
    if len(flat) <= 1:
        return next(iter(flat), None)
    return word, tuple(flat)

"""
What a run may spend in all: calls, tokens and money, over all its tasks, tries and machines.

Every call asks before it is made; what it may cost at most is reserved then and corrected when it has ended.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, kw_only=True)
class Budget:
    """
    The most that a run may spend; None: as much as it likes.

    :param tokens: of prompts and answers.
    :param cost_usd: US dollars.
    """

    calls: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None


@dataclass(kw_only=True)
class Spent:
    """What a call took in truth, to be set by whoever made it; None: unknown, and what was reserved stands."""

    tokens: int | None = None
    cost_usd: float | None = None


class Spending(Protocol):
    """
    A run's purse.

    :param budget: what it holds.
    """

    budget: Budget

    def call(
        self, timeout: asyncio.Timeout, *, tokens: int = 0, cost_usd: float = 0.0
    ) -> AbstractAsyncContextManager[Spent]:
        """
        One call, to be made inside.

        Where only what others have reserved stands in the way, it waits until they have ended.

        :param timeout: that the wait doesn't count for.
        :param tokens, cost_usd: the most that it may take.
        :raises FinalError: of kind ``budget_exceeded``; the call must not be made.
        :raises LimiterError: what was spent can't be told.
        """
        ...


class _Unbounded:
    """The purse of a run without a budget."""

    budget = Budget()

    @contextlib.asynccontextmanager
    async def call(self, timeout: asyncio.Timeout, *, tokens: int = 0, cost_usd: float = 0.0) -> AsyncIterator[Spent]:
        """Any call may be made."""
        yield Spent()


UNBOUNDED: Spending = _Unbounded()

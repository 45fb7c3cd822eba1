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

    from airflow_agentic.limits.waiting import Waiting


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


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What one call takes, tokens and US dollars; of a call that isn't counted in them, nothing."""

    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Want:
    """
    What one call may take.

    :param most: unless it is told to take less.
    :param least: with less than this, it isn't worth making.
    """

    most: Amount = Amount()
    least: Amount = Amount()


#: A call that isn't counted in tokens or money.
ONE_CALL = Want()


@dataclass(kw_only=True)
class Spent:
    """
    A call that may be made, and what its maker tells of it.

    :param granted: the most that it may take, between its least and its most; no less than its most in what the
        budget doesn't bound.
    :param tokens, cost_usd: what it took in truth; None: unknown, and what was granted stands.
    :param made: False: it was not made after all, and isn't counted.
    """

    granted: Amount
    tokens: int | None = None
    cost_usd: float | None = None
    made: bool = True


class Spending(Protocol):
    """A run's purse."""

    @property
    def budget(self) -> Budget:
        """What it holds."""
        ...

    def call(
        self, timeout: asyncio.Timeout, waiting: Waiting, want: Want = ONE_CALL
    ) -> AbstractAsyncContextManager[Spent]:
        """
        One call, to be made inside.

        Where only what others have reserved stands in the way, it waits until they have ended.

        :param timeout: that the wait doesn't count for.
        :param waiting: of the attempt; is told of the wait.
        :raises FinalError: of kind ``budget_exceeded``; the call must not be made.
        :raises LimiterError: what was spent can't be told.
        """
        ...


class _Unbounded:
    """The purse of a run without a budget."""

    budget = Budget()

    @contextlib.asynccontextmanager
    async def call(self, timeout: asyncio.Timeout, waiting: Waiting, want: Want = ONE_CALL) -> AsyncIterator[Spent]:
        """Any call may be made."""
        yield Spent(granted=want.most)


UNBOUNDED: Spending = _Unbounded()

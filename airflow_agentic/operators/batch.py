"""
Working on many items at the same time, in one task.

Each item is asked for as a stage without items is, with attempts, recoveries, records and kept answers of its own: a
later try of the task asks only for what is missing, however the task ended. An item that failed is a result like any
other.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AttemptError, RetryLater, StoppedError
from airflow_agentic.operators.asking import kind_of, message_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.operators.asking import Asking, Outcome
    from airflow_agentic.operators.attempt_log import Item

#: Items at work at the same time in one task, where the template sets no bound.
AT_ONCE = 16


@dataclass(kw_only=True)
class Batch:
    """
    Items, and who is asked for them.

    :param at_once: how many items are at work at the same time.
    """

    asking: Asking
    items: Sequence[Item]
    at_once: int
    _results: dict[int, dict[str, Any]] = field(default_factory=dict, init=False)
    _waiting: list[_Waiting] = field(default_factory=list, init=False)

    async def results(self) -> list[dict[str, Any]]:
        """
        Work until every item has a result; they are in the order of the items.

        :raises RetryLater: some have to wait, and all the others have results, which the next try will find.
        """
        missing = iter(self.items)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.at_once, len(self.items))):
                    workers.create_task(self._work(missing))
        except BaseExceptionGroup as errors:  # the others were stopped because of the first
            raise errors.exceptions[0] from None
        if self._waiting:
            raise _later(self._waiting)
        self._check_complete()
        return [self._results[item.index] for item in self.items]

    async def _work(self, missing: Iterator[Item]) -> None:
        """One of those who work at the same time: take an item, and the next one when it is done."""
        for item in missing:
            try:
                outcome = await self.asking.outcome(item)
            except RetryLater as later:
                self._waiting.append(_Waiting(item=item, due=time.monotonic() + later.wait, later=later))
                continue
            self._results[item.index] = _result(item, outcome)
            if _is_stopping():
                return

    def _check_complete(self) -> None:
        """
        Has every item a result?

        :raises StoppedError: no: an agent has cancelled the task that it was asked in.
        """
        lost = [item.index for item in self.items if item.index not in self._results]
        if lost:
            raise StoppedError(f"Item {lost[0]} was cancelled while its agent worked.")


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """An item whose next attempt isn't due yet, by the monotonic clock."""

    item: Item
    due: float
    later: RetryLater


def _result(item: Item, outcome: Outcome) -> dict[str, Any]:
    error = outcome.failed
    return {
        "index": item.index,
        "ok": error is None,
        "output": outcome.output,
        "error": None if error is None else {"kind": kind_of(error), "message": message_of(error)},
        "attempt": outcome.attempt,
        "record": outcome.record,
        "recovered": outcome.recovered,
    }


def _later(waiting: Sequence[_Waiting]) -> RetryLater:
    """One wait for all: the longest, so that a try of the task is an attempt of each, and tries suffice."""
    last = max(waiting, key=lambda each: each.due)
    error = last.later.error
    others = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    told = AttemptError(f"item {last.item.index}{others}: {error.message}", kind=error.kind, details=error.details)
    return RetryLater(told, wait=max(0.0, last.due - time.monotonic()), attempt=last.later.attempt)


def _is_stopping() -> bool:
    """Whether this worker was cancelled while an item that had succeeded was seen through."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

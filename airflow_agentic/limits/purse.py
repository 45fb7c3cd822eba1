"""
The purse of a run with a budget: asking for each call without blocking the event loop, and telling what it took.

Many tasks of the run do so at the same time, in processes of their own; what they share is kept by
:mod:`~airflow_agentic.limits.purses`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import FinalError, LimiterError
from airflow_agentic.limits.admission import keep, off_the_clock, to_end
from airflow_agentic.limits.purses import Bounds, Sums, Wish
from airflow_agentic.limits.spending import ONE_CALL, Amount, Budget, Spending, Spent, Want

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from airflow_agentic.limits.purses import Purses, Verdict
    from airflow_agentic.limits.waiting import Waiting

log = logging.getLogger(__name__)

#: Seconds between two looks of somebody who waits for others' reservations: the first, and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
_NANO = 1e-9
#: what the language calls it → what it is called where it is kept
_FIELDS = {"calls": "calls", "tokens": "tokens", "cost_usd": "nanos"}


@dataclass(frozen=True, kw_only=True)
class RunPurse:
    """
    A :class:`~airflow_agentic.limits.spending.Spending` that all tasks of a run share.

    :param run: names the run, for all machines.
    :param purses: opens what is kept; blocks.
    """

    budget: Budget
    run: str
    purses: Callable[[], Purses]

    @contextlib.asynccontextmanager
    async def call(self, timeout: asyncio.Timeout, waiting: Waiting, want: Want = ONE_CALL) -> AsyncIterator[Spent]:
        """See :meth:`airflow_agentic.limits.spending.Spending.call`."""
        wish = self._wish(want)
        async with off_the_clock(timeout):
            purses = await asyncio.to_thread(self.purses)
            granted = await self._granted(purses, wish, waiting)
        spent = Spent(granted=_amount(granted, want.most))
        renewing = asyncio.create_task(keep(purses.lease, partial(purses.renew, self.run, wish.call)))
        try:
            yield spent
        finally:
            renewing.cancel()
            await _closed(purses, wish, spent)

    def _wish(self, want: Want) -> Wish:
        return Wish(
            run=self.run,
            call=uuid.uuid4().hex,
            bounds=Bounds(calls=self.budget.calls, tokens=self.budget.tokens, nanos=_nanos(self.budget.cost_usd)),
            most=_sums(want.most),
            least=_sums(want.least),
        )

    async def _granted(self, purses: Purses, wish: Wish, waiting: Waiting) -> Sums:
        """What was reserved, as soon as it can be."""
        began, look = time.monotonic(), 0.0
        try:
            while True:
                verdict = await to_end(partial(purses.reserve, wish))
                if verdict.state != "wait":
                    break
                look = min(_LONGEST_LOOK, max(_FIRST_LOOK, 2 * look))
                await asyncio.sleep(look * random.uniform(0.5, 1))  # noqa: S311 — so that not all look at the same time
        except asyncio.CancelledError:
            with contextlib.suppress(LimiterError):
                await to_end(partial(purses.give_back, self.run, wish.call))
            raise
        finally:
            if look:
                waiting.here += time.monotonic() - began
                waiting.total += time.monotonic() - began
        if verdict.state == "refused":
            raise _refusal(self.budget, wish, verdict)
        return verdict.granted


def purse_of(budget: Mapping[str, Any], run: str) -> Spending:
    """
    The purse of a run.

    :param budget: ``calls``, ``tokens``, ``cost_usd``, as far as they are bounded.
    :param run: names the run, for all machines.
    """
    from airflow_agentic.limits.stores import the_purses

    return RunPurse(budget=Budget(**budget), run=run, purses=the_purses)


async def _closed(purses: Purses, wish: Wish, spent: Spent) -> None:
    nanos = None if spent.cost_usd is None else _nanos(spent.cost_usd)
    settle = partial(purses.settle, wish.run, wish.call, spent.tokens, nanos)
    try:
        await to_end(settle if spent.made else partial(purses.give_back, wish.run, wish.call))
    except LimiterError as error:  # the work is done: what was reserved counts as spent when its lease has ended
        log.warning("%s", error)


def _amount(granted: Sums, most: Amount) -> Amount:
    """What was granted, and no more because of rounding."""
    return Amount(tokens=granted.tokens, cost_usd=min(most.cost_usd, granted.nanos * _NANO))


def _sums(amount: Amount) -> Sums:
    return Sums(tokens=amount.tokens, nanos=_nanos(amount.cost_usd) or 0)


def _nanos(dollars: float | None) -> int | None:
    """In billionths, rounded up, but not for what a float can't hold exactly."""
    return None if dollars is None else math.ceil(round(dollars / _NANO, 3))


def _refusal(budget: Budget, wish: Wish, verdict: Verdict) -> FinalError:
    wanted = replace(wish.least, calls=1)
    facts: dict[str, dict[str, Any]] = {"budget": {}, "used": {}, "reserved": {}, "wanted": {}}
    short = []
    for name, bound in vars(budget).items():
        if bound is None:
            continue
        for fact, value in (("budget", wish.bounds), ("used", verdict.spent), ("reserved", verdict.reserved)):
            facts[fact][name] = _plain(name, value)
        facts["wanted"][name] = _plain(name, wanted)
        field = _FIELDS[name]
        if getattr(verdict.spent, field) + getattr(wanted, field) > getattr(wish.bounds, field):
            used, most, want = (_said(facts[fact][name]) for fact in ("used", "budget", "wanted"))
            short.append(f"{name}: {used} of {most} used, {want} wanted")
    message = (
        f"The run's budget doesn't allow another call ({'; '.join(short)}). Nothing was sent. Raise `budget` in the "
        "template, or let the stage's `on_error` say what to do instead (a `value` or a `to`)."
    )
    return FinalError(message, kind="budget_exceeded", details=facts)


def _plain(name: str, sums: Sums | Bounds) -> float:
    value: int = getattr(sums, _FIELDS[name])
    return round(value * _NANO, 9) if name == "cost_usd" else value


def _said(number: float) -> str:
    return f"{number:,.6f}".rstrip("0").rstrip(".")

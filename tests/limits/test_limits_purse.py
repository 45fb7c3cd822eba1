"""Asking a run's purse: waits that count for nothing, refusals that say why, and holders that die."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airflow_agentic.errors import FinalError, LimiterError
from airflow_agentic.limits.purse import RunPurse
from airflow_agentic.limits.purses_redis import RedisPurses
from airflow_agentic.limits.purses_sqlite import SqlitePurses
from airflow_agentic.limits.spending import UNBOUNDED, Amount, Budget, Spent, Want
from airflow_agentic.limits.waiting import Waiting

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.limits.purses import Purses

TEN_TOKENS = Budget(tokens=10)


@pytest.fixture
def purses(store_url: str) -> Purses:
    return RedisPurses(store_url, lease=2.0) if store_url.startswith("redis") else SqlitePurses(store_url, lease=2.0)


def purse(purses: Purses, budget: Budget) -> RunPurse:
    return RunPurse(budget=budget, run="dag/run", purses=lambda: purses)


def tokens(most: int, least: int | None = None) -> Want:
    return Want(most=Amount(tokens=most), least=Amount(tokens=most if least is None else least))


async def call(
    purse: RunPurse,
    want: Want = Want(),  # noqa: B008
    *,
    took: int | None = None,
    seconds: float = 0.0,
    timeout: float | None = None,
    waiting: Waiting | None = None,
) -> Spent:
    """Make a call that takes a while, and some tokens."""
    async with asyncio.timeout(timeout) as limit, purse.call(limit, waiting or Waiting(), want) as spent:
        await asyncio.sleep(seconds)
        spent.tokens = took
    return spent


def test_a_wait_for_others_is_no_part_of_the_work(purses: Purses) -> None:
    own, waiting = purse(purses, TEN_TOKENS), Waiting()

    async def both() -> None:
        first = asyncio.create_task(call(own, tokens(8), took=2, seconds=1.0))
        await asyncio.sleep(0.3)
        await call(own, tokens(8), took=3, timeout=0.5, waiting=waiting)
        await first

    asyncio.run(both())
    assert 0.4 < waiting.here < 2.5
    assert waiting.total == pytest.approx(waiting.here, abs=0.1)


def test_a_call_without_a_wait_waited_for_nothing(purses: Purses) -> None:
    waiting = Waiting()
    asyncio.run(call(purse(purses, TEN_TOKENS), tokens(8), waiting=waiting))
    assert waiting == Waiting()


def test_a_refusal_says_all_that_there_is_to_say(purses: Purses) -> None:
    own = purse(purses, Budget(calls=3, tokens=1_200_000, cost_usd=0.5))
    want = Want(most=Amount(tokens=1_000_000, cost_usd=0.25), least=Amount(tokens=900_000, cost_usd=0.2))

    async def calls() -> None:
        async with asyncio.timeout(None) as limit, own.call(limit, Waiting(), want) as spent:
            spent.tokens, spent.cost_usd = 1_000_000, 0.3125
        await call(own, want)

    with pytest.raises(FinalError) as caught:
        asyncio.run(calls())
    assert caught.value.kind == "budget_exceeded"
    assert caught.value.message == (
        "The run's budget doesn't allow another call (tokens: 1,000,000 of 1,200,000 used, 900,000 wanted; "
        "cost_usd: 0.3125 of 0.5 used, 0.2 wanted). Nothing was sent. Raise `budget` in the template, or let the "
        "stage's `on_error` say what to do instead (a `value` or a `to`)."
    )
    assert caught.value.details == {
        "budget": {"calls": 3, "tokens": 1_200_000, "cost_usd": 0.5},
        "used": {"calls": 1, "tokens": 1_000_000, "cost_usd": 0.3125},
        "reserved": {"calls": 0, "tokens": 0, "cost_usd": 0.0},
        "wanted": {"calls": 1, "tokens": 900_000, "cost_usd": 0.2},
    }


def test_only_what_is_bounded_is_told(purses: Purses) -> None:
    with pytest.raises(FinalError, match=r"\(calls: 1 of 1 used, 1 wanted\)") as caught:
        asyncio.run(_twice(purse(purses, Budget(calls=1))))
    assert caught.value.details["used"] == {"calls": 1}


async def _twice(own: RunPurse) -> None:
    for _ in range(2):
        await call(own)


def test_what_is_left_is_granted_to_the_last_one(purses: Purses) -> None:
    own = purse(purses, TEN_TOKENS)

    async def calls() -> Spent:
        await call(own, tokens(8), took=7)
        return await call(own, tokens(8, 2), took=3)

    assert asyncio.run(calls()).granted == Amount(tokens=3)


def test_what_the_budget_does_not_bound_is_granted_in_full(purses: Purses) -> None:
    want = Want(most=Amount(tokens=10**9, cost_usd=0.1), least=Amount(tokens=10**9, cost_usd=0.1))
    assert asyncio.run(call(purse(purses, Budget(calls=1)), want)).granted == want.most


def test_a_call_that_was_not_made_costs_nothing(purses: Purses) -> None:
    own = purse(purses, Budget(calls=1, tokens=10))

    async def not_made() -> None:
        async with asyncio.timeout(None) as limit, own.call(limit, Waiting(), tokens(9)) as spent:
            spent.made = False
            raise ValueError("not sent")

    async def calls() -> None:
        with pytest.raises(ValueError, match="not sent"):
            await not_made()
        await call(own, tokens(9))

    asyncio.run(calls())


def test_a_call_that_failed_is_one_and_took_what_it_may_have_taken(purses: Purses) -> None:
    own = purse(purses, TEN_TOKENS)

    async def calls() -> None:
        with pytest.raises(TimeoutError):
            await call(own, tokens(6), seconds=9, timeout=0.2)
        await call(own, tokens(6))

    with pytest.raises(FinalError, match="tokens: 6 of 10 used, 6 wanted"):
        asyncio.run(calls())


def test_a_cancelled_wait_leaves_nothing_behind(purses: Purses) -> None:
    own, waiting = purse(purses, Budget(calls=2, tokens=10)), Waiting()

    async def calls() -> None:
        first = asyncio.create_task(call(own, tokens(8), took=8, seconds=0.8))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(call(own, tokens(8), waiting=waiting))
        await asyncio.sleep(0.3)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        await call(own, tokens(2))

    asyncio.run(calls())
    assert waiting.total > 0.1


def test_a_long_call_is_waited_for_beyond_its_lease(purses: Purses) -> None:
    own = purse(purses, TEN_TOKENS)

    async def both() -> None:
        first = asyncio.create_task(call(own, tokens(8), took=2, seconds=purses.lease * 1.5))
        await asyncio.sleep(0.2)
        await call(own, tokens(8))
        await first

    asyncio.run(both())


def test_a_process_that_died_is_waited_for_until_its_lease_ends_and_has_spent(tmp_path: Path) -> None:
    url = str(tmp_path / "limits.db")
    holder = (
        "import sys, time; from airflow_agentic.limits.purses_sqlite import SqlitePurses\n"
        "from airflow_agentic.limits.purses import Bounds, Sums, Wish\n"
        "most = Sums(tokens=int(sys.argv[2]))\n"
        "wish = Wish(run='dag/run', call=sys.argv[2], bounds=Bounds(tokens=10), most=most, least=most)\n"
        "print(SqlitePurses(sys.argv[1], lease=2.0).reserve(wish).state, flush=True); time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", holder, url, "4"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "granted\n"
        process.kill()
    own, began = purse(SqlitePurses(url, lease=2.0), TEN_TOKENS), time.monotonic()
    asyncio.run(call(own, tokens(8, 6), took=6))
    assert 0.5 < time.monotonic() - began < 5
    with pytest.raises(FinalError, match="tokens: 10 of 10 used"):
        asyncio.run(call(own, tokens(1)))


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_store_that_is_gone_at_the_end_does_not_undo_the_work(
    purses: Purses, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object) -> None:
        raise LimiterError("gone")

    monkeypatch.setattr(purses, "settle", gone)
    assert asyncio.run(call(purse(purses, TEN_TOKENS), tokens(8), took=1)).tokens == 1
    assert "gone" in caplog.text


def test_without_a_store_no_call_is_made() -> None:
    own = RunPurse(budget=TEN_TOKENS, run="dag/run", purses=lambda: RedisPurses("redis://127.0.0.1:1/0"))
    with pytest.raises(LimiterError):
        asyncio.run(call(own, tokens(1)))


def test_without_a_budget_any_call_may_be_made() -> None:
    async def free() -> Spent:
        async with asyncio.timeout(None) as limit, UNBOUNDED.call(limit, Waiting(), tokens(10**12)) as spent:
            return spent

    assert asyncio.run(free()).granted == Amount(tokens=10**12)
    assert UNBOUNDED.budget == Budget()

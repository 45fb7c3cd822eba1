"""What runs may spend, on a clock of the test's own, in both stores."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_agentic.errors import LimiterError
from airflow_agentic.limits.purses import KEPT, LEASE, Bounds, Sums, Verdict, Wish
from airflow_agentic.limits.purses_redis import RedisPurses
from airflow_agentic.limits.purses_sqlite import SqlitePurses

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.limits.purses import Purses

_NAMES = itertools.count()


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_purses(url: str, clock: Clock) -> Purses:
    return RedisPurses(url, clock=clock) if url.startswith("redis") else SqlitePurses(url, clock=clock)


@pytest.fixture
def purses(store_url: str, clock: Clock) -> Purses:
    return open_purses(store_url, clock)


def wish(bounds: Bounds, tokens: int = 0, *, least: int | None = None, nanos: int = 0, run: str = "dag/run") -> Wish:
    most = Sums(tokens=tokens, nanos=nanos)
    return Wish(
        run=run,
        call=f"c{next(_NAMES)}",
        bounds=bounds,
        most=most,
        least=most if least is None else replace(most, tokens=least),
    )


CALLS = Bounds(calls=2)
TOKENS = Bounds(tokens=100)


def test_calls_are_never_given_back(purses: Purses, clock: Clock) -> None:
    first = wish(CALLS)
    assert purses.reserve(first).state == "granted"
    purses.settle(first.run, first.call, None, None)
    second = wish(CALLS)
    assert purses.reserve(second).state == "granted"
    assert purses.reserve(wish(CALLS)) == Verdict(
        state="refused", granted=Sums(), spent=Sums(calls=2), reserved=Sums()
    ), "at once: the second call is made, whatever becomes of it"
    clock.now += LEASE + 1
    assert purses.reserve(wish(CALLS)).state == "refused"


def test_a_call_that_was_not_made_is_given_back(purses: Purses) -> None:
    one = wish(Bounds(calls=1, tokens=100), 100)
    assert purses.reserve(one).state == "granted"
    purses.give_back(one.run, one.call)
    purses.give_back(one.run, one.call)
    assert purses.reserve(wish(Bounds(calls=1, tokens=100), 100)).spent == Sums()


def test_who_would_fit_without_the_others_waits_for_them(purses: Purses) -> None:
    first = wish(TOKENS, 90)
    assert purses.reserve(first) == Verdict(state="granted", granted=Sums(tokens=90), spent=Sums(), reserved=Sums())
    second = wish(TOKENS, 50)
    assert purses.reserve(second) == Verdict(
        state="wait", granted=Sums(), spent=Sums(calls=1), reserved=Sums(tokens=90)
    )
    purses.settle(first.run, first.call, 40, None)
    assert purses.reserve(second).state == "granted"
    assert purses.reserve(wish(TOKENS, 61)) == Verdict(
        state="refused", granted=Sums(), spent=Sums(calls=2, tokens=40), reserved=Sums(tokens=50)
    ), "40 are spent, so 61 will never fit"


def test_an_unknown_usage_is_the_reservation(purses: Purses) -> None:
    first = wish(TOKENS, 90)
    purses.reserve(first)
    purses.settle(first.run, first.call, None, None)
    assert purses.reserve(wish(TOKENS, 20)).state == "refused"
    assert purses.reserve(wish(TOKENS, 10)).state == "granted"


def test_a_dead_holder_is_waited_for_until_his_lease_ends_and_then_has_spent(purses: Purses, clock: Clock) -> None:
    dead, alive = wish(TOKENS, 50), wish(TOKENS, 20)
    assert purses.reserve(dead).state == "granted"
    assert purses.reserve(alive).state == "granted"
    late = wish(TOKENS, 40)
    for _ in range(3):
        assert purses.reserve(late).state == "wait"
        clock.now += LEASE / 3 - 1
        purses.renew(alive.run, alive.call)
    clock.now += 5
    assert purses.reserve(late) == Verdict(
        state="wait", granted=Sums(), spent=Sums(calls=2, tokens=50), reserved=Sums(tokens=20)
    )
    purses.settle(alive.run, alive.call, 5, None)
    assert purses.reserve(late).state == "granted"


def test_a_holder_who_was_only_away_settles_with_the_truth(purses: Purses, clock: Clock) -> None:
    away = wish(TOKENS, 90)
    assert purses.reserve(away).state == "granted"
    clock.now += LEASE + 1
    assert purses.reserve(wish(TOKENS, 20)).state == "refused"
    purses.settle(away.run, away.call, 10, None)
    assert purses.reserve(wish(TOKENS, 90)).spent == Sums(calls=1, tokens=10)


def test_less_is_granted_only_where_nobody_else_is_at_work(purses: Purses) -> None:
    first = wish(TOKENS, 60)
    assert purses.reserve(first).state == "granted"
    flexible = wish(TOKENS, 80, least=30)
    assert purses.reserve(flexible).state == "wait", "the first may well use less"
    purses.settle(first.run, first.call, 55, None)
    assert purses.reserve(flexible).granted == Sums(tokens=45)


def test_money_is_exact(purses: Purses) -> None:
    bounds, dime = Bounds(nanos=300_000_000), 100_000_000
    for _ in range(3):
        call = wish(bounds, nanos=dime)
        assert purses.reserve(call).state == "granted"
        purses.settle(call.run, call.call, None, dime)
    assert purses.reserve(wish(bounds, nanos=1)).state == "refused"
    assert purses.reserve(wish(bounds, nanos=0)).state == "granted"


def test_amounts_beyond_those_of_a_float_are_no_problem(purses: Purses) -> None:
    most = 10**15
    bounds = Bounds(calls=most, tokens=most, nanos=10**18)
    call = wish(bounds, most, nanos=10**18)
    assert purses.reserve(call).granted == Sums(tokens=most, nanos=10**18)
    purses.settle(call.run, call.call, most - 1, 10**18)
    assert purses.reserve(wish(bounds, 1)).state == "granted"
    assert purses.reserve(wish(bounds, 1, nanos=10**17)).state == "refused"


def test_runs_do_not_share(purses: Purses) -> None:
    one = Bounds(calls=1)
    assert purses.reserve(wish(one)).state == "granted"
    assert purses.reserve(wish(one, run="dag/other")).state == "granted"
    assert purses.reserve(wish(one)).state == "refused"


def test_a_budget_that_was_raised_counts_from_now_on(purses: Purses) -> None:
    assert purses.reserve(wish(Bounds(calls=1))).state == "granted"
    assert purses.reserve(wish(Bounds(calls=1))).state == "refused"
    assert purses.reserve(wish(Bounds(calls=2))).state == "granted"


def test_who_settles_twice_or_without_a_reservation_spends_nothing(purses: Purses) -> None:
    call = wish(TOKENS, 10)
    purses.reserve(call)
    purses.settle(call.run, call.call, 10, None)
    purses.settle(call.run, call.call, 10, None)
    purses.settle(call.run, "nobody", 10, None)
    purses.renew(call.run, "nobody")
    assert purses.reserve(wish(TOKENS)).spent == Sums(calls=1, tokens=10)


def test_a_clock_set_back_makes_nobody_wait_for_the_dead(purses: Purses, clock: Clock) -> None:
    assert purses.reserve(wish(TOKENS, 90)).state == "granted"
    clock.now -= 86400
    assert purses.reserve(wish(TOKENS, 20)).state == "refused"


def test_the_purses_of_old_runs_are_forgotten(tmp_path: Path, clock: Clock) -> None:
    purses = SqlitePurses(str(tmp_path / "limits.db"), clock=clock)
    crashed, used = wish(TOKENS, 10, run="old"), wish(TOKENS, 10, run="used")
    for each in (crashed, used):
        assert purses.reserve(each).state == "granted"
    clock.now += KEPT - 10
    purses.settle(used.run, used.call, 5, None)
    clock.now += 20
    assert purses.reserve(wish(TOKENS, run="new")).state == "granted"
    assert purses.reserve(wish(TOKENS, run="old")).spent == Sums()
    assert purses.reserve(wish(TOKENS, run="used")).spent == Sums(calls=1, tokens=5)


def test_redis_forgets_by_itself(redis_url: str) -> None:
    import redis

    client = redis.Redis.from_url(redis_url, decode_responses=True)
    client.flushall()
    purses, call = RedisPurses(redis_url), wish(TOKENS, 10)
    purses.reserve(call)
    purses.settle(call.run, call.call, 5, None)
    other = wish(TOKENS, 10)
    purses.reserve(other)
    left = {key: client.ttl(key) for key in client.keys("agentic:budgets:*")}
    assert len(left) == 4
    assert all(KEPT - 60 < ttl <= KEPT for ttl in left.values())


def test_a_store_that_can_not_be_reached(tmp_path: Path) -> None:
    (tmp_path / "limits.db").write_text("this is no database, but a text that is long enough to look like one" * 20)
    with pytest.raises(LimiterError, match=r"limits\.db, can't be used: file is not a database"):
        SqlitePurses(str(tmp_path / "limits.db"))
    with pytest.raises(LimiterError, match="the rate limits and budgets"):
        RedisPurses("redis://user:secret@127.0.0.1:1/0").reserve(wish(TOKENS))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 60), st.integers(0, 60)),
        st.tuples(st.just("settle"), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 60))),
        st.tuples(st.just("give_back"), st.integers(0, 5), st.none()),
        st.tuples(st.just("crash"), st.integers(0, 5), st.none()),
        st.tuples(st.just("later"), st.integers(0, 40), st.none()),
    ),
    min_size=1,
    max_size=40,
)


class Model:
    """Holders of reservations, and what they have surely or possibly spent."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.alive: dict[str, Sums] = {}
        self.dead: dict[str, Sums] = {}
        #: when leases end
        self.until: dict[str, float] = {}
        self.calls = self.tokens = self.nanos = 0

    def worst(self) -> Sums:
        """What was spent if everybody takes all that was granted."""
        held = [*self.alive.values(), *self.dead.values()]
        return Sums(
            calls=self.calls + len(held),
            tokens=self.tokens + sum(each.tokens for each in held),
            nanos=self.nanos + sum(each.nanos for each in held),
        )

    def expected(self, ask: Wish, now: float) -> str:
        """The verdict, said anew."""
        held = {**self.alive, **self.dead}
        live = [granted for call, granted in held.items() if self.until[call] > now]
        worst, room, alone = self.worst(), True, True
        if worst.calls + 1 > self.bounds.calls:  # type: ignore[operator]
            return "refused"
        for name in ("tokens", "nanos"):
            bound = getattr(self.bounds, name)
            others = sum(getattr(each, name) for each in live)
            sure = getattr(worst, name) - others
            if sure + getattr(ask.least, name) > bound:
                return "refused"
            if getattr(worst, name) + getattr(ask.most, name) > bound:
                room, alone = False, alone and not others
        return "granted" if room or alone else "wait"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, calls=st.integers(1, 12), tokens=st.integers(20, 150), nanos=st.integers(20, 150))
def test_no_run_ever_spends_more_than_its_budget(
    store_url: str, steps: list[tuple[str, int, int | None]], calls: int, tokens: int, nanos: int
) -> None:
    clock = Clock()
    purses, run = open_purses(store_url, clock), f"dag/{next(_NAMES)}"
    model = Model(Bounds(calls=calls, tokens=tokens, nanos=nanos))
    for kind, number, other in steps:
        names = list(model.alive)
        if kind == "later":
            clock.now += number
            for call in model.alive:
                purses.renew(run, call)
                model.until[call] = clock.now + LEASE
        elif kind == "ask":
            ask = wish(model.bounds, number, least=number // 2, nanos=other or 0, run=run)
            expected, before = model.expected(ask, clock.now), model.worst()
            verdict = purses.reserve(ask)
            assert verdict.state == expected
            known = (verdict.spent.calls, verdict.spent.tokens + verdict.reserved.tokens)
            assert known == (before.calls, before.tokens)
            if verdict.state == "granted":
                assert ask.least.tokens <= verdict.granted.tokens <= ask.most.tokens
                model.alive[ask.call], model.until[ask.call] = verdict.granted, clock.now + LEASE
        elif names:
            call = names[number % len(names)]
            granted = model.alive.pop(call)
            if kind == "crash":
                model.dead[call] = granted
            elif kind == "give_back":
                purses.give_back(run, call)
            else:
                took = granted.tokens if other is None else min(other, granted.tokens)
                purses.settle(run, call, None if other is None else took, None)
                model.calls, model.tokens = model.calls + 1, model.tokens + took
                model.nanos += granted.nanos
        worst = model.worst()
        assert worst.calls <= calls
        assert worst.tokens <= tokens
        assert worst.nanos <= nanos

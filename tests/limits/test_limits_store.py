"""What is let in when, on a clock of the test's own, in both stores."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_agentic.errors import ConfigError, LimiterError
from airflow_agentic.limits.redis import RedisStore
from airflow_agentic.limits.settings import Limits, limits_of
from airflow_agentic.limits.sqlite import SqliteStore
from airflow_agentic.limits.store import Answer, Ask

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.limits.store import Store

_NAMES = itertools.count()


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_store(url: str, clock: Clock) -> Store:
    return RedisStore(url, clock=clock) if url.startswith("redis") else SqliteStore(url, clock=clock)


@pytest.fixture
def store(store_url: str, clock: Clock) -> Store:
    return open_store(store_url, clock)


def wish(limits: Limits, ticket: str | None = None, *, tokens: int = 0, connection: str = "api") -> Ask:
    number = next(_NAMES)
    return Ask(connection=connection, limits=limits, ticket=ticket or f"t{number}", grant=f"g{number}", tokens=tokens)


REQUESTS = Limits(requests_per_minute=3)
SLOTS = Limits(max_concurrent=2)
TOKENS = Limits(tokens_per_minute=100)


def test_requests_are_let_in_up_to_the_limit_and_again_when_they_leave_the_window(store: Store, clock: Clock) -> None:
    for _ in range(3):
        assert store.ask(wish(REQUESTS)).granted
        clock.now += 10
    late = wish(REQUESTS)
    answer = store.ask(late)
    assert not answer.granted
    assert answer.wait == pytest.approx(60 - 30 + 1.8, abs=0.01)
    clock.now += answer.wait - 0.05
    assert not store.ask(late).granted
    clock.now += 0.06
    assert store.ask(late) == Answer(granted=True, waited=pytest.approx(31.8, abs=0.05))


def test_waits_of_those_behind_others_are_told_over_several_windows(store: Store) -> None:
    for _ in range(3):
        assert store.ask(wish(REQUESTS)).granted
    waits = [store.ask(wish(REQUESTS)).wait for _ in range(7)]
    assert waits == pytest.approx([61.8] * 3 + [123.6] * 3 + [185.4], abs=0.01)


def test_nobody_overtakes_not_even_a_small_request_a_large_one(store: Store, clock: Clock) -> None:
    assert store.ask(wish(TOKENS, tokens=60)).granted
    large, small = wish(TOKENS, tokens=80), wish(TOKENS, tokens=10)
    assert not store.ask(large).granted
    assert not store.ask(small).granted
    clock.now += 60
    assert not store.ask(large).granted
    clock.now += 2
    assert not store.ask(wish(TOKENS, tokens=30)).granted, "it would take what the large one waits for"
    assert store.ask(large).granted
    assert store.ask(small).granted


def test_who_does_not_come_back_is_passed_over_but_keeps_his_place(store: Store, clock: Clock) -> None:
    one = Limits(requests_per_minute=1)
    assert store.ask(wish(one)).granted
    first, second = wish(one, "away"), wish(one)
    assert not store.ask(first).granted
    assert not store.ask(second).granted
    store.step_aside("api", "away")
    clock.now += 62
    assert store.ask(second).granted
    third = wish(one)
    assert not store.ask(third).granted
    assert not store.ask(first).granted
    clock.now += 60
    assert not store.ask(first).granted
    clock.now += 2
    assert not store.ask(third).granted, "the first was here before"
    again = store.ask(first)
    assert again.granted
    assert again.waited == pytest.approx(124, abs=0.1), "his absence included"


def test_a_dead_waiter_holds_nobody_up(store: Store, clock: Clock) -> None:
    one = Limits(requests_per_minute=1)
    assert store.ask(wish(one)).granted
    assert not store.ask(wish(one, "dead")).granted
    clock.now += 62
    assert store.ask(wish(one)).granted


def test_what_was_reserved_is_given_back_when_the_true_usage_is_known(store: Store) -> None:
    first = wish(TOKENS, tokens=90)
    assert store.ask(first).granted
    second = wish(TOKENS, tokens=90)
    assert not store.ask(second).granted
    store.settle("api", first.grant, 10)
    assert store.ask(second).granted


def test_a_debt_is_paid(store: Store, clock: Clock) -> None:
    first, second = wish(TOKENS, tokens=10), wish(TOKENS, tokens=10)
    assert store.ask(first).granted
    store.settle("api", first.grant, 150)
    assert not store.ask(second).granted
    clock.now += 62
    assert store.ask(second).granted


def test_an_unknown_usage_leaves_the_estimate(store: Store) -> None:
    first = wish(TOKENS, tokens=90)
    assert store.ask(first).granted
    store.settle("api", first.grant, None)
    assert not store.ask(wish(TOKENS, tokens=20)).granted


def test_slots_are_held_until_settled_and_come_back_from_the_dead(store: Store, clock: Clock) -> None:
    first, second, third = wish(SLOTS), wish(SLOTS), wish(SLOTS)
    assert store.ask(first).granted
    assert store.ask(second).granted
    assert not store.ask(third).granted
    store.settle("api", first.grant, None)
    assert store.ask(third).granted
    clock.now += 20
    store.renew("api", second.grant)
    clock.now += 11  # the third has died
    assert store.ask(wish(SLOTS)).granted
    assert not store.ask(wish(SLOTS)).granted


def test_a_long_call_keeps_its_slot_beyond_the_window(store: Store, clock: Clock) -> None:
    both = Limits(max_concurrent=1, requests_per_minute=1)
    first = wish(both)
    assert store.ask(first).granted
    for _ in range(5):
        clock.now += 20
        store.renew("api", first.grant)
    assert not store.ask(wish(both)).granted


def test_who_leaves_leaves_nothing_behind(store: Store) -> None:
    one = Limits(requests_per_minute=1, max_concurrent=1)
    first = wish(one)
    assert store.ask(first).granted
    waiting = wish(one)
    assert not store.ask(waiting).granted
    store.leave("api", waiting.ticket, waiting.grant)
    store.leave("api", first.ticket, first.grant)
    assert store.ask(wish(one)).granted


def test_connections_do_not_share(store: Store) -> None:
    one = Limits(requests_per_minute=1)
    assert store.ask(wish(one)).granted
    assert store.ask(wish(one, connection="other")).granted


def test_a_clock_set_back_costs_no_more_than_a_window(store: Store, clock: Clock) -> None:
    one = Limits(requests_per_minute=1)
    assert store.ask(wish(one)).granted
    clock.now -= 86400
    assert store.ask(wish(one)).wait == pytest.approx(61.8, abs=0.01)


STEPS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(1, 60), st.one_of(st.none(), st.integers(0, 60))), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, requests=st.integers(1, 6), tokens=st.integers(60, 150))
def test_no_window_ever_holds_more_than_the_limit(
    store_url: str, steps: list[tuple[float, int, int | None]], requests: int, tokens: int
) -> None:
    clock = Clock()
    store, connection = open_store(store_url, clock), f"c{next(_NAMES)}"
    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens)
    waiting: list[Ask] = []
    granted: list[tuple[float, int]] = []
    order: list[str] = []
    for pause, wanted, settled in steps:
        clock.now += pause
        waiting.append(wish(limits, tokens=wanted, connection=connection))
        order.append(waiting[-1].ticket)
        # Everybody looks, in the order of arrival; the waits told must never be too long for the first.
        for ask in list(waiting):
            answer = store.ask(ask)
            if answer.granted:
                assert ask.ticket == order.pop(0), "first come, first served"
                waiting.remove(ask)
                used = ask.tokens if settled is None else min(settled, ask.tokens)
                granted.append((clock.now, used))
                if settled is not None:
                    store.settle(connection, ask.grant, used)
    for at, _ in granted:
        window = [amount for when, amount in granted if at <= when < at + 60]
        assert len(window) <= requests
        assert sum(window) <= tokens


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses=st.lists(st.floats(0, 25), min_size=1, max_size=12), wanted=st.integers(1, 100))
def test_the_wait_told_is_right(store_url: str, pauses: list[float], wanted: int) -> None:
    clock = Clock()
    store, connection = open_store(store_url, clock), f"c{next(_NAMES)}"
    for pause in pauses:
        clock.now += pause
        used = wish(TOKENS, tokens=30, connection=connection)
        if not store.ask(used).granted:
            store.leave(connection, used.ticket, used.grant)
    ask = wish(TOKENS, tokens=wanted, connection=connection)
    answer = store.ask(ask)
    if not answer.granted:
        clock.now += answer.wait - 0.01
        assert not store.ask(ask).granted
        clock.now += 0.02
        assert store.ask(ask).granted


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"requests_per_minut": 60}, "no setting 'requests_per_minut'; did you mean 'requests_per_minute'?"),
        ({"pool": 1}, "there are requests_per_minute, tokens_per_minute, max_concurrent, prices."),
        ({"max_concurrent": "8"}, "agentic.max_concurrent must be a whole number of at least 1, not '8'"),
        ({"max_concurrent": True}, "not True"),
        ({"tokens_per_minute": 0}, "not 0"),
        ([60], "must be a mapping"),
    ],
)
def test_what_a_connection_says_wrongly(extra: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits_of(extra, "my_api")
    assert "'my_api'" in str(caught.value)
    assert said in str(caught.value)


def test_what_a_connection_says() -> None:
    assert limits_of({"requests_per_minute": 60}, "my_api") == Limits(requests_per_minute=60)
    assert limits_of({}, "my_api") is None
    assert limits_of({"prices": {}}, "my_api") is None


def test_a_file_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "limits.db").write_text("this is no database, but a text that is long enough to look like one" * 20)
    with pytest.raises(LimiterError, match=r"limits\.db, can't be used: file is not a database"):
        SqliteStore(str(tmp_path / "limits.db"))
    with pytest.raises(LimiterError, match="can't be used"):
        SqliteStore("/proc/none/limits.db")


def test_a_redis_that_is_not_there() -> None:
    store = RedisStore("redis://user:secret@127.0.0.1:1/0")
    with pytest.raises(LimiterError, match=r"redis://127\.0\.0\.1:1/0, can't be used") as caught:
        store.ask(wish(REQUESTS))
    assert "secret" not in str(caught.value)

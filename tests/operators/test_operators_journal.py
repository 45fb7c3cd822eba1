"""What a task keeps of what it has paid for: written together, found by later tries, kept apart by lives and tries."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.state_stores import StateStore, journal_of

from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import StoppedError
from airflow_agentic.operators.journal import MOST_CHARACTERS
from airflow_agentic.operators.life import Life

if TYPE_CHECKING:
    from airflow_agentic.operators.journal import Journal

#: What the messages to Airflow's supervisor or its XComs can't carry as it is.
TOUCHY = {"big": 2**70, "half": "\ud800", "__type": 1, "none": None, "nested": [{"a": "ü"}]}


def of_try(store: StateStore, number: int, former: int = 0) -> Journal:
    life = Life(former_tries=former, is_first_try=number - former <= 1, is_last_try=False)
    return journal_of(store, life, number)


def keep(journal: Journal, **values: Any) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(journal.keep(key, value) for key, value in values.items()))

    run_loop(all_at_once())


def test_later_tries_of_a_life_find_everything() -> None:
    store = StateStore()
    keep(of_try(store, 1), a=1, b=TOUCHY)
    keep(of_try(store, 2), c=[3])
    third = of_try(store, 3)
    assert [third.find(key) for key in "abcd"] == [1, TOUCHY, [3], None]


def test_a_new_life_begins_with_nothing() -> None:
    store = StateStore()
    keep(of_try(store, 1), a=1)
    cleared = of_try(store, 2, former=1)
    assert cleared.find("a") is None
    keep(cleared, a=2)
    assert of_try(store, 3, former=1).find("a") == 2


def test_a_try_that_was_given_up_and_is_still_at_work_overwrites_nothing() -> None:
    store = StateStore()
    given_up = of_try(store, 1)
    keep(given_up, a=1)
    second = of_try(store, 2)
    keep(second, b=2)
    keep(given_up, late=3)
    third = of_try(store, 3)
    assert [third.find(key) for key in ("a", "b", "late")] == [1, 2, 3]


def test_what_comes_during_a_write_is_written_together() -> None:
    class Slow(StateStore):
        def set(self, key: str, value: Any) -> None:
            threading.Event().wait(0.05)
            super().set(key, value)

    store = Slow()
    keep(of_try(store, 1), **{f"k{number}": number for number in range(100)})
    assert store.writes == 2
    later = of_try(store, 2)
    assert [later.find(f"k{number}") for number in range(100)] == list(range(100))


def test_entries_are_as_large_as_airflow_likes_them() -> None:
    store = StateStore()
    journal = of_try(store, 1)
    values = {f"k{number}": "x" * 20_000 for number in range(7)} | {"large": "y" * 200_000, "small": ""}
    journal._write(list(values.items()))
    sizes = [len(json.loads(value)) for value in store.values()]
    assert [size <= MOST_CHARACTERS for size in sizes].count(False) == 1
    later = of_try(store, 2)
    assert {key: later.find(key) for key in values} == values


def test_it_is_kept_when_the_call_returns_also_for_one_who_is_cancelled() -> None:
    store = StateStore()
    journal = of_try(store, 1)

    async def cancelled() -> None:
        keeping = asyncio.create_task(journal.keep("a", 1))
        await asyncio.sleep(0)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping

    run_loop(cancelled())
    assert of_try(store, 2).find("a") == 1


def test_a_store_that_refuses_costs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(StateStore):
        def set(self, key: str, value: Any) -> None:
            raise RuntimeError("no room")

    with caplog.at_level(logging.WARNING):
        keep(of_try(Refusing(), 1), a=1)
    assert "1 results could not be kept" in caplog.text


@pytest.mark.parametrize("error", [BrokenPipeError(), EOFError("closed")])
def test_without_a_supervisor_nothing_goes_on(error: Exception) -> None:
    class Orphaned(StateStore):
        def set(self, key: str, value: Any) -> None:
            raise error

    with pytest.raises(StoppedError, match="supervisor of this task is gone"):
        keep(of_try(Orphaned(), 1), a=1)


@pytest.mark.parametrize(("status", "stops"), [(404, True), (410, True), (500, False), (None, False)])
def test_a_try_that_airflow_has_given_up_stops(status: int | None, stops: bool) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    class Refusing(StateStore):
        """As the API answers."""

        def set(self, key: str, value: Any) -> None:
            """Refuse."""
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status}))

    if not stops:
        keep(of_try(Refusing(), 1), a=1)
        return
    with pytest.raises(StoppedError, match="begun another try"):
        keep(of_try(Refusing(), 1), a=1)

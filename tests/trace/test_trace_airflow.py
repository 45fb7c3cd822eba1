"""What only Airflow knows of a run: tries that left no record, those that go on, how long each was queued."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from fsspec.asyn import AsyncFileSystem
from support.records import RUN, at, attempt, failed_attempt, failure

from airflow_agentic.trace.airflow import InstanceFacts, RunFacts, TryFacts, all_tries, facts_from_data
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.record import WaitRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import Trace


def tried(number: int, state: str, second: float, **more: str | None) -> TryFacts:
    """A try that was queued, started a second later and took two."""
    times = {"queued": at(second), "started": at(second + 1), "ended": at(second + 3), "hostname": "w"}
    return TryFacts(number=number, state=state, **{**times, **more})


def facts(state: str, *tries: TryFacts) -> RunFacts:
    """Of a run with one task."""
    instance = InstanceFacts(task_id="draft", map_index=-1, state=tries[-1].state, tries=tries)
    return RunFacts(
        dag_id=RUN.dag_id,
        run_id=RUN.run_id,
        state=state,
        type="manual",
        by="ada",
        logical_date=None,
        run_after=at(0),
        queued=at(0),
        started=at(0),
        ended=None,
        instances=(instance,),
    )


def trace_of(tmp_path: Path, known: RunFacts) -> Trace:
    assert facts_from_data(known.to_data()) == known
    return assembled(RUN.dag_id, RUN.run_id, known, TraceStore(str(tmp_path)))


def test_a_try_without_a_record_is_lost_and_the_next_one_told(tmp_path: Path) -> None:
    TraceStore(str(tmp_path)).write(attempt(try_number=2, second=11))
    trace = trace_of(tmp_path, facts("running", tried(1, "failed", 0), tried(2, "success", 10)))
    assert [(each.state, each.try_number, each.queued_seconds) for each in trace.attempts] == [
        ("lost", 1, 1.0),
        ("success", 2, 1.0),
    ]
    assert [each.lost for each in trace.tasks[0].tries] == [True, False]
    [error] = trace.errors
    assert (error.kind, error.then, error.ref) == ("lost", "retried", trace.attempts[0].id)


def test_a_try_that_only_waited_is_not_lost(tmp_path: Path) -> None:
    wait = WaitRecord(
        run=RUN,
        stage="draft",
        task_id="draft",
        map_index=-1,
        try_number=1,
        at=at(3),
        attempt=0,
        why="rate_limited",
        reason="Waiting, without a failure.",
        until=at(9),
    )
    TraceStore(str(tmp_path)).write(wait)
    trace = trace_of(tmp_path, facts("running", tried(1, "failed", 0), tried(2, "running", 10, ended=None)))
    assert [(each.state, each.try_number) for each in trace.attempts] == [("running", 2)]
    assert (trace.tasks[0].tries[0].reason, trace.tasks[0].tries[0].wait_until) == (wait.reason, at(9))
    assert trace.errors == ()
    assert trace.stages[0].state == "running"


def test_a_try_whose_retry_has_a_reason_is_not_lost(tmp_path: Path) -> None:
    known = facts("running", tried(1, "failed", 0, reason="later"), tried(2, "running", 10, ended=None))
    assert [each.state for each in trace_of(tmp_path, known).attempts] == ["running"]


def test_what_waits_for_its_next_try_is_told_once() -> None:
    former = tried(1, "failed", 0)
    assert all_tries([former], tried(1, "up_for_retry", 0)) == (former,)
    assert all_tries([], tried(0, "skipped", 0)) == ()


class FarFileSystem(AsyncFileSystem):  # type: ignore[misc]
    """A store on the other side of a network: each call takes 20 ms, some at the same time."""

    protocol = "far"
    cachable = False

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    async def _cat_file(self, path: str, start: object = None, end: object = None, **more: object) -> bytes:
        import asyncio
        from pathlib import Path

        await asyncio.sleep(0.02)
        return Path(path).read_bytes()

    def find(self, path: str, detail: bool = False, **more: object) -> dict[str, dict[str, object]]:
        from fsspec.implementations.local import LocalFileSystem

        found: dict[str, dict[str, object]] = LocalFileSystem().find(path, detail=True)
        return found


def test_a_thousand_items_far_away_take_less_than_two_seconds(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    for index in range(1000):
        item = {"index": index, "value": index}
        store.write(attempt("each.item", item=item, map_index=index, output={"text": "x" * 500}))
    store._filesystem = FarFileSystem(str(tmp_path))
    began = time.monotonic()
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    took = time.monotonic() - began
    assert len(trace.attempts) == 1000
    assert trace.problems == ()
    assert took < 2


def test_a_try_that_was_killed_between_its_items_is_lost(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    for index, number, second in ((0, 1, 1), (1, 2, 11)):
        item = {"index": index, "value": {"sku": f"SKU-{index}"}}
        store.write(attempt(try_number=number, second=second, item=item))
    trace = trace_of(tmp_path, facts("success", tried(1, "failed", 0), tried(2, "success", 10)))
    assert [(each.state, each.try_number, each.started, each.ended) for each in trace.attempts] == [
        ("success", 1, at(1), at(2)),
        ("lost", 1, at(2), at(3)),
        ("success", 2, at(11), at(12)),
    ]
    assert [each.lost for each in trace.tasks[0].tries] == [True, False]
    assert [(each.kind, each.then) for each in trace.errors] == [("lost", "retried")]


def test_a_try_that_was_killed_before_its_next_attempt_is_lost(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(failed_attempt(wait=0.1, second=1))
    store.write(attempt(number=2, try_number=2, second=11))
    trace = trace_of(tmp_path, facts("success", tried(1, "failed", 0), tried(2, "success", 10)))
    assert [each.state for each in trace.attempts] == ["retrying", "lost", "success"]


@pytest.mark.parametrize("state", ["failed", "killed"])
def test_a_try_that_ends_with_a_failed_attempt_is_not_lost(tmp_path: Path, state: str) -> None:
    TraceStore(str(tmp_path)).write(failed_attempt(state=state))
    trace = trace_of(tmp_path, facts("failed", tried(1, "failed", 0)))
    assert [each.state for each in trace.attempts] == [state]
    assert [each.lost for each in trace.tasks[0].tries] == [False]


def test_a_try_whose_items_failed_and_that_said_so_is_not_lost(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(failed_attempt(item={"index": 0, "value": "a"}))
    store.write(failure("draft", second=2))
    trace = trace_of(tmp_path, facts("failed", tried(1, "failed", 0)))
    assert [each.state for each in trace.attempts] == ["failed"]

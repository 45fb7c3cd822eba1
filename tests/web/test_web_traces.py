"""Traces that the api-server keeps: fresh while something happens, read once when nothing does any more."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from support.web import a_run

from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.web import traces
from airflow_agentic.web.traces import NoTraceError, Traces

if TYPE_CHECKING:
    from pathlib import Path

    from support.scheduling import ScriptedRun


class Counted:
    """``assembled``, slowed down and counted."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.at_once: list[int] = []
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, dag_id: str, run_id: str, *more: Any) -> Any:
        """Assemble."""
        with self._lock:
            self.calls.append((dag_id, run_id))
            self._now += 1
            self.at_once.append(self._now)
        time.sleep(0.05)
        try:
            return assembled(dag_id, run_id, *more)
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setattr("airflow_agentic.trace.assemble.assembled", found)
    return found


@pytest.fixture
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look each time."""
    monkeypatch.setattr(traces, "_FRESH", -1.0)


@pytest.mark.usefixtures("in_no_time")
def test_a_run_that_ended_is_read_once(run: ScriptedRun, counted: Counted) -> None:
    kept = Traces()
    first = kept.of(run.dag_id, run.run_id)
    assert kept.of(run.dag_id, run.run_id) is first
    assert len(counted.calls) == 1


@pytest.mark.usefixtures("in_no_time")
def test_what_happens_in_airflow_is_seen_at_once(run: ScriptedRun, counted: Counted) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    kept = Traces()
    assert kept.of(run.dag_id, run.run_id).trace.state == "success"
    for state in ("running", "success"):
        with create_session() as session:
            session.execute(update(DagRun).where(DagRun.run_id == run.run_id).values(state=state))
        assert kept.of(run.dag_id, run.run_id).trace.state == state
    assert len(counted.calls) == 3


@pytest.mark.usefixtures("in_no_time")
def test_new_files_are_seen_at_once(run: ScriptedRun, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Traces()
    kept.of(run.dag_id, run.run_id)
    files = TraceStore.files
    more = f"{next(iter(files(TraceStore(), run.dag_id, run.run_id))).rpartition('/')[0]}/note.txt"
    monkeypatch.setattr(TraceStore, "files", lambda *args: {**files(*args), more: 1})
    kept.of(run.dag_id, run.run_id)
    assert len(counted.calls) == 2


def test_of_many_who_ask_at_once_one_reads(run: ScriptedRun, counted: Counted) -> None:
    kept = Traces()
    with ThreadPoolExecutor(10) as pool:
        found = set(map(id, pool.map(lambda _: kept.of(run.dag_id, run.run_id), range(30))))
    assert (len(found), len(counted.calls)) == (1, 1)


@pytest.mark.usefixtures("in_no_time")
def test_what_couldnt_be_read_is_read_again(
    run: ScriptedRun, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_agentic.errors import TraceError

    kept, read_many = Traces(), TraceStore.read_many

    def broken(store: TraceStore, paths: Any) -> Any:
        found = read_many(store, paths)
        return {path: TraceError("away") if "attempts/" in path else data for path, data in found.items()}

    with monkeypatch.context() as patch:
        patch.setattr(TraceStore, "read_many", broken)
        assert kept.of(run.dag_id, run.run_id).trace.problems
    assert kept.of(run.dag_id, run.run_id).trace.problems == ()


def test_only_some_are_kept(monkeypatch: pytest.MonkeyPatch, run: ScriptedRun, tmp_path: Path) -> None:
    monkeypatch.setattr(traces, "_MOST", 1)
    kept = Traces()
    first = kept.of(run.dag_id, run.run_id)
    other = a_run(tmp_path, "other_run")
    kept.of(other.dag_id, other.run_id)
    assert kept.of(run.dag_id, run.run_id) is not first


def test_runs_of_templates_have_a_trace_from_the_beginning(
    run: ScriptedRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    assert Traces().of(run.dag_id, run.run_id).trace.inputs is None
    with pytest.raises(NoTraceError):
        Traces().of(run.dag_id, "none")


def test_runs_of_other_dags_have_none(metadata_database: Path) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
    from support.scheduling import run_scripted

    with DAG("no_template") as dag:
        EmptyOperator(task_id="only")
    found = run_scripted(dag)
    with pytest.raises(NoTraceError):
        Traces().of(found.dag_id, found.run_id)


def test_a_run_that_airflow_has_forgotten_still_has_its_records(run: ScriptedRun, tmp_path: Path) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    gone = a_run(tmp_path, "gone_run")
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == gone.dag_id))
    found = Traces().of(gone.dag_id, gone.run_id).trace
    assert (found.state, found.complete) == ("success", False)


@pytest.mark.usefixtures("in_no_time")
def test_a_slow_store_doesnt_take_all_threads(run: ScriptedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_agentic.errors import TraceError

    monkeypatch.setattr(traces, "_WAITING", 2)
    kept, go_on, looked = Traces(), threading.Event(), traces._looked
    known = kept.of(run.dag_id, run.run_id)

    def slow(*args: Any) -> Any:
        go_on.wait(20)
        return looked(*args)

    monkeypatch.setattr(traces, "_looked", slow)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(kept.of, run.dag_id, run_id) for run_id in (run.run_id, run.run_id)]
        deadline = time.monotonic() + 10
        while kept._places._value and time.monotonic() < deadline:
            time.sleep(0.01)
        assert kept.of(run.dag_id, run.run_id) is known
        with pytest.raises(TraceError, match="the trace store is slow"):
            kept.of(run.dag_id, "another")
        go_on.set()
        assert [each.result().trace.state for each in waiting] == ["success", "success"]

"""The runs of a DAG, found by what they left."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.records import RUN, at, attempt

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.layout import run_folder, segment
from airflow_agentic.trace.manifest import Manifest
from airflow_agentic.trace.runs import RunEnd, run_called, runs_of
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from airflow_agentic.trace.record import RunKey

#: One that is quoted, one that is too long for a folder's name, one that looks quoted.
IDS = [RUN.run_id, "long " * 80, "manual%20run"]


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TraceStore:
    return TraceStore(str(tmp_path / "trace") if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def seal(store: TraceStore, run: RunKey, second: float, state: str = "success") -> None:
    manifest = Manifest(
        run=run,
        try_number=1,
        sealed=at(second),
        state=state,  # type: ignore[arg-type]
        error=None,
        output=None,
        tasks=(),
    )
    store.write_manifest(run, 1, manifest.to_data())


def test_runs_are_listed_as_they_ended_and_those_without_an_end_last(store: TraceStore) -> None:
    for run_id in IDS:
        store.write(attempt(run=replace(RUN, run_id=run_id)))
    seal(store, replace(RUN, run_id=IDS[0]), 30)
    seal(store, replace(RUN, run_id=IDS[1]), 20, "failed")
    seal(store, replace(RUN, run_id="nothing ran"), 10)
    assert runs_of(RUN.dag_id, store) == (
        RunEnd(run_id="nothing ran", state="success", sealed=at(10)),
        RunEnd(run_id=IDS[1], state="failed", sealed=at(20)),
        RunEnd(run_id=IDS[0], state="success", sealed=at(30)),
        RunEnd(run_id=IDS[2], state="running", sealed=None),
    )


def test_a_dag_without_runs(store: TraceStore) -> None:
    with pytest.raises(TraceError, match="no records of 'never'"):
        runs_of("never", store)


@pytest.mark.parametrize("run_id", IDS, ids=["quoted", "cut", "with percent"])
def test_a_run_is_found_by_its_id_and_by_its_folder(store: TraceStore, run_id: str) -> None:
    store.write(attempt(run=replace(RUN, run_id=run_id)))
    assert run_called(RUN.dag_id, run_id, store) == run_id
    assert run_called(RUN.dag_id, Path(run_folder(RUN.dag_id, run_id)).name, store) == run_id


def test_an_id_comes_before_a_folder_of_that_name(store: TraceStore) -> None:
    for run_id in ("a b", "a%20b"):
        store.write(attempt(run=replace(RUN, run_id=run_id)))
    assert segment("a b") == "a%20b"
    assert run_called(RUN.dag_id, "a%20b", store) == "a%20b"


def test_a_run_that_left_nothing_keeps_its_name(store: TraceStore) -> None:
    assert run_called(RUN.dag_id, "a%20b", store) == "a%20b"

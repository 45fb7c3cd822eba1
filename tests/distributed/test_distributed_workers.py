"""Twenty runs over two Celery workers that share nothing but the services, and one of them is killed half-way."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.call_server import CallServer, key_of
from support.topology import PROJECT, Topology, missing_programs

from airflow_agentic.local.rest import ENDED
from airflow_agentic.trace import layout
from airflow_agentic.trace.manifest import manifest_from_data
from airflow_agentic.trace.record import ArtifactRecord, AttemptRecord
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_agentic.trace.record import Record

pytestmark = pytest.mark.distributed

TEMPLATES = Path(__file__).parent / "templates"
#: Runs of each template.
RUNS = {"fan_of_thirty": 7, "three_rounds": 7, "three_ways": 6}
#: HTTP calls of a run.
CALLS = {"fan_of_thirty": 30, "three_rounds": 7, "three_ways": 4}
#: Stages that call; records of attempts are more, because Python agents leave records, too.
ATTEMPTS = {"fan_of_thirty": 32, "three_rounds": 7, "three_ways": 5}
TOTAL = sum(RUNS[name] * CALLS[name] for name in RUNS)
#: As in ``.env``. What a worker has taken when it is killed, and hasn't begun, is to come back while the test waits.
SETTINGS = {"WORKER_CONCURRENCY": "4", "PARALLELISM": "8", "TASK_QUEUED_TIMEOUT": "120"}
#: Seconds.
TIMEOUT = 900.0
#: Seconds between an answer and its being kept; what is lost in them was at work when the worker was killed.
ALLOWANCE = 1.0


@pytest.fixture
def topology(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topology]:
    if missing := missing_programs():
        pytest.fail(missing)
    folder = PROJECT / ".test" / "distributed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    topology = Topology(folder, TEMPLATES, workers=2, settings=SETTINGS)
    for name, value in topology.environment.items():
        if name.startswith(("AWS_", "AIRFLOW__AGENTIC__")):
            monkeypatch.setenv(name, value)
    try:
        topology.start()
        yield topology
    finally:
        topology.stop()


@dataclass(frozen=True, kw_only=True)
class Run:
    dag_id: str
    run_id: str

    @property
    def records(self) -> dict[str, Record]:
        return TraceStore().records(self.dag_id, self.run_id)


def test_a_killed_worker_costs_nothing_but_what_it_was_doing(topology: Topology) -> None:
    began = time.monotonic()
    with CallServer() as server:
        runs = _start_runs(topology, server)
        server.wait_for(TOTAL // 2, timeout=TIMEOUT, check=topology.check)
        worker = topology.running[topology.workers[0]]
        _wait_until(lambda: worker.connections_to(server.port) > 1, "calls of the worker", timeout=120)
        killed_at, processes = time.time(), worker.kill()
        time.sleep(3)
        worker.start()
        states = _wait_for(topology, runs)
        calls, at_work = server.counted(), server.at_work(killed_at, ALLOWANCE)
    print(f"\n{len(runs)} runs, {sum(calls.values())} calls, {time.monotonic() - began:.0f} s, as {topology.users}")
    repeated = calls - Counter(set(calls))
    print(f"{processes} processes were killed while {len(at_work)} calls were going on; repeated: {dict(repeated)}")

    assert set(states.values()) == {"success"}, f"{states}\n{_failed_logs(topology, runs)}"
    assert len(calls) == TOTAL
    assert set(calls.values()) <= {1, 2}
    assert repeated, "the worker was calling nobody when it was killed"
    assert set(repeated) <= at_work
    assert _interrupted(topology, runs)
    for run in runs:
        _check_records(run, calls)
    _check_isolation(topology)


def _start_runs(topology: Topology, server: CallServer) -> list[Run]:
    address = {"conn_type": "http", "host": "127.0.0.1", "port": server.port, "schema": "http"}
    topology.rest.call("POST", "/connections", {"connection_id": "calls", **address})
    _wait_until(lambda: all(topology.rest.has_dag(name) for name in RUNS), "DAGs of the templates", timeout=120)
    for name in RUNS:
        topology.rest.call("PATCH", f"/dags/{name}", {"is_paused": False})
    names = [name for number in range(max(RUNS.values())) for name in RUNS if number < RUNS[name]]
    return [Run(dag_id=name, run_id=topology.rest.trigger(name)) for name in names]


def _wait_until(condition: Callable[[], bool], what: str, *, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {timeout:.0f} s"
        time.sleep(0.05)


def _wait_for(topology: Topology, runs: list[Run]) -> dict[Run, str]:
    deadline = time.monotonic() + TIMEOUT
    states: dict[Run, str] = {}
    while len(states) < len(runs) and time.monotonic() < deadline:
        topology.check()
        for run in runs:
            if run not in states and (state := topology.rest.run(run.dag_id, run.run_id)["state"]) in ENDED:
                states[run] = state
        time.sleep(2)
    return {run: states.get(run, "running") for run in runs}


def _interrupted(topology: Topology, runs: list[Run]) -> list[dict[str, Any]]:
    """The task instances that needed more than one try."""
    return [ti for run in runs for ti in topology.rest.task_instances(run.dag_id, run.run_id) if ti["try_number"] > 1]


def _check_records(run: Run, calls: Counter[tuple[str, str]]) -> None:
    """One successful record for each call and nothing else, sealed by a manifest that has all of them."""
    records = run.records
    attempts = [record for record in records.values() if isinstance(record, AttemptRecord)]
    assert {record.state for record in attempts} <= {"success", "killed"}, run
    succeeded = [record for record in attempts if record.state == "success"]
    assert len(succeeded) == ATTEMPTS[run.dag_id], run
    recorded = Counter(key_of(_input(record)) for record in succeeded if record.agent["type"] == "http")
    assert recorded == Counter(key for key in calls if key[0] == run.run_id), run
    store = TraceStore()
    sealed = store.manifest(run.dag_id, run.run_id)
    assert sealed is not None, run
    manifest = manifest_from_data(sealed)
    assert manifest.state == "success", run
    verdict = verify(store, run.dag_id, run.run_id)
    assert verdict.state == "intact", (run, verdict.findings)
    prefix = f"{layout.run_folder(run.dag_id, run.run_id)}/"
    assert {path.removeprefix(prefix) for path in records} <= {entry["path"] for entry in manifest.records}, run
    if run.dag_id == "three_ways":
        (artifact,) = (record for record in records.values() if isinstance(record, ArtifactRecord))
        assert artifact.bytes > 200_000
        assert artifact.uri.startswith(f"{os.environ['AIRFLOW__AGENTIC__ARTIFACT_URL']}/three/")


def _input(record: AttemptRecord) -> Any:
    """What was sent: the body of the request."""
    return record.input["json"]


def _check_isolation(topology: Topology) -> None:
    """Only the dag processor has the templates, and nobody can look into another one's folder."""
    for name, running in topology.running.items():
        assert (running.folder / "templates").exists() == (name == "airflow-dag-processor"), name
        assert (running.folder.stat().st_mode & 0o777) == 0o700, name
    users = [running.user for running in topology.running.values()]
    assert len(set(users)) == len(users) or set(users[1:]) == {None}


def _failed_logs(topology: Topology, runs: list[Run]) -> str:
    texts = []
    for run in runs:
        for ti in topology.rest.task_instances(run.dag_id, run.run_id):
            if ti["state"] in ("failed", "queued", "running", "up_for_retry"):
                which = (run.dag_id, run.run_id, ti["task_id"], ti["try_number"])
                texts.append(f"--- {which} {ti['map_index']} {ti['state']}")
                if ti["state"] == "failed":
                    texts.append(topology.rest.log(*which, map_index=ti["map_index"]))
    return "\n".join(texts)

"""100 runs on a real Airflow against a server of which 30 % of the replies are faulty."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from support.airflow_env import AirflowEnv, FinishedRun
from support.fault_runs import CALLS, KEYS, TEMPLATE, check, name_of
from support.fault_server import FAULTS, FaultServer

from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.long, pytest.mark.xdist_group("airflow")]

RUNS, AT_ONCE = 100, 8


@pytest.fixture
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowEnv]:
    """An Airflow of its own: so many runs would be in the way of others."""
    folder = tmp_path_factory.mktemp("faulty")
    environment = AirflowEnv(folder, source_roots=folder)
    try:
        environment.start()
        yield environment
    finally:
        environment.stop()


def all_runs(airflow: AirflowEnv, dag_id: str) -> dict[str, FinishedRun]:
    """The runs, by name; each is called as the faults of its calls are."""
    names = [airflow.rest.trigger(dag_id, {"name": name}, run_id=name) for name in map(name_of, range(RUNS))]
    return {name: airflow.finish(dag_id, name, timeout=3000) for name in names}


def test_every_run_ends_well_and_every_call_is_in_a_record(faulty: AirflowEnv) -> None:
    began = time.monotonic()
    with FaultServer(seed=11, slow=20, keys=KEYS) as server, server.outages(every=5, seconds=0.2):
        faulty.add_connection("faulty_api", conn_type="http", host="127.0.0.1", port=server.port)
        model = {"model": "openai-chat:m"}
        faulty.add_connection(
            "faulty_model", conn_type="pydanticai", host=f"{server.url}/v1", password="k", extra=model
        )
        text = TEMPLATE.format(url=server.url, timeout="15s", items_per_task=5)
        faulty.put_template("faulty.yaml", f"max_active_runs: {AT_ONCE}\n{text}")
        faulty.wait_for_dag("faulty")
        states = all_runs(faulty, "faulty")
    assert {name: str(run) for name, run in states.items() if run.state != "success"} == {}
    store = TraceStore(faulty.trace_url)
    counts = check(
        server.log,
        {
            name: [record for record in store.records("faulty", name).values() if isinstance(record, AttemptRecord)]
            for name in states
        },
    )
    print(f"{RUNS} runs in {time.monotonic() - began:.0f} s: {counts.total()} attempts, {dict(counts)}")
    assert counts["answered"] == RUNS * sum(CALLS.values())
    assert set(FAULTS) <= set(counts), "every fault was among them"

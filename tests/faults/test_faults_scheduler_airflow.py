"""Schedulers that are killed with -9 in the middle of a fan-out: runs end well, and nothing is asked for again."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support.gated_server import GatedServer
from support.loose_airflow import LooseAirflow

from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.long, pytest.mark.xdist_group("airflow")]

ITEMS, AT_ONCE = 60, 4
TEMPLATE = f"""\
version: 1
name: {{name}}
agents:
  site: {{{{type: http, connection: gated_site, endpoint: "/{{{{{{{{ input.n }}}}}}}}", output: {{{{n: integer}}}}}}}}
stages:
  work:
    agent: site
    for_each: range({ITEMS})
    max_parallel: {AT_ONCE}
    items_per_task: {ITEMS // AT_ONCE}
    input: {{{{n: "{{{{{{{{ item }}}}}}}}"}}}}
  then: {{{{agent: site, needs: [work], input: {{{{n: 1000}}}}}}}}
output: {{{{all: "{{{{{{{{ work.outputs | length }}}}}}}}", last: "{{{{{{{{ then.n }}}}}}}}"}}}}
"""


@pytest.fixture
def loose(tmp_path: Any) -> Iterator[LooseAirflow]:
    """An Airflow that gives up the tasks of a lost scheduler after some seconds instead of five minutes."""
    environment = {
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
        # Airflow's default: orphans outlive the beginning of the next try
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    }
    airflow = LooseAirflow(tmp_path, source_roots=tmp_path, environment=environment)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def begin(airflow: LooseAirflow, name: str, server: GatedServer) -> str:
    """Start a run, and wait until all of its tasks have work at the gate."""
    airflow.add_connection("gated_site", conn_type="http", host="127.0.0.1", port=server.port)
    airflow.put_template(f"{name}.yaml", TEMPLATE.format(name=name))
    airflow.wait_for_dag(name)
    run_id = airflow.rest.trigger(name)
    asked = 20 + AT_ONCE
    airflow.wait_until(lambda: len(server.calls) >= asked, what="call at the gate", timeout=120)
    time.sleep(1)  # what was answered is kept
    return run_id


def wait_until_given_up(airflow: LooseAirflow, run_id: str) -> None:
    """Wait for the moment in which the run's tasks are taken from their processes. (The API is too slow for it.)"""
    query = "SELECT count(*) FROM task_instance WHERE run_id = ? AND task_id = 'work.item' AND state = 'running'"
    deadline = time.monotonic() + 120
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        while database.execute(query, (run_id,)).fetchone()[0] == AT_ONCE:
            assert time.monotonic() < deadline, "the tasks are still running"
            time.sleep(0.02)


def check_end(airflow: LooseAirflow, name: str, run_id: str, lost: frozenset[int] = frozenset()) -> None:
    """
    See that the run ended well.

    :param lost: items whose answers may have come to a process that nobody listened to any more.
    """
    ran = airflow.finish(name, run_id, timeout=240)
    assert ran.state == "success", str(ran)
    assert airflow.rest.xcom(name, run_id, "run__finish") == {"all": ITEMS, "last": 1000}
    store = TraceStore(airflow.trace_url)
    records = [record for record in store.records(name, run_id).values() if isinstance(record, AttemptRecord)]
    succeeded = Counter(record.item["index"] for record in records if record.item and record.state == "success")
    assert set(succeeded) == set(range(ITEMS))
    assert {index for index, times in succeeded.items() if times > 1} <= lost, "an item succeeded twice"


@pytest.mark.parametrize("how", ["kill", "kill_all_of"])
def test_a_scheduler_that_is_killed(loose: LooseAirflow, how: str) -> None:
    """Alone, so that its tasks go on as orphans until they are given up, and with all of them."""
    name = f"scheduler_{how}"
    with GatedServer(free=20) as server:
        run_id = begin(loose, name, server)
        before, at_gate = server.answered.copy(), server.asked - server.answered
        assert (before.total(), at_gate.total()) == (20, AT_ONCE)
        getattr(loose, how)("scheduler")
        time.sleep(16)
        loose.begin("scheduler")
        # the orphans are still at the gate when the new scheduler gives them up, and get their answers just then
        wait_until_given_up(loose, run_id)
        server.gate.set()
        check_end(loose, name, run_id, frozenset(int(path[1:]) for path in at_gate))
        asked = server.asked
    assert all(asked[path] == 1 for path in before), "what had succeeded is asked for again"
    repeated = {path for path, times in asked.items() if times > 1}
    assert repeated <= set(at_gate), "only what was lost with its process"


def test_a_scheduler_that_is_back_soon(loose: LooseAirflow) -> None:
    """The tasks go on without it, and it takes over where they end."""
    with GatedServer(free=20) as server:
        run_id = begin(loose, "scheduler_back", server)
        loose.kill("scheduler")
        loose.begin("scheduler")
        server.gate.set()
        check_end(loose, "scheduler_back", run_id)
        asked = server.asked
    assert asked == Counter([f"/{number}" for number in range(ITEMS)] + ["/1000"])

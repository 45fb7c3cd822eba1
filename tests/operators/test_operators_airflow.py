"""What only the real Airflow does: it kills, it clears, and it keeps logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from support.clearing import clear

from airflow_agentic.trace.airflow_rest import facts_from_rest
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.record import AttemptRecord

pytestmark = pytest.mark.airflow


def agent(name: str) -> str:
    return json.dumps({"type": "python", "callable": f"support.scripted_agents:{name}"})


def attempts(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[AttemptRecord]:
    store = TraceStore(airflow.trace_url)
    return [record for path, record in store.records(dag_id, run_id).items() if "/attempts/" in path]  # type: ignore[misc]


def trace(airflow: AirflowEnv, dag_id: str, run_id: str) -> Trace:
    return assembled(dag_id, run_id, facts_from_rest(airflow.rest, dag_id, run_id), TraceStore(airflow.trace_url))


def patch_state(airflow: AirflowEnv, dag_id: str, run_id: str, task_id: str, state: str) -> Any:
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
    return airflow.rest.call("PATCH", path, {"new_state": state})


def test_a_task_marked_as_failed_leaves_a_record_of_its_attempt(airflow: AirflowEnv, tmp_path: Path) -> None:
    airflow.put_template(
        "killed_by_hand.yaml",
        f"""
version: 1
name: killed_by_hand
stages:
  waits: {{agent: {agent("wait_once")}, input: {{started: "{tmp_path}/started"}}}}
""",
    )
    airflow.wait_for_dag("killed_by_hand")
    run_id = airflow.rest.trigger("killed_by_hand")
    airflow.wait_until((tmp_path / "started").exists, what="start of the agent", timeout=60)
    patch_state(airflow, "killed_by_hand", run_id, "waits", "failed")
    run = airflow.finish("killed_by_hand", run_id)
    airflow.wait_until(lambda: attempts(airflow, "killed_by_hand", run_id), what="record", timeout=20)
    [record] = attempts(airflow, "killed_by_hand", run_id)
    assert (record.state, record.attempt, record.seconds < 60) == ("killed", 1, True)
    assert run.state == "failed"
    assert run.tasks == {"waits": "failed", "run__finish": "failed"}


def test_a_stage_that_is_cleared_while_it_runs_starts_anew(airflow: AirflowEnv, tmp_path: Path) -> None:
    airflow.put_template(
        "cleared_running.yaml",
        f"""
version: 1
name: cleared_running
stages:
  waits: {{agent: {agent("wait_once")}, input: {{started: "{tmp_path}/started"}}, retry: {{attempts: 1}}}}
output: {{result: "{{{{ waits }}}}"}}
""",
    )
    airflow.wait_for_dag("cleared_running")
    run_id = airflow.rest.trigger("cleared_running")
    airflow.wait_until((tmp_path / "started").exists, what="start of the agent", timeout=60)
    clear(airflow, "cleared_running", run_id, "waits")
    run = airflow.finish("cleared_running", run_id)
    assert run.state == "success", run
    records = attempts(airflow, "cleared_running", run_id)
    assert [(record.attempt, record.state) for record in records] == [(1, "killed"), (1, "success")]


def test_a_cleared_stage_gets_all_its_attempts_and_the_run_a_new_seal(airflow: AirflowEnv, tmp_path: Path) -> None:
    airflow.put_template(
        "cleared.yaml",
        f"""
version: 1
name: cleared
stages:
  one: {{agent: {agent("echo")}, input: {{value: 1}}}}
  flaky:
    agent: {agent("fail_until")}
    input: {{counter: "{tmp_path}/calls", succeed_at: 4, value: "{{{{ one }}}}"}}
    retry: {{attempts: 2, wait: 10ms}}
output: {{result: "{{{{ flaky }}}}"}}
""",
    )
    first = airflow.run("cleared")
    assert (first.state, first.tasks["flaky"]) == ("failed", "failed"), first
    told = trace(airflow, "cleared", first.run_id)
    assert "'flaky' failed in attempt 2 (unavailable): not yet" in (told.error or "")
    log = airflow.rest.log("cleared", first.run_id, "run__finish")
    assert "The run failed: 'flaky' failed in attempt 2 (unavailable): not yet" in log.splitlines()[-2], log

    clear(airflow, "cleared", first.run_id, "flaky")
    again = airflow.finish("cleared", first.run_id)
    assert again.state == "success", again
    records = [record for record in attempts(airflow, "cleared", first.run_id) if record.stage == "flaky"]
    assert [(record.try_number, record.attempt, record.state) for record in records] == [
        (1, 1, "retrying"),
        (1, 2, "failed"),
        (2, 1, "retrying"),
        (2, 2, "success"),
    ]
    told = trace(airflow, "cleared", first.run_id)
    assert (told.state, told.output) == ("success", {"result": 1})
    assert [(stage.stage, stage.tries) for stage in told.stages] == [("one", 1), ("flaky", 4)]
    assert airflow.rest.xcom("cleared", first.run_id, "run__finish") == {"result": 1}

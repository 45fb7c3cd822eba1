"""Routes on the real Airflow: what isn't chosen ends at once, and a run that is cleared decides anew."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.clearing import clear

from airflow_agentic.trace.record import DecisionRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

ROUNDS = 8


def agent(name: str) -> str:
    return json.dumps({"type": "python", "callable": f"support.scripted_agents:{name}"})


def template(name: str, choice: Path) -> str:
    return f"""
version: 1
name: {name}
stages:
  draft: {{agent: {agent("echo")}, input: {{value: "{{{{ feedback.n | default(0) + 1 }}}}"}}}}
  qa:
    agent: {agent("read")}
    needs: draft
    input: {{file: "{choice}"}}
    routes:
      - {{when: qa == 'left', to: left}}
      - {{when: qa == 'right' or round == 2, to: right}}
      - {{back_to: draft, max_rounds: {ROUNDS}, with: {{n: "{{{{ draft }}}}"}}}}
  left: {{agent: {agent("echo")}, input: {{value: "left {{{{ draft }}}}"}}}}
  right: {{agent: {agent("echo")}, input: {{value: "right {{{{ draft }}}}"}}}}
  after: {{merge: {{from: [left, right], how: object}}}}
output: {{result: "{{{{ after | default({{}}) }}}}"}}
"""


def instances(airflow: AirflowEnv, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
    return {ti["task_id"]: ti for ti in airflow.rest.task_instances(dag_id, run_id)}


def decisions(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[tuple[str, int, str | None]]:
    records = TraceStore(airflow.trace_url).records(dag_id, run_id).values()
    return [(each.task_id, each.try_number, each.shown) for each in records if isinstance(each, DecisionRecord)]


def test_rounds_that_are_not_needed_end_at_once_and_a_cleared_run_decides_anew(
    airflow: AirflowEnv, tmp_path: Path
) -> None:
    name, choice = "decides_anew", tmp_path / "choice"
    choice.write_text("left")
    airflow.put_template(f"{name}.yaml", template(name, choice))
    run = airflow.run(name)
    assert run.state == "success", run
    assert (run.tasks["left"], run.tasks["right"]) == ("success", "skipped")
    assert airflow.rest.xcom(name, run.run_id, "run__finish") == {"result": {"left": "left 1"}}

    found = instances(airflow, name, run.run_id)
    later = [ti for task_id, ti in found.items() if task_id.startswith(tuple(f"draft__{n}." for n in range(2, 9)))]
    assert {ti["state"] for ti in later} == {"skipped"}
    # all in the one call with which the first round's decision ended
    ended = {ti["end_date"] for ti in later}
    assert len(ended) == 1, sorted(ended)
    [skipped] = ended
    gap = datetime.fromisoformat(found["left"]["start_date"]) - datetime.fromisoformat(skipped)
    assert gap.total_seconds() < 15, "the next stage waited for rounds that nobody needed"

    # the stage is asked again, and the run takes another way: a second round this time
    choice.write_text("neither")
    clear(airflow, name, run.run_id, "draft__1.qa")
    again = airflow.finish(name, run.run_id)
    assert again.state == "success", again
    assert (again.tasks["left"], again.tasks["right"], again.tasks["draft__3.draft"]) == (
        "skipped",
        "success",
        "skipped",
    )
    assert airflow.rest.xcom(name, run.run_id, "run__finish") == {"result": {"right": "right 2"}}
    assert decisions(airflow, name, run.run_id) == [
        ("draft__1.qa__route", 1, "left"),
        ("draft__1.qa__route", 2, "back to draft for round 2 of 8"),
        ("draft__2.qa__route", 1, "right"),
    ]

    # an arm that is cleared alone stays what the decision made of it
    arm = next(task_id for task_id in again.tasks if task_id.startswith("draft__1.qa__to_left"))
    assert again.tasks[arm] == "skipped"
    clear(airflow, name, run.run_id, arm)
    third = airflow.finish(name, run.run_id)
    assert third.state == "success", third
    assert (third.tasks[arm], third.tasks["left"], third.tasks["right"]) == ("skipped", "skipped", "success")

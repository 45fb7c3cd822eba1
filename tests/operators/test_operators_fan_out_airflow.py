"""Fan-outs on the real Airflow: expansion by the scheduler, names in the UI, retries, lost processes, clears."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support.clearing import clear
from support.item_agents import calls
from support.scripted_server import Call, Reply, ScriptedServer

from airflow_agentic.operators.base import SPARE_TRIES
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

WAITING_LITTLE = '''
"""A dag of airflow's, whose workers hand every longer wait over."""
import os

os.environ["AIRFLOW__AGENTIC__INLINE_WAIT"] = "0.2"
'''
DAG_FILE = """
from support.fan_outs import fan_out_plan, python_agent

from airflow_agentic.factory.dag import build_dag_from_plan

dag = build_dag_from_plan(fan_out_plan({name!r}, {{"worker": python_agent({function!r})}}, **{settings!r}))
"""


def put(airflow: AirflowEnv, name: str, function: str, **settings: Any) -> None:
    text = WAITING_LITTLE + DAG_FILE.format(name=name, function=function, settings=settings)
    airflow.put_dag_file(f"{name}.py", text)


HTTP = """
version: 1
name: fan_out_http
inputs: {rows: {type: array, items: {}}}
agents:
  site: {type: http, connection: fan_out_site, endpoint: "/{{ input.n }}", output: {n: integer}}
stages:
  outer:
    for_each: inputs.rows
    input: {row: "{{ item }}"}
    pipeline:
      stages:
        work:
          agent: site
          for_each: inputs.row
          input: {n: "{{ item }}"}
          retry: {attempts: 2, wait: 1s, jitter: false}
      output: {got: "{{ work.outputs }}"}
output: {all: "{{ outer.outputs }}"}
"""


class Site(ScriptedServer):
    """Answers with the number it was asked for; with 503 when it is asked for 7 the first time."""

    def reply_to(self, call: Call) -> Reply:
        known = [seen.path for seen in self.calls]
        if call.path == "/7" and known.count("/7") == 1:
            return Reply(status=503)
        return Reply(body={"n": int(call.path[1:])}, delay=0.05)


def instances(airflow: AirflowEnv, dag_id: str, run_id: str) -> dict[int, dict[str, Any]]:
    """The mapped task's instances by map index."""
    found = airflow.rest.task_instances(dag_id, run_id)
    return {each["map_index"]: each for each in found if each["task_id"] == "work.item"}


def attempts(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[tuple[int, int, int, str]]:
    records = TraceStore(airflow.trace_url).records(dag_id, run_id).values()
    return sorted(
        ((record.item or {})["index"], record.try_number, record.attempt, record.state)
        for record in records
        if isinstance(record, AttemptRecord)
    )


def test_the_scheduler_expands_and_names_the_tasks(airflow: AirflowEnv) -> None:
    put(airflow, "fan_out_names", "double", input={"value": "{{ item }}"}, items={"max_parallel": 20})
    run = airflow.run("fan_out_names", {"list": list(range(100, 117))})
    assert run.state == "success", run
    found = instances(airflow, "fan_out_names", run.run_id)
    assert len(found) == 16
    assert [found[0]["rendered_map_index"], found[15]["rendered_map_index"]] == ["items 1–2", "116"]  # noqa: RUF001
    output = airflow.rest.xcom("fan_out_names", run.run_id, "work.collect")
    assert output["outputs"] == [2 * value for value in range(100, 117)]


def test_a_retry_repeats_only_what_waits_and_a_clear_everything(airflow: AirflowEnv, tmp_path: Path) -> None:
    own = {"value": "{{ item }}", "folder": str(tmp_path)}
    put(airflow, "fan_out_later", "later", input=own, items={"items_per_task": 6}, tolerate=2)
    run = airflow.run("fan_out_later", {"list": list(range(1, 13))})
    assert run.state == "success", run
    once = {f"later {value}": 2 if value % 2 and value % 5 else 1 for value in range(1, 13)}
    assert calls(tmp_path) == once
    output = airflow.rest.xcom("fan_out_later", run.run_id, "work.collect")
    assert output["outputs"] == [value for value in range(1, 13) if value % 5]
    assert {each["try_number"] for each in instances(airflow, "fan_out_later", run.run_id).values()} == {2}

    clear(airflow, "fan_out_later", run.run_id, "work.item")
    again = airflow.finish("fan_out_later", run.run_id)
    assert again.state == "success", again
    assert calls(tmp_path) == {name: number + 1 for name, number in once.items()}
    assert (0, 3, 1, "success") in attempts(airflow, "fan_out_later", run.run_id)


def test_what_succeeded_survives_a_lost_process(airflow: AirflowEnv, tmp_path: Path) -> None:
    own = {"value": "{{ item }}", "folder": str(tmp_path), "others": 5, "number": 9}
    put(airflow, "fan_out_lost", "deadly", input=own, items={"items_per_task": 7, "max_parallel": 5})
    run = airflow.run("fan_out_lost", {"list": list(range(7))})
    assert run.state == "success", run
    assert calls(tmp_path) == {f"deadly {value}": 2 if value in (3, 4) else 1 for value in range(7)}
    output = airflow.rest.xcom("fan_out_lost", run.run_id, "work.collect")
    assert output["outputs"] == list(range(7))


def test_a_task_that_is_lost_for_good_is_its_items_failure(airflow: AirflowEnv, tmp_path: Path) -> None:
    own = {"value": "{{ item }}", "folder": str(tmp_path), "others": 8}
    once = {"attempts": 1, "wait": 0.01, "multiplier": 1.0, "max_wait": 1.0, "jitter": False}
    items = {"items_per_task": 5}
    recover = [{"kinds": ["killed"], "value": {"lost": "{{ index }}"}}]
    put(airflow, "fan_out_gone", "fatal", input=own, items=items, retry=once, tolerate=5)
    put(airflow, "fan_out_saved", "fatal", input=own, items=items, retry=once, killed=recover)
    run = airflow.run("fan_out_gone", {"list": list(range(8))})
    output = airflow.rest.xcom("fan_out_gone", run.run_id, "work.collect")
    assert output["outputs"] == [5, 6, 7], run
    assert {(each["kind"], each["item"]) for each in output["errors"]} == {("killed", item) for item in range(5)}
    # what succeeded in the first try wasn't called again by those to spare
    assert calls(tmp_path) == {f"fatal {value}": 1 + SPARE_TRIES * (value == 3) for value in range(8)}

    (tmp_path / "calls").unlink()
    run = airflow.run("fan_out_saved", {"list": list(range(8))})
    assert run.state == "success", run
    output = airflow.rest.xcom("fan_out_saved", run.run_id, "work.collect")
    assert output["outputs"] == [*({"lost": index} for index in range(5)), 5, 6, 7]


def test_many_connections_are_asked_for_at_once_and_a_mapped_group_repeats_only_what_waits(
    airflow: AirflowEnv, tmp_path: Path
) -> None:
    with Site() as site:
        airflow.add_connection("fan_out_site", conn_type="http", host="127.0.0.1", port=site.port, schema="http")
        file = tmp_path / "fan_out_http.yaml"
        file.write_text(HTTP)
        loading = f"from airflow_agentic.factory.load import build_dag\ndag = build_dag({str(file)!r})\n"
        airflow.put_dag_file("fan_out_http.py", WAITING_LITTLE + loading)
        rows = [list(range(40)), list(range(100, 130))]
        run = airflow.run("fan_out_http", {"rows": rows})
        assert run.state == "success", run
        asked = Counter(int(call.path[1:]) for call in site.calls)
    result = airflow.rest.xcom("fan_out_http", run.run_id, "run__finish")
    assert result == {"all": [{"got": [{"n": number} for number in row]} for row in rows]}
    assert asked == {number: 2 if number == 7 else 1 for row in rows for number in row}

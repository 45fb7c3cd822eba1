"""From a plan to a DAG: what Airflow is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.definitions.param import Param
from airflow.serialization.serialized_objects import DagSerialization
from support.pipelines import echo, plan_of_text

from airflow_agentic.factory.dag import build_dag_from_plan

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

INPUTS = """\
inputs:
  topic: {type: string, description: What about, minLength: 3}
  secret: {type: string, format: password, default: ""}
  tags: [string]
"""


def build(folder: Path, top: str = "", text: str | None = None) -> DAG:
    return build_dag_from_plan(plan_of_text(folder, text or echo(top=top)))


def timetable(dag: DAG) -> tuple[str, dict[str, Any]]:
    """The timetable as it is stored."""
    stored = DagSerialization.to_dict(dag)["dag"]["timetable"]
    return stored["__type"].rpartition(".")[2], stored["__var"]


def test_tasks_are_wired_as_planned(tmp_path: Path) -> None:
    plan = plan_of_text(tmp_path, echo())
    dag = build_dag_from_plan(plan)
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        task.task_id: set(task.upstream) for task in plan.tasks
    }
    assert {task.task_id: task.trigger_rule for task in dag.tasks} == {
        task.task_id: task.trigger_rule for task in plan.tasks
    }


def test_a_join_is_an_empty_task(tmp_path: Path) -> None:
    stages = """\
  third: {agent: echo, when: "false", input: {value: 1}}
  fourth: {agent: echo, needs: [first], after: [third], input: {value: 1}}
"""
    dag = build(tmp_path, text=echo() + stages)
    joins = [task for task in dag.tasks if task.inherits_from_empty_operator]
    assert [task.task_id for task in joins] == [task_id for task_id in dag.task_ids if task_id.startswith("fourth__")]
    assert joins


def test_settings_of_the_dag(tmp_path: Path) -> None:
    top = "description: It echoes\nowner: research\ntags: [b, a]\nmax_active_runs: 2\nrun_timeout: 2h\ncatchup: true"
    dag = build(tmp_path, top)
    assert (dag.dag_id, dag.description, dag.tags) == ("pipeline", "It echoes", {"agentic", "a", "b"})
    assert (dag.max_active_runs, dag.dagrun_timeout, dag.catchup) == (2, timedelta(hours=2), True)
    assert {task.owner for task in dag.tasks} == {"research"}


def test_inputs_become_params(tmp_path: Path) -> None:
    params = build(tmp_path, INPUTS).params
    topic = params.get_param("topic")
    assert (topic.description, topic.schema) == ("What about", {"type": "string", "minLength": 3})
    assert not topic.has_value
    secret = params.get_param("secret")
    assert (secret.value, secret.schema["format"]) == ("", "password")
    assert params.get_param("tags").schema == {"type": "array", "items": {"type": "string"}}


def test_a_tasks_params_are_the_dags(tmp_path: Path) -> None:
    """Operators keep no copies of them, which would cost more than all the rest of a DAG."""
    from airflow.sdk.definitions.param import process_params

    dag = build(tmp_path, INPUTS)
    task = dag.get_task("first")
    assert dict(task.params) == {}
    conf = {"topic": "tea leaves", "tags": ["x"]}
    assert process_params(dag, task, conf, suppress_exception=False) == {**conf, "secret": ""}
    with pytest.raises(Exception, match="too short"):
        process_params(dag, task, {**conf, "topic": "x"}, suppress_exception=False)


def test_required_inputs_survive_serialization(tmp_path: Path) -> None:
    serialized = DagSerialization.serialize_dag(build(tmp_path, INPUTS))
    loaded = DagSerialization.deserialize_dag(serialized)
    assert list(loaded.params) == ["topic", "secret", "tags"]
    assert isinstance(build(tmp_path, INPUTS).params.get_param("topic"), Param)


@pytest.mark.parametrize(
    ("schedule", "kind", "expected"),
    [
        ("null", "NullTimetable", {}),
        ("'@once'", "OnceTimetable", {}),
        ("'@continuous'", "ContinuousTimetable", {}),
        ("'@daily'", "CronTriggerTimetable", {"expression": "0 0 * * *", "timezone": "UTC"}),
        ("'0 6 * * MON'", "CronTriggerTimetable", {"expression": "0 6 * * MON", "timezone": "UTC"}),
        (
            "{cron: '0 6 * * *', timezone: Europe/Paris}",
            "CronTriggerTimetable",
            {"expression": "0 6 * * *", "timezone": "Europe/Paris"},
        ),
        ("{every: 6h}", "DeltaTriggerTimetable", {"delta": 21600.0}),
    ],
)
def test_schedules(tmp_path: Path, schedule: str, kind: str, expected: dict[str, Any]) -> None:
    found, settings = timetable(build(tmp_path, f"schedule: {schedule}"))
    assert found == kind
    assert {key: settings[key] for key in expected} == expected


def test_schedules_follow_the_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", "True")
    assert timetable(build(tmp_path, "schedule: '@daily'"))[0] == "CronDataIntervalTimetable"
    assert timetable(build(tmp_path, "schedule: {every: 1d}"))[0] == "DeltaDataIntervalTimetable"


@pytest.mark.parametrize(("key", "together"), [("assets", "asset_all"), ("any_asset", "asset_any")])
def test_asset_schedules(tmp_path: Path, key: str, together: str) -> None:
    kind, settings = timetable(build(tmp_path, f"schedule: {{{key}: ['agentic://a', 'agentic://b']}}"))
    assert kind == "AssetTriggeredTimetable"
    condition = settings["asset_condition"]
    assert condition["__type"] == together
    assert [asset["name"] for asset in condition["objects"]] == ["agentic://a", "agentic://b"]


def test_a_start_date_is_meant_in_the_schedules_zone(tmp_path: Path) -> None:
    top = "start_date: '2026-01-31'\nschedule: {cron: '0 6 * * *', timezone: Asia/Tokyo}"
    start = build(tmp_path, top).start_date
    assert start is not None
    assert start.isoformat() == "2026-01-30T15:00:00+00:00"
    top = "start_date: '2026-01-31T06:00:00+01:00'\nschedule: {cron: '0 6 * * *', timezone: Asia/Tokyo}"
    start = build(tmp_path, top).start_date
    assert start is not None
    assert start.isoformat() == "2026-01-31T05:00:00+00:00"


def test_the_documentation_shows_stages_and_the_yaml(tmp_path: Path) -> None:
    top = "description: It echoes\ndoc: |\n  Use it **well**.\n  ```python\n  print()\n  ```"
    doc = build(tmp_path, top).doc_md
    assert doc is not None
    assert doc.startswith("It echoes\n\nUse it **well**.")
    assert "| stage | kind | agent | after |\n| --- | --- | --- | --- |\n| first | python | echo |  |\n" in doc
    assert "| second | python | echo | first |" in doc
    assert "````yaml\nversion: 1\n" in doc
    assert doc.endswith("````")


def test_the_table_shows_what_a_join_waits_for(tmp_path: Path) -> None:
    stages = """\
  third: {agent: echo, when: "false", input: {value: 1}}
  fourth: {agent: echo, needs: [first], after: [third], input: {value: 1}}
"""
    doc = build(tmp_path, text=echo() + stages).doc_md
    assert doc is not None
    assert "| fourth | python | echo | first, third |" in doc

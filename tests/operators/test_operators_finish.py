"""The run's last task: judging and sealing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.template_runs import plan_of

from airflow_agentic.errors import PlanMismatchError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.operators.verdict import check_tasks, failed_tasks, failure_message
from airflow_agentic.trace.layout import run_folder
from airflow_agentic.trace.record import AttemptRecord, FailureRecord, RunKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

ECHO = '{type: python, callable: "support.scripted_agents:echo"}'
RUN = RunKey(dag_id="d", run_id="r", template_digest="x")


def failure(task_id: str, at: str) -> FailureRecord:
    error = {"type": "MergeError", "message": f"{task_id} is why"}
    return FailureRecord(run=RUN, stage=task_id, task_id=task_id, map_index=-1, try_number=1, at=at, error=error)


def test_the_seal_covers_every_file(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(f"""
stages:
  big: {{agent: {ECHO}, input: {{value: "{"x" * 70_000}"}}}}
  small: {{agent: {ECHO}, input: {{value: "{{{{ big | length }}}}"}}}}
output: {{length: "{{{{ small }}}}"}}
""")
    folder = tmp_path / "trace" / run_folder(ran.dag_id, ran.run_id)
    manifest = json.loads((folder / "manifest.1.json").read_text())
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("manifest")]
    listed = {entry["path"]: entry for entry in manifest["records"]}
    assert sorted(listed) == sorted(str(path.relative_to(folder)) for path in files)
    for path in files:
        entry = listed[str(path.relative_to(folder))]
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["bytes"] == path.stat().st_size
    assert {entry["path"].split("/")[0] for entry in manifest["records"]} == {"attempts", "template", "values"}
    assert manifest["state"] == "success"
    assert [(task["task_id"], task["state"]) for task in manifest["tasks"]][:2] == [
        ("big", "success"),
        ("small", "success"),
    ]
    assert ran.trace.output == {"length": 70_000}


def test_a_stale_serialized_dag_fails_the_run(
    run_dag: Callable[..., Any], run_template: RunTemplate, tmp_path: Path
) -> None:
    """The worker has the new template, the scheduler the DAG of the old one: a stage never runs."""
    text = f"version: 1\nname: stale_plan\nstages:\n  one: {{agent: {ECHO}, input: {{value: 1}}}}\n"
    plan = plan_of(text, tmp_path / "old.yaml")
    dag = build_dag_from_plan(plan)
    finish = dag.task_dict["run__finish"]
    finish.expected = ("one", "added", "run__finish")
    run = run_dag(dag, {})
    assert run.state == "failed"
    folder = tmp_path / "trace" / run_folder(run.dag_id, run.run_id)
    manifest = json.loads((folder / "manifest.1.json").read_text())
    assert manifest["state"] == "failed"
    assert "it lacks added" in manifest["error"]
    assert manifest["tasks"][1] == {
        "task_id": "added",
        "stage": "added",
        "kind": "join",
        "state": None,
        "agent": None,
    }


def test_equal_sets_of_tasks_pass() -> None:
    check_tasks(("a", "b"), {"b": "success", "a": None})


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"a": "success"}, "it lacks b."),
        ({"a": None, "b": None, "z": "removed", "c": None}, "it has also c, z."),
        ({"a": None, "c": None}, "it lacks b; it has also c."),
    ],
)
def test_other_sets_do_not(states: dict[str, str | None], said: str) -> None:
    with pytest.raises(PlanMismatchError, match=said):
        check_tasks(("a", "b"), states)


@pytest.mark.parametrize(
    ("states", "readers", "expected"),
    [
        ({"a": "success", "b": "skipped"}, {}, []),
        ({"a": "failed"}, {}, ["a"]),
        ({"a": "failed"}, {"a": {}}, ["a"]),
        ({"a": "failed", "m": "success"}, {"a": {"m": "merge"}}, []),
        ({"a": "failed", "m": "skipped"}, {"a": {"m": "merge"}}, ["a"]),
        ({"a": "failed", "m": "failed"}, {"a": {"m": "merge"}}, ["a", "m"]),
        ({"a": "failed", "m": "success", "x": "upstream_failed"}, {"a": {"m": "merge", "x": "stage"}}, ["a", "x"]),
        ({"a": "failed", "m": "success"}, {"a": {"m": "merge", "output": "stage"}}, ["a"]),
        ({"a": "failed", "m": "success", "n": "success"}, {"a": {"m": "merge", "n": "merge"}}, []),
    ],
)
def test_which_failures_are_handled(
    states: dict[str, str | None], readers: dict[str, dict[str, str]], expected: list[str]
) -> None:
    assert failed_tasks(states, readers) == expected


def test_the_message_begins_with_what_failed_first() -> None:
    message = failure_message(["b", "a", "c"], {"b": failure("b", "2026-01-02"), "a": failure("a", "2026-01-01")})
    assert message.splitlines() == [
        "The run failed: 'a' failed: a is why",
        "Also: 'b' failed: b is why",
        "Not run because of it: c.",
    ]


def test_the_message_copes_with_what_left_no_record() -> None:
    assert "left no record" in failure_message(["a"], {"a": None})
    attempt = AttemptRecord(
        run=RUN, stage="a", task_id="a", map_index=-1, try_number=1, attempt=2, round=1, item=None,
        agent={"name": "x", "type": "python"}, state="killed", started="", ended="", seconds=1.0, input={},
    )  # fmt: skip
    assert "'a' was stopped during attempt 2" in failure_message(["a"], {"a": attempt})
    failed = replace(attempt, state="failed", error={"kind": "timeout", "message": "too slow"})
    assert "'a' failed in attempt 2 (timeout): too slow" in failure_message(["a"], {"a": failed})


def test_an_output_that_can_not_be_rendered_fails_the_run(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, input: {{value: {{a: 1}}}}}}
output: {{result: "{{{{ one.b }}}}"}}
""")
    assert ran.state == "failed"
    assert (ran.trace.error or "").startswith("output.result: 'b' is undefined")
    assert ran.trace.stages[0].state == "success"

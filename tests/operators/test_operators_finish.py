"""The run's last task: judging and sealing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.plans import planned
from support.template_runs import plan_of

from airflow_agentic.errors import PlanMismatchError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.operators.verdict import (
    Cause,
    check_tasks,
    culprits,
    failure_message,
    instances_of,
    unhandled,
)
from airflow_agentic.trace.layout import run_folder
from airflow_agentic.trace.record import AttemptRecord, FailureRecord, RunKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

ECHO = '{type: python, callable: "support.scripted_agents:echo"}'
FAIL = '{type: python, callable: "support.scripted_agents:fail"}'
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
    assert {entry["path"].split("/")[0] for entry in manifest["records"]} == {
        *("attempts", "begin", "summary.1.json", "template", "values")
    }
    seal = hashlib.sha256((folder / "manifest.1.json").read_bytes()).hexdigest()
    assert (folder / "manifest.1.sha256").read_text() == f"{seal}  manifest.1.json\n"
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
    finish.tasks = (plan.tasks[0], planned("added", "join"), plan.tasks[1])
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
        "rounds": [],
        "instances": None,
    }


TASKS = (
    planned("a", "agent"),
    planned("v.items", "items"),
    planned("v.item", "item", config={"agent": "x"}),
    planned("p.x", "agent", mapped="p"),
)


@pytest.mark.parametrize(
    "states",
    [
        {"a": "success", "v.items": "success", "v.item_0": "success", "v.item_1": "failed", "p.x_0": "success"},
        {"a": None, "v.items": "skipped", "v.item": "skipped", "p.x": "skipped"},
        {"a": None, "v.items": "success", "v.item": "skipped", "p.x_11": None},
    ],
)
def test_equal_sets_of_tasks_pass(states: dict[str, str | None]) -> None:
    check_tasks(TASKS, states)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"a": "success", "v.item": None, "p.x": None}, "it lacks v.items."),
        ({"a": None, "v.items": None, "v.item_0": None}, "it lacks p.x."),
        ({"a": None, "v.items": None, "v.item": None, "p.x": None, "z": "removed", "c": None}, "it has also c, z."),
        ({"v.items": None, "v.item": None, "p.x": None, "a_1": None}, "it lacks a; it has also a_1."),
    ],
)
def test_other_sets_do_not(states: dict[str, str | None], said: str) -> None:
    with pytest.raises(PlanMismatchError, match=re.escape(said)):
        check_tasks(TASKS, states)


def test_a_task_and_an_instance_of_another_are_told_apart_by_the_plan() -> None:
    tasks = (planned("v", "item"), planned("v_1", "agent"))
    assert instances_of(tasks, {"v_0": "failed", "v_1": "success"}) == {
        "v": {"v_0": "failed"},
        "v_1": {"v_1": "success"},
    }


def judged(task: str, *, route: str | None = None, tasks: tuple[str, ...] = (), **readers: str) -> dict[str, Any]:
    return {"task": task, "stage": task, "tasks": [*tasks, task], "route": route, "readers": readers}


@pytest.mark.parametrize(
    ("states", "entries", "expected"),
    [
        ({"a": "success", "b": "skipped"}, [judged("a"), judged("b")], []),
        ({"a": "failed"}, [judged("a")], ["a"]),
        ({"a": "failed", "m": "success"}, [judged("a", m="merge"), judged("m")], []),
        ({"a": "failed", "m": "skipped"}, [judged("a", m="merge"), judged("m")], ["a"]),
        ({"a": "failed", "m": "failed"}, [judged("a", m="merge"), judged("m")], ["a", "m"]),
        (
            {"a": "failed", "m": "success", "x": "upstream_failed"},
            [judged("a", m="merge", x="stage"), judged("m"), judged("x")],
            ["a", "x"],
        ),
        ({"a": "failed", "m": "success"}, [judged("a", m="merge", output="stage")], ["a"]),
        ({"a": "failed", "m": "success", "n": "success"}, [judged("a", m="merge", n="merge")], []),
        # routed
        ({"a": "failed", "r": "success"}, [judged("a", route="r", x="stage")], []),
        ({"a": "failed", "r": "failed"}, [judged("a", route="r"), judged("r")], ["a", "r"]),
        ({"a": "upstream_failed", "r": "skipped"}, [judged("a", route="r"), judged("r")], ["a"]),
        # the tasks of single items don't count, nor does what isn't judged at all
        ({"c": "success", "i_0": "failed", "other": "failed"}, [judged("c", tasks=("i",))], []),
    ],
)
def test_which_failures_are_handled(
    states: dict[str, str | None], entries: list[dict[str, Any]], expected: list[str]
) -> None:
    assert [entry["task"] for entry in unhandled(entries, states)] == expected


def test_a_stage_of_several_tasks_fails_by_its_last_or_by_what_stopped_that() -> None:
    entry = judged("c", tasks=("items",))
    assert culprits(entry, {"items": "success", "c": "failed"}) == ["c"]
    assert culprits(entry, {"items": "failed", "c": "upstream_failed"}) == ["items"]
    assert culprits(entry, {"items": "upstream_failed", "c": "upstream_failed"}) == []


def cause(task_id: str, record: Any = None, stage: str | None = None) -> Cause:
    return Cause(task_id=task_id, stage=stage or task_id, record=record)


def test_the_message_begins_with_what_failed_first() -> None:
    causes = [cause("b", failure("b", "2026-01-02")), cause("a", failure("a", "2026-01-01"))]
    message = failure_message("run", [judged("b"), judged("a"), judged("c")], causes)
    assert message.splitlines() == [
        "The run failed: 'a' failed: a is why",
        "Also: 'b' failed: b is why",
        "Not run because of it: c.",
    ]


def test_the_message_tells_each_failure_once() -> None:
    route = replace(failure("a__route", "2026-01-02"), error={"type": "UnhandledError", "message": "a is why"})
    unrun = replace(failure("x", "2026-01-02"), error={"type": "NotRunError", "message": "not run"})
    entries = [judged("a"), {**judged("a__route"), "stage": "a"}, judged("x")]
    causes = [cause("a", failure("a", "2026-01-01")), cause("a__route", route, "a"), cause("x", unrun)]
    assert failure_message("run", entries, causes).splitlines() == [
        "The run failed: 'a' failed: a is why",
        "Not run because of it: x.",
    ]


def test_a_decision_to_fail_speaks_for_itself() -> None:
    record = replace(failure("qa__fail", "2026-01-01"), error={"type": "DecidedFailure", "message": "Decided."})
    causes = [cause("draft__3.qa__fail", record, "qa")]
    assert failure_message("run", [judged("draft__3.qa__fail")], causes).splitlines()[0] == "The run failed: Decided."


def test_the_message_copes_with_what_left_no_record() -> None:
    assert "left no record" in failure_message("run", [judged("a")], [cause("a")])
    attempt = AttemptRecord(
        run=RUN, stage="a", task_id="a", map_index=-1, try_number=1, attempt=2, round=1, item=None,
        agent={"name": "x", "type": "python"}, state="killed", started="", ended="", seconds=1.0, input={},
    )  # fmt: skip
    assert "'a' was stopped during attempt 2" in failure_message("run", [judged("a")], [cause("a", attempt)])
    failed = replace(attempt, state="failed", error={"kind": "timeout", "message": "too slow"})
    message = failure_message("pipeline 'p'", [judged("a")], [cause("d__2.a", failed, "a")])
    assert message == "The pipeline 'p' failed: 'a' (d__2.a) failed in attempt 2 (timeout): too slow"


def test_an_output_that_can_not_be_rendered_fails_the_run(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, input: {{value: {{a: 1}}}}}}
output: {{result: "{{{{ one.b }}}}"}}
""")
    assert ran.state == "failed"
    assert (ran.trace.error or "").startswith("output.result: 'b' is undefined")
    assert ran.trace.stages[0].state == "success"


def test_who_is_told_about_a_failed_stage_is_no_reader_of_it(run_template: RunTemplate) -> None:
    ran = run_template(f"""
notify:
  on_failure: [{{notifier: support.notifiers.FileNotifier, file: /nowhere, text: "{{{{ b | default('-') }}}}"}}]
stages:
  a: {{agent: {ECHO}, input: {{value: 1}}}}
  b: {{agent: {FAIL}, retry: {{attempts: 1}}}}
  some: {{merge: {{from: [a, b], how: list, require: 1}}}}
""")
    assert ran.states["b"] == "failed"
    assert ran.state == "success", ran.trace.error


def test_a_decision_to_fail_is_the_reason_of_the_run(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  draft: {{agent: {ECHO}, input: {{value: "{{{{ round }}}}"}}}}
  qa:
    agent: {ECHO}
    input: {{value: "{{{{ draft }}}}"}}
    routes: [{{when: qa > 5, to: next}}, {{back_to: draft, max_rounds: 2}}]
  use: {{agent: {ECHO}, input: {{value: "{{{{ qa }}}}"}}}}
""")
    assert (ran.state, ran.states["use"]) == ("failed", "skipped")
    assert ran.trace.error == "The run failed: Stage 'qa' decided to fail in round 2 of 2: rounds are used up."


def test_a_failure_that_was_routed_is_handled(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {FAIL}, retry: {{attempts: 1}}, input: {{message: a is down}}, on_error: {{to: help}}}}
  b: {{agent: {ECHO}, input: {{value: "{{{{ a }}}}"}}}}
  help: {{agent: {ECHO}, input: {{value: "{{{{ error.stage }}}}: {{{{ error.kind }}}}"}}}}
output: {{result: "{{{{ help | default('-') }}}}"}}
""")
    assert (ran.states["a"], ran.states["b"], ran.state) == ("failed", "skipped", "success")
    assert ran.output() == {"result": "a: bug"}


def test_a_failure_that_no_route_is_for_fails_the_run_once(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a:
    agent: {FAIL}
    retry: {{attempts: 1}}
    input: {{message: a is down}}
    on_error: {{to: help, kinds: [timeout]}}
  b: {{agent: {ECHO}, input: {{value: "{{{{ a }}}}"}}}}
  help: {{agent: {ECHO}, input: {{value: 1}}}}
""")
    assert ran.state == "failed"
    error = ran.trace.error or ""
    assert error.count("a is down") == 1, error
    assert error.splitlines()[1:] == ["Not run because of it: b, help."]

"""A run's trace from its records alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.records import RUN, answer, artifact, at, attempt, failed_attempt, failure, merge

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.document import UsageTrace, from_data, to_data
from airflow_agentic.trace.manifest import Manifest, TaskState, inventory, manifest_from_data
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.record import Record


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(str(tmp_path))


def traced(store: TraceStore, *records: Record) -> Trace:
    for record in records:
        store.write(record)
    return assembled(RUN.dag_id, RUN.run_id, store=store)


def seal(store: TraceStore, number: int = 1, *tasks: TaskState, **more: Any) -> None:
    given: dict[str, Any] = {"state": "success", "error": None, "output": {"x": 1}, **more}
    manifest = Manifest(run=RUN, try_number=number, sealed=at(50), tasks=tasks, records=inventory(store, RUN), **given)
    assert manifest_from_data(json.loads(json.dumps(manifest.to_data()))) == manifest
    store.write_manifest(RUN, number, manifest.to_data())


def task(name: str, state: str, kind: str = "agent") -> TaskState:
    return TaskState(task_id=name, stage=name, kind=kind, state=state, agent="writer" if kind == "agent" else None)


def test_a_stage_adds_up_its_attempts(store: TraceStore) -> None:
    trace = traced(
        store,
        failed_attempt(number=1, wait=2.5, tokens={"input": 10, "output": None}, cost_usd=0.1, model="m-1"),
        attempt(number=2, second=4, tokens={"input": 11, "output": 5}, cost_usd=0.2),
    )
    [stage] = trace.stages
    assert (stage.state, stage.tries, stage.seconds, stage.waited) == ("success", 2, 2.0, 2.5)
    used = UsageTrace(calls=2, input_tokens=21, output_tokens=5, cost_usd=pytest.approx(0.3))
    assert (stage.usage, stage.model, stage.attempts) == (used, "m-1", ("attempt-draft.-1.1.1", "attempt-draft.-1.1.2"))
    assert (stage.agent, stage.error, stage.started, stage.ended) == ("writer", None, at(0), at(5))
    assert (trace.state, trace.started, trace.ended, trace.usage) == ("running", at(0), None, stage.usage)
    assert trace.template_digest == "d1"


def test_a_run_without_a_seal_is_told_as_far_as_it_goes(store: TraceStore) -> None:
    trace = traced(
        store,
        attempt("one"),
        failed_attempt("two", wait=60.0, second=1),
        failed_attempt("three", second=2),
        attempt("four", state="killed", second=3),
        failure("five", second=4),
        merge("six", second=5),
    )
    assert [(stage.stage, stage.state) for stage in trace.stages] == [
        ("one", "success"),
        ("two", "retrying"),
        ("three", "failed"),
        ("four", "killed"),
        ("five", "failed"),
        ("six", "success"),
    ]
    assert trace.stages[2].error == {"kind": "unavailable", "message": "no answer"}
    assert trace.stages[4].error == {"kind": "ExpressionError", "message": "it broke"}
    assert (trace.stages[5].kind, trace.stages[5].seconds, trace.stages[5].usage) == ("merge", 0.5, UsageTrace())
    assert trace.state == "running"


def test_a_stage_adds_up_what_was_done_before_its_task_was_cleared(store: TraceStore) -> None:
    trace = traced(
        store,
        failed_attempt(number=1, wait=1.0, cost_usd=1.0),
        failed_attempt(number=2, second=2, cost_usd=1.0),
        attempt(number=1, try_number=2, second=4, cost_usd=1.0),
    )
    [stage] = trace.stages
    assert (stage.tries, stage.usage.cost_usd, stage.started, stage.error) == (3, 3.0, at(0), None)
    assert trace.usage.cost_usd == 3.0
    assert [(error.ref, error.then) for error in trace.errors] == [
        ("attempt-draft.-1.1.1", "retried"),
        ("attempt-draft.-1.1.2", "stage failed"),
    ]


def test_an_attempt_repeated_after_a_kill_is_of_the_same_life(store: TraceStore) -> None:
    trace = traced(store, attempt(state="killed"), attempt(try_number=2, second=2))
    assert trace.stages[0].tries == 2


def test_a_sealed_run_is_told_in_the_plans_order(store: TraceStore) -> None:
    store.write(attempt("late", second=9))
    store.write(merge("all", second=3))
    store.write(artifact(second=10))
    seal(
        store,
        1,
        task("never", "skipped"),
        task("late", "success"),
        task("late__opt", "success", "join"),
        task("all", "success", "merge"),
        task("artifact", "success", "artifact"),
        task("run__finish", "running", "finish"),
    )
    trace = traced(store)
    assert [(stage.stage, stage.state, stage.tries) for stage in trace.stages] == [
        ("never", "skipped", 0),
        ("late", "success", 1),
        ("all", "success", 1),
        ("artifact", "success", 1),
    ]
    assert (trace.state, trace.output, trace.error) == ("success", {"x": 1}, None)
    [written] = trace.artifacts
    assert (written.task_id, written.uri, written.content) == ("artifact", "file:///briefs/tea.md", None)
    assert written.problem is not None
    assert written.problem in trace.problems
    assert from_data(json.loads(json.dumps(to_data(trace)))) == trace


def test_a_record_after_the_seal_reopens_the_run(store: TraceStore) -> None:
    store.write(failed_attempt())
    seal(store, 1, task("draft", "failed"), state="failed", error="it failed", output=None)
    assert traced(store).error == "it failed"
    reopened = traced(store, attempt(try_number=2, second=5))
    assert (reopened.state, reopened.error, reopened.stages[0].state) == ("running", None, "success")
    seal(store, 2, task("draft", "success"))
    assert traced(store).state == "success"


def test_an_error_of_an_earlier_try_is_not_the_error_of_a_success(store: TraceStore) -> None:
    store.write(failure(second=0))
    store.write(attempt(try_number=2, second=1))
    seal(store, 1, task("draft", "success"))
    assert traced(store).stages[0].error is None


def test_no_records_is_an_error(store: TraceStore) -> None:
    with pytest.raises(TraceError, match="no records of the run 'none' of 'briefs'"):
        assembled("briefs", "none", store=store)


@pytest.mark.parametrize("data", [{}, {"format": 1, "kind": "attempt"}, {"format": 1, "kind": "manifest"}])
def test_what_is_no_manifest_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(TraceError, match=r"not a (whole )?manifest"):
        manifest_from_data(data)


def test_the_inventory_has_large_values_by_their_name(store: TraceStore) -> None:
    store.write(attempt(output="x" * 100_000))
    store.write_template(RUN, "version: 1\n")
    entries = {entry["path"].partition("/")[0]: entry for entry in inventory(store, RUN)}
    assert sorted(entries) == ["attempts", "template", "values"]
    assert entries["values"]["path"] == f"values/{entries['values']['sha256']}.json"
    assert entries["values"]["bytes"] == 100_002


def of_loop(name: str, state: str, kind: str = "agent", number: int = 1, **more: Any) -> TaskState:
    return TaskState(
        **{"task_id": f"l__{number}.{name}", "stage": name.partition(".")[0], "agent": None, **more},
        kind=kind,
        state=state,
        rounds=(number,),
    )


def test_a_stage_is_a_row_per_round_that_ran(store: TraceStore) -> None:
    store.write(attempt("l__1.draft"))
    store.write(attempt("l__2.draft", second=2))
    seal(
        store,
        1,
        *(of_loop("draft", "success" if number < 3 else "skipped", number=number) for number in (1, 2, 3)),
        *(of_loop("qa", "skipped", number=number) for number in (1, 2)),
        *(of_loop("late", "upstream_failed" if number == 2 else "skipped", number=number) for number in (1, 2, 3)),
        task("draft__route", "success", "route"),
        task("draft__fail", "skipped", "fail"),
    )
    stages = assembled(RUN.dag_id, RUN.run_id, store=store).stages
    assert [(stage.name, stage.state, stage.tries) for stage in stages] == [
        ("draft (round 1)", "success", 1),
        ("draft (round 2)", "success", 1),
        ("qa (round 1)", "skipped", 0),
        ("late (round 2)", "upstream_failed", 0),
    ]


def test_a_fan_out_is_one_row(store: TraceStore) -> None:
    for index, state in enumerate(("success", "failed", "success")):
        item = {"index": index, "value": index}
        store.write(attempt("verify.item", item=item, map_index=index // 2, state=state, second=index, cost_usd=0.5))
    seal(
        store,
        1,
        TaskState(task_id="verify.items", stage="verify", kind="items", state="success"),
        TaskState(
            task_id="verify.item",
            stage="verify",
            kind="item",
            state="success",
            agent="writer",
            instances={"success": 2},
        ),
        TaskState(task_id="verify.done", stage="verify", kind="join", state="success"),
        TaskState(task_id="verify.collect", stage="verify", kind="collect", state="success"),
    )
    [stage] = assembled(RUN.dag_id, RUN.run_id, store=store).stages
    assert (stage.kind, stage.agent, stage.state) == ("agent", "writer", "success")
    assert (stage.tries, stage.usage.cost_usd, stage.items) == (3, 1.5, {"total": 3, "failed": 1, "recovered": 0})


def test_a_list_that_failed_is_its_stages_failure(store: TraceStore) -> None:
    store.write(failure("verify.items"))
    seal(
        store,
        1,
        TaskState(task_id="verify.items", stage="verify", kind="items", state="failed"),
        TaskState(task_id="verify.item", stage="verify", kind="item", state="upstream_failed", agent="writer"),
        TaskState(task_id="verify.collect", stage="verify", kind="collect", state="upstream_failed"),
        state="failed",
    )
    [stage] = assembled(RUN.dag_id, RUN.run_id, store=store).stages
    assert (stage.state, stage.error) == ("failed", {"kind": "ExpressionError", "message": "it broke"})


def test_an_answer_is_waited_for(store: TraceStore) -> None:
    store.write(answer("ask", waited=9))
    store.write(answer("ask", second=20, waited=30, try_number=2))
    for index, seconds in enumerate((1, 2)):
        store.write(answer("each.item", map_index=index, waited=seconds))
    found = {stage.stage: stage for stage in assembled(RUN.dag_id, RUN.run_id, store=store).stages}
    # the first answer was cleared
    assert {name: stage.waited for name, stage in found.items()} == {"ask": 39, "each.item": 3}
    assert found["ask"].seconds == 0


def test_a_pipeline_for_each_item_is_a_row_beside_those_of_its_stages(store: TraceStore) -> None:
    counts = {"success": 3, "failed": 1}
    seal(
        store,
        1,
        TaskState(task_id="clause.items", stage="clause", kind="items", state="success"),
        TaskState(task_id="clause.item.start", stage="clause", kind="start", state="success", instances={"success": 4}),
        TaskState(task_id="clause.item.vote", stage="clause.vote", kind="merge", state="failed", instances=counts),
        TaskState(
            task_id="clause.item.lawyer",
            stage="clause.lawyer",
            kind="human",
            state="success",
            instances={"success": 1, "skipped": 3},
        ),
        TaskState(task_id="clause.item.result", stage="clause", kind="result", state="failed", instances=counts),
        TaskState(task_id="clause.collect", stage="clause", kind="collect", state="success"),
    )
    found = {stage.stage: stage for stage in assembled(RUN.dag_id, RUN.run_id, store=store).stages}
    assert {name: (stage.kind, stage.state, stage.items) for name, stage in found.items()} == {
        "clause": ("pipeline", "success", {"total": 4, "failed": 1, "recovered": 0}),
        "clause.vote": ("merge", "failed", {"total": 4, "failed": 1, "recovered": 0}),
        "clause.lawyer": ("human", "success", {"total": 1, "failed": 0, "recovered": 0}),
    }

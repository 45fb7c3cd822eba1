"""The tasks that begin and end an inner pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException
from hypothesis import given
from hypothesis import strategies as st
from support.peers import FakeTaskInstance, context
from support.plans import planned
from support.records import failure

from airflow_agentic.errors import InputError, NotRunError
from airflow_agentic.operators.result import PipelineFailedError, ResultOperator
from airflow_agentic.operators.start import StartOperator, checked_inputs
from airflow_agentic.operators.turns import LONGEST_WAIT, SHORTEST_WAIT, at_work, seconds_to_wait
from airflow_agentic.trace.record import FailureRecord, RunKey
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

INPUTS: dict[str, Any] = {
    "text": {"schema": {"type": "string"}, "required": True, "description": None},
    "limit": {"schema": {"type": "integer"}, "required": False, "default": 3, "description": None},
    "any": {"schema": {}, "required": False, "default": None, "description": None},
}


@pytest.fixture(autouse=True)
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    return TraceStore()


# ---- inputs


def test_inputs_are_checked_and_filled_in() -> None:
    assert checked_inputs("s", INPUTS, {"any": [1], "text": "x"}) == {"text": "x", "limit": 3, "any": [1]}


def test_all_that_is_wrong_with_inputs_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        checked_inputs("s", INPUTS, {"limit": "many", "typo": 1})
    assert str(caught.value) == (
        "The pipeline of stage 's' can't take this input: typo: there is no such input; text: is required; "
        "limit: 'many' is not of type 'integer'."
    )


def start(**more: Any) -> StartOperator:
    config = {
        "input": {"text": "{{ item.t | default(draft) }}", "limit": "{{ index | default(9) }}"},
        "inputs": INPUTS,
        "when": None,
        "max_parallel": None,
        "items": None,
        "result": "p.result",
        **more.pop("config", {}),
    }
    operator: StartOperator = StartOperator.of(planned("p.start", "start", config=config, **more), "d")
    return operator


def test_a_pipeline_is_given_its_input() -> None:
    ti = FakeTaskInstance({"draft": "success"}, {"draft": {"return_value": "words"}})
    start(reads={"draft": ("draft",)}, rounds=(2,)).execute(context(ti))
    assert ti.pushed["return_value"] == {"text": "words", "limit": 9, "any": None}
    assert ti.pushed["agentic"]["round"] == 2


def test_a_pipeline_of_a_list_is_given_its_item() -> None:
    items = [{"index": 0, "item": {"t": "a"}}, {"$json": '{"index": 1, "item": {"t": "b", "__x": 1}}'}]
    ti = FakeTaskInstance({"p.items": "success"}, {"p.items": {"return_value": items}}, map_index=1)
    start(config={"items": "p.items"}, mapped="p.item").execute(context(ti))
    assert ti.pushed["return_value"] == {"text": "b", "limit": 1, "any": None}


def test_a_condition_that_is_false_skips_the_pipeline() -> None:
    with pytest.raises(AirflowSkipException):
        start(config={"when": "false"}).execute(context(FakeTaskInstance()))


# ---- turns


def test_a_start_waits_while_enough_pipelines_are_at_work() -> None:
    states: dict[Any, Any] = {("p.start", 0): "success", ("p.start", 1): "success", ("p.start", 2): "running"}
    ti = FakeTaskInstance({**states, ("p.result", 0): None}, map_index=2)
    ti.get_first_reschedule_date = lambda _context: None  # type: ignore[attr-defined]
    own = start(config={"max_parallel": 2, "items": "p.items"}, mapped="p")
    with pytest.raises(AirflowRescheduleException) as caught:
        own.execute(context(ti))
    wait = caught.value.reschedule_date - datetime.now(tz=UTC)
    assert timedelta(seconds=SHORTEST_WAIT - 1) < wait <= timedelta(seconds=SHORTEST_WAIT)
    assert ti.pushed == {}
    ti.states[("p.result", 0)] = "failed"
    ti.states["p.items"] = "success"
    ti.xcoms["p.items"] = {"return_value": [{"index": index, "item": {"t": "x"}} for index in range(3)]}
    own.execute(context(ti))
    assert ti.pushed["return_value"]["limit"] == 2


def test_a_pipeline_is_at_work_from_its_start_to_its_end() -> None:
    states = {
        "s_0": "success",  # ended
        "r_0": "upstream_failed",
        "s_1": "success",  # its end isn't known yet
        "s_2": "success",
        "r_2": "running",
        "s_3": "failed",
        "s_4": "up_for_reschedule",
        "s": "success",
        "s_x": "success",
    }
    assert at_work(states, "s", "r") == 2


def test_who_is_far_behind_asks_seldom() -> None:
    states = {f"s_{index}": "success" if index < 10 else None for index in range(200)}
    assert seconds_to_wait(states, "s", 10, 0.0) == SHORTEST_WAIT
    assert seconds_to_wait(states, "s", 10, 100.0) == SHORTEST_WAIT
    # ten in 100 seconds: twenty more take 200
    assert seconds_to_wait(states, "s", 30, 100.0) == 100.0
    assert seconds_to_wait(states, "s", 199, 1000.0) == LONGEST_WAIT


@given(st.integers(1, 4), st.lists(st.integers(1, 40), min_size=1, max_size=25), st.randoms())
def test_never_more_at_work_than_may_be_and_all_get_their_turn(most: int, lengths: list[int], chance: Any) -> None:
    """Starts one at a time, in any order; each pipeline takes some time; nobody waits for ever."""
    states: dict[str, str | None] = dict.fromkeys(f"s_{index}" for index in range(len(lengths)))
    asked_at = dict.fromkeys(range(len(lengths)), 0.0)
    first: dict[int, float] = {}
    ends: dict[int, float] = {}
    clock = 0.0
    while any(states.get(f"r_{index}") != "success" for index in range(len(lengths))):
        for index in [index for index, end in ends.items() if end <= clock]:
            states[f"r_{index}"] = "success"
        due = [index for index, at in asked_at.items() if at <= clock and states[f"s_{index}"] is None]
        if due:
            index = chance.choice(due)
            first.setdefault(index, clock)
            if at_work(states, "s", "r") < most:
                states[f"s_{index}"] = "success"
                ends[index] = clock + lengths[index]
            else:
                asked_at[index] = clock + seconds_to_wait(states, "s", index, clock - first[index])
        assert at_work(states, "s", "r") <= most
        clock += 0.5
        assert clock < 20 * sum(lengths) + 1000
    assert len(ends) == len(lengths)


# ---- results


def judged(task: str, **more: Any) -> dict[str, Any]:
    return {"task": task, "stage": task, "tasks": [task], "route": None, "readers": {}, **more}


def result(*entries: dict[str, Any], **more: Any) -> ResultOperator:
    config = {"output": {"answer": "{{ x.n | default(0) }}"}, "judged": list(entries), "recover": [], "items": None}
    own = planned(
        "p.result",
        "result",
        "p.start",
        stage="p",
        inputs="p.start",
        reads={"x": ("p.x1", "p.x2")},
        config={**config, **more.pop("config", {})},
        **more,
    )
    begin = planned(
        "p.start", "start", reads={"outer": ("outer",)}, config={"items": "list"} if own.mapped else {"items": None}
    )
    operator: ResultOperator = ResultOperator.of(own, "d", tasks=(begin, own))
    return operator


STARTED: dict[str, Any] = {"p.start": {"return_value": {}}}


def test_the_output_is_made_from_what_ran_inside() -> None:
    ti = FakeTaskInstance(
        {"p.start": "success", "p.x1": "success", "p.x2": "skipped"}, {**STARTED, "p.x1": {"return_value": {"n": 5}}}
    )
    result(judged("p.x1"), judged("p.x2")).execute(context(ti))
    assert ti.pushed["return_value"] == {"answer": 5}


def test_in_a_mapped_group_it_is_made_for_the_item() -> None:
    ti = FakeTaskInstance(
        {("p.start", 3): "success", ("p.x1", 3): "success", ("p.x1", 2): "failed"},
        {("p.start", 3): {"return_value": {}}, ("p.x1", 3): {"return_value": {"n": 5}}},
        map_index=3,
    )
    result(judged("p.x1"), judged("p.x2"), mapped="p").execute(context(ti))
    assert ti.pushed["return_value"] == {"answer": 5}


FAILED = {"p.start": "success", "p.x1": "failed", "p.x2": "upstream_failed"}


def test_a_failure_inside_that_nobody_handled_fails_the_stage(trace: TraceStore) -> None:
    own = result(judged("p.x1"), judged("p.x2"))
    run = RunKey(dag_id=own.dag_id, run_id="r", template_digest="d")
    trace.write(FailureRecord(**{**vars(failure("p.x1", message="it broke")), "run": run}))
    ti = FakeTaskInstance(dict(FAILED), STARTED)
    with pytest.raises(PipelineFailedError) as caught:
        own.execute(context(ti))
    message = "The pipeline 'p' failed: 'p.x1' failed: it broke\nNot run because of it: p.x2."
    assert str(caught.value) == message
    assert ti.pushed["agentic_error"] == {"stage": "p", "kind": "failed", "message": message}


def test_a_value_may_stand_in_for_the_pipeline(trace: TraceStore) -> None:
    recover = [{"kinds": ["timeout"], "value": 1}, {"kinds": ["failed"], "value": {"answer": "none"}}]
    ti = FakeTaskInstance({**FAILED, "outer": "success"}, STARTED)
    own = result(judged("p.x1"), config={"recover": recover})
    own.execute(context(ti))
    assert (ti.pushed["return_value"], ti.pushed["agentic"]["recovered"]) == ({"answer": "none"}, "value")
    [record] = trace.records(own.dag_id, "r").values()
    assert isinstance(record, FailureRecord)
    assert record.recovered


def test_the_value_reads_what_the_stage_reads_not_what_is_inside() -> None:
    recover = [{"kinds": [], "value": {"answer": "{{ outer }} {{ x | default('-') }} {{ inputs.n | default('-') }}"}}]
    ti = FakeTaskInstance({**FAILED, "outer": "success"}, {**STARTED, "outer": {"return_value": "from outside"}})
    result(judged("p.x1"), config={"recover": recover}).execute(context(ti))
    assert ti.pushed["return_value"] == {"answer": "from outside - -"}


def test_the_value_for_an_item_reads_the_item() -> None:
    recover = [{"kinds": [], "value": {"answer": "{{ item }}"}}]
    items = {"list": {"return_value": [{"index": 0, "item": "a"}, {"index": 1, "item": "b"}]}}
    states: dict[Any, Any] = {("p.start", 1): "success", ("p.x1", 1): "failed", "list": "success", "outer": "success"}
    ti = FakeTaskInstance(states, {**items, ("p.start", 1): {"return_value": {}}}, map_index=1)
    result(judged("p.x1"), config={"recover": recover}, mapped="p").execute(context(ti))
    assert ti.pushed["return_value"] == {"answer": "b"}


def test_a_failure_that_was_routed_inside_is_none() -> None:
    ti = FakeTaskInstance({**FAILED, "p.x2": "skipped", "p.r": "success"}, STARTED)
    result(judged("p.x1", route="p.r"), judged("p.x2")).execute(context(ti))
    assert ti.pushed["return_value"] == {"answer": 0}


def test_a_pipeline_that_was_not_begun_is_not_ended() -> None:
    with pytest.raises(AirflowSkipException):
        result(judged("p.x1")).execute(context(FakeTaskInstance({"p.start": "skipped", "p.x1": "skipped"})))
    with pytest.raises(NotRunError):
        result(judged("p.x1")).execute(context(FakeTaskInstance({"p.start": "upstream_failed"})))


def test_an_input_that_is_refused_fails_the_stage() -> None:
    ti = FakeTaskInstance({"p.start": "failed", "p.x1": "upstream_failed"}, {"p.start": {"agentic_error": None}})
    with pytest.raises(PipelineFailedError, match=r"The pipeline 'p' failed: 'p' \(p\.start\) failed"):
        result(judged("p.x1")).execute(context(ti))

"""What a task's texts can read, and how often the API server is asked for it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowSkipException
from support.peers import FakeTaskInstance, context, dag_run
from support.plans import planned

from airflow_agentic.errors import NotRunError
from airflow_agentic.operators.base import PlannedOperator
from airflow_agentic.operators.peers import Peers
from airflow_agentic.operators.scope import build_scope, run_info
from airflow_agentic.operators.xcom import MOST_NAMED, task_states


def output(value: Any) -> dict[str, Any]:
    return {"return_value": value, "agentic": {"attempt": 1}}


def decision(outcome: str, **back: Any) -> dict[str, Any]:
    return {"agentic_decision": {"outcome": outcome, "with": back, "error": None}}


# ---- stages


def test_only_what_is_read_and_there_is_pulled() -> None:
    ti = FakeTaskInstance(
        {"a": "success", "b": "skipped", "c": "success", "d": "success"}, {"a": output(1), "c": output(None)}
    )
    task = planned("x", "agent", reads={"a": ("a",), "b": ("b",), "c": ("c",)}, guarded=("b", "c"))
    scope = build_scope(context(ti), task)
    assert {name: scope.values[name] for name in scope.tasks} == {"a": 1, "c": None}
    assert ti.calls == ["states", "a", "c", "c:agentic"]


def test_what_always_ran_costs_no_question() -> None:
    ti = FakeTaskInstance({"a": "success"}, {"a": output(1)})
    build_scope(context(ti), planned("x", "agent", reads={"a": ("a",)}))
    assert ti.calls == ["a"]


def test_a_task_that_was_only_marked_as_successful_has_no_output() -> None:
    ti = FakeTaskInstance({"a": "success"})
    assert "a" not in build_scope(context(ti), planned("x", "agent", reads={"a": ("a",)})).values


def test_of_several_rounds_the_last_that_ran_counts_in_two_calls() -> None:
    ti = FakeTaskInstance({"a1": "success", "a2": "success", "a3": "skipped"}, {"a1": output(1), "a2": output(2)})
    scope = build_scope(context(ti), planned("x", "agent", reads={"a": ("a1", "a2", "a3")}))
    assert (scope.values["a"], scope.tasks) == (2, {"a": "a2"})
    assert ti.calls == ["states", "a2"]


# ---- inputs and the run


def test_inputs_are_those_that_the_template_declares() -> None:
    dag = DAG("d", params={"topic": Param("tea", type="string")})
    scope = build_scope(
        context(FakeTaskInstance(), dag=dag, params={"topic": "tea", "stray": 1}), planned("x", "agent")
    )
    assert scope.values["inputs"] == {"topic": "tea"}


def test_in_a_pipeline_inputs_are_what_it_was_given() -> None:
    ti = FakeTaskInstance({"p.start": "success"}, {"p.start": output({"clause": "§ 1"})})
    scope = build_scope(context(ti), planned("p.x", "agent", inputs="p.start"))
    assert scope.values["inputs"] == {"clause": "§ 1"}


def test_a_run_always_has_a_date() -> None:
    info = run_info(context(None))
    assert (info.date, info.logical_date) == ("2026-05-04T00:00:00+00:00", None)
    dated = run_info(context(None, dag_run=dag_run(logical_date=datetime(2026, 1, 1, tzinfo=UTC))))
    assert dated.date == dated.logical_date == "2026-01-01T00:00:00+00:00"


def test_asset_events_are_found_by_the_uri_that_was_written() -> None:
    def event(uri: str, name: str, minute: int) -> Any:
        asset = SimpleNamespace(uri=uri, name=name)
        time = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
        return SimpleNamespace(
            asset=asset, timestamp=time, extra={"n": minute}, source_dag_id="x", source_run_id="y", source_task_id="z"
        )

    events = [
        event("agentic://briefs/", "agentic://briefs", 2),
        event("agentic://briefs/", "agentic://briefs", 1),
        event("s3://b/k", "named", 3),
    ]
    info = run_info(context(None, dag_run=dag_run(consumed_asset_events=events)))
    assert [found["extra"]["n"] for found in info.assets["agentic://briefs"]] == [1, 2]
    assert list(info.assets) == ["agentic://briefs", "s3://b/k"]


# ---- rounds and failures


def test_outside_of_loops_there_is_no_round() -> None:
    values = build_scope(context(FakeTaskInstance()), planned("x", "agent")).values
    assert values.keys() == {"inputs", "run"}


def test_in_a_first_round_nothing_has_come_back() -> None:
    ti = FakeTaskInstance()
    values = build_scope(context(ti), planned("x", "agent", rounds=(1,))).values
    assert (values["round"], values["feedback"]) == (1, {})
    assert ti.calls == []


def test_feedback_is_of_all_loops_the_inner_over_the_outer() -> None:
    ti = FakeTaskInstance(
        {"o__again": "success", "o": "success", "i1__again": "skipped", "i2__again": "success", "i2": "success"},
        {"o": decision("again", a="outer", b="outer"), "i2": decision("again", b="inner")},
    )
    task = planned(
        "x",
        "agent",
        rounds=(2, 3),
        feedback=((("o__again", "o"),), (("i1__again", "i1"), ("i2__again", "i2"))),
    )
    values = build_scope(context(ti), task).values
    assert (values["round"], values["feedback"]) == (3, {"a": "outer", "b": "inner"})
    assert ti.calls == ["states", "o:agentic_decision", "i2:agentic_decision"]


def test_the_error_is_that_of_the_last_failure_that_led_here() -> None:
    failed = {"agentic_decision": {"outcome": "error_to_x", "with": {}, "error": {"stage": "s", "kind": "timeout"}}}
    task = planned("x", "agent", errors=(("a__arm", "a"), ("b__arm", "b"), ("c__arm", "c")))
    states: dict[Any, str | None] = {"a__arm": "success", "a": "success", "b__arm": "success", "b": "success"}
    ti = FakeTaskInstance({**states, "c__arm": "skipped"}, {"b": failed})
    assert build_scope(context(ti), task).values["error"] == {"stage": "s", "kind": "timeout"}
    assert ti.calls == ["states", "b:agentic_decision"]
    assert "error" not in build_scope(context(FakeTaskInstance()), task).values


# ---- mapped task groups


def test_tasks_of_a_mapped_group_see_each_other_under_their_own_index() -> None:
    ti = FakeTaskInstance(
        {("p.a", 0): "success", ("p.a", 1): "success", ("p.b", 1): "skipped", "out": "success", ("p.s", 1): "success"},
        {("p.a", 0): output("other"), ("p.a", 1): output("mine"), "out": output(3), ("p.s", 1): output({"n": 1})},
        map_index=1,
    )
    reads = {"a": ("p.a",), "b": ("p.b",), "out": ("out",)}
    task = planned("p.x", "agent", mapped="p", inputs="p.s", reads=reads, guarded=("a", "b"))
    values = build_scope(context(ti), task).values
    assert (values["a"], values["out"], values["inputs"]) == ("mine", 3, {"n": 1})
    assert "b" not in values
    assert ti.calls == ["states", "p.s", "p.a", "out"]


def test_in_a_mapped_group_the_decision_stands_for_the_arm() -> None:
    pairs = ((("again", "p.q1__route"), ("again", "p.q2__route")),)
    ti = FakeTaskInstance(
        {("p.q1__route", 4): "success", ("p.q2__route", 4): "success"},
        {("p.q1__route", 4): decision("again", n=1), ("p.q2__route", 4): decision("next", n=2)},
        map_index=4,
    )
    task = planned("p.x", "agent", mapped="p", rounds=(2,), feedback=pairs)
    assert build_scope(context(ti), task).values["feedback"] == {"n": 1}


def test_a_mapped_group_sees_the_decisions_of_a_loop_around_it() -> None:
    ti = FakeTaskInstance({"qa__route": "success"}, {"qa__route": decision("again_draft", n=1)}, map_index=4)
    task = planned("p.start", "start", mapped="p", rounds=(2,), feedback=((("again_draft", "qa__route"),),))
    assert build_scope(context(ti), task).values["feedback"] == {"n": 1}


def test_long_lists_of_tasks_do_not_go_into_a_url() -> None:
    ids = [f"t{number}" for number in range(MOST_NAMED + 1)]
    ti = FakeTaskInstance({**dict.fromkeys(ids, "success"), "other": "failed"})
    asked: list[Any] = []
    original = ti.get_task_states
    ti.get_task_states = lambda **criteria: asked.append(criteria["task_ids"]) or original(**criteria)  # type: ignore[method-assign,func-returns-value]
    assert task_states(ti, ids) == dict.fromkeys(ids, "success")
    assert task_states(ti, ids[1:]).keys() == set(ids[1:])
    assert asked == [None, ids[1:]]


# ---- starting


class Working(PlannedOperator):
    """A task that says that it was started."""

    def work(self, context: Any) -> None:
        context["ti"].xcom_push("worked", True)

    def record_failure(self, context: Any, error: Exception, *, recovered: bool = False) -> None:
        """Not here."""


def started(ti: FakeTaskInstance, formula: Any) -> None:
    Working.of(planned("p.x", "agent", mapped="p", start=formula), "d").execute(context(ti))


ARM = {"arm": "p.q__route", "outcomes": ["go"]}


def test_a_task_that_judges_for_itself_works_when_its_formula_holds() -> None:
    ti = FakeTaskInstance(
        {("p.q__route", 2): "success", ("p.a", 2): "success"}, {("p.q__route", 2): decision("go")}, map_index=2
    )
    started(ti, ["all_success", [ARM, "p.a"]])
    assert ti.pushed == {"worked": True}


def test_it_skips_itself_when_its_formula_does_not() -> None:
    ti = FakeTaskInstance({("p.q__route", 2): "success"}, {("p.q__route", 2): decision("stop")}, map_index=2)
    with pytest.raises(AirflowSkipException):
        started(ti, ["all_success", [ARM]])
    assert ti.pushed == {}


def test_it_fails_as_not_run_after_a_failure() -> None:
    ti = FakeTaskInstance({("p.a", 2): "failed"}, {("p.a", 2): {"agentic_error": {"kind": "bug"}}}, map_index=2)
    with pytest.raises(NotRunError):
        started(ti, ["all_success", ["p.a"]])
    assert ti.pushed["agentic_error"]["kind"] == "not_run"


def test_what_failed_as_not_run_counts_as_upstream_failed() -> None:
    ti = FakeTaskInstance(
        {("p.a", 2): "failed", ("p.b", 2): "failed"}, {("p.a", 2): {"agentic_error": {"kind": "not_run"}}}, map_index=2
    )
    task = planned("p.r", "route", mapped="p", start=["one_done", ["p.a"]])
    assert Peers(ti, task).judged() == "skipped"
    # one that was killed has left no word
    assert Peers(ti, planned("p.r", "route", mapped="p", start=["one_done", ["p.b"]])).judged() == "run"

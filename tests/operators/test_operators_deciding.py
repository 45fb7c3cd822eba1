"""What a route task decides, what it records, and what it has Airflow skip."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from support.peers import FakeTaskInstance, context
from support.plans import planned

from airflow_agentic.errors import AgenticError
from airflow_agentic.operators.deciding import Conditions, UndecidedError, UnhandledError, choose_for
from airflow_agentic.operators.fail import DecidedFailure, FailOperator
from airflow_agentic.operators.route import RouteOperator
from airflow_agentic.template.expressions import ExpressionError
from airflow_agentic.trace.record import DecisionRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.planning.plan import PlannedTask


def route(when: str | None, outcome: str, **more: Any) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "with": {}, "back_to": None, "shown": outcome, **more}


# ---- conditions


def test_the_first_condition_that_holds_decides() -> None:
    conditions = Conditions([route("qa.score >= 1", "good"), route("qa.score > 0.5", "fair"), route(None, "bad")])
    choice = conditions.choose({"qa": {"score": 0.7}})
    assert (choice.outcome, choice.route, choice.shown, choice.feedback) == ("fair", 1, "fair", None)
    assert conditions.as_data() == [
        {"when": "qa.score >= 1", "outcome": "good", "held": False, "values": [{"path": "qa.score", "value": 0.7}]},
        {"when": "qa.score > 0.5", "outcome": "fair", "held": True, "values": [{"path": "qa.score", "value": 0.7}]},
        {"when": None, "outcome": "bad", "held": None, "values": []},
    ]


def test_what_is_undefined_does_not_hold_and_has_no_value() -> None:
    conditions = Conditions([route("qa.flag and inputs.x", "a"), route(None, "b")])
    assert conditions.choose({"qa": {}, "inputs": {"x": 1}}).outcome == "b"
    assert conditions.tried[0]["values"] == [{"path": "qa.flag"}, {"path": "inputs.x", "value": 1}]


def test_of_a_list_the_whole_list_was_seen() -> None:
    conditions = Conditions([route("v.results[0].ok", "a"), route(None, "b")])
    conditions.choose({"v": {"results": [{"ok": True}]}})
    assert conditions.tried[0]["values"] == [{"path": "v.results", "value": [{"ok": True}]}]


def test_a_condition_that_can_not_be_evaluated_is_told_with_what_it_saw() -> None:
    conditions = Conditions([route("qa.score > 1", "a")])
    with pytest.raises(ExpressionError):
        conditions.choose({"qa": {"score": "high"}})
    assert conditions.as_data()[0]["values"] == [{"path": "qa.score", "value": "high"}]
    assert conditions.as_data()[0]["held"] is None


def test_none_that_holds_is_an_error() -> None:
    with pytest.raises(UndecidedError):
        Conditions([route("false", "a")]).choose({})


def test_without_routes_the_next_stages_follow() -> None:
    assert Conditions([]).choose({}).outcome == "next"


@pytest.mark.parametrize(("kind", "outcome"), [("timeout", "slow"), ("bug", "rest"), ("killed", "rest")])
def test_a_failure_goes_where_the_first_entry_for_it_says(kind: str, outcome: str) -> None:
    entries = [{"kinds": ["timeout"], "outcome": "slow", "to": "x"}, {"kinds": [], "outcome": "rest", "to": "y"}]
    assert choose_for({"kind": kind, "message": "m"}, entries).outcome == outcome


def test_a_failure_that_no_entry_is_for_stays_one() -> None:
    with pytest.raises(UnhandledError, match="too slow") as caught:
        choose_for({"kind": "timeout", "message": "too slow"}, [{"kinds": ["bug"], "outcome": "o", "to": "x"}])
    assert caught.value.kind == "timeout"
    assert pickle.loads(pickle.dumps(caught.value)).kind == "timeout"


# ---- the task


def routing(*tasks: PlannedTask, mapped: str | None = None, **more: Any) -> RouteOperator:
    config = {
        "decides": "qa",
        "routes": [
            route("qa.ok", "next"),
            route("qa.again", "again", back_to="draft", **{"with": {"n": "{{ qa.n + 1 }}"}}),
            route(None, "fail"),
        ],
        "error": None,
        "arms": {"next": ["qa__next", "qa__any"], "again": ["qa__again", "qa__any"], "fail": ["qa__fail"]},
        "fail_skips": ["after", "other"],
        "round": 1,
        "max_rounds": 3,
        **more,
    }
    own = planned("qa__route", "route", "qa", stage="qa", config=config, reads={"qa": ("qa",)}, mapped=mapped)
    operator: RouteOperator = RouteOperator.of(own, "digest", tasks=(planned("qa", "agent"), own, *tasks))
    return operator


ARMS = tuple(planned(name, "join", "qa__route") for name in ("qa__next", "qa__any", "qa__again"))
AFTER = (
    planned("qa__fail", "fail", "qa__route"),
    planned("draft2", "agent", "qa__again"),
    planned("qa2", "agent", "draft2"),
    planned("done", "join", "qa__next", "qa2", trigger_rule="none_failed"),
    planned("after", "agent", "done", "qa__next"),
    planned("other", "agent", trigger_rule="none_failed"),
)


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    return TraceStore()


def record_of(trace: TraceStore) -> DecisionRecord:
    [path] = [path for path in trace.records("adhoc_airflow", "r") if "/decisions/" in path]
    record = trace.read(path)
    assert isinstance(record, DecisionRecord)
    return record


def ran(operator: RouteOperator, output: Any, **states: str | None) -> tuple[FakeTaskInstance, list[Any]]:
    """Run it; what it pushed, and what it has skipped."""
    known: dict[Any, Any] = {"qa": "success", "qa__route": "running", **states}
    ti = FakeTaskInstance(known, {"qa": {"return_value": output, "agentic": {}}})
    try:
        operator.execute(context(ti))
    except DownstreamTasksSkipped as skip:
        return ti, skip.tasks
    return ti, []


def test_what_is_not_chosen_is_skipped_with_all_that_can_not_run_any_more(trace: TraceStore) -> None:
    ti, skipped = ran(routing(*ARMS, *AFTER), {"ok": True})
    assert skipped == ["qa__again", "qa__fail", "draft2", "qa2"]
    assert ti.pushed["skipmixin_key"] == {"skipped": ["qa__again", "qa__fail"]}
    assert ti.pushed["agentic_decision"] == {
        "outcome": "next",
        "route": 0,
        "with": {},
        "error": None,
        "round": 1,
        "max_rounds": 3,
        "shown": "next",
    }
    record = record_of(trace)
    assert (record.outcome, record.route, record.round, record.max_rounds) == ("next", 0, 1, 3)
    assert [condition["held"] for condition in record.conditions] == [True, None, None]


def test_what_goes_back_is_rendered(trace: TraceStore) -> None:
    ti, skipped = ran(routing(*ARMS, *AFTER), {"again": True, "n": 1})
    assert ti.pushed["agentic_decision"]["with"] == record_of(trace).feedback == {"n": 2}
    assert skipped == ["qa__next", "qa__fail", "after"]


def test_a_decision_to_fail_leaves_nothing_to_run_that_waits(trace: TraceStore) -> None:
    _, skipped = ran(routing(*ARMS, *AFTER), {})
    assert skipped == ["qa__next", "qa__any", "qa__again", "after", "other", "draft2", "qa2"]


def test_what_has_ended_is_left_alone(trace: TraceStore) -> None:
    """The call overwrites states; a task that was found to have failed must stay so."""
    _, skipped = ran(routing(*ARMS, *AFTER), {}, after="upstream_failed", draft2="upstream_failed")
    assert skipped == ["qa__next", "qa__any", "qa__again", "other"]


def test_a_condition_that_fails_leaves_a_record(trace: TraceStore) -> None:
    with pytest.raises(AgenticError, match="Stage 'qa', routes: 'n' is undefined"):
        ran(routing(*ARMS, routes=[route("qa.n > 1", "next")]), {})
    record = record_of(trace)
    assert record.outcome is None
    assert "'n' is undefined" in (record.error or "")


# ---- failures

ERROR = [{"kinds": ["timeout"], "outcome": "error_to_help", "to": "help"}]
ERROR_ARMS = {"next": ["qa__next"], "error_to_help": ["qa__any"]}


def failing(error: dict[str, Any] | None, **states: str) -> tuple[FakeTaskInstance, list[Any]]:
    operator = routing(*ARMS, *AFTER, routes=[], error=ERROR, arms=ERROR_ARMS)
    ti = FakeTaskInstance({"qa": "failed", **states}, {"qa": {"agentic_error": error}} if error else {})
    try:
        operator.execute(context(ti))
    except DownstreamTasksSkipped as skip:
        return ti, skip.tasks
    return ti, []


def test_a_failure_is_decided_about(trace: TraceStore) -> None:
    error = {"stage": "qa", "kind": "timeout", "message": "too slow"}
    ti, skipped = failing(error)
    assert (ti.pushed["agentic_decision"]["outcome"], ti.pushed["agentic_decision"]["error"]) == (
        "error_to_help",
        error,
    )
    assert "qa__next" in skipped
    assert "qa__any" not in skipped
    assert record_of(trace).failure == error


def test_a_failure_that_nothing_is_for_fails_the_route_with_its_message(trace: TraceStore) -> None:
    with pytest.raises(UnhandledError, match="nonsense"):
        failing({"stage": "qa", "kind": "bug", "message": "nonsense"})
    assert record_of(trace).error == "nonsense"


def test_a_killed_stage_left_no_word(trace: TraceStore) -> None:
    with pytest.raises(UnhandledError) as caught:
        failing(None)
    assert caught.value.kind == "killed"


def test_a_stage_that_never_ran_is_not_routed(trace: TraceStore) -> None:
    with pytest.raises(AirflowSkipException):
        failing({"stage": "qa", "kind": "not_run", "message": "…"})


def test_a_stage_that_succeeded_without_routes_goes_on(trace: TraceStore) -> None:
    ti, skipped = ran(routing(*ARMS, *AFTER, routes=[], error=ERROR, arms=ERROR_ARMS), {})
    assert ti.pushed["agentic_decision"]["outcome"] == "next"
    assert skipped == ["qa__any"]


# ---- mapped task groups


def test_in_a_mapped_group_real_tasks_are_skipped_for_the_item(trace: TraceStore) -> None:
    arm = {"arm": "qa__route", "outcomes": ["again"]}
    tasks = (
        planned("draft2", "agent", "qa__route", start=["all_success", [arm]], mapped="p"),
        planned("qa2", "agent", "draft2", mapped="p"),
        planned("end", "result", "draft2", start=["none_failed", ["draft2"]], mapped="p"),
        planned("elsewhere", "agent", "draft2"),
    )
    own = routing(*tasks, mapped="p")
    ti = FakeTaskInstance({"qa": "success"}, {"qa": {"return_value": {"ok": True}}}, map_index=7)
    with pytest.raises(DownstreamTasksSkipped) as caught:
        own.execute(context(ti))
    assert caught.value.tasks == [("draft2", 7), ("qa2", 7)]
    assert "skipmixin_key" not in ti.pushed


# ---- fail


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ({"shown": "fail", "round": None}, "Stage 'qa' decided to fail."),
        (
            {"shown": "fail (rounds are used up)", "round": 3, "max_rounds": 3},
            "Stage 'qa' decided to fail in round 3 of 3: rounds are used up.",
        ),
    ],
)
def test_the_end_of_a_decision_to_fail_says_so(trace: TraceStore, decision: dict[str, Any], said: str) -> None:
    ti = FakeTaskInstance({"qa__route": "success"}, {"qa__route": {"agentic_decision": decision}})
    operator = FailOperator.of(planned("qa__fail", "fail", stage="qa", config={"route": "qa__route"}), "d")
    with pytest.raises(DecidedFailure) as caught:
        operator.execute(context(ti))
    assert str(caught.value) == said
    assert ti.pushed["agentic_error"] == {"stage": "qa", "kind": "failed", "message": said}


def test_a_decision_survives_json(trace: TraceStore) -> None:
    ran(routing(*ARMS, *AFTER), {"again": True, "n": 1})
    record = record_of(trace)
    assert json.loads(json.dumps(record.feedback)) == {"n": 2}
    assert isinstance(record.conditions, tuple)

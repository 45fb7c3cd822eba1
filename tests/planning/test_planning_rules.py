"""Trigger rules, start formulas, and what is certain not to run any more."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.planning.plan import PlannedTask
from airflow_agentic.planning.rules import FINISHED, becomes, doomed, formulas, judge, routes_of, tasks_of

RULES = (
    *("all_success", "none_failed", "none_failed_min_one_success", "all_done"),
    *("one_done", "one_success", "none_skipped"),
)
STATES = (None, "running", "success", "skipped", "failed", "upstream_failed", "removed")


def airflows_answer(rule: str, states: tuple[str | None, ...]) -> str:
    """What ``TriggerRuleDep`` itself makes of a task whose upstream tasks are in these states."""
    from airflow.task.trigger_rule import TriggerRule
    from airflow.ti_deps.dep_context import DepContext
    from airflow.ti_deps.deps.trigger_rule_dep import TriggerRuleDep

    names = [f"up{index}" for index in range(len(states))]
    upstream = [SimpleNamespace(task_id=name, is_setup=False, get_needs_expansion=lambda: False) for name in names]
    task = SimpleNamespace(
        task_id="task",
        upstream_list=upstream,
        upstream_task_ids=set(names),
        trigger_rule=TriggerRule(rule),
        is_teardown=False,
        get_upstreams_only_setups=list,
        get_closest_mapped_task_group=lambda: None,
    )
    set_to: list[Any] = []
    instance = SimpleNamespace(
        task=task,
        map_index=-1,
        get_dagrun=lambda session: None,
        set_state=lambda state, session: set_to.append(state),
    )
    finished = [
        SimpleNamespace(task_id=name, state=state, map_index=-1, task=up)
        for name, state, up in zip(names, states, upstream, strict=True)
        if state in FINISHED
    ]
    context = DepContext(flag_upstream_failed=True)
    with patch.object(DepContext, "ensure_finished_tis", lambda *_, **__: finished):
        passed = all(status.passed for status in TriggerRuleDep()._get_dep_statuses(instance, context, session=None))  # type: ignore[arg-type]
    if set_to:
        return str(set_to[0].value)
    return "run" if passed else "waiting"


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_airflows(rule: str) -> None:
    for count in (0, 1, 2, 3):
        for states in itertools.product(STATES, repeat=count):
            assert becomes(rule, states) == airflows_answer(rule, states), states


def test_a_rule_that_no_plan_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="always"):
        becomes("always", ["success"])


# ---- formulas

FORMULA = ["all_success", ["a", ["none_failed", ["b", {"arm": "q__route", "outcomes": ["next", "stop"]}]]]]


def test_a_formula_says_what_it_needs_to_know() -> None:
    assert tasks_of(FORMULA) == ("a", "b", "q__route")
    assert routes_of(FORMULA) == ("q__route",)


@pytest.mark.parametrize(
    ("states", "outcomes", "expected"),
    [
        ({}, {}, "waiting"),
        ({"a": "success", "b": "success", "q__route": "success"}, {"q__route": "next"}, "run"),
        ({"a": "success", "b": "skipped", "q__route": "success"}, {"q__route": "other"}, "run"),
        ({"a": "success", "b": "skipped", "q__route": "success"}, {}, "waiting"),
        ({"a": "skipped"}, {}, "skipped"),
        ({"a": "success", "b": "failed"}, {}, "upstream_failed"),
        ({"a": "success", "b": "success", "q__route": "failed"}, {}, "upstream_failed"),
        ({"a": "success", "b": "success", "q__route": "running"}, {}, "waiting"),
    ],
)
def test_a_formula_is_judged(states: dict[str, str], outcomes: dict[str, str], expected: str) -> None:
    assert judge(FORMULA, states, outcomes) == expected


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        ("success", "stop", "run"),
        ("success", "other", "skipped"),
        ("success", None, "skipped"),
        ("skipped", None, "skipped"),
        ("failed", None, "upstream_failed"),
        ("upstream_failed", None, "upstream_failed"),
    ],
)
def test_an_arm_stands_for_what_its_route_chose(state: str, outcome: str | None, expected: str) -> None:
    formula = ["all_success", [{"arm": "r", "outcomes": ["stop"]}]]
    assert judge(formula, {"r": state}, {"r": outcome}) == expected


def test_a_repeated_task_waits_for_its_list() -> None:
    def task(name: str, kind: Any, *upstream: str, **more: Any) -> PlannedTask:
        return PlannedTask(task_id=name, kind=kind, stage="s", level=0, upstream=upstream, **more)

    inner = ["all_success", ["p.start"]]
    tasks = (
        task("list", "items", "a"),
        task("work", "item", "list", config={"items": "list"}),
        task("p.start", "start", "list", mapped="p", config={"items": "list"}),
        task("p.x", "agent", "p.start", trigger_rule="all_done", start=inner, mapped="p"),
        task("after", "agent", "work", trigger_rule="none_failed"),
    )
    assert formulas(tasks) == {
        "list": ["all_success", ["a"]],
        "work": ["all_success", ["list", ["all_success", ["list"]]]],
        "p.start": ["all_success", ["list", ["all_success", ["list"]]]],
        "p.x": ["all_success", ["list", inner]],
        "after": ["none_failed", ["work"]],
    }
    assert doomed(formulas(tasks), {}, ["a"]) == ["list", "work", "p.start", "p.x"]


# ---- doomed


@pytest.mark.parametrize(
    ("rule", "upstream", "expected"),
    [
        ("all_success", {"s": "skipped", "r": "running"}, ["t"]),
        ("all_success", {"s": "skipped", "r": "failed"}, []),
        ("none_failed_min_one_success", {"s": "skipped", "r": "skipped"}, ["t"]),
        ("none_failed_min_one_success", {"s": "skipped", "r": None}, []),
        ("one_done", {"s": "skipped"}, ["t"]),
        ("one_done", {"s": "skipped", "r": None}, []),
        ("one_success", {"s": "skipped"}, ["t"]),
        ("one_success", {"s": "skipped", "r": "running"}, []),
        ("none_failed", {"s": "skipped"}, []),
        ("all_done", {"s": "skipped"}, []),
    ],
)
def test_only_what_is_certain_is_doomed(rule: str, upstream: dict[str, str | None], expected: list[str]) -> None:
    assert doomed({"t": [rule, list(upstream)]}, upstream, ["s"]) == expected


def test_what_has_begun_is_never_doomed() -> None:
    for state in STATES[1:]:
        assert doomed({"t": ["all_success", ["s"]]}, {"t": state}, ["s"]) == []


def test_the_doomed_doom_others() -> None:
    tasks = {f"t{number}": ["all_success", [f"t{number - 1}"]] for number in range(1, 50)}
    assert doomed(tasks, {}, ["t0"]) == list(tasks)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Tasks of a random graph, each after those it waits for."""
    tasks: dict[str, Any] = {}
    for number in range(draw(st.integers(4, 12))):
        roots = number < 2
        upstream = [] if roots else draw(st.lists(st.sampled_from(list(tasks)), unique=True, min_size=1, max_size=3))
        tasks[f"t{number}"] = [draw(st.sampled_from(RULES)), upstream]
    return tasks


def scheduled(tasks: dict[str, Any], states: dict[str, str | None]) -> None:
    """What Airflow's scheduler makes of the states, until nothing changes."""
    for _ in tasks:
        for task_id, formula in tasks.items():
            if states[task_id] is None:
                found = judge(formula, states, {})
                states[task_id] = {"run": "running", "waiting": None}.get(found, found)


def run_to_the_end(
    tasks: dict[str, Any], ends: dict[str, str], order: list[str], route: str, arms: list[str], *, at_once: bool
) -> dict[str, str | None]:
    """
    The final states of a run.

    :param ends: how each task ends if it runs.
    :param order: which of the running tasks ends first.
    :param route: the task that skips the arms when it ends.
    """
    states: dict[str, str | None] = dict.fromkeys(tasks)
    scheduled(tasks, states)
    while running := [task_id for task_id in order if states[task_id] == "running"]:
        ended = running[0]
        if ended == route:
            skips = [task_id for task_id in arms if states[task_id] is None]
            more = doomed(tasks, states, skips) if at_once else []
            states.update(dict.fromkeys([*skips, *more], "skipped"))
        states[ended] = ends[ended]
        scheduled(tasks, states)
    return states


@given(graphs(), st.data())
def test_to_skip_the_doomed_at_once_changes_nothing(tasks: dict[str, Any], data: st.DataObject) -> None:
    ends = {task_id: data.draw(st.sampled_from(("success", "success", "failed", "skipped"))) for task_id in tasks}
    order = data.draw(st.permutations(list(tasks)))
    route = data.draw(st.sampled_from([name for name in tasks if any(name in up for _, up in tasks.values())]))
    ends[route] = "success"
    after = [name for name, formula in tasks.items() if route in formula[1]]
    arms = data.draw(st.lists(st.sampled_from(after), unique=True, min_size=1))
    late, early = (run_to_the_end(tasks, ends, order, route, arms, at_once=at_once) for at_once in (False, True))
    assert early == late

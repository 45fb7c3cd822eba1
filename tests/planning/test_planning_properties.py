"""
What holds for every plan, over generated templates.

The meaning of a plan is tested by two interpreters: one of the language's own words about order and joins, which knows
no plan, and one of Airflow's trigger rules, which knows no template. Whatever stages do, both must run the same ones.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from support.generated_templates import Generated, Part, templates

from airflow_agentic.planning.plan import Plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_text
from airflow_agentic.template.uses import least_calls

STOPPED = ("failed", "upstream_failed")


def loaded(generated: Generated):
    return load_text(generated.text, "generated.yaml")


# --- shape --------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(generated=templates())
def test_every_task_follows_its_upstream_tasks(generated):
    plan = make_plan(loaded(generated))
    seen: set[str] = set()
    for task in plan.tasks:
        assert task.task_id not in seen
        assert seen.issuperset(task.upstream)
        assert len(set(task.upstream)) == len(task.upstream)
        seen.add(task.task_id)
    last = plan.tasks[-1]
    assert (last.task_id, last.kind, last.trigger_rule) == ("run__finish", "finish", "all_done")
    assert set(last.upstream) == {task.task_id for task in plan.tasks[:-1] if task.kind != "join"}


@settings(max_examples=150)
@given(generated=templates())
def test_a_level_is_the_longest_way_from_a_root(generated):
    levels: dict[str, int] = {}
    for task in make_plan(loaded(generated)).tasks:
        step = 0 if task.kind == "join" else 1
        levels[task.task_id] = max((levels[name] + step for name in task.upstream), default=0)
        assert task.level == levels[task.task_id]


@settings(max_examples=150)
@given(generated=templates())
def test_written_and_read_back(generated):
    plan = make_plan(loaded(generated))
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).to_json() == plan.to_json()
    assert make_plan(loaded(generated)).to_json() == plan.to_json()


@settings(max_examples=150)
@given(generated=templates())
def test_what_a_task_reads_runs_before_it(generated):
    plan = make_plan(loaded(generated))
    ancestors: dict[str, set[str]] = {}
    for task in plan.tasks:
        ancestors[task.task_id] = {name for up in task.upstream for name in (up, *ancestors[up])}
        for name, ids in task.reads.items():
            assert ids == (name,)
            assert name in ancestors[task.task_id]
        assert set(task.guarded) <= set(task.reads)


@settings(max_examples=150)
@given(generated=templates())
def test_every_dependency_of_the_template_is_in_the_plan(generated):
    plan = make_plan(loaded(generated))
    direct = {task.task_id: set(task.upstream) for task in plan.tasks}
    for part in (*generated.stages, generated.artifact):
        joined = {name for up in direct[part.name] for name in (direct[up] if "__" in up else {up})}
        assert joined == part.requires | part.waits | set(part.parts or ())


@settings(max_examples=150)
@given(generated=templates())
def test_agents_are_told_the_budget_and_how_long_answers_are_kept(generated):
    tasks = {task.task_id: task.config for task in make_plan(loaded(generated)).tasks}
    agents = {name for name, config in tasks.items() if "agent" in config}
    expected = {} if generated.calls is None else {name: {"calls": generated.calls} for name in agents}
    assert {name: config["budget"] for name, config in tasks.items() if "budget" in config} == expected
    assert {name: config["cache"] for name, config in tasks.items() if "cache" in config} == {
        name: {"ttl": float(seconds), "tools": False} for name, seconds in generated.cached.items()
    }


@settings(max_examples=200)
@given(generated=templates(), seed=st.integers(0, 10**6))
def test_a_run_without_failures_makes_the_least_calls_at_least(generated, seed):
    template = loaded(generated)
    states = by_airflow(make_plan(template), Outcomes(seed, failures=0.0))
    asked = [part.name for part in generated.stages if part.parts is None and states[part.name] == "success"]
    assert len([name for name in asked if name not in generated.cached]) >= least_calls(template)


# --- meaning ------------------------------------------------------------------------------------------------------


class Outcomes:
    """What would happen to each stage if it ran, and what each ``when`` says, whoever asks first."""

    def __init__(self, seed: int, *, failures: float, decisions: float = 0.6) -> None:
        self.seed = seed
        self.failures = failures
        self.decisions = decisions

    def holds(self, name: str) -> bool:
        return random.Random(f"{self.seed} when {name}").random() < self.decisions

    def succeeds(self, name: str) -> bool:
        return random.Random(f"{self.seed} fails {name}").random() >= self.failures


def merged(part_states: list[str], number: int | None) -> str:
    """A merge that has started: nothing to merge, too little, or enough."""
    succeeded = part_states.count("success")
    if not succeeded and not any(state in STOPPED for state in part_states):
        return "skipped"
    return "success" if succeeded >= (number or 1) else "failed"


def by_the_words(generated: Generated, outcomes: Outcomes) -> dict[str, str]:
    """
    The states of all stages by the language's words.

    Requires: all must have succeeded; if one was skipped, this one is skipped. Waits: for done or skipped. A failed
    stage stops what requires or waits for it. A merge without a number is stopped by a failed part; with one it waits
    for all its parts, and needs that many. ``when`` is decided last.
    """
    states: dict[str, str] = {}
    for part in (*generated.stages, generated.artifact):
        states[part.name] = _state_by_the_words(part, states, outcomes)
    return states


def _state_by_the_words(part: Part, states: dict[str, str], outcomes: Outcomes) -> str:
    parts = [states[name] for name in part.parts or ()]
    needed = [states[name] for name in (part.requires | part.waits)]
    if part.number is None:
        needed += parts
    if any(state in STOPPED for state in needed):
        return "upstream_failed"
    if any(states[name] == "skipped" for name in part.requires):
        return "skipped"
    if part.decides and not outcomes.holds(part.name):
        return "skipped"
    if part.parts is not None:
        return merged(parts, part.number)
    return "success" if outcomes.succeeds(part.name) else "failed"


def rule_says(rule: str, states: list[str]) -> str:
    """What Airflow makes of a task whose upstream tasks have all ended: it runs, or gets a state."""
    stopped, skipped = any(state in STOPPED for state in states), "skipped" in states
    if rule == "all_success":
        return "upstream_failed" if stopped else "skipped" if skipped else "run"
    if rule == "none_failed":
        return "upstream_failed" if stopped else "run"
    assert rule == "all_done"
    return "run"


def rule_says_at_once(rule: str, states: list[str | None]) -> str | None:
    """The same for upstream tasks of which some haven't ended (None): Airflow doesn't wait once it is decided."""
    ended = [state for state in states if state is not None]
    said = rule_says(rule, ended)
    return said if said != "run" or len(ended) == len(states) else None


def executed(task: Any, states: dict[str, str], outcomes: Outcomes) -> str:
    """What the operator of a task that Airflow has started does."""
    if task.config.get("when") is not None and not outcomes.holds(task.task_id):
        return "skipped"
    if task.kind == "merge":
        return merged([states[name] for name in task.config["from"]], task.config["require"])
    if task.kind in ("join", "finish"):
        return "success"
    return "success" if outcomes.succeeds(task.task_id) else "failed"


def by_airflow(plan: Plan, outcomes: Outcomes) -> dict[str, str]:
    """The states of all tasks when each is decided after all its upstream tasks have ended."""
    states: dict[str, str] = {}
    for task in plan.tasks:
        said = rule_says(task.trigger_rule, [states[name] for name in task.upstream])
        states[task.task_id] = executed(task, states, outcomes) if said == "run" else said
    return states


def by_airflow_in_any_order(plan: Plan, outcomes: Outcomes, seed: int) -> dict[str, str]:
    """The same, with tasks ending in any order and others decided as soon as they can be."""
    order = random.Random(seed)
    states: dict[str, str] = {}
    while len(states) < len(plan.tasks):
        waiting = [task for task in plan.tasks if task.task_id not in states]
        said = [rule_says_at_once(task.trigger_rule, [states.get(name) for name in task.upstream]) for task in waiting]
        # Airflow gives states at once, and lets one of those that can run end.
        given = {task.task_id: word for task, word in zip(waiting, said, strict=True) if word not in (None, "run")}
        states.update(given)
        if not given:
            task = order.choice([task for task, word in zip(waiting, said, strict=True) if word == "run"])
            states[task.task_id] = executed(task, states, outcomes)
    return states


seeds = st.integers(0, 10**6)


@settings(max_examples=400)
@given(generated=templates(), seed=seeds, failures=st.sampled_from((0.0, 0.2, 0.5)))
def test_airflow_does_what_the_words_say(generated, seed, failures):
    plan = make_plan(loaded(generated))
    expected = by_the_words(generated, Outcomes(seed, failures=failures))
    found = by_airflow(plan, Outcomes(seed, failures=failures))
    assert {name: found[name] for name in expected} == expected
    assert found["run__finish"] == "success"
    for state in sorted(set(expected.values())):
        event(state)


@settings(max_examples=200)
@given(generated=templates(), seed=seeds, order=seeds)
def test_the_order_in_which_tasks_end_changes_nothing_when_none_fails(generated, seed, order):
    plan = make_plan(loaded(generated))
    outcomes = Outcomes(seed, failures=0.0)
    states = by_airflow(plan, outcomes)
    if not any(state in STOPPED for state in states.values()):
        assert by_airflow_in_any_order(plan, outcomes, order) == states


@settings(max_examples=200)
@given(generated=templates(), seed=seeds, order=seeds)
def test_no_stage_runs_before_what_it_depends_on_in_any_order(generated, seed, order):
    """With failures it depends on the order whether a task is skipped or stopped first, but never what may run."""
    plan = make_plan(loaded(generated))
    states = by_airflow_in_any_order(plan, Outcomes(seed, failures=0.4), order)
    for part in (*generated.stages, generated.artifact):
        if states[part.name] in ("success", "failed"):
            assert all(states[name] == "success" for name in part.requires)
            assert all(states[name] not in STOPPED for name in part.waits)
            if part.number is None:
                assert all(states[name] not in STOPPED for name in part.parts or ())


@settings(max_examples=200)
@given(generated=templates(), seed=seeds, failures=st.sampled_from((0.0, 0.4)))
def test_a_task_that_runs_finds_what_it_reads_or_knows_that_it_may_be_missing(generated, seed, failures):
    plan = make_plan(loaded(generated))
    states = by_airflow(plan, Outcomes(seed, failures=failures))
    for task in plan.tasks:
        if states[task.task_id] in ("success", "failed"):
            missing = {name for name in task.reads if states[name] != "success"}
            assert missing <= set(task.guarded)


@settings(max_examples=200)
@given(generated=templates(), seed=seeds)
def test_only_optional_stages_are_missing_from_a_successful_run(generated, seed):
    template = loaded(generated)
    states = by_airflow(make_plan(template), Outcomes(seed, failures=0.0))
    if not any(state in STOPPED for state in states.values()):
        assert {name for name in template.stages if states[name] == "skipped"} <= template.optional_stages


@settings(max_examples=100)
@given(generated=templates())
def test_every_optional_stage_is_missing_from_some_successful_run(generated):
    template = loaded(generated)
    plan = make_plan(template)
    states = by_airflow(plan, Outcomes(0, failures=0.0, decisions=0.0))
    if not any(state in STOPPED for state in states.values()):
        assert {name for name in template.stages if states[name] == "skipped"} == template.optional_stages


@settings(max_examples=200)
@given(generated=templates(), seed=seeds)
def test_readers_name_everything_that_a_failure_stops(generated, seed):
    """The last task judges by them whether a failure was coped with: all readers are merges that got enough."""
    plan = make_plan(loaded(generated))
    readers = {entry["task"]: entry["readers"] for entry in plan.task("run__finish").config["judged"]}
    states = by_airflow(plan, Outcomes(seed, failures=0.4))
    for part in (*generated.stages, generated.artifact):
        reader = part.name
        for name in part.requires | part.waits:
            assert readers[name][reader] == "stage"
            if states[name] in STOPPED:
                assert states[part.name] in ("upstream_failed", "skipped")
        for name in set(part.parts or ()) - part.requires:
            assert readers[name][reader] == ("stage" if part.number is None else "merge")

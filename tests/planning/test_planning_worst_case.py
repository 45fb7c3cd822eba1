"""The worst case: no run exceeds it, and the run that takes every round reaches it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.flow_templates import templates, to_yaml
from support.interpreter import interpret
from support.plans import hand_made, planned

from airflow_agentic.errors import TemplateError
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.planning.worst_case import worst_case
from airflow_agentic.template.parse import load_template, load_text

SHIPPED = Path(__file__).parents[2] / "templates"
HEAD = """\
version: 1
agents:
  work: {type: python, callable: "support.flow_agents:work", output: {score: number, list: [string], saw: string}}
  lists: {type: python, callable: "support.flow_agents:lists", output: [string]}
  stand_in:
    {type: python, callable: "support.flow_agents:stand_in", output: {score: number, list: [string], saw: string}}
  few:
    type: python
    callable: "support.flow_agents:work"
    output_schema: {type: object, required: [list], properties: {list: {type: array, maxItems: 7}}}
defaults: {retry: {attempts: 1}}
"""


def bounds_of(text, inputs=None):
    worst = worst_case(make_plan(load_text(text, "worst.yaml")), inputs or {})
    return worst, {bound.stage: bound for bound in worst.stages}


def executed(text, inputs=None):
    """How often the reference interpreter runs each stage, an item at a time."""
    counted = Counter()
    for execution in interpret(yaml.safe_load(text), inputs or {}).executions:
        if execution.state in ("ran", "failed") and not execution.path.startswith("artifact"):
            counted[execution.path] += max(len(execution.calls), 1)
    return counted


def stage(name, after=None, **more):
    reads = f", saw: '{{{{ {after}.saw }}}}'" if after else ""
    keys = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  {name}: {{agent: work, input: {{script: [1]{reads}}}{keys}}}\n"


def loop(target, rounds, leave="false"):
    return f"[{{when: '{leave}', to: next}}, {{back_to: {target}, max_rounds: {rounds}, exhausted: next}}]"


# -- loops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_a_loop_that_never_ends_early_reaches_its_bound(rounds):
    text = HEAD + "stages:\n" + stage("a") + stage("b", "a", routes=loop("a", rounds)) + stage("c", "b")
    worst, bounds = bounds_of(text)
    assert {name: bound.executions for name, bound in bounds.items()} == executed(text)
    assert [bounds[name].executions for name in "abc"] == [rounds, rounds, 1]
    assert bounds["a"].rounds == (rounds,)
    assert worst.critical_path == ("a", "b") * rounds + ("c",)
    assert worst.executions == worst.calls == 2 * rounds + 1


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (2, 3), (3, 2), (4, 1)])
def test_nested_loops_multiply(outer, inner):
    text = (
        HEAD
        + "stages:\n"
        + stage("a")
        + stage("b", "a")
        + stage("c", "b", routes=loop("b", inner))
        + stage("d", "c", routes=loop("a", outer))
        + stage("e", "d")
    )
    worst, bounds = bounds_of(text)
    assert {name: bound.executions for name, bound in bounds.items()} == executed(text)
    assert bounds["b"].rounds == (outer, inner)
    assert bounds["b"].executions == outer * inner
    assert worst.critical_path == (("a",) + ("b", "c") * inner + ("d",)) * outer + ("e",)


def test_three_loops_around_one_stage_multiply():
    text = (
        HEAD
        + "stages:\n"
        + stage("a", routes=loop("a", 2))
        + stage("b", "a", routes=loop("a", 3))
        + stage("c", "b", routes=loop("a", 5))
    )
    worst, bounds = bounds_of(text)
    assert {name: bound.executions for name, bound in bounds.items()} == executed(text)
    assert [bounds[name].executions for name in "abc"] == [30, 15, 5]
    assert len(worst.critical_path) == 50


def test_loops_that_overlap_nest_and_multiply():
    text = (
        HEAD
        + "stages:\n"
        + stage("a")
        + stage("b", "a")
        + stage("c", "b", routes=loop("a", 2))
        + stage("d", "c", routes=loop("b", 3))
    )
    worst, bounds = bounds_of(text)
    assert [bounds[name].executions for name in "abcd"] == [2, 6, 6, 6]
    # The last round of `b` in the first round of `a` is left at `c`.
    assert worst.critical_path == ("a", *"bcdbcd", *"bc", "a", *"bcdbcdbcd")


# -- attempts, stand-ins, people ---------------------------------------------------------------------------------------


def test_calls_count_attempts_and_those_of_stand_ins():
    text = (
        HEAD
        + "stages:\n"
        + stage("a", retry="{attempts: 4}")
        + stage("b", "a", retry="{attempts: 3}", on_error="[{agent: stand_in, kinds: [timeout]}, {agent: work}]")
        + "  m: {merge: {from: [a, b], how: list}}\n"
        + "  ask: {human: {ask: 'Well?', timeout: 1h, on_timeout: fail}, after: [m], routes: [{to: end}]}\n"
    )
    worst, bounds = bounds_of(text)
    assert (bounds["a"].calls, bounds["b"].attempts, bounds["b"].calls) == (4, 9, 9)
    assert (bounds["m"].calls, bounds["ask"].calls) == (0, 0)
    assert (worst.executions, worst.calls, worst.questions) == (4, 13, 1)
    assert worst.critical_path == ("a", "b", "m", "ask")


# -- lists -------------------------------------------------------------------------------------------------------------

LISTS = (
    HEAD + "inputs: {docs: {type: array, items: {type: string}, default: [a, b, c]}, more: {type: array}}\nstages:\n"
)


def each(name, expression, **more):
    keys = "".join(f", {key}: {value}" for key, value in more.items())
    return f'  {name}: {{agent: work, for_each: "{expression}", input: {{script: [1], saw: "{{{{ item }}}}"}}{keys}}}\n'


@pytest.mark.parametrize(
    ("expression", "inputs", "items"),
    [
        ("inputs.docs", {}, 3),
        ("inputs.docs", {"docs": []}, 0),
        ("inputs.docs", {"docs": list("abcdefgh")}, 8),
        ("inputs.docs + ['x']", {}, 4),
        ("inputs.more", {}, 50),
        ("inputs.more", {"more": [1, 2]}, 2),
        ("inputs.docs + inputs.more", {}, 50),
        ("range(5) | list", {}, 5),
        ("first.list", {}, 50),
        ("limited.list", {}, 7),
    ],
)
def test_a_list_is_as_long_as_the_inputs_say_or_bounded(expression, inputs, items):
    text = LISTS + stage("first") + stage("limited").replace("agent: work", "agent: few")
    text += each("work_all", expression, max_items=50)
    _, bounds = bounds_of(text, inputs)
    assert bounds["work_all"].items == bounds["work_all"].executions == items


def test_results_are_as_many_as_the_items():
    text = (
        LISTS + each("one", "inputs.docs", tolerate="100%") + each("two", "one.results") + each("three", "two.outputs")
    )
    worst, bounds = bounds_of(text)
    assert [bounds[name].items for name in ("one", "two", "three")] == [3, 3, 3]
    assert worst.critical_path == ("one", "two", "three")
    assert {name: bound.executions for name, bound in bounds.items()} == executed(text, {"more": []})


def test_a_list_that_is_too_long_is_said_and_not_worked_on():
    text = LISTS + each("one", "inputs.docs", max_items=2) + stage("two", needs="one")
    worst, bounds = bounds_of(text)
    assert worst.too_long == {"one": 3}
    assert bounds["one"].executions == 0
    assert worst.critical_path == ("two",)


def test_rounds_and_items_multiply():
    text = LISTS + stage("a") + each("b", "inputs.docs", needs="a", routes=loop("a", 4))
    worst, bounds = bounds_of(text)
    assert {name: bound.executions for name, bound in bounds.items()} == executed(text, {"more": []})
    assert bounds["b"].executions == 12
    assert worst.critical_path == ("a", "b") * 4


PIPELINE = (
    LISTS
    + """\
  all:
    for_each: inputs.docs
    input: {doc: "{{ item }}", words: "{{ inputs.docs + ['x'] }}", unknown: "{{ inputs.more }}"}
    pipeline:
      stages:
        read: {agent: work, input: {script: [1], saw: "{{ inputs.doc }}"}}
        each: {agent: work, for_each: inputs.words, input: {script: [1], saw: "{{ read.saw }}"}, on_error: {value: 1}}
        some: {agent: work, for_each: inputs.unknown, max_items: 9, input: {script: [1]}}
        again:
          agent: work
          input: {script: [1], saw: "{{ read.saw }}"}
          routes: [{back_to: read, max_rounds: 2, exhausted: end}]
      output: {saw: "{{ again.saw }}"}
"""
)


def test_a_pipeline_for_each_item_multiplies_what_is_in_it():
    worst, bounds = bounds_of(PIPELINE.replace(", on_error: {value: 1}", ""))
    assert {name: (bound.rounds, bound.items) for name, bound in bounds.items()} == {
        "all.read": ((2,), 3),
        "all.each": ((), 12),
        "all.some": ((), 27),
        "all.again": ((2,), 3),
    }
    assert worst.executions == 6 + 12 + 27 + 6
    assert len(worst.critical_path) == 5


def test_shipped_templates_have_the_bounds_of_their_text():
    worst = worst_case(make_plan(load_template(SHIPPED / "verified_brief.yaml")), {})
    bounds = {bound.stage: bound for bound in worst.stages}
    assert [bounds[name].rounds for name in ("research", "draft", "verify", "qa", "publish")] == [
        (2,),
        (2, 3),
        (2, 3),
        (2, 3),
        (),
    ]
    worst = worst_case(make_plan(load_template(SHIPPED / "document_review.yaml")), {})
    bounds = {bound.stage: bound for bound in worst.stages}
    assert bounds["review.find"].executions == 3 * bounds["review.load"].executions


# -- any template, any plan --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(templates())
def test_no_run_exceeds_the_worst_case(spec):
    text = to_yaml(spec)
    try:
        worst, bounds = bounds_of(text)
    except TemplateError:
        assume(False)
    calls, executions, questions = Counter(), Counter(), 0
    for execution in interpret(spec, {}).executions:
        if execution.path in bounds and execution.state in ("ran", "failed"):
            agent = bounds[execution.path].kind == "agent"
            executions[execution.path] += len({index for index, *_ in execution.calls}) if agent else 1
            calls[execution.path] += len(execution.calls)
            questions += bounds[execution.path].kind == "human"
    for name in executions:
        assert executions[name] <= bounds[name].executions, name
        assert calls[name] <= bounds[name].calls, name
    assert questions <= worst.questions
    assert len(worst.critical_path) <= worst.executions


@st.composite
def dags(draw):
    tasks = []
    for index in range(draw(st.integers(1, 8))):
        upstream = [f"t{other}" for other in range(index) if draw(st.booleans())]
        kind = draw(st.sampled_from(("agent", "join", "merge", "route", "human")))
        tasks.append(planned(f"t{index}", kind, *upstream, config={"agent": "echo", "retry": {"attempts": 1}}))
    return tasks


@given(dags())
def test_the_critical_path_is_the_longest_of_all_ways(tasks):
    works = {task.task_id for task in tasks if task.kind in ("agent", "merge", "human")}
    upstream = {task.task_id: task.upstream for task in tasks}
    ways = []
    for chosen in product((False, True), repeat=len(tasks)):
        way = [task.task_id for task, taken in zip(tasks, chosen, strict=True) if taken]
        if all(before in upstream[after] for before, after in pairwise(way)):
            ways.append(tuple(name for name in way if name in works))
    path = worst_case(hand_made(*tasks), {}).critical_path
    assert path in ways
    assert len(path) == max(map(len, ways))

"""Unrolled plans, by example: what stands in a template, and the tasks that it becomes."""

# ruff: noqa: E501 (a task a line)

from __future__ import annotations

import textwrap

import pytest

from airflow_agentic.planning.plan import Plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_text

HEAD = """version: 1
agents: {tool: {type: python, callable: "a:b"}}
inputs: {go: {type: boolean, default: true}, list: {type: array, default: []}}
stages:
"""


def plan_of(stages: str) -> Plan:
    return make_plan(load_text(HEAD + textwrap.indent(textwrap.dedent(stages), "  "), "unrolled.yaml"))


def shown(plan: Plan) -> str:
    """A line per task but the last: id, how it starts, what it reads (``?``: may have been skipped) from where."""
    return "\n".join(_line(task) for task in plan.tasks[:-1])


def _line(task):
    start = f"{task.start}" if task.start else f"{task.trigger_rule}({', '.join(task.upstream)})"
    reads = [
        name + "?" * (name in task.guarded) + (f"={'|'.join(ids)}" if ids != (name,) else "")
        for name, ids in task.reads.items()
    ]
    line = f"{task.task_id}: {start}" + (f" reads {', '.join(reads)}" if reads else "")
    if task.feedback:
        line += " feedback " + "; ".join("|".join(route for _, route in level) for level in task.feedback)
    return line + (f" error {'|'.join(route for _, route in task.errors)}" if task.errors else "")


PLANS = {
    "two ways": (
        """
        a: {agent: tool, routes: [{when: inputs.go, to: x}, {to: next}]}
        x: {agent: tool}
        y: {agent: tool, needs: a}
        join: {agent: tool, input: {x: "{{ x | default(0) }}", y: "{{ y | default(0) }}"}}
        """,
        """
        a: all_success()
        a__route: all_success(a)
        a__to_x: all_success(a__route)
        a__next: all_success(a__route)
        x: all_success(a__to_x)
        y: all_success(a__next)
        join__flow1: one_success(a__to_x, a__next)
        join__opt: none_failed(x, y)
        join: all_success(join__flow1, join__opt) reads x?, y?
        """,
    ),
    "a target of two decisions that also reads": (
        """
        a: {agent: tool, routes: [{when: inputs.go, to: x}, {to: b}]}
        b: {agent: tool, routes: [{when: inputs.go, to: x}, {to: fail}]}
        x: {agent: tool, input: {a: "{{ a }}"}}
        """,
        """
        a: all_success()
        a__route: all_success(a)
        a__to_x_or_to_b: all_success(a__route)
        a__to_x: all_success(a__route)
        a__to_b: all_success(a__route)
        b: all_success(a__to_b)
        b__route: all_success(b)
        b__to_x: all_success(b__route)
        b__fail: all_success(b__route)
        x__enter: none_failed_min_one_success(a__to_x, b__to_x)
        x: all_success(x__enter, a__to_x_or_to_b) reads a
        """,
    ),
    "a loop": (
        """
        a: {agent: tool, input: {old: "{{ feedback.x | default(0) }}"}}
        b: {agent: tool, needs: a, routes: [{when: b.x > 1, back_to: a, max_rounds: 2, with: {x: "{{ b.x }}"}, exhausted: ask}, {to: next}]}
        ask: {agent: tool}
        c: {agent: tool, input: {a: "{{ a }}"}, needs: b}
        """,
        """
        a__1.a: all_success()
        a__1.b: all_success(a__1.a)
        a__1.b__route: all_success(a__1.b) reads b=a__1.b
        a__1.b__again_a: all_success(a__1.b__route)
        a__1.b__to_ask: all_success(a__1.b__route)
        a__1.b__next: all_success(a__1.b__route)
        a__2.a: all_success(a__1.b__again_a) feedback a__1.b__route
        a__2.b: all_success(a__2.a)
        a__2.b__route: all_success(a__2.b) reads b=a__2.b
        a__2.b__again_a: all_success(a__2.b__route)
        a__2.b__to_ask: all_success(a__2.b__route)
        a__2.b__next: all_success(a__2.b__route)
        a__done: none_failed(a__1.a, a__2.a, a__1.b__again_a, a__2.b__again_a)
        ask__enter: none_failed_min_one_success(a__1.b__to_ask, a__2.b__to_ask)
        ask: all_success(a__done, ask__enter)
        a__ran: none_failed_min_one_success(a__1.a, a__2.a)
        b__next: none_failed_min_one_success(a__1.b__next, a__2.b__next)
        c: all_success(a__done, a__ran, b__next) reads a=a__1.a|a__2.a
        """,
    ),
    "an error that is routed": (
        """
        a: {agent: tool, on_error: {to: rescue}}
        rescue: {agent: tool, input: {why: "{{ error.kind }}"}}
        b: {agent: tool, needs: a}
        c: {agent: tool, after: [a, rescue]}
        """,
        """
        a: all_success()
        a__route: one_done(a)
        a__next_or_error_to_rescue: all_success(a__route)
        a__next: all_success(a__route)
        a__error_to_rescue: all_success(a__route)
        rescue: all_success(a__error_to_rescue) error a__route
        b: all_success(a__next)
        c__flow1: one_success(a__next_or_error_to_rescue, a__error_to_rescue)
        c__opt: none_failed(a__next_or_error_to_rescue, rescue)
        c: all_success(c__flow1, c__opt)
        """,
    ),
    "a fan-out": (
        """
        a: {agent: tool}
        each: {agent: tool, for_each: a.list, when: inputs.go, input: {x: "{{ item }}", a: "{{ a }}"}}
        c: {agent: tool, input: {x: "{{ each.outputs }}"}}
        """,
        """
        a: all_success()
        each.items: all_success(a) reads a
        each.item: all_success(each.items) reads a
        each.done: all_done(each.item)
        each.collect: all_success(each.items, each.done)
        c: all_success(each.collect) reads each=each.collect
        """,
    ),
    "a pipeline": (
        """
        a: {agent: tool}
        p: {pipeline: {stages: {x: {agent: tool, input: {x: "{{ inputs.a }}"}}, y: {agent: tool, needs: x}}, output: {y: "{{ y }}"}}, input: {a: "{{ a }}"}, when: inputs.go}
        c: {agent: tool, input: {x: "{{ p.y }}"}}
        """,
        """
        a: all_success()
        p.pipeline__start: all_success(a) reads a
        p.x: all_success(p.pipeline__start)
        p.y: all_success(p.x)
        p.pipeline__done: all_done(p.x, p.y)
        p.pipeline__result: all_success(p.pipeline__start, p.pipeline__done) reads y?=p.y
        c: all_success(p.pipeline__result) reads p=p.pipeline__result
        """,
    ),
    "an inner pipeline for each item": (
        """
        each:
          for_each: inputs.list
          input: {doc: "{{ item }}"}
          pipeline:
            stages:
              a: {agent: tool, input: {x: "{{ inputs.doc }}", old: "{{ feedback.y | default(0) }}"}}
              b: {agent: tool, needs: a, routes: [{when: b.x > 1, back_to: a, max_rounds: 2, with: {y: "{{ b.x }}"}, exhausted: c}, {to: fail}]}
              c: {agent: tool, for_each: inputs.doc}
            output: {c: "{{ c.outputs | default([]) }}"}
        """,
        """
        each.items: all_success()
        each.item.pipeline__start: all_success(each.items)
        each.item.a__1.a: all_success(each.item.pipeline__start)
        each.item.a__1.b: all_success(each.item.a__1.a)
        each.item.a__1.b__route: all_success(each.item.a__1.b) reads b=each.item.a__1.b
        each.item.a__1.b__fail: ['all_success', [{'arm': 'each.item.a__1.b__route', 'outcomes': ['fail']}]]
        each.item.a__2.a: ['all_success', ['each.item.pipeline__start', {'arm': 'each.item.a__1.b__route', 'outcomes': ['again_a']}]] feedback each.item.a__1.b__route
        each.item.a__2.b: all_success(each.item.a__2.a)
        each.item.a__2.b__route: all_success(each.item.a__2.b) reads b=each.item.a__2.b
        each.item.a__2.b__fail: ['all_success', [{'arm': 'each.item.a__2.b__route', 'outcomes': ['fail']}]]
        each.item.c: ['all_success', ['each.item.pipeline__start', ['none_failed', ['each.item.a__1.a', 'each.item.a__2.a', {'arm': 'each.item.a__1.b__route', 'outcomes': ['again_a']}, {'arm': 'each.item.a__2.b__route', 'outcomes': ['again_a']}]], ['none_failed_min_one_success', [{'arm': 'each.item.a__1.b__route', 'outcomes': ['to_c']}, {'arm': 'each.item.a__2.b__route', 'outcomes': ['to_c']}]]]]
        each.item.pipeline__result: ['all_success', ['each.item.pipeline__start', ['all_done', ['each.item.a__1.a', 'each.item.a__2.a', 'each.item.a__1.b', {'arm': 'each.item.a__1.b__route', 'outcomes': ['again_a']}, 'each.item.a__2.b', {'arm': 'each.item.a__2.b__route', 'outcomes': ['again_a']}, 'each.item.c', 'each.item.a__1.b__fail', 'each.item.a__2.b__fail']]]] reads c?=each.item.c
        each.done: all_done(each.item.pipeline__result)
        each.collect: all_success(each.items, each.done)
        """,
    ),
    "a loop in a loop": (
        """
        a: {agent: tool}
        b: {agent: tool, needs: a, routes: [{when: inputs.go, back_to: a, max_rounds: 2, exhausted: next}, {to: next}]}
        c: {agent: tool, needs: b, input: {f: "{{ feedback }}"}, routes: [{when: inputs.go, back_to: b, max_rounds: 2, exhausted: next}, {to: next}]}
        d: {agent: tool, needs: c}
        """,
        """
        a__1.a: all_success()
        a__1.b__1.b: all_success(a__1.a)
        a__1.b__1.b__route: all_success(a__1.b__1.b)
        a__1.b__1.b__again_a: all_success(a__1.b__1.b__route)
        a__1.b__1.b__next: all_success(a__1.b__1.b__route)
        a__1.b__1.c: all_success(a__1.b__1.b__next)
        a__1.b__1.c__route: all_success(a__1.b__1.c)
        a__1.b__1.c__again_b: all_success(a__1.b__1.c__route)
        a__1.b__1.c__next: all_success(a__1.b__1.c__route)
        a__1.b__2.b: all_success(a__1.b__1.c__again_b, a__1.a)
        a__1.b__2.b__route: all_success(a__1.b__2.b)
        a__1.b__2.b__again_a: all_success(a__1.b__2.b__route)
        a__1.b__2.b__next: all_success(a__1.b__2.b__route)
        a__1.b__2.c: all_success(a__1.b__2.b__next) feedback a__1.b__1.c__route
        a__1.b__2.c__route: all_success(a__1.b__2.c)
        a__1.b__2.c__again_b: all_success(a__1.b__2.c__route)
        a__1.b__2.c__next: all_success(a__1.b__2.c__route)
        a__1.b__done: none_failed(a__1.b__1.b__again_a, a__1.b__2.b__again_a, a__1.b__1.c__again_b, a__1.b__2.c__again_b)
        a__1.b__again_a: none_failed_min_one_success(a__1.b__1.b__again_a, a__1.b__2.b__again_a)
        a__2.a: all_success(a__1.b__again_a)
        a__2.b__1.b: all_success(a__2.a)
        a__2.b__1.b__route: all_success(a__2.b__1.b)
        a__2.b__1.b__again_a: all_success(a__2.b__1.b__route)
        a__2.b__1.b__next: all_success(a__2.b__1.b__route)
        a__2.b__1.c: all_success(a__2.b__1.b__next) feedback a__1.b__1.b__route|a__1.b__2.b__route
        a__2.b__1.c__route: all_success(a__2.b__1.c)
        a__2.b__1.c__again_b: all_success(a__2.b__1.c__route)
        a__2.b__1.c__next: all_success(a__2.b__1.c__route)
        a__2.b__2.b: all_success(a__2.b__1.c__again_b, a__2.a)
        a__2.b__2.b__route: all_success(a__2.b__2.b)
        a__2.b__2.b__again_a: all_success(a__2.b__2.b__route)
        a__2.b__2.b__next: all_success(a__2.b__2.b__route)
        a__2.b__2.c: all_success(a__2.b__2.b__next) feedback a__1.b__1.b__route|a__1.b__2.b__route; a__2.b__1.c__route
        a__2.b__2.c__route: all_success(a__2.b__2.c)
        a__2.b__2.c__again_b: all_success(a__2.b__2.c__route)
        a__2.b__2.c__next: all_success(a__2.b__2.c__route)
        a__2.b__done: none_failed(a__2.b__1.b__again_a, a__2.b__2.b__again_a, a__2.b__1.c__again_b, a__2.b__2.c__again_b)
        a__done: none_failed(a__1.a, a__2.a, a__1.b__done, a__2.b__done)
        c__next: none_failed_min_one_success(a__1.b__1.c__next, a__1.b__2.c__next, a__2.b__1.c__next, a__2.b__2.c__next)
        d: all_success(a__done, c__next)
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_unrolled(name):
    stages, expected = PLANS[name]
    plan = plan_of(stages)
    assert shown(plan) == textwrap.dedent(expected).strip()
    assert Plan.from_json(plan.to_json()) == plan


def test_the_last_round_has_no_way_back():
    routes = [task.config["routes"] for task in plan_of(PLANS["a loop"][0]).tasks if task.kind == "route"]
    assert [[route["outcome"] for route in each] for each in routes] == [["again_a", "next"], ["to_ask", "next"]]
    assert [each[0]["with"] for each in routes] == [{"x": "{{ b.x }}"}, {}]


def test_failing_skips_what_waits_for_the_stage_or_its_loop():
    plan = plan_of(
        """
        a: {agent: tool}
        b: {agent: tool, needs: a, routes: [{when: inputs.go, back_to: a, max_rounds: 2}, {to: next}]}
        c: {agent: tool, after: a}
        d: {agent: tool, needs: b}
        e: {agent: tool, needs: d}
        """
    )
    (route,) = (task for task in plan.tasks if task.task_id == "a__2.b__route")
    assert route.config["arms"]["fail"] == ["a__2.b__fail"]
    assert route.config["fail_skips"] == ["a__done", "d", "c"]
    assert "fail" not in plan.task("a__1.b__route").config["arms"]


def test_everything_that_a_run_answers_for():
    judged = plan_of(PLANS["an error that is routed"][0]).task("run__finish").config["judged"]
    assert [(entry["task"], entry["route"], entry["readers"]) for entry in judged] == [
        ("a", "a__route", {"b": "stage", "c": "stage"}),
        ("a__route", None, {}),
        ("rescue", None, {"c": "stage"}),
        ("b", None, {}),
        ("c", None, {}),
    ]


def test_a_decision_that_only_fails_the_run_can_be_waited_for():
    plan = plan_of("a: {agent: tool, routes: [{to: fail}]}")
    assert [task.task_id for task in plan.tasks] == ["a", "a__route", "a__never", "a__fail", "run__finish"]


def test_joins_of_an_artifact_are_called_after_its_task():
    text = HEAD + textwrap.indent(textwrap.dedent(PLANS["two ways"][0]), "  ")
    plan = make_plan(
        load_text(text + 'artifact: {path: a, content: "{{ x | default(0) }}{{ y | default(0) }}"}', "a.yaml")
    )
    assert "artifact__opt" in {task.task_id for task in plan.tasks}
    assert plan.task("artifact").upstream == ("join__flow1", "artifact__opt")

"""What a mapped task group knows of decisions outside of it."""

from __future__ import annotations

from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_text

LOOP = """\
version: 1
inputs: {things: {type: array, default: [a]}}
agents: {a: {type: python, callable: "m:f", output: {n: number}}}
stages:
  all:
    for_each: inputs.things
    input: {thing: "{{ item }}", before: "{{ feedback }}"}
    pipeline: {stages: {work: {agent: a, input: {thing: "{{ inputs.thing }}"}}}, output: {n: "{{ work.n }}"}}
    routes:
      - {when: all.failed > 0, back_to: all, max_rounds: 2, with: {again: true}}
      - {to: next}
"""


def test_feedback_of_a_round_outside_is_known_by_its_outcome():
    plan = make_plan(load_text(LOOP, "loop.yaml"))
    start = plan.task("all__2.all.item.pipeline__start")
    assert start.mapped == "all__2.all.item"
    assert start.feedback == ((("again_all", "all__1.all__route"),),)

"""Inner pipelines for each item of a list, on Airflow's own scheduling: what ran, what didn't, and how many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.scheduling import run_scripted
from support.template_runs import plan_of

from airflow_agentic.factory.dag import build_dag_from_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.scheduling import ScriptedRun

    Run = Callable[..., ScriptedRun]

ECHO = '{type: python, callable: "support.scripted_agents:echo"}'
FAIL = '{type: python, callable: "support.scripted_agents:fail"}'

pytestmark = pytest.mark.usefixtures("metadata_database")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Run:
    """``run(text, seed)`` runs a template whose version, name and agents are filled in."""
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path / "trace"))
    name = request.node.name.partition("[")[0]

    def run(text: str, seed: int = 0) -> ScriptedRun:
        head = f"version: 1\nname: {name}_{seed}\nagents:\n  echo: {ECHO}\n  fail: {FAIL}\n"
        return run_scripted(build_dag_from_plan(plan_of(head + text, tmp_path / "t.yaml")), seed=seed)

    return run


@pytest.mark.parametrize("seed", range(3))
def test_each_item_decides_for_itself(run: Run, seed: int) -> None:
    ran = run(
        """
stages:
  each:
    for_each: "[5, 1, 9]"
    input: {n: "{{ item }}"}
    pipeline:
      stages:
        draft: {agent: echo, input: {value: "{{ inputs.n + (feedback.more | default(0)) }}"}}
        qa:
          agent: echo
          input: {value: "{{ draft }}"}
          routes:
            - {when: qa >= 9, to: high}
            - {when: qa >= 3, to: low}
            - {back_to: draft, max_rounds: 3, with: {more: "{{ feedback.more | default(0) + 1 }}"}, exhausted: fail}
        high: {agent: echo, input: {value: "high {{ draft }}"}}
        low: {agent: echo, input: {value: "low {{ draft }}"}}
        last: {merge: {from: [high, low], how: first}}
      output: {said: "{{ last | default('-') }}"}
output: {result: "{{ each.outputs }}"}
""",
        seed,
    )
    assert ran.state == "success"
    assert ran.xcom("run__finish") == {"result": [{"said": "low 5"}, {"said": "low 3"}, {"said": "high 9"}]}
    # the second item needed all of its rounds, the others one
    third = [ran.states["each.item.draft__3.draft", index] for index in range(3)]
    assert third == ["skipped", "success", "skipped"]


@pytest.mark.parametrize("seed", range(3))
def test_what_could_not_run_is_told_from_what_failed(run: Run, seed: int) -> None:
    ran = run(
        """
stages:
  each:
    for_each: "[1]"
    tolerate: 1
    input: {n: "{{ item }}"}
    pipeline:
      stages:
        a: {agent: echo, when: inputs.n == 1, input: {value: 1}}
        b: {agent: fail, retry: {attempts: 1}, input: {message: b broke}}
        c: {agent: echo, after: [a, b], input: {value: 3}, on_error: {to: d}}
        d: {agent: echo, input: {value: 4}}
        e: {agent: echo, after: c, input: {value: 5}}
      output: {c: "{{ c | default(0) }}"}
output: {result: "{{ each.errors[0].message }}"}
""",
        seed,
    )
    states = {task_id.removeprefix("each.item."): state for (task_id, index), state in ran.states.items() if index == 0}
    # `c` never ran, so that its failure isn't routed, although Airflow knows it as failed
    assert (states["c"], states["c__route"], states["d"]) == ("failed", "skipped", "skipped")
    told = ran.xcom("run__finish")["result"]
    assert told.splitlines()[1:] == ["Not run because of it: each.c, each.e."]
    assert "b broke" in told


@pytest.mark.parametrize("seed", range(4))
def test_no_more_pipelines_are_at_work_than_may_be(run: Run, seed: int) -> None:
    ran = run(
        """
stages:
  each:
    for_each: "[0, 1, 2, 3, 4, 5]"
    max_parallel: 2
    input: {n: "{{ item }}"}
    pipeline:
      stages:
        a: {agent: echo, input: {value: "{{ inputs.n }}"}}
        b: {agent: echo, input: {value: "{{ a }}"}}
      output: {n: "{{ b }}"}
output: {result: "{{ each.outputs }}"}
""",
        seed,
    )
    assert ran.xcom("run__finish") == {"result": [{"n": number} for number in range(6)]}
    at_work: set[int] = set()
    for task_id, index in ran.order:
        if task_id == "each.item.a":
            at_work.add(index)
            assert len(at_work) <= 2
        if task_id == "each.item.pipeline__result":
            at_work.discard(index)

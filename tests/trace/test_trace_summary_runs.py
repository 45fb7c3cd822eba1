"""The summaries that runs leave: of hand-made templates by hand, of generated ones against their traces."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.agreement import planned
from support.flow_templates import templates
from support.scheduling import run_scripted
from support.telling_agents import respond_into, telling
from support.traces import traced

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace import layout
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.summary import LoopCount, RunSummary, StageCount, summary_of_bytes

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.document import Trace

SHARDS = 2
CASES = 12

HEAD = """
version: 1
name: NAME
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
  fail: {type: python, callable: "support.scripted_agents:fail"}
  doubtful: {type: python, callable: "support.scripted_agents:fail_until"}
"""


def summary_at(dag_id: str, run_id: str, number: int = 1) -> RunSummary:
    return summary_of_bytes(TraceStore().read_bytes(layout.summary_path(dag_id, run_id, number)))


def summary_of(text: str, folder: Path, **more: Any) -> RunSummary:
    """Of a run of a template whose head is filled in."""
    name = f"summed_{abs(hash(text))}"
    file = folder / f"{name}.yaml"
    file.write_text(HEAD.replace("NAME", name) + text)
    run = run_scripted(build_dag_from_plan(make_plan(load_template(file))), {}, **more)
    return summary_at(run.dag_id, run.run_id)


def test_a_loop_and_retries(run_folder: Path) -> None:
    found = summary_of(
        f"""
stages:
  draft: {{agent: doubtful, input: {{counter: {run_folder / "c"}, succeed_at: 2}}}}
  qa:
    agent: echo
    needs: draft
    input: {{value: "{{{{ round }}}}"}}
    routes:
      - {{when: qa == 2, to: end}}
      - {{back_to: draft, max_rounds: 4}}
""",
        run_folder,
    )
    assert found.state == "success"
    assert found.stages == (
        StageCount(stage="draft", attempts=3, failed_attempts=1),
        StageCount(stage="qa", attempts=2),
    )
    assert found.loops == (LoopCount(target="draft", source="qa", max_rounds=4, rounds={2: 1}),)
    assert found.usage.calls == 5


@pytest.mark.parametrize(("exhausted", "state"), [("end", "success"), ("fail", "failed")])
def test_a_loop_that_reaches_its_bound(run_folder: Path, exhausted: str, state: str) -> None:
    found = summary_of(
        f"""
stages:
  draft: {{agent: echo, input: {{value: 1}}}}
  qa:
    agent: echo
    needs: draft
    input: {{value: 1}}
    routes:
      - {{when: qa == 2, to: end}}
      - {{back_to: draft, max_rounds: 3, exhausted: {exhausted}}}
""",
        run_folder,
    )
    assert found.state == state
    assert found.loops == (LoopCount(target="draft", source="qa", max_rounds=3, rounds={3: 1}, exhausted=1),)
    assert [stage.stage for stage in found.stages if stage.failed] == (["qa"] if state == "failed" else [])


def test_loops_in_a_loop(run_folder: Path) -> None:
    found = summary_of(
        """
stages:
  research: {agent: echo, input: {value: 1}}
  draft: {agent: echo, needs: research, input: {value: "{{ round }}"}}
  verify:
    agent: echo
    needs: draft
    input: {value: "{{ round }}"}
    routes:
      - {when: verify == 2, to: next}
      - {back_to: draft, max_rounds: 3}
  qa:
    agent: echo
    needs: verify
    input: {value: "{{ round }}"}
    routes:
      - {when: qa == 3, to: end}
      - {back_to: research, max_rounds: 3, exhausted: end}
""",
        run_folder,
    )
    assert found.loops == (
        LoopCount(target="research", source="qa", max_rounds=3, rounds={3: 1}),
        LoopCount(target="draft", source="verify", max_rounds=3, rounds={2: 3}),
    )


def test_a_loop_in_a_pipeline_for_each_item(run_folder: Path) -> None:
    found = summary_of(
        """
stages:
  clause:
    for_each: "{{ [1, 1, 2, 9] }}"
    input: {needed: "{{ item }}"}
    tolerate: 100%
    pipeline:
      stages:
        draft: {agent: echo, input: {value: "{{ round }}"}}
        qa:
          agent: echo
          needs: draft
          input: {value: "{{ round }}"}
          routes:
            - {when: qa >= inputs.needed, to: end}
            - {back_to: draft, max_rounds: 3}
      output: {rounds: "{{ draft }}"}
""",
        run_folder,
    )
    assert found.loops == (
        LoopCount(target="clause.draft", source="clause.qa", max_rounds=3, rounds={1: 2, 2: 1, 3: 1}, exhausted=1),
    )
    assert [stage.stage for stage in found.stages if stage.failed] == ["clause.qa"]


def test_a_failure_that_is_handled_is_one(run_folder: Path) -> None:
    found = summary_of(
        """
stages:
  risky: {agent: fail, on_error: {to: plan_b}}
  plan_b: {agent: echo, input: {value: 1}}
  after: {agent: fail, needs: plan_b, on_error: {value: 1}}
  both:
    merge: {from: [after, plan_b], how: list}
""",
        run_folder,
    )
    counted = {stage.stage: (stage.failed, stage.attempts, stage.failed_attempts) for stage in found.stages}
    assert counted == {"risky": (True, 2, 2), "plan_b": (False, 1, 0), "after": (False, 2, 2)}
    assert found.state == "success"


def test_people_are_waited_for(run_folder: Path) -> None:
    text = """
stages:
  ask: {human: {ask: "Well?", options: [Yes, No], timeout: 1h, on_timeout: "No"}}
"""
    found = summary_of(text, run_folder, answer=lambda _: ("Yes", {}))
    assert (found.people.asked, found.people.timed_out) == (1, 0)
    assert 0 <= found.people.seconds < 60
    assert summary_of(text + "\n", run_folder, answer=lambda _: None).people.timed_out == 1


def test_a_summary_that_cannot_be_made_fails_nothing(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("airflow_agentic.operators.summing.summary_of", refuse)
    file = run_folder / "t.yaml"
    file.write_text(HEAD.replace("NAME", "unsummed") + "stages:\n  a: {agent: echo, input: {value: 1}}\n")
    run = run_scripted(build_dag_from_plan(make_plan(load_template(file))), {})
    assert run.state == "success"
    store = TraceStore()
    names = [path.rpartition("/")[2] for path in store.files(run.dag_id, run.run_id)]
    assert "manifest.1.json" in names
    assert "summary.1.json" not in names


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_summary_adds_up_what_the_trace_tells(shard: int, run_folder: Path) -> None:
    seen: Counter[str] = Counter()

    @hypothesis.seed(2000 + shard)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(templates(), st.integers(0, 2**16))
    def check(spec: dict[str, Any], seed: int) -> None:
        log = Path(tempfile.mkdtemp(dir=run_folder))
        try:
            plan = planned(telling(spec, log), run_folder)
        except TemplateError:
            hypothesis.assume(False)
        run = run_scripted(build_dag_from_plan(plan), {}, seed=seed, answer=respond_into(log))
        summary = summary_at(run.dag_id, run.run_id)
        compare(summary, traced(run), plan)
        seen["runs"] += 1
        seen["loops"] += bool(summary.loops)
        seen["failures"] += any(stage.failed for stage in summary.stages)

    check()
    assert seen["runs"] >= CASES
    assert min(seen["loops"], seen["failures"]) > 0, seen


def compare(summary: RunSummary, trace: Trace, plan: Plan) -> None:
    """What is in a summary with what the trace of the same run tells."""
    assert summary.state == trace.state
    assert summary.usage == trace.usage
    recorded = [attempt for attempt in trace.attempts if attempt.record is not None]
    made = Counter(attempt.stage for attempt in recorded)
    in_vain = Counter(attempt.stage for attempt in recorded if attempt.state != "success")
    assert {stage.stage: stage.attempts for stage in summary.stages if stage.attempts} == made
    assert {stage.stage: stage.failed_attempts for stage in summary.stages if stage.failed_attempts} == in_vain
    assert summary.people.asked == len(trace.answers)
    assert summary.people.seconds == pytest.approx(sum(answer.seconds or 0.0 for answer in trace.answers))
    assert sum(number * times for loop in summary.loops for number, times in loop.rounds.items()) == _rounds(
        trace, plan
    )
    went_on = ("retried", "item failed")
    told = {
        error.stage
        for error in trace.errors
        if error.what != "run" and error.then not in went_on and "recovered" not in error.then
    }
    # a pipeline fails with what is in it
    told -= {stage for stage in told if any(other.startswith(f"{stage}.") for other in told)}
    assert {stage.stage for stage in summary.stages if stage.failed} == told, json.dumps(summary.to_data())


def _rounds(trace: Trace, plan: Plan) -> int:
    """How many rounds did something: task groups of rounds, once per item of the pipelines around them."""
    groups = [group.group_id for group in plan.groups if ", round " in group.label]
    mapped = {task.task_id: task.mapped for task in plan.tasks}
    worked = [
        task
        for task in trace.tasks
        if task.kind not in ("join", "route", "fail", "finish") and task.state in ("success", "failed")
    ]
    found = set()
    for group in groups:
        for task in worked:
            if task.task_id.startswith(f"{group}."):
                around = mapped[task.task_id]
                found.add((group, task.map_index if around and f"{group}.".startswith(f"{around}.") else -1))
    return len(found)

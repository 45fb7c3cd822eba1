"""
The facts of a real Airflow, from its REST API and from its database, and what a trace makes of them.

One run has a loop, a fan-out, attempts handed over to Airflow's retry, killed processes, a stand-in, a question to
people and a task that is cleared. What its agents did says their own log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from support.clearing import clear
from support.people import answer, wait_for_questions
from support.telling_agents import Call, calls_in

from airflow_agentic.trace.airflow_database import facts_from_database
from airflow_agentic.trace.airflow_rest import facts_from_rest
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.record import BeginRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.document import AttemptTrace, TaskTrace, Trace

pytestmark = pytest.mark.airflow

NAME = "traced_facts"
#: Waits of more than half a second are handed over to Airflow.
DAG = '''
"""A dag of airflow's."""
import os

os.environ["AIRFLOW__AGENTIC__INLINE_WAIT"] = "0.5"
from airflow_agentic.factory.load import build_dag

dag = build_dag({template!r})
'''
TEMPLATE = """\
version: 1
name: traced_facts
inputs: {log: string}
defaults: {retry: {attempts: 3, wait: 10ms, jitter: false}}
agents:
  actor: {type: python, callable: "support.telling_agents:play"}
  other: {type: python, callable: "support.telling_agents:play"}
stages:
  draft: {agent: actor, input: {log: "{{ inputs.log }}", who: draft, output: "{{ round }}"}}
  review:
    agent: actor
    input: {log: "{{ inputs.log }}", who: review, saw: "{{ draft }}", output: {score: "{{ draft }}"}}
    routes:
      - {when: review.score >= 2, to: next}
      - {back_to: draft, max_rounds: 3}
  each:
    agent: actor
    for_each: "[none, ['unavailable'], ['killed'], ['rejected']]"
    items_per_task: 1
    tolerate: 1
    input: {log: "{{ inputs.log }}", who: each, saw: "{{ index }}", output: "{{ index }}", then: "{{ item }}"}
  late:
    agent: actor
    input: {log: "{{ inputs.log }}", who: late, output: at last, then: [[rate_limited, 2]]}
  dead: {agent: actor, input: {log: "{{ inputs.log }}", who: dead, output: alive, then: [killed]}}
  helped:
    agent: actor
    input: {log: "{{ inputs.log }}", who: helped, output: helped, then: [rejected]}
    on_error: {agent: other}
  never: {agent: actor, when: review.score > 5, input: {log: "{{ inputs.log }}", who: never}}
  ask:
    needs: [review, each, late, dead, helped]
    human: {ask: "Well?", body: "{{ late }}", options: [Yes, No], timeout: 20m, on_timeout: fail}
  then: {agent: actor, after: ask, input: {log: "{{ inputs.log }}", who: then, output: done}}
output: {then: "{{ then }}"}
"""


def from_rest(airflow: AirflowEnv, run_id: str) -> RunFacts:
    return facts_from_rest(airflow.rest, NAME, run_id)


def from_database(airflow: AirflowEnv, run_id: str) -> RunFacts:
    """Through the file of the server's database: another process's."""
    engine = create_engine(f"sqlite:///{airflow.home / 'airflow.db'}")
    try:
        with Session(engine) as session:
            return facts_from_database(session, NAME, run_id)
    finally:
        engine.dispose()


def without_reasons(facts: RunFacts) -> RunFacts:
    """The REST API doesn't tell them."""
    instances = sorted(facts.instances, key=lambda instance: (instance.task_id, instance.map_index))
    return replace(
        facts,
        instances=tuple(
            replace(instance, tries=tuple(replace(each, reason=None) for each in instance.tries))
            for instance in instances
        ),
    )


def traced(airflow: AirflowEnv, run_id: str) -> Trace:
    """From both, which agree."""
    store = TraceStore(airflow.trace_url)
    told, stored = from_rest(airflow, run_id), from_database(airflow, run_id)
    assert without_reasons(told) == without_reasons(stored)
    one, other = (assembled(NAME, run_id, facts, store) for facts in (told, stored))
    assert (one.attempts, one.errors, one.stages) == (other.attempts, other.errors, other.stages)
    assert other.problems == ()
    assert other.complete
    return other


def by_key(calls: list[Call]) -> dict[tuple[str, Any, str], list[Call]]:
    found: dict[tuple[str, Any, str], list[Call]] = {}
    for call in calls:
        item = call.given["saw"] if call.given["who"] == "each" else None
        found.setdefault((call.given["who"], item, call.agent), []).append(call)
    return found


def agrees(trace: Trace, calls: list[Call]) -> None:
    """Each call is an attempt, one that was killed a lost one; and nothing else is."""
    attempts: dict[tuple[str, Any, str], list[AttemptTrace]] = {}
    for attempt in trace.attempts:
        item = attempt.item["index"] if attempt.item else attempt.map_index if attempt.map_index >= 0 else None
        attempts.setdefault((attempt.stage, item, "play"), []).append(attempt)
    logged = by_key(calls)
    assert attempts.keys() == logged.keys()
    for key, own in logged.items():
        assert len(own) == len(attempts[key]), key
        for call, attempt in zip(own, attempts[key], strict=True):
            assert attempt.started is not None
            assert attempt.ended is not None
            assert attempt.started <= call.began.isoformat()
            if call.ended is None:
                assert (attempt.state, attempt.record, attempt.attempt) == ("lost", None, None)
                assert call.began.isoformat() <= attempt.ended
                continue
            assert call.seconds is not None
            assert attempt.seconds is not None
            assert call.seconds - 1e-3 <= attempt.seconds <= call.seconds + 2
            assert call.ended.isoformat() <= attempt.ended
            assert (attempt.error or {}).get("kind") == call.kind
            assert attempt.output == call.output
            given = {key: value for key, value in attempt.sent["input"].items() if value is not None}
            assert given == call.given


def tries(trace: Trace, task_id: str, map_index: int = -1) -> TaskTrace:
    return next(task for task in trace.tasks if (task.task_id, task.map_index) == (task_id, map_index))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("traced") / f"{NAME}.yaml"
    file.write_text(TEMPLATE)
    return file


def test_a_trace_has_what_only_airflow_knows(airflow: AirflowEnv, template: Path, tmp_path: Path) -> None:
    airflow.put_dag_file(f"{NAME}.py", DAG.format(template=str(template)))
    airflow.wait_for_dag(NAME)
    run_id = airflow.rest.trigger(NAME, {"log": str(tmp_path)})
    wait_for_questions(airflow, NAME, run_id, timeout=180)
    asked(traced(airflow, run_id), calls_in(tmp_path))
    answer(airflow, NAME, run_id, "ask", "Yes")
    run = airflow.finish(NAME, run_id)
    assert run.state == "success", run
    ended(traced(airflow, run_id), calls_in(tmp_path))
    clear(airflow, NAME, run_id, "then")
    assert airflow.finish(NAME, run_id).state == "success"
    cleared(traced(airflow, run_id), calls_in(tmp_path))
    told_by_commands(airflow, run_id)


def asked(trace: Trace, calls: list[Call]) -> None:
    """While the run waits for people."""
    agrees(trace, calls)
    assert (trace.state, trace.sealed, trace.ended) == ("running", None, None)
    assert trace.triggered["type"] == "manual"
    [question] = trace.answers
    assert (question.subject, question.body, question.options) == ("Well?", "at last", ("Yes", "No"))
    assert (question.answered, question.choice, question.record) == (None, None, None)
    rows = {(row.stage, row.rounds): row.state for row in trace.stages}
    assert rows == {
        ("draft", (1,)): "success",
        ("draft", (2,)): "success",
        ("review", (1,)): "success",
        ("review", (2,)): "success",
        ("each", ()): "success",
        ("late", ()): "success",
        ("dead", ()): "success",
        ("helped", ()): "success",
        ("never", ()): "skipped",
        ("ask", ()): "awaiting_input",
        ("then", ()): "planned",
    }
    counts = Counter((attempt.stage, attempt.state) for attempt in trace.attempts if attempt.state != "success")
    assert counts == {
        ("each", "retrying"): 1,
        ("each", "lost"): 1,
        ("each", "failed"): 1,
        ("late", "retrying"): 1,
        ("dead", "lost"): 1,
        ("helped", "failed"): 1,
    }
    _tries(trace)
    _errors(trace)


def _tries(trace: Trace) -> None:
    dead = tries(trace, "dead").tries
    assert [each.lost for each in dead] == [True, False]
    assert [each.number for each in dead] == [1, 2]
    late = tries(trace, "late").tries
    assert [each.lost for each in late] == [False, False]
    assert late[0].wait_until is not None
    assert late[0].reason
    assert late[1].started is not None
    assert late[0].wait_until <= late[1].started
    for task in trace.tasks:
        for each in task.tries:
            assert (each.queue_seconds is not None) == (each.queued is not None and each.started is not None)
    assert sum(row.queued for row in trace.stages) > 0
    never = tries(trace, "never")
    [decision] = [decision for decision in trace.decisions if decision.about == "when"]
    assert (never.state, never.skipped_by) == ("skipped", decision.id)


def _errors(trace: Trace) -> None:
    log = sorted((error.stage, error.item, error.kind, error.then) for error in trace.errors if error.stage != "each")
    assert log == [
        ("dead", None, "lost", "retried"),
        ("helped", None, "rejected", "recovered by agent"),
        ("late", None, "rate_limited", "retried"),
    ]
    items = sorted((error.kind, error.then) for error in trace.errors if error.stage == "each")
    assert items == [("lost", "retried"), ("rejected", "item failed"), ("unavailable", "retried")]


def ended(trace: Trace, calls: list[Call]) -> None:
    agrees(trace, calls)
    assert (trace.state, trace.output) == ("success", {"then": "done"})
    assert trace.sealed is not None
    assert trace.seconds is not None
    [question] = trace.answers
    assert (question.choice, question.by) == ("Yes", {"id": "admin", "name": "admin"})
    assert question.asked < str(question.answered)
    assert tries(trace, "ask").state == "success"


def cleared(trace: Trace, calls: list[Call]) -> None:
    agrees(trace, calls)
    again = tries(trace, "then").tries
    assert [(each.number, each.state, each.lost) for each in again] == [(1, "success", False), (2, "success", False)]
    assert [attempt.try_number for attempt in trace.attempts if attempt.stage == "then"] == [1, 2]
    assert trace.sealed is not None
    assert trace.sealed["try_number"] == 2


def told_by_commands(airflow: AirflowEnv, run_id: str) -> None:
    """Inside of Airflow its database is asked, elsewhere its API, where it is named."""
    own = airflow._server._environment
    inside = _printed([sys.executable, "-m", "airflow", "agentic", "trace", NAME, run_id, "--json"], own)
    user, password = airflow.login
    command = [sys.executable, "-m", "airflow_agentic.cli.main", "trace", NAME, run_id, "--json"]
    records = {**os.environ, "AIRFLOW__AGENTIC__TRACE_URL": airflow.trace_url}
    alone = _printed(command, records)
    login = {"AIRFLOW_AGENTIC_USER": user, "AIRFLOW_AGENTIC_PASSWORD": password}
    asking = _printed([*command, "--airflow", airflow.rest.url], {**records, **login})
    assert (inside["complete"], alone["complete"], asking["complete"]) == (True, False, True)
    assert inside["attempts"] == asking["attempts"]
    assert len(alone["attempts"]) == len(inside["attempts"]) - 2
    refused = subprocess.run([*command, "--airflow", airflow.rest.url], env=records, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "AIRFLOW_AGENTIC_TOKEN" in refused.stderr


def _printed(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


ENDED = """\
version: 1
name: {name}
{timeout}
inputs: {{log: string}}
agents:
  actor: {{type: python, callable: "support.telling_agents:play"}}
  slow: {{type: python, callable: "support.scripted_agents:wait_once"}}
stages:
  first: {{agent: actor, input: {{log: "{{{{ inputs.log }}}}", who: first, output: 1, then: [killed]}}}}
  hangs: {{agent: slow, after: first, input: {{started: "{{{{ inputs.log }}}}/started"}}}}
  later: {{agent: actor, after: hangs, input: {{log: "{{{{ inputs.log }}}}", who: later}}}}
output: {{}}
"""


def end_by_hand(airflow: AirflowEnv, dag_id: str, run_id: str) -> None:
    airflow.rest.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})


@pytest.mark.parametrize(("name", "timeout"), [("traced_timeout", "run_timeout: 30s"), ("traced_by_hand", "")])
def test_a_run_that_airflow_ended_is_told(airflow: AirflowEnv, name: str, timeout: str, tmp_path: Path) -> None:
    """Its last task never sealed it; and its first one was killed when it had recorded the beginning."""
    airflow.put_template(f"{name}.yaml", ENDED.format(name=name, timeout=timeout))
    airflow.wait_for_dag(name)
    run_id = airflow.rest.trigger(name, {"log": str(tmp_path)})
    store = TraceStore(airflow.trace_url)
    airflow.wait_until((tmp_path / "started").exists, what="stage that hangs", timeout=60)
    going_on = assembled(name, run_id, facts_from_rest(airflow.rest, name, run_id), store)
    assert (going_on.state, going_on.ended, going_on.inputs) == ("running", None, {"log": str(tmp_path)})
    assert [(attempt.stage, attempt.state) for attempt in going_on.attempts] == [
        ("first", "lost"),
        ("first", "success"),
        ("hangs", "running"),
    ]
    if not timeout:
        end_by_hand(airflow, name, run_id)
    assert airflow.finish(name, run_id).state == "failed"

    def told() -> Trace:
        return assembled(name, run_id, facts_from_rest(airflow.rest, name, run_id), store)

    # until its process hears that it's over, it has left no record
    airflow.wait_until(lambda: told().attempts[-1].state == "killed", what="end of the process", timeout=60)
    trace = told()
    assert (trace.state, trace.sealed, trace.output, trace.problems) == ("failed", None, None, ())
    assert [(attempt.stage, attempt.state) for attempt in trace.attempts] == [
        ("first", "lost"),
        ("first", "success"),
        ("hangs", "killed"),
    ]
    assert [(error.what, error.stage, error.kind, error.then) for error in trace.errors] == [
        ("attempt", "first", "lost", "retried"),
        ("attempt", "hangs", "killed", "run failed"),
        ("run", "", "failed", "run failed"),
    ]
    [begin] = [record for record in store.records(name, run_id).values() if isinstance(record, BeginRecord)]
    assert (begin.task_id, begin.try_number) == ("first", 1)
    alone = assembled(name, run_id, store=store)
    assert (alone.state, alone.complete, len(alone.attempts)) == ("running", False, 2)

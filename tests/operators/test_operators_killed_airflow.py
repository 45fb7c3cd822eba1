"""Processes that die while they work, on a real Airflow: what succeeded is not paid for twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.airflow_env import AirflowEnv
from support.killing_server import KillingModel, KillingSite, Victim
from support.openai_server import calls, good

from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

#: Seconds that an answer takes from the server's last byte to the journal, at most, on a busy machine.
WINDOW = 0.5
BATCH = """
version: 1
name: {name}
agents:
  site: {{type: http, connection: killing_site, endpoint: "/{{{{ input.n }}}}", output: {{n: integer}}}}
stages:
  work:
    agent: site
    for_each: range(100)
    input: {{n: "{{{{ item }}}}"}}
    items_per_task: 100
    retry: {{attempts: 1, wait: 500ms, jitter: false}}
output: {{all: "{{{{ work.outputs }}}}"}}
"""
TALK = """
version: 1
name: killed_talk
inputs: {folder: string}
agents:
  clerk:
    type: llm
    connection: killing_model
    tools: [{python: "support.item_agents:note", max_calls: 5}]
    output: {done: boolean}
stages:
  talk: {agent: clerk, prompt: "Work in {{ inputs.folder }}.", retry: {attempts: 2, wait: 500ms, jitter: false}}
output: {done: "{{ talk.done }}"}
"""
#: A file of dags whose stage's worker dies when the answer is there and nobody has been told.
DYING = '''
"""A dag of airflow's."""
import os, signal
from pathlib import Path

from airflow_agentic.factory.load import build_dag
from airflow_agentic.operators import {module}

original = {module}.{function}


def dying(*args, **more):
    mark = Path({mark!r})
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **more)


{module}.{function} = dying
dag = build_dag({template!r})
'''
SINGLE = """
version: 1
name: {name}
inputs: {{folder: string}}
agents:
  noting: {{type: python, callable: "support.item_agents:note", output: integer}}
stages:
  work: {{agent: noting, input: {{folder: "{{{{ inputs.folder }}}}", what: called}}, retry: {{attempts: 1}}}}
output: {{number: "{{{{ work }}}}"}}
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowEnv]:
    """An Airflow that soon notices that a worker is gone."""
    environment = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    }
    airflow = AirflowEnv(tmp_path_factory.mktemp("killed"), source_roots=Path.cwd(), environment=environment)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def records(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[AttemptRecord]:
    store = TraceStore(airflow.trace_url)
    read = [store.read(path) for path in store.records(dag_id, run_id)]
    return [record for record in read if isinstance(record, AttemptRecord)]


@pytest.mark.parametrize("victim", ["task", "worker"])
def test_no_item_that_succeeded_is_asked_for_again(quick: AirflowEnv, victim: Victim) -> None:
    name = f"killed_batch_{victim}"
    with KillingSite(victim, at=80, delay=0.3) as site:
        quick.add_connection("killing_site", conn_type="http", host="127.0.0.1", port=site.port, schema="http")
        quick.put_template(f"{name}.yaml", BATCH.format(name=name))
        run = quick.run(name, timeout=180)
        asked, answered = Counter(call.path for call in site.calls), site.answered
    assert run.state == "success", run
    assert quick.rest.xcom(name, run.run_id, "run__finish") == {"all": [{"n": number} for number in range(100)]}
    assert site.killed_at is not None
    succeeded = {path for path, at in answered if at < site.killed_at - WINDOW}
    twice = {path for path, number in asked.items() if number > 1}
    assert not succeeded & twice
    assert len(succeeded) >= 30
    assert len(asked) == 100
    assert len(twice) <= 16
    assert max(asked.values()) <= 2
    found = [record for record in records(quick, name, run.run_id) if record.state == "success"]
    assert sorted((record.item or {})["index"] for record in found) == list(range(100))
    assert {record.attempt for record in found} == {1}


def test_a_conversation_goes_on_after_the_turn_that_was_answered_last(quick: AirflowEnv, tmp_path: Path) -> None:
    pytest.importorskip("pydantic_ai")
    one, two = (calls(("note", {"folder": str(tmp_path), "what": what})) for what in ("one", "two"))
    with KillingModel(one, two, good({"done": True}), at=3) as model:
        extra = {"model": "openai-chat:gpt-test"}
        quick.add_connection("killing_model", conn_type="pydanticai", host=f"{model.url}/v1", password="k", extra=extra)
        quick.put_template("killed_talk.yaml", TALK)
        run = quick.run("killed_talk", {"folder": str(tmp_path)}, timeout=180)
    assert run.state == "success", run
    assert (tmp_path / "calls").read_text() == "one\ntwo\n"
    assert len(model.requests) == 4
    assert model.requests[2]["messages"] == model.requests[3]["messages"]
    [record] = records(quick, "killed_talk", run.run_id)
    assert (record.attempt, record.try_number, record.replayed) == (1, 2, 2)
    assert [call.get("replayed") for call in record.tool_calls] == [True, True]
    assert record.tokens == {"input": 33, "output": 21}


@pytest.mark.parametrize(
    ("module", "function"), [("recording", "attempt_record"), ("agent", "push_provenance"), ("agent", "push_output")]
)
def test_an_answer_that_nobody_was_told_is_not_paid_for_again(
    quick: AirflowEnv, tmp_path: Path, module: str, function: str
) -> None:
    name = f"killed_{function}"
    template = tmp_path / f"{name}.yaml"
    template.write_text(SINGLE.format(name=name))
    mark = str(tmp_path / "killed")
    text = DYING.format(module=module, function=function, mark=mark, template=str(template))
    quick.put_dag_file(f"{name}.py", text)
    run = quick.run(name, {"folder": str(tmp_path)}, timeout=180)
    assert run.state == "success", run
    assert Path(mark).exists()
    assert (tmp_path / "calls").read_text() == "called\n"
    assert quick.rest.xcom(name, run.run_id, "run__finish") == {"number": 1}
    assert json.dumps(quick.rest.xcom(name, run.run_id, "work")) == "1"
    states = [(record.attempt, record.try_number, record.state) for record in records(quick, name, run.run_id)]
    assert states == [(1, 1, "success")]

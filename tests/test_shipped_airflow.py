"""The shipped templates, and a model that fails in every way, on the real Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, failing, good, limited, no_choices, slow

from airflow_agentic.trace.assemble import assemble
from airflow_agentic.trace.store import TraceStore

pytest.importorskip("pydantic_ai")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow_env import AirflowEnv, FinishedRun

pytestmark = pytest.mark.airflow

PROJECT = Path(__file__).parents[1]
SECRET = "sk-secret-of-a-test"

NOTES = """\
# Waiting

A task that failed is tried again after its retry delay. The retry delay is 300 seconds unless the task sets it.

Exponential backoff doubles the retry delay after each attempt, and a maximum delay keeps it within bounds.
"""
QUOTES = (
    "The retry delay is 300 seconds unless the task sets it.",
    "Exponential backoff doubles the retry delay after each attempt",
)
CLAIMS = [{"text": "It says so.", "quote": quote, "source": "s1"} for quote in QUOTES]
DRAFT = {
    "text": "# Retries\n\nA retry waits for 300 seconds [1]. Backoff doubles the delay [2]. {{ 7*7 }}",
    "citations": [
        {"number": number, "claim": "It says so.", "quote": quote, "source": "s1"}
        for number, quote in enumerate(QUOTES, 1)
    ],
}
ANALYSIS = {"summary": "Waiting.", "sections": [{"title": "Delay", "points": ["It doubles."]}], "gaps": []}

FAULTS = """
version: 1
name: model_faults
inputs: {topic: {type: string, default: "{{ 7*7 }}"}}
agents:
  writer:
    type: llm
    connection: model_faults
    output: {text: string}
stages:
  write:
    agent: writer
    prompt: "Write about {{ inputs.topic }}"
    retry: {attempts: 6, wait: 10ms, jitter: false}
    timeout: 3s
output: {text: "{{ write.text }}"}
"""


def records_of(airflow: AirflowEnv, run: FinishedRun) -> list[Any]:
    return list(TraceStore(airflow.trace_url).records(run.dag_id, run.run_id).values())


def every_byte_of_the_trace(airflow: AirflowEnv) -> Iterator[str]:
    for path in Path(airflow.trace_url).rglob("*"):
        if path.is_file():
            yield path.read_text()


def test_research_brief(airflow: AirflowEnv) -> None:
    airflow.put_template("research_brief.yaml", (PROJECT / "templates" / "research_brief.yaml").read_text())
    run = airflow.run("research_brief", timeout=300)
    assert run.state == "success", str(run)
    output = airflow.rest.xcom("research_brief", run.run_id, "run__finish")
    brief = (airflow.artifacts / "briefs" / "retries-in-airflow.md").read_text()
    assert brief.startswith(output["text"])
    assert output["score"] > 0.8
    assert brief.count("\n- ") > 10
    trace = assemble("research_brief", run.run_id, TraceStore(airflow.trace_url))
    assert trace.state == "success"
    assert {stage.state for stage in trace.stages} == {"success"}
    assert {stage.attempts for stage in trace.stages if stage.kind == "agent"} == {1}


def test_research_brief_llm(airflow: AirflowEnv) -> None:
    notes = PROJECT / ".test" / "notes.md"
    notes.parent.mkdir(exist_ok=True)
    notes.write_text(NOTES)
    rules = (
        ("Find up to 25 claims", [limited(1), good({"claims": CLAIMS})]),
        ("Analyse these claims", [failing(500), good(ANALYSIS)]),
        ("Write a brief on", [good({"text": "no citations"}), good(DRAFT)]),
        ("Score this brief", [good({"score": 0.7, "problems": ["Say more about jitter."]})]),
    )
    airflow.put_template("research_brief_llm.yaml", (PROJECT / "templates" / "research_brief_llm.yaml").read_text())
    with OpenAIServer(rules=rules) as server:
        airflow.add_connection("agentic_default", **json.loads(server.connection()))
        run = airflow.run("research_brief_llm", {"topic": "retry delay", "sources": [".test/notes.md"]}, timeout=300)
        called = len(server.requests)
    assert run.state == "success", str(run)
    assert called == 7
    models = [record for record in records_of(airflow, run) if getattr(record, "agent", {}).get("type") == "llm"]
    assert len(models) == called
    assert sorted(record.stage for record in models if record.state == "retrying") == ["analysis", "claims", "draft"]
    assert airflow.rest.xcom("research_brief_llm", run.run_id, "draft") == DRAFT
    assert "{{ 7*7 }}" in (airflow.artifacts / "briefs" / "retry-delay-llm.md").read_text()
    assert not any(SECRET in text for text in every_byte_of_the_trace(airflow))


def test_a_model_that_fails_in_every_way(airflow: AirflowEnv) -> None:
    script = (no_choices(), slow(8), failing(500), limited(2), good({"txt": "wrong"}), good({"text": "{% raw %}"}))
    with OpenAIServer(*script) as server:
        airflow.add_connection("model_faults", **json.loads(server.connection()))
        airflow.put_template("model_faults.yaml", FAULTS)
        run = airflow.run("model_faults")
        calls, requests = list(server.calls), list(server.requests)
    assert run.state == "success", str(run)
    assert airflow.rest.xcom("model_faults", run.run_id, "run__finish") == {"text": "{% raw %}"}
    assert len(requests) == len(script)
    assert requests[0]["messages"] == [{"role": "user", "content": "Write about {{ 7*7 }}"}]
    assert "'text' is a required property" in requests[5]["messages"][-1]["content"]
    assert calls[4].at - calls[3].at >= 2.0

    attempts = [record for record in records_of(airflow, run) if record.stage == "write"]
    attempts.sort(key=lambda record: record.attempt)
    assert [(record.attempt, record.state, (record.error or {}).get("kind")) for record in attempts] == [
        (1, "retrying", "malformed_output"),
        (2, "retrying", "timeout"),
        (3, "retrying", "unavailable"),
        (4, "retrying", "rate_limited"),
        (5, "retrying", "malformed_output"),
        (6, "success", None),
    ]
    assert attempts[3].next_wait >= 2.0
    assert attempts[5].output == {"text": "{% raw %}"}
    assert attempts[5].tokens == {"input": 11, "output": 7}
    assert not any(SECRET in text for text in every_byte_of_the_trace(airflow))


def test_the_template_that_the_loader_serves(airflow: AirflowEnv) -> None:
    airflow.put_loader(PROJECT / "dags" / "agentic_templates.py")
    airflow.put_dag_file("key_themes.yaml", (PROJECT / "dags" / "key_themes.yaml").read_text())
    run = airflow.run("key_themes")
    assert run.state == "success", str(run)
    sentence = airflow.rest.xcom("key_themes", run.run_id, "run__finish")["sentence"]
    assert sentence.startswith("The text is about ")

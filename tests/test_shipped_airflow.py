"""The shipped templates, and a model that fails in every way, on the real Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, failing, good, limited, no_choices, slow
from support.people import answer, wait_for_questions

from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

pytest.importorskip("pydantic_ai")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow_env import AirflowEnv, FinishedRun

pytestmark = pytest.mark.airflow

PROJECT = Path(__file__).parents[1]
#: Seconds. What runs beside the tests may slow them down.
_LONG = 300.0
SECRET = "model-key-4711-for-tests"

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

#: Statements with their evidence: one holds, one never did.
HOLDS = "The retry delay is 300 seconds: “The retry delay is 300 seconds unless the task sets it.” (.test/notes.md)"
GONE = "Exponential backoff triples the retry delay: “it triples after each attempt” (.test/gone.md)"

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
    timeout: 10s
output: {text: "{{ write.text }}"}
"""


def records_of(airflow: AirflowEnv, run: FinishedRun) -> list[Any]:
    return list(TraceStore(airflow.trace_url).records(run.dag_id, run.run_id).values())


def every_byte_of_the_trace(airflow: AirflowEnv) -> Iterator[str]:
    for path in Path(airflow.trace_url).rglob("*"):
        if path.is_file():
            yield path.read_text()


def shipped(name: str) -> str:
    return (PROJECT / "templates" / f"{name}.yaml").read_text()


def written(name: str, text: str) -> str:
    """A file that agents may read; its address."""
    file = PROJECT / ".test" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return f".test/{name}"


def test_research_brief(airflow: AirflowEnv) -> None:
    airflow.put_template("research_brief.yaml", shipped("research_brief"))
    run = airflow.run("research_brief", timeout=300)
    assert run.state == "success", str(run)
    output = airflow.rest.xcom("research_brief", run.run_id, "run__finish")
    brief = (airflow.artifacts / "briefs" / "retries-in-airflow.md").read_text()
    assert brief.startswith(output["text"])
    assert output["score"] > 0.8
    assert brief.count("\n- ") > 10
    trace = assembled("research_brief", run.run_id, store=TraceStore(airflow.trace_url))
    assert trace.state == "success"
    assert {stage.state for stage in trace.stages} == {"success"}
    assert {stage.tries for stage in trace.stages if stage.kind == "agent"} == {1}


def test_research_brief_llm(airflow: AirflowEnv) -> None:
    notes = written("notes.md", NOTES)
    rules = (
        ("Find up to 25 claims", [limited(1), good({"claims": CLAIMS})]),
        ("Analyse these claims", [failing(500), good(ANALYSIS)]),
        ("Write a brief on", [good({"text": "no citations"}), good(DRAFT)]),
        ("Score this brief", [good({"score": 0.7, "problems": ["Say more about jitter."]})]),
    )
    airflow.put_template("research_brief_llm.yaml", shipped("research_brief_llm"))
    with OpenAIServer(rules=rules) as server:
        airflow.add_connection("agentic_default", **json.loads(server.connection()))
        run = airflow.run("research_brief_llm", {"topic": "retry delay", "sources": [notes]}, timeout=300)
        called = len(server.requests)
    assert run.state == "success", str(run)
    assert called == 7
    models = [record for record in records_of(airflow, run) if getattr(record, "agent", {}).get("type") == "llm"]
    assert len(models) == called
    assert sorted(record.stage for record in models if record.state == "retrying") == ["analysis", "claims", "draft"]
    assert airflow.rest.xcom("research_brief_llm", run.run_id, "draft") == DRAFT
    assert "{{ 7*7 }}" in (airflow.artifacts / "briefs" / "retry-delay-llm.md").read_text()
    assert not any(SECRET in text for text in every_byte_of_the_trace(airflow))


def test_verified_brief_asks_its_editor(airflow: AirflowEnv) -> None:
    """Every way to the editor, every answer, and the way past: at the same time, since most of it is waiting."""
    library = written("notes.md", NOTES)
    good, stale = written("good.md", HOLDS), written("stale.md", f"{HOLDS}\n\n{GONE}\n")
    nothing = written("opinions.md", "In our experience two retries are always enough.\n")
    impatient = shipped("verified_brief").replace("timeout: 2d", "timeout: 2s")
    airflow.put_template("verified_brief.yaml", shipped("verified_brief"))
    airflow.put_template("impatient.yaml", impatient.replace("name: verified_brief", "name: impatient"))

    def start(dag_id: str, notes: str, **inputs: Any) -> str:
        airflow.wait_for_dag(dag_id)
        return airflow.rest.trigger(dag_id, {"topic": "retry delay", "notes": [notes], "library": [library], **inputs})

    def output(run: FinishedRun) -> Any:
        assert run.state == "success", str(run)
        return airflow.rest.xcom(run.dag_id, run.run_id, "run__finish")

    straight = start("verified_brief", good, min_score=0.5)
    sources = start("verified_brief", stale, topic="retry backoff", library=[])
    earlier = start("verified_brief", written("untrue.md", GONE), topic="backoff", max_failed=1)
    no_draft = start("verified_brief", nothing)
    drafts = start("impatient", good, topic="retry delay of penguins", min_score=1)

    [question] = wait_for_questions(airflow, "verified_brief", sources, timeout=_LONG)
    assert question["subject"] == "Publish the brief on retry backoff?"
    failed = r"- \[1\] from `.test/gone.md`: .test/gone.md can't be read"  # brackets are no links in what is shown
    assert f"**1 of 2 sources don't hold:**\n\n{failed}" in question["body"]
    assert "# Retry backoff" in question["body"]
    answer(airflow, "verified_brief", sources, "ask_editor", "Publish", note="Take care.")
    [question] = wait_for_questions(airflow, "verified_brief", no_draft, timeout=_LONG)
    assert question["body"].startswith("**No new draft could be written:** ")
    assert "There is no claim to write a brief of.\n\nThere is no draft" in question["body"]
    answer(airflow, "verified_brief", no_draft, "ask_editor", "Publish", note="")

    [question] = wait_for_questions(airflow, "verified_brief", earlier, timeout=_LONG)
    assert question["body"].startswith("**No new draft could be written:** ")
    assert "# Backoff" in question["body"]
    answer(airflow, "verified_brief", earlier, "ask_editor", "Publish", note="")

    run = airflow.finish("verified_brief", straight, timeout=_LONG)
    assert output(run)["published"]
    assert [name for name, state in run.tasks.items() if name.endswith(".verify.collect") and state == "success"] == [
        "research__1.draft__1.verify.collect"
    ]
    run = airflow.finish("verified_brief", sources, timeout=_LONG)
    assert output(run)["decided_by"] == "admin"
    assert run.tasks["research__2.draft__1.qa"] == "skipped"
    text = (airflow.artifacts / "briefs" / "retry-backoff-verified.md").read_text()
    assert text.startswith("> Editor's note: Take care.\n\n# Retry backoff\n")
    assert "triples the retry delay [1, not verified]." in text
    run = airflow.finish("verified_brief", earlier, timeout=_LONG)
    assert run.tasks["research__1.draft__2.draft"] == "failed"
    assert output(run)["text"].startswith("# Backoff\n")  # the first draft, since the second has nothing left to say
    assert "[1, not verified]" in output(run)["text"]
    run = airflow.finish("verified_brief", no_draft, timeout=_LONG)
    assert not output(run)["published"]
    assert run.tasks["research__1.draft__1.draft"] == "failed"
    assert run.tasks["publish"] == run.tasks["artifact"] == "skipped"
    run = airflow.finish("impatient", drafts, timeout=_LONG)
    assert not output(run)["published"]
    assert run.tasks["research__1.draft__3.qa"] == "success"
    assert airflow.rest.xcom("impatient", drafts, "ask_editor")["timed_out"]


def test_document_review(airflow: AirflowEnv) -> None:
    runbooks = PROJECT / "templates" / "documents" / "runbooks"
    for name in ("checkout", "invoices"):
        written(f"runbooks/{name}.md", (runbooks / f"{name}.md").read_text())
    written("runbooks/empty.md", "")
    for name in ("document_review", "review_document"):
        airflow.put_template(f"{name}.yaml", shipped(name))
    airflow.wait_for_dag("review_document")
    alone = airflow.rest.trigger("review_document")
    run = airflow.run("document_review", {"folder": ".test/runbooks"}, timeout=_LONG)
    assert run.state == "success", str(run)
    output = airflow.rest.xcom("document_review", run.run_id, "run__finish")
    assert output["complete"] == [".test/runbooks/checkout.md", ".test/runbooks/invoices.md"]
    assert output["unread"] == [".test/runbooks/empty.md"]
    report = (airflow.artifacts / "reviews" / "test-runbooks.md").read_text()
    assert "| Invoice export | yes | yes | yes | yes |" in report
    assert "answers for the export until somebody else is named. (found in round 2)" in report
    assert "- .test/runbooks/empty.md: " in report
    finished = airflow.finish("review_document", alone, timeout=_LONG)
    assert finished.state == "success", str(finished)
    assert airflow.rest.xcom("review_document", alone, "run__finish")["complete"]
    assert finished.tasks["find__2.judge"] == "success"
    assert finished.tasks["find__3.find"] == "skipped"


def test_a_model_that_fails_in_every_way(airflow: AirflowEnv) -> None:
    script = (no_choices(), slow(15), failing(500), limited(2), good({"txt": "wrong"}), good({"text": "{% raw %}"}))
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

    attempts = [record for record in records_of(airflow, run) if isinstance(record, AttemptRecord)]
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

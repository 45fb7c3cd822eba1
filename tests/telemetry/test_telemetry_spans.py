"""Spans of runs in this process: what they say, what they don't, and that there are none where nobody records any."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, get_args

import pytest
from opentelemetry import trace as opentelemetry_trace
from support.observed_runs import SAID, SECRET, dag_of, model_server, template, write_source
from support.openai_server import OpenAIServer, good
from support.scheduling import run_scripted

from airflow_agentic.errors import NOT_RUN, AttemptError, StoppedError
from airflow_agentic.telemetry.conventions import (
    ATTRIBUTES,
    EVENTS,
    KINDS,
    LONGEST_CONTENT,
    SCHEMA_URL,
    SPANS,
    VERSION,
    sent,
)
from airflow_agentic.telemetry.spans import AttemptSpans, client_span, current_span, stage_span
from airflow_agentic.template.models import ErrorKind
from airflow_agentic.trace.layout import record_path
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    Recorded = Callable[[], tuple[ReadableSpan, ...]]

OURS = tuple(name.partition(" {")[0] for name, _ in SPANS.values())
NAMES = {attribute.name: attribute for attribute in ATTRIBUTES}


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[AttemptRecord]:
    """Run the template that does everything; its attempts' records."""
    write_source(folder)
    with model_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())
        ended = run_scripted(dag_of(template(name), folder))
    assert ended.state == "success", ended.errors
    store = TraceStore()
    read = [store.read(path) for path in store.records(ended.dag_id, ended.run_id)]
    return [record for record in read if isinstance(record, AttemptRecord)]


def ours(spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
    return [span for span in spans if span.name.startswith(OURS)]


def named(spans: Sequence[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in ours(spans) if span.name == name]


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def everything(spans: Sequence[ReadableSpan]) -> str:
    return "\n".join(span.to_json() for span in spans)


def parents(spans: Sequence[ReadableSpan]) -> dict[int, str]:
    return {span.context.span_id: span.name for span in spans if span.context is not None}


def test_spans_say_what_the_records_say(run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    records = run("spans_as_records", run_folder, monkeypatch)
    spans = recorded()
    attempts = {facts(span)["agentic.record"]: span for span in ours(spans) if span.name.startswith("invoke_agent")}
    assert sorted(attempts) == sorted(map(record_path, records))
    assert len(records) == 5
    for record in records:
        span, usage = attempts[record_path(record)], usage_of(record)
        told = facts(span)
        assert span.name == f"invoke_agent {record.agent['name']}"
        assert told["agentic.state"] == record.state
        assert told["agentic.round"] == record.round
        assert told["agentic.attempt"] == record.attempt
        assert told["agentic.seconds"] == record.seconds
        assert span.context is not None
        assert record.span == {"trace_id": f"{span.context.trace_id:032x}", "span_id": f"{span.context.span_id:016x}"}
        assert told["agentic.calls"] == usage.calls
        assert told.get("gen_ai.usage.input_tokens") == usage.input_tokens
        assert told.get("gen_ai.usage.output_tokens") == usage.output_tokens
        assert told.get("gen_ai.response.model") == record.model
        assert told.get("error.type") == (record.error or {}).get("kind")
        assert span.status.is_ok is (record.error is None)
        assert (span.end_time - span.start_time) / 1e9 == pytest.approx(record.seconds, abs=0.05)  # type: ignore[operator]


def test_the_tree_of_spans(run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    run("spans_tree", run_folder, monkeypatch)
    spans = recorded()
    above = parents(spans)
    tree = sorted((above.get(span.parent.span_id, "worker"), span.name) for span in ours(spans) if span.parent)
    in_stages = [pair for pair in tree if pair[0].startswith("stage ")]
    assert in_stages == sorted(
        [
            ("stage draft", "invoke_agent writer"),  # out of order
            ("stage draft", "invoke_agent writer"),
            ("stage draft", "invoke_agent writer"),  # of the second round
            ("stage gathered", "invoke_agent gathered"),
            ("stage measured", "invoke_agent measured"),
        ]
    )
    assert [pair for pair in tree if pair[0].startswith("invoke_agent")] == sorted(
        [*[("invoke_agent writer", "chat gpt-test")] * 4, ("invoke_agent writer", "execute_tool word_count")]
    )
    assert {name for parent, name in tree if parent == "worker"} == {
        *("stage gathered", "stage draft", "stage measured", "stage artifact", "stage run__finish")
    }


def test_attributes_and_events_are_those_of_the_table(
    run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TELEMETRY_CONTENT", "true")
    run("spans_table", run_folder, monkeypatch)
    kinds = {name.partition(" {")[0]: of for of, (name, _) in SPANS.items()}
    for span in ours(recorded()):
        of = kinds[span.name.split(" ")[0]]
        assert {name for name in facts(span) if of not in NAMES[name].on} == set()
        for event in span.events:
            assert EVENTS[event.name][0] == of
            assert {name for name in event.attributes or {} if event.name not in NAMES[name].on} == set()
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.schema_url == SCHEMA_URL


def test_requests_tools_decisions_and_failures(
    run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("spans_details", run_folder, monkeypatch)
    spans = recorded()
    broken, calling, *_ = (facts(span) for span in named(spans, "chat gpt-test"))
    assert (broken["error.type"], broken["gen_ai.provider.name"]) == ("unavailable", "openai")
    assert broken["server.address"] == "127.0.0.1"
    assert calling["gen_ai.response.finish_reasons"] == ("tool_call",)
    assert (calling["gen_ai.usage.input_tokens"], calling["gen_ai.usage.output_tokens"]) == (11, 7)
    [tool] = named(spans, "execute_tool word_count")
    assert facts(tool)["gen_ai.tool.call.id"].startswith("call_0_")
    events = [(event.name, dict(event.attributes or {})) for span in ours(spans) for event in span.events]
    retry = dict(events)["agentic.retry"]
    assert retry["error.type"] == "unavailable"
    assert 0 <= retry["agentic.next_wait"] <= 0.05
    outcomes = [told["agentic.outcome"] for name, told in events if name == "agentic.decision"]
    assert outcomes == ["again_draft", "to_measured"]
    assert dict(events)["agentic.failure"] == {"error.type": "bug", "agentic.recovered": True}
    assert dict(events)["agentic.artifact"]["agentic.artifact.bytes"] == len("CANARY-answer: 3")


def test_nothing_that_anybody_wrote_is_told(
    run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("spans_silent", run_folder, monkeypatch)
    told = everything(recorded())
    assert [said for said in (*SAID, SECRET, "Traceback") if said in told] == []
    assert not any(attribute.content and attribute.name in told for attribute in ATTRIBUTES)


def test_content_is_told_where_it_may_be_and_is_masked(
    run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TELEMETRY_CONTENT", "True")
    run("spans_content", run_folder, monkeypatch)
    spans = recorded()
    told = everything(spans)
    assert [said for said in SAID if said not in told] == []
    assert SECRET not in told
    last = facts(named(spans, "invoke_agent writer")[-1])
    assert json.loads(last["gen_ai.system_instructions"])[0]["content"].startswith("CANARY-brief")
    [message] = json.loads(last["gen_ai.input.messages"])
    assert message["role"] == "user"
    assert message["parts"][0]["content"].startswith("CANARY-prompt")
    [answer] = json.loads(last["gen_ai.output.messages"])
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert json.loads(answer["parts"][0]["content"]) == {"text": "CANARY-answer"}
    [tool] = named(spans, "execute_tool word_count")
    assert json.loads(facts(tool)["gen_ai.tool.call.arguments"]) == {"text": "CANARY-tool ***"}
    assert facts(tool)["gen_ai.tool.call.result"] == "2"


def test_a_long_value_is_cut_after_it_was_masked() -> None:
    text = "x" * (LONGEST_CONTENT - 3) + SECRET
    told = sent({"agentic.input": text}, content=True, masked=lambda value: value.replace(SECRET, "***"))
    assert told["agentic.input"] == "x" * (LONGEST_CONTENT - 3) + "***"


def test_items_have_spans_of_their_own(run_folder: Path, recorded: Recorded) -> None:
    text = """
version: 1
name: spans_items
stages:
  each:
    for_each: "{{ [1, 2, 3] }}"
    agent: {type: python, callable: "support.telemetry_agents:half", output: {half: number}}
    input: {number: "{{ item }}"}
    items_per_task: 3
    max_parallel: 3
"""
    assert run_scripted(dag_of(text, run_folder)).state == "success"
    spans = named(recorded(), "invoke_agent each")
    assert sorted(facts(span)["agentic.item"] for span in spans) == [0, 1, 2]
    assert {parents(recorded())[span.parent.span_id] for span in spans if span.parent} == {"stage each"}


def test_a_wait_that_airflow_takes_over(run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0")
    text = """
version: 1
name: spans_waits
stages:
  measured:
    agent: {type: python, callable: "support.telemetry_agents:fails"}
    input: {text: some}
    retry: {attempts: 2, wait: 1, jitter: false}
    on_error: [{value: none}]
"""
    assert run_scripted(dag_of(text, run_folder)).state == "success"
    first, second = named(recorded(), "stage measured")
    assert [facts(span)["agentic.state"] for span in (first, second)] == ["waiting", "success"]
    assert first.status.is_unset
    [wait] = first.events
    assert (wait.name, wait.attributes["error.type"], wait.attributes["agentic.attempt"]) == ("agentic.wait", "bug", 1)  # type: ignore[index]
    assert [facts(span)["agentic.state"] for span in named(recorded(), "invoke_agent measured")] == [
        "retrying",
        "failed",
    ]


def test_a_stage_that_is_left_out_and_one_that_fails(run_folder: Path, recorded: Recorded) -> None:
    text = """
version: 1
name: spans_ends
stages:
  left:
    when: "1 > 2"
    agent: {type: python, callable: "support.telemetry_agents:fails"}
    input: {text: some}
  measured:
    agent: {type: python, callable: "support.telemetry_agents:fails"}
    input: {text: some}
    retry: {attempts: 1}
"""
    assert run_scripted(dag_of(text, run_folder)).state == "failed"
    spans = recorded()
    [left], [failed] = named(spans, "stage left"), named(spans, "stage measured")
    assert (facts(left)["agentic.state"], left.status.is_unset) == ("skipped", True)
    assert [event.name for event in left.events] == ["agentic.decision"]
    assert (facts(failed)["agentic.state"], facts(failed)["error.type"]) == ("failed", "bug")
    assert not failed.status.is_ok
    [finish] = named(spans, "stage run__finish")
    assert facts(finish)["error.type"] == "RunFailedError"


def test_an_answer_that_was_kept_has_a_span_and_no_request(
    run_folder: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
version: 1
name: spans_cached
agents: {writer: {type: llm, connection: model, prompt: "Say something."}}
stages: {draft: {agent: writer, cache: {ttl: 1h}}}
"""
    with OpenAIServer(good("kept")) as server:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())
        dag = dag_of(text, run_folder)
        for _ in range(2):
            assert run_scripted(dag).state == "success"
    asked, kept = map(facts, named(recorded(), "invoke_agent writer"))
    assert "agentic.cached" not in asked
    assert (kept["agentic.cached"], kept["agentic.calls"]) == (True, 0)
    assert len(named(recorded(), "chat gpt-test")) == 1


def test_what_is_stopped_is_killed(recorded: Recorded) -> None:
    operator: Any = _Operator()
    with pytest.raises(StoppedError), stage_span(operator):
        raise StoppedError("stopped")
    [span] = recorded()
    assert (facts(span)["agentic.state"], facts(span)["error.type"]) == ("killed", "killed")


def test_a_request_that_is_cancelled_is_an_error_without_a_message(recorded: Recorded) -> None:
    with pytest.raises(asyncio.CancelledError), client_span("chat", "m", {}):
        raise asyncio.CancelledError("CANARY-message")
    [span] = recorded()
    assert (facts(span), span.events) == ({"error.type": "cancelled"}, ())


def test_a_kind_that_is_none_of_the_languages_words_is_not_told(recorded: Recorded) -> None:
    class Odd(Exception):
        kind = "CANARY-kind"

    with pytest.raises(Odd), client_span("tool", "t", {}):
        raise Odd
    [span] = recorded()
    assert facts(span) == {"error.type": "Odd"}


def test_the_kinds_are_the_languages() -> None:
    assert {*get_args(ErrorKind), NOT_RUN} == KINDS


def test_an_attempt_that_nobody_tells_of_is_not_sent(recorded: Recorded) -> None:
    class Refusing:
        async def run(self, request: Any) -> Any:
            raise AttemptError("not now", kind="rate_limited")

        def preview(self, request: Any) -> Any:
            return {}

    agent: Any = AttemptSpans().observed(Refusing(), name="writer", type="llm")  # type: ignore[arg-type]
    request: Any = type("Request", (), {"output_schema": None})()
    with pytest.raises(AttemptError):
        asyncio.run(agent.run(request))
    assert recorded() == ()
    assert agent.preview(None) == {}


class _Operator:
    """What a stage's span needs."""

    digest = "d"

    class planned:  # noqa: N801 - as the operator names it
        stage, kind, rounds, round = "draft", "agent", (), 1


def test_without_a_recorded_span_there_are_none_and_they_cost_next_to_nothing() -> None:
    assert current_span() is None
    operator: Any = _Operator()
    agent: Any = object()
    assert AttemptSpans().observed(agent, name="writer", type="llm") is agent
    rounds = 2_000
    before = time.perf_counter()
    for _ in range(rounds):
        with stage_span(operator), client_span("chat", "m", {}):
            AttemptSpans().observed(agent, name="writer", type="llm")
    assert (time.perf_counter() - before) / rounds < 0.000_2  # seconds; some 5 microseconds


def test_nothing_of_opentelemetry_is_imported_where_airflow_has_not() -> None:
    code = """
import sys
from airflow_agentic.telemetry import lineage, spans
with spans.stage_span(None), spans.client_span("chat", "m", {}) as span:
    assert span is None
spans.AttemptSpans().observed(None, name="a", type="llm")
print([name for name in sys.modules if name.startswith(("opentelemetry", "openlineage", "airflow."))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def test_the_conventions_names_are_the_pinned_versions() -> None:
    """The package of the conventions' constants names them as the version does that the mapping is pinned to."""
    from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, server_attributes
    from opentelemetry.semconv.schemas import Schemas

    known = {
        value
        for module in (error_attributes, gen_ai_attributes, server_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    assert {name for name in NAMES if not name.startswith("agentic.")} <= known
    assert f"https://opentelemetry.io/schemas/{VERSION}" == Schemas.V1_41_0.value
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
    assert {"invoke_agent", "chat", "execute_tool"} <= operations


def test_a_span_of_the_api_is_what_is_looked_for() -> None:
    span = opentelemetry_trace.NonRecordingSpan(opentelemetry_trace.INVALID_SPAN_CONTEXT)
    with opentelemetry_trace.use_span(span):
        assert current_span() is None

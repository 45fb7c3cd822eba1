"""
One run in a real Airflow that traces, counts and tells of lineage, to servers that speak the real protocols.

It is an Airflow of its own: these settings would make every task of the other tests slower, and tell of them, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.airflow_env import AirflowEnv
from support.collectors import OtlpCollector, StatsdServer
from support.observed_runs import SAID, SECRET, model_server, template, write_source
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.telemetry.conventions import SCHEMA_URL
from airflow_agentic.trace.layout import record_path
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow_env import FinishedRun
    from support.collectors import SentSpan

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

NAME = "observed_by_all"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """
    A run, and what was told of it.

    :param spans: of the run's trace.
    :param records: of its attempts, by their paths.
    :param events: OpenLineage's.
    """

    run: FinishedRun
    source: str
    spans: list[SentSpan]
    records: dict[str, AttemptRecord]
    otlp: OtlpCollector
    statsd: StatsdServer
    events: list[dict[str, Any]]


def settings(otlp: OtlpCollector, statsd: StatsdServer, lineage: ScriptedServer) -> dict[str, str]:
    """What docs/telemetry.md says, in the environment."""
    return {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": lineage.url}),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    }


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A run that did all that is told of."""
    folder = tmp_path_factory.mktemp("observed")
    source = write_source(folder)
    lineage = ScriptedServer(Reply(body={}))
    with OtlpCollector() as otlp, StatsdServer() as statsd, lineage, model_server() as model:
        environment = {**settings(otlp, statsd, lineage), "AIRFLOW_CONN_MODEL": model.connection()}
        airflow = AirflowEnv(folder, source_roots=folder, environment=environment)
        try:
            airflow.start()
            airflow.put_template(f"{NAME}.yaml", template(NAME))
            run = airflow.run(NAME, timeout=240)
            # the scheduler's spans are sent every five seconds
            airflow.wait_until(
                lambda: [span for span in otlp.spans() if span.name.startswith("dag_run.")], what="span", timeout=30
            )
            airflow.wait_until(
                lambda: [event for event in events_of(lineage) if about(event) == (NAME, "COMPLETE")],
                what="event of the run's end",
                timeout=30,
            )
        finally:
            airflow.stop()
        store = TraceStore(airflow.trace_url)
        records = [store.read(path) for path in store.records(run.dag_id, run.run_id)]
        [trace_id] = {span.trace_id for span in otlp.spans() if span.name == f"dag_run.{NAME}"}
        yield Observed(
            run=run,
            source=str(source),
            spans=[span for span in otlp.spans() if span.trace_id == trace_id],
            records={record_path(record): record for record in records if isinstance(record, AttemptRecord)},
            otlp=otlp,
            statsd=statsd,
            events=events_of(lineage),
        )


def events_of(server: ScriptedServer) -> list[dict[str, Any]]:
    return [call.json for call in list(server.calls) if call.json]


def about(event: dict[str, Any]) -> tuple[str, str]:
    return event["job"]["name"], event["eventType"]


def path_of(span: SentSpan, spans: dict[str, SentSpan]) -> list[str]:
    """The names from the run's span down to this one."""
    above = path_of(spans[span.parent], spans) if span.parent in spans else []
    return [*above, span.name]


def test_the_run_did_all_that_is_told_of(observed: Observed) -> None:
    assert observed.run.state == "success", str(observed.run)
    assert len(observed.records) == 5


def test_spans_go_from_the_run_down_to_the_request(observed: Observed) -> None:
    by_id = {span.span_id: span for span in observed.spans}
    paths = [path_of(span, by_id) for span in observed.spans if span.scope == "airflow_agentic"]
    first = ["task_run.draft__1.draft", "worker.draft__1.draft", "stage draft"]
    top = f"dag_run.{NAME}"
    assert paths.count([top, *first, "invoke_agent writer"]) == 2
    assert paths.count([top, *first, "invoke_agent writer", "chat gpt-test"]) == 3
    assert paths.count([top, *first, "invoke_agent writer", "execute_tool word_count"]) == 1
    assert [top, "task_run.artifact", "worker.artifact", "stage artifact"] in paths
    assert {path[0] for path in paths} == {top}
    assert {span.schema_url for span in observed.spans if span.scope == "airflow_agentic"} == {SCHEMA_URL}
    assert {span.kind for span in observed.spans if span.name.startswith("chat")} == {"CLIENT"}


def test_attributes_are_the_records_figures(observed: Observed) -> None:
    attempts = {
        span.attributes["agentic.record"]: span for span in observed.spans if span.name.startswith("invoke_agent")
    }
    assert sorted(attempts) == sorted(observed.records)
    for path, record in observed.records.items():
        span, usage = attempts[path], usage_of(record)
        told = span.attributes
        assert (told["agentic.state"], told["agentic.attempt"]) == (record.state, record.attempt)
        assert (told["agentic.stage"], told["agentic.round"]) == (record.stage, record.round)
        assert told["agentic.seconds"] == record.seconds
        assert told.get("gen_ai.response.model") == record.model
        assert told.get("gen_ai.usage.input_tokens") == usage.input_tokens
        assert told.get("gen_ai.usage.output_tokens") == usage.output_tokens
        assert told.get("error.type") == (record.error["kind"] if record.error else None)
        assert (span.status, span.message) == ("ERROR" if record.error else "UNSET", "")
        assert span.seconds == pytest.approx(record.seconds, abs=0.2)


def test_requests_add_up_to_their_attempts(observed: Observed) -> None:
    chats = [span.attributes for span in observed.spans if span.name == "chat gpt-test"]
    attempts = [span.attributes for span in observed.spans if span.name == "invoke_agent writer"]
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert sum(told.get(name, 0) for told in chats) == sum(told.get(name, 0) for told in attempts) > 0


def test_nothing_that_anybody_wrote_arrives(observed: Observed) -> None:
    received = b"\n".join(observed.otlp.received("/v1/traces"))
    assert b"invoke_agent" in received
    assert [said for said in (*SAID, SECRET, "Traceback") if said.encode() in received] == []
    text = "\n".join(observed.statsd.lines)
    assert "agentic.attempts" in text
    assert [said for said in (*SAID, SECRET) if said in text] == []


def test_statsd_gets_the_runs_figures(observed: Observed) -> None:
    sums = observed.statsd.sums()

    def summed(name: str) -> float:
        return sum(value for (found, tags), value in sums.items() if found == name and ("dag_id", NAME) in tags)

    records = list(observed.records.values())
    for state in ("success", "retrying", "failed"):
        assert summed(f"attempts.{state}") == sum(record.state == state for record in records) > 0
    assert summed("tokens.input") == sum(usage_of(record).input_tokens or 0 for record in records) > 0
    assert summed("calls") == sum(usage_of(record).calls for record in records)
    assert (summed("decisions"), summed("rounds"), summed("artifacts")) == (2, 1, 1)


def test_lineage_goes_from_the_sources_to_the_artifact(observed: Observed) -> None:
    events = {about(event): event for event in observed.events}
    read = events[f"{NAME}.gathered", "COMPLETE"]
    written = events[f"{NAME}.artifact", "COMPLETE"]
    assert [(each["namespace"], each["name"]) for each in read["inputs"]] == [("file", observed.source)]
    [output] = written["outputs"]
    assert (output["namespace"], output["name"].endswith(f"/artifacts/observed/{NAME}.md")) == ("file", True)
    digests = {record.run.template_digest for record in observed.records.values()}
    assert {written["run"]["facets"]["agentic_template"]["digest"]} == digests
    asked = events[f"{NAME}.draft__1.draft", "COMPLETE"]["run"]["facets"]["agentic_usage"]
    assert (asked["attempts"], asked["inputTokens"], asked["models"]) == (2, 22, ["gpt-test"])


def test_lineage_tells_nothing_that_a_run_said(observed: Observed) -> None:
    """The provider sends a DAG's documentation, which is its template; nothing else."""
    for event in observed.events:
        event["job"]["facets"].pop("documentation", None)
        assert [said for said in (*SAID, SECRET) if said in json.dumps(event)] == []

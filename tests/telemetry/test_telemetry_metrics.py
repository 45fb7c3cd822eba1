"""Metrics of runs in this process, through Airflow's own backends to servers that speak their protocols."""

from __future__ import annotations

import atexit
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from opentelemetry import metrics as opentelemetry_metrics
from support.collectors import OtlpCollector, StatsdServer
from support.observed_runs import SAID, SECRET, dag_of, model_server, template, write_source
from support.records import attempt, failed_attempt
from support.scheduling import run_scripted

from airflow_agentic.telemetry import metrics, telling
from airflow_agentic.telemetry.metrics import METRICS, OTHER, WORDS
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.usage import total, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Sums = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """Airflow's metrics go to this server, with tags."""
    with StatsdServer() as server:
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.port))
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield server
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpCollector]:
    """Airflow's metrics go to this collector."""
    with OtlpCollector() as server:
        monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield server
        provider: Any = opentelemetry_metrics.get_meter_provider()
        provider.shutdown()
        atexit.unregister(flush_otel_metrics)
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[AttemptRecord]:
    write_source(folder)
    with model_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())
        ended = run_scripted(dag_of(template(name), folder))
    assert ended.state == "success", ended.errors
    store = TraceStore()
    read = [store.read(path) for path in store.records(ended.dag_id, ended.run_id)]
    return [record for record in read if isinstance(record, AttemptRecord)]


def summed(sums: Sums, name: str) -> float:
    return sum(value for (found, _), value in sums.items() if found == name)


def test_statsd_gets_the_records_figures(
    run_folder: Path, statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = run("metrics_statsd", run_folder, monkeypatch)
    used = total(map(usage_of, records))
    statsd.drain()
    sums = statsd.sums()
    assert summed(sums, "attempts.success") == 3
    assert summed(sums, "attempts.retrying") == 1
    assert summed(sums, "attempts.failed") == 1
    assert summed(sums, "errors.unavailable") == 1
    assert summed(sums, "errors.bug") == 1
    assert summed(sums, "tokens.input") == used.input_tokens == 33
    assert summed(sums, "tokens.output") == used.output_tokens == 21
    assert summed(sums, "calls") == used.calls
    assert summed(sums, "tool_calls") == 1
    assert summed(sums, "decisions") == 2
    assert summed(sums, "rounds") == 1
    assert summed(sums, "recoveries") == 1
    assert summed(sums, "artifacts") == 1
    assert summed(sums, "work") == pytest.approx(sum(record.seconds for record in records) * 1000, abs=0.01)
    assert {key for key in sums if key[0] == "attempts.failed"} == {
        ("attempts.failed", frozenset({("dag_id", "metrics_statsd"), ("stage", "measured"), ("agent", "measured")}))
    }
    assert ("tokens.input", tags("metrics_statsd", "draft", agent="writer", model="gpt-test")) in sums
    assert ("decisions", tags("metrics_statsd", "draft", outcome="again_draft")) in sums


def tags(dag_id: str, stage: str, **more: str) -> frozenset[tuple[str, str]]:
    return frozenset({"dag_id": dag_id, "stage": stage, **more}.items())


def test_names_and_tags_are_those_of_the_table_and_hold_nothing_that_anybody_wrote(
    run_folder: Path, statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("metrics_names", run_folder, monkeypatch)
    statsd.drain()
    known = {metric.name.partition(".{")[0].removeprefix("agentic."): set(metric.tags) for metric in METRICS}
    for name, found in statsd.sums():
        stem, _, word = name.rpartition(".")
        listed = known[name] if name in known else known[stem]
        assert name in known or word in {*WORDS, OTHER}
        assert {key for key, _ in found} <= {"dag_id", "stage"} | listed
    text = "\n".join(statsd.lines)
    assert [said for said in (*SAID, SECRET) if said in text] == []


def test_an_opentelemetry_collector_gets_them_too(
    run_folder: Path, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = run("metrics_otel", run_folder, monkeypatch)
    provider: Any = opentelemetry_metrics.get_meter_provider()
    provider.force_flush()
    found = collector.metrics()
    [tokens] = found["airflow.agentic.tokens.input"]
    assert tokens == {
        "value": 33,
        "attributes": {"dag_id": "metrics_otel", "stage": "draft", "agent": "writer", "model": "gpt-test"},
    }
    work = sum(point["value"] for point in found["airflow.agentic.work"])
    assert work == pytest.approx(sum(record.seconds for record in records) * 1000, abs=0.01)
    assert {name.partition("agentic.")[2] for name in found if "agentic.attempts." in name} == {
        *("attempts.success", "attempts.retrying", "attempts.failed")
    }


def test_a_cost_is_counted_in_millionths_and_a_kept_answer_as_a_hit(statsd: StatsdServer) -> None:
    agent = {"name": "writer", "type": "llm"}
    metrics.told(attempt(agent=agent, cost_usd=0.00123, model="m", cache_key="k"))
    metrics.told(attempt(agent=agent, cached={"run": {}}, cache_key="k", cost_usd=0.0))
    metrics.told(attempt(agent=agent, waited=1.5, next_wait=2.0))
    statsd.drain()
    sums = statsd.sums()
    assert summed(sums, "cost_microusd") == 1230
    assert (summed(sums, "cache.hits"), summed(sums, "cache.misses")) == (1, 1)
    assert (summed(sums, "limit_wait"), summed(sums, "retry_wait")) == (1500, 2000)


@pytest.mark.parametrize("agent_type", ["python", "http"])
def test_what_another_agent_calls_its_model_is_no_tag(statsd: StatsdServer, agent_type: str) -> None:
    metrics.told(attempt(agent={"name": "writer", "type": agent_type}, model="whatever a reply says"))
    statsd.drain()
    assert all("model" not in dict(found) for _, found in statsd.sums())


def test_tags_and_words_are_bounded(statsd: StatsdServer) -> None:
    odd = attempt(agent={"name": "an agent, so=odd", "type": "llm"}, model="m\n" * 500)
    metrics.told(odd)
    metrics.told(replace(failed_attempt("bug"), error={"kind": "made-up", "message": "", "reply": None, "details": {}}))
    statsd.drain()
    sums = statsd.sums()
    assert summed(sums, f"errors.{OTHER}") == 1
    [told] = [dict(found) for name, found in sums if name == "work" and "model" in dict(found)]
    assert told["agent"] == "an_agent_so_odd"
    assert len(told["model"]) == 64


def test_where_nobody_counts_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Operator:
        def note_lineage(self, record: object) -> None:
            """Nothing."""

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("nobody asked for metrics")

    monkeypatch.setattr(metrics, "told", unexpected)
    telling.tell(Operator(), attempt())  # type: ignore[arg-type]


def test_a_backend_that_fails_fails_no_task(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(stats, "incr", broken)
    metrics.told(attempt())
    assert "could not be told" in caplog.text

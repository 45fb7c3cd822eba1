"""Runs in this process whose telemetry is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture
def run_folder(tmp_path: Path, metadata_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for templates, traces and artifacts; the metadata database is there."""
    from support.agreement import environment

    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[ReadableSpan, ...]]]:
    """The spans that have ended below a recorded one, as below Airflow's span of a task."""
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    with provider.get_tracer("tests").start_as_current_span("worker"):
        yield kept.get_finished_spans
    kept.shutdown()

"""The published JSON Schema of the trace is that of its dataclasses, and traces fit it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from support.traces import a_decision, a_stage, a_trace

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import schema
from airflow_agentic.trace.document import from_data, to_data

PUBLISHED = Path(schema.__file__).with_name("trace.schema.json")


def test_the_published_schema_is_up_to_date() -> None:
    """If not: ``airflow-agentic schema --trace > airflow_agentic/trace/trace.schema.json``."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema.trace_schema()


def test_a_trace_fits_its_schema_and_comes_back_from_json() -> None:
    trace = a_trace(a_stage(rounds=(1, 2)), decisions=(a_decision(),), output={"é": [1, None]})
    data = json.loads(json.dumps(to_data(trace)))
    jsonschema.validate(data, schema.trace_schema())
    assert from_data(data) == trace


def test_what_is_no_trace_is_refused() -> None:
    with pytest.raises(TraceError, match="not a trace of format"):
        from_data({"format": 99})
    with pytest.raises(TraceError, match="not a whole trace"):
        from_data({"format": 1})

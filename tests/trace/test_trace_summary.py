"""The summary of a run: read back as it was written, and refused when it is something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import RUN, at

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.summary import (
    LoopCount,
    PeopleCount,
    RunSummary,
    StageCount,
    summary_from_data,
    summary_of_bytes,
)

counts = st.integers(min_value=0, max_value=10**9)
summaries = st.builds(
    RunSummary,
    run=st.just(RUN),
    try_number=st.integers(1, 9),
    at=st.just(at(1)),
    state=st.sampled_from(["success", "failed"]),
    usage=st.builds(
        UsageTrace,
        calls=counts,
        input_tokens=st.none() | counts,
        output_tokens=st.none() | counts,
        cost_usd=st.none() | st.floats(0, 1e6),
        partly_known=st.booleans(),
    ),
    stages=st.lists(st.builds(StageCount, stage=st.text(), failed=st.booleans(), attempts=counts)).map(tuple),
    loops=st.lists(
        st.builds(
            LoopCount,
            target=st.text(),
            source=st.text(),
            max_rounds=st.integers(1, 100),
            rounds=st.dictionaries(st.integers(1, 100), counts),
            exhausted=counts,
        )
    ).map(tuple),
    people=st.builds(PeopleCount, asked=counts, timed_out=counts, seconds=st.floats(0, 1e9)),
)


@given(summaries)
def test_a_summary_is_read_back_as_it_was_written(summary: RunSummary) -> None:
    assert summary_of_bytes(json.dumps(summary.to_data()).encode()) == summary


def test_what_a_later_version_adds_is_left_out() -> None:
    summary = RunSummary(run=RUN, try_number=1, at=at(1), state="success", stages=(StageCount(stage="a"),))
    data = summary.to_data()
    data["more"] = data["usage"]["more"] = data["stages"][0]["more"] = 1
    assert summary_from_data(data) == summary


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"format": 2, "kind": "summary"}',
        b'{"format": 1, "kind": "manifest"}',
        b'{"format": 1, "kind": "summary"}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(TraceError):
        summary_of_bytes(data)


@pytest.mark.parametrize("key", ["run", "try_number", "at", "state", "usage", "stages", "loops", "people"])
def test_a_summary_that_lacks_something_is_refused(key: str) -> None:
    data: dict[str, Any] = RunSummary(run=RUN, try_number=1, at=at(1), state="success").to_data()
    with pytest.raises(TraceError, match="whole"):
        summary_from_data({name: value for name, value in data.items() if name != key})

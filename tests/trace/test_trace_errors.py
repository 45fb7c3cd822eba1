"""What the error log says became of each failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.records import RUN, attempt, failed_attempt

from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

FIRST = {"agent": {"name": "first", "type": "llm"}}
SECOND = {"agent": {"name": "second", "type": "python"}}
THIRD = {"agent": {"name": "third", "type": "python"}}


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(str(tmp_path))


def failures(store: TraceStore) -> list[tuple[str | None, str]]:
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    return [(error.agent, error.then) for error in trace.errors if error.what == "attempt"]


@pytest.mark.parametrize(("item", "at_the_end"), [(None, "stage failed"), ({"index": 3, "value": "x"}, "item failed")])
def test_a_failure_after_which_a_stand_in_was_asked_says_which(
    store: TraceStore, item: dict[str, Any] | None, at_the_end: str
) -> None:
    for number, (agent, wait) in enumerate(((FIRST, 1.0), (FIRST, None), (SECOND, None), (THIRD, None)), start=1):
        store.write(failed_attempt("draft", number, wait=wait, second=number, item=item, **agent))
    assert failures(store) == [
        ("first", "retried"),
        ("first", "stand-in asked: second"),
        ("second", "stand-in asked: third"),
        ("third", at_the_end),
    ]
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert trace.errors[1].words.endswith(
        "attempt 2 by first failed (unavailable): no answer → stand-in asked: second."
    )


def test_a_stand_in_that_succeeded_made_it_good(store: TraceStore) -> None:
    store.write(failed_attempt("draft", 1, second=1, **FIRST))
    store.write(failed_attempt("draft", 2, second=2, **SECOND))
    store.write(attempt("draft", 3, second=3, **THIRD))
    assert failures(store) == [("first", "recovered by agent"), ("second", "recovered by agent")]

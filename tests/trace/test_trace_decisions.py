"""Decisions in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.records import RUN, decision

from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("back to draft for round 2 of 3", "go back to draft for round 2 of 3,"),
        ("back to plan for round 2 of 2", "go back to plan for round 2 of 2 of the loop around it,"),
        ("back to draft", "go back to draft,"),
    ],
)
def test_rounds_of_another_loop_are_told_as_such(tmp_path: Path, shown: str, words: str) -> None:
    """The decision is made in round 1 of 3 of the innermost loop."""
    store = TraceStore(str(tmp_path))
    store.write(decision(shown=shown))
    [told] = assembled(RUN.dag_id, RUN.run_id, store=store).decisions
    assert f"decided: {words}" in told.words

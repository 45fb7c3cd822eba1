"""What items are known by, in all that is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.records import RUN, answer, at, attempt, failed_attempt

from airflow_agentic.trace.airflow import InstanceFacts, RunFacts, TryFacts
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.labels import item_words, label_of
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("SKU-003", "SKU-003"),
        (" two\n lines ", "two lines"),
        ("x" * 41, None),
        ("x" * 100_000, None),
        ("", None),
        (7, None),
        (True, None),
        (None, None),
        (["a"], None),
        ({"amount": 3, "sku": "SKU-003", "shelf": "B"}, "SKU-003"),
        ({"amount": 3, "shelf": "B", "id": 17}, "17"),
        ({"amount": 3, "shelf": "B"}, "B"),
        ({"id": True, "amount": 3}, None),
        ({}, None),
    ],
)
def test_an_item_is_known_by_a_short_text_of_its_own(value: Any, label: str | None) -> None:
    assert label_of({"index": 3, "value": value}) == label


def test_what_is_no_item_has_no_label() -> None:
    assert label_of(None) is None
    assert item_words(3, None) == "item 4"
    assert item_words(3, "SKU-003") == "item 4 (SKU-003)"


def test_attempts_answers_and_errors_have_their_items_label(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    item = {"index": 3, "value": {"sku": "SKU-003", "amount": 1}}
    store.write(failed_attempt("count", item=item))
    store.write(answer("check", item=item, map_index=3))
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert [attempt.label for attempt in trace.attempts] == ["SKU-003"]
    assert [answer.label for answer in trace.answers] == ["SKU-003"]
    [error] = trace.errors
    assert error.label == "SKU-003"
    assert error.words.startswith("count (item 4, SKU-003), attempt 1 by writer failed")


def tried(task_id: str, map_index: int, state: str, queued: float, **more: Any) -> InstanceFacts:
    """An instance with two tries, each queued that long."""
    tries = tuple(
        TryFacts(number=number, state="failed" if number == 1 else state, queued=at(0), started=at(queued))
        for number in (1, 2)
    )
    return InstanceFacts(task_id=task_id, map_index=map_index, state=state, tries=tries, **more)


def run_of(*instances: InstanceFacts) -> RunFacts:
    told: dict[str, Any] = dict.fromkeys(("logical_date", "ended"))
    times = {"run_after": at(0), "queued": at(0), "started": at(0)}
    names = {"dag_id": RUN.dag_id, "run_id": RUN.run_id, "state": "running", "type": "manual", "by": "ada"}
    return RunFacts(**names, **times, **told, instances=instances)


def test_of_tasks_side_by_side_the_one_that_was_queued_longest_counts(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    for index in range(3):
        item = {"index": index, "value": index}
        store.write(attempt("count", task_id="count.item", map_index=index, item=item, try_number=2))
    waits = [tried("count.item", index, "success", seconds) for index, seconds in enumerate((5, 20, 10))]
    trace = assembled(RUN.dag_id, RUN.run_id, run_of(*waits), store)
    [stage] = [stage for stage in trace.stages if stage.stage == "count"]
    assert stage.queued == 40


def test_a_stage_whose_question_waits_is_not_at_work(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(answer("ask"))
    question = {"subject": "Well?", "body": None, "options": ["Yes"], "assignees": [], "asked": at(2)}
    facts = run_of(tried("ask", -1, "running", 1, question=question))
    [stage] = [row for row in assembled(RUN.dag_id, RUN.run_id, facts, store).stages if row.stage == "ask"]
    assert stage.state == "awaiting_input"

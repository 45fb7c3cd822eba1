"""What records tell, one by one and added up."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_agentic.trace.record import (
    AnswerRecord,
    ArtifactRecord,
    AttemptRecord,
    BeginRecord,
    DecisionRecord,
    FailureRecord,
    MergeRecord,
    WaitRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.trace.record import Record


def last_life(attempts: Sequence[AttemptRecord]) -> list[AttemptRecord]:
    """The attempts since the task was last cleared, of all items in a fan-out, in the order in which they began."""
    found: dict[tuple[int, int], list[AttemptRecord]] = {}
    for record in sorted(attempts, key=lambda record: (record.try_number, record.attempt)):
        index = record.item["index"] if record.item else -1
        life = found.setdefault((record.map_index, index), [])
        if life and _is_new_life(life[-1], record):
            life.clear()
        life.append(record)
    return sorted((record for life in found.values() for record in life), key=began)


def _is_new_life(last: AttemptRecord, record: AttemptRecord) -> bool:
    """Numbers go on within one life and begin anew with the next; an attempt that was killed is repeated."""
    repeated = last.state == "killed" and record.attempt == last.attempt
    return record.attempt <= last.attempt and not repeated


def state_of(record: Record | None) -> str:
    """The state that a record leaves its task in."""
    match record:
        case AttemptRecord():
            return record.state
        case FailureRecord():
            return "success" if record.recovered else "failed"
        case DecisionRecord():
            return "failed" if record.error else "success"
        case _:
            return "success"


def kind_of(record: Record | None) -> str:
    """The kind of task that leaves such a record."""
    match record:
        case MergeRecord():
            return "merge"
        case AnswerRecord():
            return "human"
        case DecisionRecord():
            return "route"
        case ArtifactRecord():
            return "artifact"
        case _:
            return "agent"


def error_of(record: Record | None) -> dict[str, str] | None:
    """``kind`` and ``message`` of the failure that a record tells."""
    match record:
        case AttemptRecord(error=dict(error)):
            return {"kind": str(error.get("kind")), "message": str(error.get("message"))}
        case FailureRecord(error=error):
            return {"kind": error.get("kind") or error["type"], "message": error["message"]}
        case _:
            return None


def began(record: Record) -> str:
    """When what it tells of began: ISO 8601 in UTC."""
    match record:
        case AttemptRecord() | MergeRecord():
            return record.started
        case AnswerRecord():
            return record.asked
        case DecisionRecord():
            return record.decided
        case ArtifactRecord():
            return record.written
        case FailureRecord() | BeginRecord() | WaitRecord():
            return record.at


def ended(record: Record) -> str:
    """When it ended."""
    match record:
        case AttemptRecord() | MergeRecord():
            return record.ended
        case AnswerRecord():
            return record.answered
        case _:
            return began(record)


def seconds_between(start: str, end: str) -> float:
    """Of two times in ISO 8601."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def waited_for_people(records: Iterable[Record]) -> float:
    """Seconds from questions to their last answers, of all items in a fan-out."""
    answers = [record for record in sorted(records, key=began) if isinstance(record, AnswerRecord)]
    last = {(record.task_id, record.map_index): record for record in answers}
    return sum(seconds_between(record.asked, record.answered) for record in last.values())


def tokens_of(attempts: Iterable[AttemptRecord]) -> dict[str, int] | None:
    """``input`` and ``output`` of all of them; None when no agent counted any."""
    counted = [record.tokens for record in attempts if record.tokens]
    total = {side: sum(tokens.get(side) or 0 for tokens in counted) for side in ("input", "output")}
    return total if any(value is not None for tokens in counted for value in tokens.values()) else None


def cost_of(attempts: Iterable[AttemptRecord]) -> float | None:
    """In US dollars; None when none is known."""
    known = [record.cost_usd for record in attempts if record.cost_usd is not None]
    return sum(known) if known else None

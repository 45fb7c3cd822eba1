"""What records tell, one by one."""

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
    from airflow_agentic.trace.record import Record


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

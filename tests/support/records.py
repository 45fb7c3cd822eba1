"""Records for tests, filled in where it doesn't matter."""

from __future__ import annotations

from typing import Any

from airflow_agentic.trace.record import (
    AnswerRecord,
    ArtifactRecord,
    AttemptRecord,
    DecisionRecord,
    FailureRecord,
    MergeRecord,
    Passage,
    RunKey,
)

RUN = RunKey(dag_id="briefs", run_id="manual__2026-01-01T00:00:00+00:00", template_digest="d1")


def at(second: float) -> str:
    """A time in the test's minute."""
    return f"2026-01-01T00:00:{second:09.6f}+00:00"


def attempt(stage: str = "draft", number: int = 1, *, second: float = 0, **more: Any) -> AttemptRecord:
    """An attempt of a second that succeeded, unless told otherwise."""
    given: dict[str, Any] = {
        "run": RUN,
        "stage": stage,
        "task_id": stage,
        "map_index": -1,
        "try_number": 1,
        "attempt": number,
        "round": 1,
        "item": None,
        "agent": {"name": "writer", "type": "llm"},
        "state": "success",
        "started": at(second),
        "ended": at(second + 1),
        "seconds": 1.0,
        "input": {"prompt": "write"},
    }
    return AttemptRecord(**{**given, **more})


def failed_attempt(stage: str = "draft", number: int = 1, *, wait: float | None = None, **more: Any) -> AttemptRecord:
    """An attempt that failed; with a wait, there is another one."""
    error = {"kind": "unavailable", "message": "no answer", "reply": None, "details": {}}
    state = "failed" if wait is None else "retrying"
    return attempt(stage, number, **{"state": state, "error": error, "next_wait": wait, **more})


def merge(stage: str = "all", *, second: float = 0) -> MergeRecord:
    """A merge."""
    return MergeRecord(
        run=RUN,
        stage=stage,
        task_id=stage,
        map_index=-1,
        try_number=1,
        how="object",
        used=("a",),
        missing=({"from": "b", "state": "skipped"},),
        started=at(second),
        ended=at(second + 0.5),
        seconds=0.5,
    )


def decision(stage: str = "qa", *, second: float = 0, **more: Any) -> DecisionRecord:
    """A decision to go back."""
    condition = {"when": "qa.score < 1", "outcome": "again_draft", "held": True, "values": []}
    given: dict[str, Any] = {
        "run": RUN,
        "stage": stage,
        "task_id": f"{stage}__route",
        "map_index": -1,
        "try_number": 1,
        "conditions": (condition,),
        "outcome": "again_draft",
        "route": 0,
        "shown": "back to draft",
        "round": 1,
        "max_rounds": 3,
        "decided": at(second),
        "feedback": {"constraints": ["shorter"]},
    }
    return DecisionRecord(**{**given, **more})


def answer(stage: str = "ask", *, second: float = 0, waited: float = 1, **more: Any) -> AnswerRecord:
    """An answer to a question, some seconds after it was asked."""
    given: dict[str, Any] = {
        "run": RUN,
        "stage": stage,
        "task_id": stage,
        "map_index": -1,
        "try_number": 1,
        "round": 1,
        "item": None,
        "subject": "Well?",
        "body": None,
        "options": ("Yes", "No"),
        "assignees": (),
        "asked": at(second),
        "answered": at(second + waited),
        "by": {"id": "1", "name": "ada"},
        "choice": "Yes",
        "fields": {},
        "timed_out": False,
    }
    return AnswerRecord(**{**given, **more})


def failure(stage: str = "draft", *, second: float = 0, message: str = "it broke") -> FailureRecord:
    """A failure outside of an attempt."""
    error = {"type": "ExpressionError", "message": message}
    return FailureRecord(run=RUN, stage=stage, task_id=stage, map_index=-1, try_number=1, at=at(second), error=error)


def artifact(*, second: float = 0, try_number: int = 1) -> ArtifactRecord:
    """An artifact with one passage."""
    source = {"name": "draft", "path": ["text"], "task_id": "draft", "attempt": 1}
    return ArtifactRecord(
        run=RUN,
        task_id="artifact",
        try_number=try_number,
        uri="file:///briefs/tea.md",
        bytes=3,
        sha256="00",
        asset=None,
        written=at(second),
        passages=(Passage(start=0, end=3, expression="draft.text", sources=(source,)),),
    )

"""
From an attempt as it went to the record that stays.

The record is written when the attempt has ended, whether it succeeded, failed or was killed, and before anything
waits: what isn't written then may never be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.mask import masked
from airflow_agentic.trace.record import AttemptRecord, RunKey

if TYPE_CHECKING:
    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import AgentResult
    from airflow_agentic.errors import AttemptError


def attempt_record(
    attempt: Attempt,
    *,
    run: RunKey,
    stage: str,
    task_id: str,
    map_index: int,
    try_number: int,
    in_round: int,
    item: dict[str, Any] | None,
    agent: dict[str, str],
    cache_key: str | None = None,
    span: dict[str, str] | None = None,
) -> AttemptRecord:
    """The record of an attempt, without secrets."""
    record = AttemptRecord(
        run=run,
        stage=stage,
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        attempt=attempt.number,
        round=in_round,
        item=masked(item),
        agent=agent,
        state=_state(attempt),
        started=attempt.started.isoformat(),
        ended=attempt.ended.isoformat(),
        seconds=round(attempt.seconds, 6),
        input=masked(dict(attempt.sent)),
        error=_error(attempt.error),
        next_wait=attempt.next_wait,
        waited=round(attempt.waited, 6),
        replayed=_replayed(attempt),
        cache_key=cache_key,
        window=None if attempt.window is None else masked(dict(attempt.window)),
        span=span,
    )
    return record if attempt.result is None else _with_result(record, attempt.result)


def _with_result(record: AttemptRecord, result: AgentResult) -> AttemptRecord:
    """A result that was not accepted still cost something; its output is in the error's ``reply``."""
    return replace(
        record,
        output=masked(result.output) if record.state == "success" else None,
        model=result.model,
        tokens={"input": result.usage.input_tokens, "output": result.usage.output_tokens},
        cost_usd=result.cost_usd,
        requests=result.usage.requests,
        tool_calls=tuple(masked([dict(call) for call in result.tool_calls])),
        cached=None if result.cached is None else dict(result.cached),
    )


def _replayed(attempt: Attempt) -> int:
    if attempt.result is not None:
        return attempt.result.replayed
    return int(attempt.error.details.get("replayed", 0)) if attempt.error is not None else 0


def _state(attempt: Attempt) -> Any:
    if attempt.killed:
        return "killed"
    if attempt.error is None:
        return "success"
    return "failed" if attempt.next_wait is None else "retrying"


def _error(error: AttemptError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "kind": error.kind,
        "message": masked(error.message),
        "reply": masked(error.reply),
        "details": masked(error.details),
    }

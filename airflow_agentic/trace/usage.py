"""What attempts used, one by one and added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.document import UsageTrace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.trace.record import AttemptRecord


def usage_of(record: AttemptRecord) -> UsageTrace:
    """Of one attempt. A failed one tells what its agent counted in its error's details."""
    tokens: dict[str, Any] = record.tokens or {}
    told: dict[str, Any] = {}
    cost = record.cost_usd
    if record.tokens is None and record.error is not None:
        details = record.error.get("details") or {}
        told = details.get("usage") or {}
        tokens = {"input": told.get("input_tokens"), "output": told.get("output_tokens")}
        cost = details.get("cost_usd") if cost is None else cost
    calls = _calls(record, told.get("requests"))
    return UsageTrace(
        calls=calls,
        input_tokens=tokens.get("input"),
        output_tokens=tokens.get("output"),
        cost_usd=cost,
        partly_known=cost is None and calls > 0 and record.agent.get("type") == "llm",
    )


def total(usages: Iterable[UsageTrace]) -> UsageTrace:
    """Of several."""
    found = list(usages)
    return UsageTrace(
        calls=sum(usage.calls for usage in found),
        input_tokens=_sum(usage.input_tokens for usage in found),
        output_tokens=_sum(usage.output_tokens for usage in found),
        cost_usd=_sum(usage.cost_usd for usage in found),
        partly_known=any(usage.partly_known for usage in found),
    )


def _calls(record: AttemptRecord, told: int | None) -> int:
    """Requests that were made; those for summaries are beside the agent's own."""
    if record.cached is not None:
        return 0
    beside = len((record.window or {}).get("summaries") or ())
    counted = record.requests if record.requests is not None else told
    return beside + (counted if counted is not None else 0 if record.replayed else 1)


def _sum(numbers: Iterable[Any]) -> Any:
    """Of those that are known; null when none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None

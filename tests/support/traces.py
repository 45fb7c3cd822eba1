"""Traces for tests, filled in where it doesn't matter; and the trace of a run in this process, as Airflow tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.airflow_database import facts_from_database
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.document import TRACE_FORMAT, DecisionTrace, StageSummary, Trace, UsageTrace

if TYPE_CHECKING:
    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.store import TraceStore


def a_stage(stage: str = "draft", **more: Any) -> StageSummary:
    """An agent's stage that succeeded in its second attempt."""
    given: dict[str, Any] = {
        "stage": stage,
        "name": stage,
        "kind": "agent",
        "agent": "writer",
        "rounds": (),
        "state": "success",
        "started": None,
        "ended": None,
        "queued": 0.0,
        "waited": 0.0,
        "seconds": 1.5,
        "usage": UsageTrace(),
        "items": None,
        "attempts": (),
        "tries": 2,
        "model": None,
        "error": None,
    }
    return StageSummary(**{**given, **more})


def a_decision(stage: str = "qa", **more: Any) -> DecisionTrace:
    """A decision to go on."""
    given: dict[str, Any] = {
        "id": f"decision-{stage}",
        "record": "decisions/x.json",
        "stage": stage,
        "task_id": f"{stage}__route",
        "map_index": -1,
        "try_number": 1,
        "rounds": (),
        "about": "route",
        "decided": "2026-01-01T00:00:00+00:00",
        "conditions": (),
        "outcome": "next",
        "shown": "next",
        "words": f"{stage} decided: go on.",
        "round": None,
        "max_rounds": None,
    }
    return DecisionTrace(**{**given, **more})


def a_trace(*stages: StageSummary, **more: Any) -> Trace:
    """A run that succeeded within two seconds."""
    given: dict[str, Any] = {
        "format": TRACE_FORMAT,
        "dag_id": "brief",
        "run_id": "r1",
        "template_digest": "",
        "state": "success",
        "sealed": None,
        "error": None,
        "inputs": {},
        "output": None,
        "triggered": {},
        "queued": None,
        "started": None,
        "ended": None,
        "seconds": 2.0,
        "usage": UsageTrace(),
        "budget": None,
        **dict.fromkeys(("tasks", "attempts", "decisions", "answers", "merges", "errors", "artifacts"), ()),
    }
    return Trace(**{**given, **more}, stages=stages)


def facts_of(run: Any) -> RunFacts:
    """What the metadata database of this process knows of a run."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return facts_from_database(session, run.dag_id, run.run_id)


def traced(run: Any, store: TraceStore | None = None) -> Trace:
    """The whole trace of a run in this process."""
    return assembled(run.dag_id, run.run_id, facts_of(run), store)

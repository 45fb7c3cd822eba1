"""
The runs of some DAGs since a point in time: what Airflow knows of them, and their figures from the trace store.

Airflow knows of every run, also of those that were killed, or never got to their last task and left no summary. Which
summary a run has last, the number of tries of its last task tells, so that no folder has to be listed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_agentic import config
from airflow_agentic.errors import MissingFileError, TraceError
from airflow_agentic.planning.unroll import FINISH
from airflow_agentic.trace import layout
from airflow_agentic.trace.statistics import ENDED, RunPoint
from airflow_agentic.trace.summaries import MOST, summaries_at

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from airflow_agentic.trace.summary import RunSummary

    #: Runs by the ids of their DAGs.
    Runs = dict[str, list[RunPoint]]

log = logging.getLogger(__name__)

#: Seconds that a page waits for summaries; what isn't there by then, the next page has.
PATIENCE = 1.2


def runs_since(session: Session, dag_ids: Collection[str], since: datetime) -> Runs:
    """
    The runs that were started (or, not started yet, made) since then.

    Why summaries can't be read is logged; a page must not tell it, because a store's URL may have a password.

    :raises ConfigError: there is no such trace store.
    """
    rows = _rows(session, dag_ids, since)
    found: Runs = {dag_id: [] for dag_id in dag_ids}
    # the newest ones first: if there isn't the time for all, these are more telling
    paths = [path for row in reversed(rows) if (path := _summary_path(row)) is not None][:MOST]
    summaries = summaries_at(config.get("trace_url")).get(paths, PATIENCE) if paths else {}
    asked = set(paths)
    for row in rows:
        path = _summary_path(row)
        found[row.dag_id].append(_with_figures(_point(row), path if path in asked else None, summaries))
    _log_trouble(summaries)
    return found


def _rows(session: Session, dag_ids: Collection[str], since: datetime) -> list[Any]:
    """In order of time, each with the state of its last task; only columns that are needed."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, func, select

    at = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    last = and_(
        TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id, TaskInstance.task_id == FINISH
    )
    query = (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.start_date, DagRun.queued_at, DagRun.run_after)
        .add_columns(DagRun.end_date, TaskInstance.state.label("last_state"), TaskInstance.try_number)
        .join(TaskInstance, last, isouter=True)
        .where(DagRun.dag_id.in_(dag_ids), at >= since)
        .order_by(at, DagRun.run_id)
    )
    return list(session.execute(query))


def _point(row: Any) -> RunPoint:
    state = str(row.state)
    started, ended = row.start_date, row.end_date
    return RunPoint(
        run_id=row.run_id,
        state=state,
        at=started or row.queued_at or row.run_after,
        seconds=(ended - started).total_seconds() if started and ended and state in ENDED else None,
    )


def _summary_path(row: Any) -> str | None:
    """Where the run's summary is; null for one that can't have any."""
    if str(row.state) not in ENDED or str(row.last_state) not in ENDED or not row.try_number:
        return None
    return layout.summary_path(row.dag_id, row.run_id, row.try_number)


def _with_figures(run: RunPoint, path: str | None, summaries: Mapping[str, RunSummary | TraceError]) -> RunPoint:
    if path is None:
        return run
    match summaries.get(path):
        case None:
            return replace(run, figures="unread")
        case MissingFileError():
            return run
        case TraceError():
            return replace(run, figures="unreadable")
        case summary:
            return replace(run, figures="known", summary=summary)


def _log_trouble(summaries: Mapping[str, RunSummary | TraceError]) -> None:
    errors = [error for error in summaries.values() if isinstance(error, TraceError)]
    unreadable = [error for error in errors if not isinstance(error, MissingFileError)]
    if unreadable:
        log.warning("%d summaries of runs can't be read; the first one: %s", len(unreadable), unreadable[0])

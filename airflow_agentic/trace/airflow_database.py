"""
What Airflow knows of a run, from its metadata database.

Only for the api-server, which has the database and answers for who may see what, and for an Airflow of one's own in
this process. Tasks have no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.airflow import InstanceFacts, RunFacts, TryFacts, UnknownRunError, all_tries, utc

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_ASKING = "awaiting_input"


def facts_from_database(session: Session, dag_id: str, run_id: str) -> RunFacts:
    """
    The facts of a run, in four queries.

    :raises UnknownRunError: Airflow doesn't know the run.
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        raise UnknownRunError(f"Airflow doesn't know the run {run_id!r} of {dag_id!r}.")
    return RunFacts(
        dag_id=dag_id,
        run_id=run_id,
        state=_text(run.state) or "",
        type=_text(run.run_type) or "",
        by=run.triggering_user_name,
        logical_date=utc(run.logical_date),
        run_after=utc(run.run_after),
        queued=utc(run.queued_at),
        started=utc(run.start_date),
        ended=utc(run.end_date),
        instances=_instances(session, dag_id, run_id),
    )


def _instances(session: Session, dag_id: str, run_id: str) -> tuple[InstanceFacts, ...]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory

    former: dict[tuple[str, int], list[TryFacts]] = {}
    for row in _rows(session, TaskInstanceHistory, dag_id, run_id):
        former.setdefault((row.task_id, row.map_index), []).append(_try(row))
    questions = _questions(session, dag_id, run_id)
    return tuple(
        InstanceFacts(
            task_id=row.task_id,
            map_index=row.map_index,
            state=_text(row.state),
            tries=all_tries(former.get((row.task_id, row.map_index), ()), _try(row)),
            question=questions.get((row.task_id, row.map_index)),
        )
        for row in _rows(session, TaskInstance, dag_id, run_id)
    )


def _rows(session: Session, table: Any, dag_id: str, run_id: str) -> Any:
    """Of all tasks of a run; only the columns that are needed: whole rows would load pickled settings."""
    from sqlalchemy import select

    columns = (table.task_id, table.map_index, table.state, table.try_number, table.queued_dttm, table.start_date)
    more = (table.end_date, table.hostname, table.retry_reason)
    query = select(*columns, *more).where(table.dag_id == dag_id, table.run_id == run_id)
    return session.execute(query.order_by(table.task_id, table.map_index))


def _try(row: Any) -> TryFacts:
    return TryFacts(
        number=row.try_number,
        state=_text(row.state),
        queued=utc(row.queued_dttm),
        started=utc(row.start_date),
        ended=utc(row.end_date),
        hostname=row.hostname or None,
        reason=row.retry_reason,
    )


def _questions(session: Session, dag_id: str, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
    """What people are asked right now."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    query = (
        select(TaskInstance.task_id, TaskInstance.map_index, HITLDetail)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.state == _ASKING)
    )
    return {
        (task_id, map_index): {
            "subject": told.subject,
            "body": told.body,
            "options": list(told.options),
            "assignees": [user["id"] for user in told.assigned_users],
            "asked": utc(told.created_at),
        }
        for task_id, map_index, told in session.execute(query)
    }


def _text(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))

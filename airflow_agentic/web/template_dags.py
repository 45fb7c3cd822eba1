"""
Which of Airflow's DAGs are made from templates.

Each has the tag ``agentic``, by which the database finds them at once; but anybody may give any DAG that tag. What
nobody else's DAG has is the task that ends every template's run, made by the package's own operator: that stands in
the serialized DAG, which is large, so that it is read once for each version of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.planner import TAG

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session

#: Of the operator that ends every run, as Airflow stores it.
_MODULE = "airflow_agentic.operators.finish"
#: The most versions that are remembered.
_KEPT = 10_000

#: DAG id and hash of its serialized form → whether it is a template's.
_seen: dict[tuple[str, str], bool] = {}


@dataclass(frozen=True, kw_only=True)
class TemplateDag:
    """
    A DAG that was made from a template.

    :param name: what Airflow's UI shows for it.
    """

    dag_id: str
    name: str
    description: str | None
    is_paused: bool


def template_dags(session: Session, readable: Collection[str]) -> list[TemplateDag]:
    """
    The DAGs of templates that Airflow serves, sorted by name.

    :param readable: ids of those that the user may see; nothing is asked about others.
    """
    from airflow.models.dag import DagModel, DagTag
    from sqlalchemy import select

    columns: Any = (DagModel.dag_id, DagModel.dag_display_name, DagModel.description, DagModel.is_paused)
    query = select(*columns).join(DagTag, DagTag.dag_id == DagModel.dag_id)
    rows = session.execute(query.where(DagTag.name == TAG, DagModel.is_stale.is_(False)))
    tagged = {
        row.dag_id: TemplateDag(
            dag_id=row.dag_id,
            name=row.dag_display_name or row.dag_id,
            description=row.description,
            is_paused=bool(row.is_paused),
        )
        for row in rows
        if row.dag_id in readable
    }
    made = _made_from_templates(session, tagged)
    return sorted((dag for dag_id, dag in tagged.items() if dag_id in made), key=lambda dag: dag.name.casefold())


def is_template_dag(session: Session, dag_id: str) -> bool:
    """Whether a DAG is made from a template."""
    return bool(_made_from_templates(session, (dag_id,)))


def _made_from_templates(session: Session, dag_ids: Collection[str]) -> set[str]:
    latest = _latest(session, dag_ids)
    unseen = [row.id for row in latest.values() if (row.dag_id, row.dag_hash) not in _seen]
    if unseen:
        _look_at(session, unseen)
    return {dag_id for dag_id, row in latest.items() if _seen.get((dag_id, row.dag_hash))}


def _latest(session: Session, dag_ids: Collection[str]) -> dict[str, Any]:
    """Of each DAG the last version's serialized form: its id and hash."""
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    query = (
        select(SerializedDagModel.dag_id, SerializedDagModel.id, SerializedDagModel.dag_hash)
        .join(DagVersion, SerializedDagModel.dag_version_id == DagVersion.id)
        .where(SerializedDagModel.dag_id.in_(dag_ids))
        .order_by(DagVersion.version_number)
    )
    return {row.dag_id: row for row in session.execute(query)}


def _look_at(session: Session, ids: list[Any]) -> None:
    from airflow.models.serialized_dag import SerializedDagModel

    if len(_seen) > _KEPT:
        _seen.clear()
    for one in ids:
        found = session.get(SerializedDagModel, one)
        if found is not None:
            _seen[found.dag_id, found.dag_hash] = _ends_as_templates_do(found.data)
            session.expunge(found)


def _ends_as_templates_do(data: Any) -> bool:
    tasks = (data or {}).get("dag", {}).get("tasks", ())
    return any(task.get("__var", {}).get("_task_module") == _MODULE for task in tasks)

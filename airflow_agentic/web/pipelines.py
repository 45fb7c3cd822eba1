"""
The pipelines page: all DAGs of templates that somebody may see, and how their runs went.

What is on it is counted from DAGs, runs and task instances, so whoever may not see one of these kinds sees nothing, and
of the DAGs only those that Airflow's own list would show.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 FastAPI reads it
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, Query, Response

from airflow_agentic.trace.statistics import statistics_of
from airflow_agentic.view.pipelines import Pipeline, Shown, pipelines_page
from airflow_agentic.web.assets import assets_digest
from airflow_agentic.web.pipeline_runs import runs_since
from airflow_agentic.web.template_dags import template_dags

_MAY_SEE = [
    Depends(requires_access_dag("GET")),
    Depends(requires_access_dag("GET", DagAccessEntity.RUN)),
    Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
]
_HTML = "text/html; charset=utf-8"

router = APIRouter(dependencies=_MAY_SEE)


@router.get("/pipelines")
def page(
    session: SessionDep,
    user: GetUserDep,
    days: Annotated[str, Query()] = "",
    sort: Annotated[str, Query()] = "",
    order: Annotated[str, Query()] = "",
) -> Response:
    """The page; what an address says that there isn't, is as if it didn't say it."""
    shown = Shown.of(days, sort, order)
    readable = get_auth_manager().get_authorized_dag_ids(user=user)
    dags = {dag.dag_id: dag for dag in template_dags(session, readable)}
    now = datetime.now(tz=UTC)
    runs = runs_since(session, list(dags), now - timedelta(days=shown.days))
    pipelines = [
        Pipeline(
            dag_id=dag_id,
            name=dag.name,
            description=dag.description,
            is_paused=dag.is_paused,
            statistics=statistics_of(runs[dag_id]),
        )
        for dag_id, dag in dags.items()
    ]
    text = pipelines_page(pipelines, shown, now=now, assets=f"assets/{assets_digest()}")
    return Response(text.encode("utf-8", "replace"), media_type=_HTML)

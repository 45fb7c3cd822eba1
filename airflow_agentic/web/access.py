"""
Who may see what: Airflow's own permissions, asked of its auth manager at each request.

A run's page shows what Airflow shows in several places: the run, its task instances, their inputs and outputs (XComs),
their errors (logs), questions to people and their answers, and the template (the DAG's code). So whoever may not see
one of these sees nothing of the page. The question comes before anything is looked up, so that a refusal says nothing
about what there is.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from fastapi import Depends

#: Of every route: somebody who is signed in, by cookie or by bearer token.
SIGNED_IN = Depends(get_user)

#: What a run's page shows.
_SHOWN = (
    DagAccessEntity.RUN,
    DagAccessEntity.TASK_INSTANCE,
    DagAccessEntity.XCOM,
    DagAccessEntity.TASK_LOGS,
    DagAccessEntity.HITL_DETAIL,
    DagAccessEntity.CODE,
)

#: Of routes with ``{dag_id}`` in their path: somebody who may see the DAG and all that its runs' pages show.
MAY_SEE_RUNS = [Depends(requires_access_dag("GET")), *(Depends(requires_access_dag("GET", each)) for each in _SHOWN)]

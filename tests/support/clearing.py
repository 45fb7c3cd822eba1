"""Clear tasks on the real Airflow, as its UI does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv


def clear(airflow: AirflowEnv, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> None:
    """Clear a task, or one instance of a mapped one, and whatever comes after it, so that the run goes on."""
    body = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [task_id if map_index is None else [task_id, map_index]],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    airflow.rest.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

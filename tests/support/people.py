"""Answering questions through Airflow's REST API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv


#: Seconds. Before, the scheduler may not have heard that the task has ended its process: an answer would be too early.
_SETTLED = 2.5


def details_path(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Where a question is in Airflow's REST API."""
    return f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/{map_index}/hitlDetails"


def wait_for_questions(
    airflow: AirflowEnv, dag_id: str, run_id: str, *, count: int = 1, timeout: float = 60.0
) -> list[dict[str, Any]]:
    """Wait until so many tasks of a run wait for people; the questions, as Airflow's views show them."""
    since = 0.0

    def found() -> list[dict[str, Any]]:
        nonlocal since
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/hitlDetails"
        details = airflow.rest.call("GET", path, limit=100, state="awaiting_input")["hitl_details"]
        if len(details) < count:
            since = 0.0
            return []
        since = since or time.monotonic()
        return details if time.monotonic() - since > _SETTLED else []

    questions: list[dict[str, Any]] = airflow.wait_until(found, what=f"question of {dag_id}", timeout=timeout)
    return questions


def answer(
    airflow: AirflowEnv, dag_id: str, run_id: str, task_id: str, *options: str, map_index: int = -1, **fields: Any
) -> Any:
    """Answer a question as the views do; the answer as it was taken."""
    body = {"chosen_options": list(options), "params_input": fields}
    path = details_path(dag_id, run_id, task_id, map_index)
    return airflow.rest.once("PATCH", path, body) or airflow.rest.call("GET", path)

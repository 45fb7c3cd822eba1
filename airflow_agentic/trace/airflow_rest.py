"""
What Airflow knows of a run, from its REST API.

The tries of a task instance are asked for only where there was more than one. The API doesn't tell why a try was
followed by another one (3.3); the records do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_agentic.trace.airflow import InstanceFacts, RunFacts, TryFacts, all_tries, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.local.rest import RestClient

#: Requests at a time.
_AT_ONCE = 8
_ASKING = "awaiting_input"


def facts_from_rest(client: RestClient, dag_id: str, run_id: str) -> RunFacts:
    """
    The facts of a run.

    :raises RestError: Airflow doesn't know the run (status 404), or doesn't answer.
    """
    run = client.run(dag_id, run_id)
    instances = client.task_instances(dag_id, run_id)
    repeated = [instance for instance in instances if instance["try_number"] > 1]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = list(threads.map(lambda instance: _tries(client, instance), repeated))
    former = {_key(instance): tries for instance, tries in zip(repeated, found, strict=True)}
    questions = _questions(client, dag_id, run_id, instances)
    return RunFacts(
        dag_id=dag_id,
        run_id=run_id,
        state=run["state"],
        type=run["run_type"],
        by=run["triggering_user_name"],
        logical_date=utc(run["logical_date"]),
        run_after=utc(run["run_after"]),
        queued=utc(run["queued_at"]),
        started=utc(run["start_date"]),
        ended=utc(run["end_date"]),
        instances=tuple(
            InstanceFacts(
                task_id=instance["task_id"],
                map_index=instance["map_index"],
                state=instance["state"],
                tries=all_tries(former.get(_key(instance), ()), _try(instance)),
                question=questions.get(_key(instance)),
            )
            for instance in instances
        ),
    )


def _key(instance: dict[str, Any]) -> tuple[str, int]:
    return instance["task_id"], instance["map_index"]


def _try(told: dict[str, Any]) -> TryFacts:
    return TryFacts(
        number=told["try_number"],
        state=told["state"],
        queued=utc(told["queued_when"]),
        started=utc(told["start_date"]),
        ended=utc(told["end_date"]),
        hostname=told["hostname"] or None,
    )


def _tries(client: RestClient, instance: dict[str, Any]) -> list[TryFacts]:
    path = f"{_path(instance['dag_id'], instance['dag_run_id'])}/taskInstances/{quote(instance['task_id'], safe='')}"
    told = client.call("GET", f"{path}/tries", map_index=instance["map_index"])["task_instances"]
    # the history comes first: it has the time of what has ended
    return [_try(each) for each in reversed(told)]


def _questions(
    client: RestClient, dag_id: str, run_id: str, instances: Sequence[dict[str, Any]]
) -> dict[tuple[str, int], dict[str, Any]]:
    """What people are asked; one page: more questions than that nobody reads."""
    if not any(instance["state"] == _ASKING for instance in instances):
        return {}
    page = client.call("GET", f"{_path(dag_id, run_id)}/hitlDetails", limit=1000, response_received="false")
    return {
        _key(told["task_instance"]): {
            "subject": told["subject"],
            "body": told["body"],
            "options": list(told["options"]),
            "assignees": [user["id"] for user in told["assigned_users"]],
            "asked": utc(told["created_at"]),
        }
        for told in page["hitl_details"]
    }


def _path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"

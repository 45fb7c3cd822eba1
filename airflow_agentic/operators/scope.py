"""
What a task's texts can read: the run's inputs, the run itself, and the outputs of the stages that they name.

Each pull costs a round trip of about 20 ms and a missing XCom leaves an error in the task's log, so only what is
read is pulled, and only from tasks that have it: a stage that was skipped isn't in the scope at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.base import RunInfo
from airflow_agentic.operators.xcom import pull_output, pull_provenance, task_states
from airflow_agentic.trace.mask import register_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from airflow.sdk import Context


@dataclass(frozen=True, kw_only=True)
class Scope:
    """
    The names that texts can read.

    :param values: name → plain data.
    :param tasks: stage → the task that its value is from.
    :param run: what ``run`` is made from.
    """

    values: dict[str, Any]
    tasks: dict[str, str]
    run: RunInfo


def build_scope(context: Context, reads: Mapping[str, tuple[str, ...]], guarded: Collection[str]) -> Scope:
    """
    The scope of a task.

    :param reads: stage → the tasks its value may come from, as in a plan.
    :param guarded: the stages that may not have run.
    """
    ti = context["ti"]
    run = run_info(context)
    values: dict[str, Any] = {"inputs": run_inputs(context), "run": run.as_scope()}
    tasks = {}
    for name, task_id in _sources(ti, reads, guarded).items():
        output = pull_output(ti, task_id)
        # null is also what a task gives that somebody marked as successful without running it
        if output is not None or pull_provenance(ti, task_id):
            values[name], tasks[name] = output, task_id
    return Scope(values=values, tasks=tasks, run=run)


def run_inputs(context: Context) -> dict[str, Any]:
    """The run's inputs, defaults filled in; those declared as passwords are kept out of logs and records."""
    declared, given = context["dag"].params, context["params"]
    inputs = {name: given[name] for name in declared if name in given}
    for name, value in inputs.items():
        if declared.get_param(name).schema.get("format") == "password":
            register_secret(value)
    return inputs


def run_info(context: Context) -> RunInfo:
    """The run; its date is the logical one, or when the run was due for one that has none."""
    run: Any = context["dag_run"]
    return RunInfo(
        id=run.run_id,
        dag_id=run.dag_id,
        date=(run.logical_date or run.run_after).isoformat(),
        logical_date=_iso(run.logical_date),
        interval_start=_iso(run.data_interval_start),
        interval_end=_iso(run.data_interval_end),
        assets=_asset_events(run.consumed_asset_events),
        conf=run.conf or {},
    )


def _sources(ti: Any, reads: Mapping[str, tuple[str, ...]], guarded: Collection[str]) -> dict[str, str]:
    """For each stage that has an output, the task to pull it from: the last one that succeeded."""
    unsure = {name: ids for name, ids in reads.items() if name in guarded or len(ids) > 1}
    states = task_states(ti, [task_id for ids in unsure.values() for task_id in ids]) if unsure else {}
    found = {}
    for name, ids in reads.items():
        ran = [task_id for task_id in ids if name not in unsure or states.get(task_id) == "success"]
        if ran:
            found[name] = ran[-1]
    return found


def _asset_events(events: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """The events that started the run, by the asset's URI, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: event.timestamp):
        found.setdefault(_written_uri(event.asset), []).append(
            {
                "timestamp": event.timestamp.isoformat(),
                "extra": dict(event.extra),
                "dag_id": event.source_dag_id,
                "run_id": event.source_run_id,
                "task_id": event.source_task_id,
            }
        )
    return found


def _written_uri(asset: Any) -> str:
    """Airflow adds a slash to ``agentic://briefs``; its name, by default the URI as it was written, has none."""
    return str(asset.name if asset.name.rstrip("/") == asset.uri.rstrip("/") else asset.uri)


def _iso(date: datetime | None) -> str | None:
    return date.isoformat() if date else None

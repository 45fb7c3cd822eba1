"""
What a task's texts can read: the inputs, the run itself, the outputs of the stages that they name, and in a loop what
came back with the decision that began the round.

Each pull costs a round trip of about 20 ms and a missing XCom leaves an error in the task's log, so only what is
read is pulled, and only from tasks that have it: a stage that was skipped isn't in the scope at all. Whatever has to
be known about states before is asked in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.base import RunInfo
from airflow_agentic.operators.peers import Peers
from airflow_agentic.trace.mask import register_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask


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


def build_scope(context: Context, planned: PlannedTask, states: Mapping[str, str | None] | None = None) -> Scope:
    """
    The scope of a task; ``item`` and ``index`` of a fan-out are the caller's to add.

    :param states: of all tasks that the scope may be from, where the caller knows them already.
    """
    peers = Peers(context["ti"], planned)
    run = run_info(context)
    if states is None:
        states = peers.states(_unsure(planned))
    values: dict[str, Any] = {"inputs": _inputs(context, peers), "run": run.as_scope()}
    tasks = {}
    for name, task_id in _sources(planned, states).items():
        output = peers.output(task_id)
        # null is also what a task gives that somebody marked as successful without running it
        if output is not None or peers.provenance(task_id):
            values[name], tasks[name] = output, task_id
    values.update(_round(peers, states))
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


def _inputs(context: Context, peers: Peers) -> dict[str, Any]:
    """The run's inputs, or those of the pipeline that the task is in; the run's passwords are kept secret in both."""
    given = run_inputs(context)
    start = peers.planned.inputs
    if start is None:
        return given
    inputs: dict[str, Any] = peers.output(start)
    return inputs


def _unsure(planned: PlannedTask) -> list[str]:
    """The tasks whose states decide what is in the scope."""
    unsure = [task_id for name, ids in planned.reads.items() if _is_unsure(planned, name) for task_id in ids]
    decided = [pair for level in (*planned.feedback, planned.errors) for pair in level]
    return [*unsure, *(_shown_by(planned, pair)[0] for pair in decided)]


def _is_unsure(planned: PlannedTask, name: str) -> bool:
    return name in planned.guarded or len(planned.reads[name]) > 1


def _sources(planned: PlannedTask, states: Mapping[str, str | None]) -> dict[str, str]:
    """For each stage that has an output, the task to pull it from: the last one that succeeded."""
    found = {}
    for name, ids in planned.reads.items():
        ran = [task_id for task_id in ids if not _is_unsure(planned, name) or states.get(task_id) == "success"]
        if ran:
            found[name] = ran[-1]
    return found


def _round(peers: Peers, states: Mapping[str, str | None]) -> dict[str, Any]:
    """What only rounds and routed failures have."""
    planned = peers.planned
    found: dict[str, Any] = {}
    if planned.rounds:
        found["round"] = planned.round
        found["feedback"] = _feedback(peers, states)
    failure = _taken(peers, planned.errors, states)
    if failure is not None and failure["error"] is not None:
        found["error"] = failure["error"]
    return found


def _feedback(peers: Peers, states: Mapping[str, str | None]) -> dict[str, Any]:
    """All that came back with the decisions that began the rounds around the task, the inner over the outer."""
    union: dict[str, Any] = {}
    for level in peers.planned.feedback:
        union.update((_taken(peers, level, states) or {}).get("with") or {})
    return union


def _taken(peers: Peers, pairs: Iterable[tuple[str, str]], states: Mapping[str, str | None]) -> dict[str, Any] | None:
    """The last of some possible decisions that was really taken."""
    for pair in reversed(list(pairs)):
        task_id, outcome = _shown_by(peers.planned, pair)
        if states.get(task_id) != "success":
            continue
        decision = peers.decision(pair[1])
        if decision is not None and outcome in (None, decision["outcome"]):
            return decision
    return None


def _shown_by(planned: PlannedTask, pair: tuple[str, str]) -> tuple[str, str | None]:
    """
    The task whose success shows that a decision was taken, its arm.

    In a mapped task group there are no arms, so that the decision itself has to be asked for its outcome, which has
    the arm's place in the plan there.
    """
    arm, route = pair
    return (arm, None) if planned.mapped is None else (route, arm)


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

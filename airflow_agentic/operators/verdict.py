"""
Whether a run, or an inner pipeline, went as it should have, told from the states of its tasks alone.

Pure functions, so that every case can be tried: Airflow's own answer (the state of a run's leaves) was green for runs
with failed stages in several layouts. What is answered for is listed in the plan (``judged``): stages, routes and
artifacts. The tasks of single items aren't; the task that collects them is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import PlanMismatchError
from airflow_agentic.trace.record import AttemptRecord, FailureRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.trace.record import Record

#: Airflow's states of a task whose work wasn't done although it should have been.
FAILED_STATES = ("failed", "upstream_failed")
#: Failures of a route whose stage's failure is told already, and of tasks that could not run.
_SAID_ELSEWHERE = ("UnhandledError", "NotRunError")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """
    A task that failed by itself.

    :param record: its last one; None when it left none.
    """

    task_id: str
    stage: str
    record: Record | None


def check_tasks(tasks: Sequence[PlannedTask], states: Mapping[str, str | None]) -> None:
    """
    Are the run's task instances those of its plan?

    :param states: as Airflow tells them; those of mapped tasks under ``<task_id>_<map index>``.
    :raises PlanMismatchError: no.
    """
    instances = instances_of(tasks, states)
    missing = [task_id for task_id, own in instances.items() if not own]
    known = {key for own in instances.values() for key in own}
    extra = sorted(key for key in states if key not in known)
    if not missing and not extra:
        return
    parts = [f"{what} {', '.join(ids)}" for what, ids in (("it lacks", missing), ("it has also", extra)) if ids]
    raise PlanMismatchError(
        f"This run's tasks are not those of its template: {'; '.join(parts)}. The template was edited while the run "
        "was started or going on. Start a new run; to keep it from happening again, set "
        "[core] min_serialized_dag_update_interval to 0, and serve the templates by the template bundle."
    )


def instances_of(tasks: Iterable[PlannedTask], states: Mapping[str, str | None]) -> dict[str, dict[str, str | None]]:
    """The instances of each task, and the states they are in; a task with a list that was never dealt has one."""
    found: dict[str, dict[str, str | None]] = {task.task_id: {} for task in tasks}
    repeated = {task.task_id for task in tasks if task.kind == "item" or task.mapped is not None}
    for key, state in states.items():
        task_id, _, index = key.rpartition("_")
        if key in found:
            found[key][key] = state
        elif index.isdecimal() and task_id in repeated:
            found[task_id][key] = state
    return found


def unhandled(judged: Iterable[Mapping[str, Any]], states: Mapping[str, str | None]) -> list[Mapping[str, Any]]:
    """
    What has failed and nobody handled, in the order of ``judged``.

    A failed stage is handled when its failure was routed, or when everything that depends on it is a merge that
    succeeded without it.

    :param judged: as in the plan.
    """
    return [entry for entry in judged if states.get(entry["task"]) in FAILED_STATES and not _is_handled(entry, states)]


def culprits(entry: Mapping[str, Any], states: Mapping[str, str | None]) -> list[str]:
    """
    The tasks that failed by themselves and so failed a stage; none when it didn't run because of others.

    A stage of several tasks fails with its last one, unless an earlier one kept that from running.
    """
    if states.get(entry["task"]) == "failed":
        return [entry["task"]]
    return [task_id for task_id in entry.get("tasks", ()) if states.get(task_id) == "failed"]


def failure_message(what: str, failed: Sequence[Mapping[str, Any]], causes: Sequence[Cause]) -> str:
    """
    Why something failed, for a person who sees only this.

    :param what: ``run``, or the pipeline's name.
    :param failed: all that nobody handled.
    :param causes: the tasks that failed by themselves.
    """
    told = [cause for cause in causes if not _is_said_elsewhere(cause.record)]
    ordered = sorted(told, key=lambda cause: _when(cause.record))
    lines = [f"The {what} failed: {_reason(cause)}" for cause in ordered[:1]]
    lines += [f"Also: {_reason(cause)}" for cause in ordered[1:]]
    failing = {cause.stage for cause in told}
    waiting = list(dict.fromkeys(entry["stage"] for entry in failed if entry["stage"] not in failing))
    if waiting:
        lines.append(f"{'Not run because of it' if lines else f'The {what} failed: not run'}: {', '.join(waiting)}.")
    return "\n".join(lines)


def _is_handled(entry: Mapping[str, Any], states: Mapping[str, str | None]) -> bool:
    """A route task that comes to a decision after a failure has chosen where to go on."""
    if states.get(entry["task"]) == "failed" and states.get(entry["route"] or "") == "success":
        return True
    readers = entry["readers"]
    return bool(readers) and all(
        kind == "merge" and states.get(task_id) == "success" for task_id, kind in readers.items()
    )


def _is_said_elsewhere(record: Record | None) -> bool:
    return isinstance(record, FailureRecord) and record.error["type"] in _SAID_ELSEWHERE


def _reason(cause: Cause) -> str:
    record, name = cause.record, repr(cause.stage)
    if cause.task_id != cause.stage:
        name += f" ({cause.task_id})"
    match record:
        case AttemptRecord(state="killed"):
            return f"{name} was stopped during attempt {record.attempt}."
        case AttemptRecord(error=dict(error)):
            return f"{name} failed in attempt {record.attempt} ({error.get('kind')}): {error.get('message')}"
        case FailureRecord(error={"type": "DecidedFailure"}):
            return record.error["message"]
        case FailureRecord():
            return f"{name} failed: {record.error['message']}"
        case _:
            return f"{name} failed and left no record of why; its log in Airflow may tell."


def _when(record: Record | None) -> str:
    match record:
        case AttemptRecord():
            return record.ended
        case FailureRecord():
            return record.at
        case _:
            return "9999"

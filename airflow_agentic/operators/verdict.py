"""
Whether a run went as it should have, told from the states of its tasks alone.

Pure functions, so that every case can be tried: Airflow's own answer (the state of a run's leaves) was green for runs
with failed stages in several layouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.errors import PlanMismatchError
from airflow_agentic.trace.record import AttemptRecord, FailureRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_agentic.trace.record import Record

#: Airflow's states of a task whose work wasn't done although it should have been.
FAILED_STATES = ("failed", "upstream_failed")


def check_tasks(expected: Sequence[str], states: Mapping[str, str | None]) -> None:
    """
    Are the run's task instances those of its plan?

    :raises PlanMismatchError: no.
    """
    missing = [task_id for task_id in expected if task_id not in states]
    extra = sorted(task_id for task_id in states if task_id not in expected)
    if not missing and not extra:
        return
    parts = [f"{what} {', '.join(ids)}" for what, ids in (("it lacks", missing), ("it has also", extra)) if ids]
    raise PlanMismatchError(
        f"This run's tasks are not those of its template: {'; '.join(parts)}. The template was edited while the run "
        "was started or going on. Start a new run; to keep it from happening again, set "
        "[core] min_serialized_dag_update_interval to 0, and serve the templates by the template bundle."
    )


def failed_tasks(states: Mapping[str, str | None], readers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """
    The tasks whose failure nobody handled, in the order of ``states``.

    A failed stage is handled when everything that depends on it is a merge that succeeded without it.

    :param readers: as in the plan: stage → who depends on it → ``merge`` if that copes with the stage's failure.
    """
    failed = [task_id for task_id, state in states.items() if state in FAILED_STATES]
    return [task_id for task_id in failed if not _is_handled(readers.get(task_id, {}), states)]


def failure_message(failed: Sequence[str], causes: Mapping[str, Record | None]) -> str:
    """
    Why the run failed, for a person who sees only this.

    :param failed: all tasks that nobody handled.
    :param causes: those that failed by themselves, each with its last record.
    """
    ordered = sorted(causes, key=lambda task_id: _when(causes[task_id]))
    lines = [f"The run failed: {_reason(task_id, causes[task_id])}" for task_id in ordered[:1]]
    lines += [f"Also: {_reason(task_id, causes[task_id])}" for task_id in ordered[1:]]
    waiting = [task_id for task_id in failed if task_id not in causes]
    if waiting:
        lines.append(f"{'Not run because of it' if lines else 'The run failed: not run'}: {', '.join(waiting)}.")
    return "\n".join(lines)


def _is_handled(readers: Mapping[str, str], states: Mapping[str, str | None]) -> bool:
    return bool(readers) and all(
        kind == "merge" and states.get(task_id) == "success" for task_id, kind in readers.items()
    )


def _reason(task_id: str, record: Record | None) -> str:
    match record:
        case AttemptRecord(state="killed"):
            return f"{task_id!r} was stopped during attempt {record.attempt}."
        case AttemptRecord(error=dict(error)):
            return f"{task_id!r} failed in attempt {record.attempt} ({error.get('kind')}): {error.get('message')}"
        case FailureRecord():
            return f"{task_id!r} failed: {record.error['message']}"
        case _:
            return f"{task_id!r} failed and left no record of why; its log in Airflow may tell."


def _when(record: Record | None) -> str:
    match record:
        case AttemptRecord():
            return record.ended
        case FailureRecord():
            return record.at
        case _:
            return "9999"

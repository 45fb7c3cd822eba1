"""The task instances of a run: their states, their tries, and why some were skipped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_agentic.trace.attempts import is_lost, queue_seconds
from airflow_agentic.trace.document import TaskTrace, TryTrace
from airflow_agentic.trace.facts import began, state_of
from airflow_agentic.trace.record import BeginRecord, WaitRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.trace.document import DecisionTrace
    from airflow_agentic.trace.outline import Outlined
    from airflow_agentic.trace.record import Record
    from airflow_agentic.trace.source import Source, TryKey

_SKIPPED = "skipped"
#: What stands for all instances of a task, the first that there is.
_ORDER = ("failed", "upstream_failed", "success", "skipped", "removed")


def tasks_of(source: Source, decisions: Sequence[DecisionTrace]) -> tuple[TaskTrace, ...]:
    """All task instances, in the plan's order; of a planned task that has none, one that never ran."""
    tasks = _of_airflow(source) if source.facts is not None else _of_records(source)
    return _skipped_by(source, tasks, decisions)


def worst(states: Iterable[str | None]) -> str | None:
    """The state that stands for several instances that have ended."""
    found = set(states)
    return next((state for state in _ORDER if state in found), next(iter(found), None))


def _of_airflow(source: Source) -> list[TaskTrace]:
    waits = {_key(record): record for _, record in source.of(WaitRecord)}
    found: dict[str, list[TaskTrace]] = {}
    for (task_id, map_index), instance in sorted(source.instances.items()):
        tries = tuple(_try(source, (task_id, map_index, each.number), waits) for each in instance.tries)
        task = _task(source.planned.get(task_id), task_id, map_index)
        found.setdefault(task_id, []).append(replace(task, state=instance.state, tries=tries))
    planned = [(task, found.pop(task.task_id, None)) for task in source.planned.values()]
    known = [task for own, tasks in planned for task in tasks or [_task(own, own.task_id, -1)]]
    return [*known, *(task for tasks in found.values() for task in tasks)]


def _of_records(source: Source) -> list[TaskTrace]:
    """Without Airflow: the states that the manifest tells, else those that the last records leave."""
    last: dict[tuple[str, int], Record] = {}
    for record in sorted(source.material.records.values(), key=began):
        if not isinstance(record, (BeginRecord, WaitRecord)):
            last[record.task_id, getattr(record, "map_index", -1)] = record
    sealed = {task.task_id: task for task in source.manifest.tasks} if source.manifest else {}
    found = []
    for planned in source.planned.values():
        task_id, told = planned.task_id, sealed.get(planned.task_id)
        indexes = sorted(index for name, index in last if name == task_id)
        states: dict[int, str | None] = {index: state_of(last[task_id, index]) for index in indexes}
        if (told is not None and told.instances is None) or not states:
            states = {-1: told.state if told else None}
        found += [replace(_task(planned, task_id, index), state=state) for index, state in states.items()]
    return found


def _task(planned: Outlined | None, task_id: str, map_index: int) -> TaskTrace:
    return TaskTrace(
        task_id=task_id,
        map_index=map_index,
        stage=planned.stage if planned else task_id,
        kind=planned.kind if planned else "agent",
        rounds=planned.rounds if planned else (),
    )


def _try(source: Source, key: TryKey, waits: dict[TryKey, WaitRecord]) -> TryTrace:
    each, wait = source.tries[key], waits.get(key)
    return TryTrace(
        number=each.number,
        state=each.state,
        queued=each.queued,
        started=each.started,
        ended=each.ended,
        queue_seconds=queue_seconds(each),
        hostname=each.hostname,
        reason=each.reason or (wait.reason if wait else None),
        wait_until=wait.until if wait else None,
        lost=is_lost(source, key),
    )


def _key(record: WaitRecord) -> TryKey:
    return record.task_id, record.map_index, record.try_number


def _skipped_by(
    source: Source, tasks: Sequence[TaskTrace], decisions: Sequence[DecisionTrace]
) -> tuple[TaskTrace, ...]:
    """
    The decisions that ruled tasks out: directly, or by ruling out what they follow. Of several, the last one: until
    then there was another way.

    A task follows the instance of its own map index where there is one.
    """
    last = {(decision.task_id, decision.map_index): decision for decision in decisions if decision.error is None}
    because: dict[tuple[str, int], DecisionTrace] = {}
    for task in tasks:
        if task.state != _SKIPPED:
            continue
        planned = source.planned.get(task.task_id)
        found = _direct(task, planned, last)
        if not found and planned is not None:
            ways = [(name, index) for name in planned.upstream for index in (task.map_index, -1)]
            found = [because[way] for way in ways if way in because]
        if found:
            because[task.task_id, task.map_index] = max(found, key=lambda decision: decision.decided)
    ids = {key: decision.id for key, decision in because.items()}
    return tuple(replace(task, skipped_by=ids.get((task.task_id, task.map_index))) for task in tasks)


def _direct(
    task: TaskTrace, planned: Outlined | None, last: dict[tuple[str, int], DecisionTrace]
) -> list[DecisionTrace]:
    own = last.get((task.task_id, task.map_index))
    if own is not None and own.about == "when":
        return [own]
    found = []
    for route, outcomes in planned.chosen_by if planned is not None else ():
        decision = last.get((route, task.map_index)) or last.get((route, -1))
        if decision is not None and decision.outcome not in outcomes:
            found.append(decision)
    return found

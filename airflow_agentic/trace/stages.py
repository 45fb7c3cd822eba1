"""
The stages of a run, as a person reads of them: a row per stage and round, however many tasks Airflow ran for it.

A fan-out's list, items and results are one row, an inner pipeline's start and result another one beside those of its
stages; joins and decisions have none. Of a stage that never ran there is one row, and none for the rounds of a loop
that were not needed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_agentic.trace.attempts import place_of
from airflow_agentic.trace.document import StageSummary
from airflow_agentic.trace.facts import began, ended, error_of
from airflow_agentic.trace.record import (
    AnswerRecord,
    ArtifactRecord,
    AttemptRecord,
    BeginRecord,
    DecisionRecord,
    FailureRecord,
    MergeRecord,
    WaitRecord,
)
from airflow_agentic.trace.stage_names import name_of
from airflow_agentic.trace.tasks import worst
from airflow_agentic.trace.usage import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_agentic.trace.document import AnswerTrace, AttemptTrace, TaskTrace
    from airflow_agentic.trace.manifest import TaskState
    from airflow_agentic.trace.outline import Outlined
    from airflow_agentic.trace.record import Record
    from airflow_agentic.trace.source import Place, Source

PLANNED = "planned"
#: Kinds of tasks that are no stage's own work.
_UNSHOWN = ("join", "route", "fail", "finish")
#: States of a stage that never started, the one that says most last.
_NOT_RUN = (PLANNED, "skipped", "upstream_failed")
#: Airflow's states of a task that has ended.
_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
#: States of an attempt after which its item has nothing.
_FAILED = ("failed", "killed", "lost")
#: Airflow's states of a task that has been taken up, the one that says most first.
_TAKEN_UP = ("running", "awaiting_input", "up_for_retry", "restarting", "deferred", "up_for_reschedule", "queued")
#: Airflow's state of a task that waits for a person.
_ASKING = "awaiting_input"
#: Records that tell of no work.
_NO_WORK = (BeginRecord, DecisionRecord, WaitRecord)


@dataclass
class _Parts:
    """What belongs to a stage in one round, in order of time: its tasks, their instances, and what those did."""

    planned: list[Outlined] = field(default_factory=list)
    tasks: list[TaskTrace] = field(default_factory=list)
    attempts: list[AttemptTrace] = field(default_factory=list)
    answers: list[AnswerTrace] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    #: where a fixed value stood in
    stood_in: set[Place] = field(default_factory=set)
    #: as the run's last task saw them, where Airflow can't be asked any more
    sealed: dict[str, TaskState] = field(default_factory=dict)


def stages_of(
    source: Source, tasks: Sequence[TaskTrace], attempts: Sequence[AttemptTrace], answers: Sequence[AnswerTrace]
) -> tuple[StageSummary, ...]:
    """The rows, in the plan's order."""
    units: dict[tuple[str, tuple[int, ...]], _Parts] = defaultdict(_Parts)
    by_task: dict[str, _Parts] = defaultdict(_Parts)
    for planned in source.planned.values():
        if planned.kind not in _UNSHOWN:
            parts = units[planned.stage, planned.rounds]
            parts.planned.append(planned)
            by_task[planned.task_id] = parts
    for told in source.manifest.tasks if source.manifest and source.facts is None else ():
        by_task[told.task_id].sealed[told.task_id] = told
    for task in tasks:
        by_task[task.task_id].tasks.append(task)
    for attempt in attempts:
        by_task[attempt.task_id].attempts.append(attempt)
    for answer in answers:
        by_task[answer.task_id].answers.append(answer)
    for record in sorted(source.material.records.values(), key=began):
        if not isinstance(record, _NO_WORK):
            by_task[record.task_id].records.append(record)
        if isinstance(record, FailureRecord) and record.recovered:
            by_task[record.task_id].stood_in.add(source.place(record))
    rows = [_row(parts) for parts in units.values()]
    return tuple(_shown(rows))


def _shown(rows: Sequence[StageSummary]) -> Iterator[StageSummary]:
    """Of each stage the rounds that ran; or else the first of those that say most of why none did."""
    by_stage: dict[str, list[StageSummary]] = defaultdict(list)
    for row in rows:
        by_stage[row.stage].append(row)
    first = {stage: max(own, key=_tells) for stage, own in by_stage.items()}
    return (row for row in rows if row is first[row.stage] or row.state not in _NOT_RUN)


def _tells(row: StageSummary) -> int:
    return _NOT_RUN.index(row.state) if row.state in _NOT_RUN else len(_NOT_RUN)


def _row(parts: _Parts) -> StageSummary:
    state = _state(parts)
    last = parts.records[-1] if parts.records else None
    task = parts.planned[-1]
    started, finished = _times(parts, state)
    return StageSummary(
        stage=task.stage,
        name=name_of(task.stage, task.rounds),
        kind=_kind(parts.planned),
        agent=next((planned.agent for planned in parts.planned if planned.agent), None) or _asked(parts.attempts),
        rounds=task.rounds,
        state=state,
        started=started,
        ended=finished,
        queued=_queued(parts.tasks),
        waited=sum(attempt.waited + (attempt.next_wait or 0.0) for attempt in parts.attempts)
        + sum(answer.seconds or 0.0 for answer in parts.answers),
        seconds=sum(attempt.seconds or 0.0 for attempt in parts.attempts)
        + sum(record.seconds for record in parts.records if isinstance(record, MergeRecord)),
        usage=total(attempt.usage for attempt in parts.attempts),
        items=_items(parts),
        attempts=tuple(attempt.id for attempt in parts.attempts),
        tries=len(parts.attempts) or _times_done(parts.records),
        model=next((attempt.model for attempt in reversed(parts.attempts) if attempt.model), None),
        error=None if state in ("success", "skipped") else _error(parts, last),
        skipped_by=_skipped_by(parts.tasks) if state == "skipped" else None,
    )


def _queued(tasks: Sequence[TaskTrace]) -> float:
    """Tasks follow each other; the instances of one are side by side, and who comes last was waited for."""
    longest: dict[str, float] = {}
    for task in tasks:
        seconds = sum(each.queue_seconds or 0.0 for each in task.tries)
        longest[task.task_id] = max(seconds, longest.get(task.task_id, 0.0))
    return sum(longest.values())


def _skipped_by(tasks: Sequence[TaskTrace]) -> str | None:
    """The last of its tasks stands for the stage."""
    return next((task.skipped_by for task in reversed(tasks) if task.skipped_by), None)


def _times_done(records: Sequence[Record]) -> int:
    """Of people, how often they were asked; else whether it was done."""
    answers = sum(isinstance(record, AnswerRecord) for record in records)
    return answers or int(any(isinstance(record, (MergeRecord, ArtifactRecord)) for record in records))


def _asked(attempts: Sequence[AttemptTrace]) -> str | None:
    """Where no plan names the agent."""
    return next((attempt.agent for attempt in reversed(attempts) if attempt.agent), None)


def _error(parts: _Parts, last: Record | None) -> dict[str, str] | None:
    told = error_of(last)
    newest = parts.attempts[-1] if parts.attempts else None
    if newest is not None and newest.error is not None and (told is None or newest.state == "lost"):
        return {"kind": str(newest.error.get("kind")), "message": str(newest.error.get("message"))}
    return told


def _times(parts: _Parts, state: str) -> tuple[str | None, str | None]:
    """When it began and ended; what only Airflow knows of, by Airflow's clock."""
    starts = [attempt.started for attempt in parts.attempts] + [answer.asked for answer in parts.answers]
    starts += [began(record) for record in parts.records if not isinstance(record, (AttemptRecord, AnswerRecord))]
    ends: list[str | None] = [attempt.ended for attempt in parts.attempts]
    ends += [ended(record) for record in parts.records]
    if not any(starts) and state not in _NOT_RUN:
        starts = [each.started for task in parts.tasks for each in task.tries]
        ends = [each.ended for task in parts.tasks for each in task.tries]
    known = [at for at in ends if at is not None]
    return (
        min((at for at in starts if at is not None), default=None),
        max(known, default=None) if state not in (*_TAKEN_UP, PLANNED) else None,
    )


def _state(parts: _Parts) -> str:
    """The last task's state, which is the stage's; unless another one failed first, or is at work."""
    by_task = [_states(parts, planned.task_id) for planned in parts.planned]
    state = worst(by_task[-1])
    if state not in _ENDED and state not in ("killed", "retrying"):
        state = _unended([each for states in by_task for each in states], state)
        return _ASKING if state in _TAKEN_UP and _only_asks(parts) else state
    failed = any(
        "failed" in states for planned, states in zip(parts.planned, by_task, strict=True) if planned.kind != "item"
    )
    return "failed" if state == "upstream_failed" and failed else str(state)


def _only_asks(parts: _Parts) -> bool:
    """Whether a question waits for its answer, and nothing is at work beside it."""
    waits = any(answer.answered is None for answer in parts.answers)
    return waits and all(attempt.state != "running" for attempt in parts.attempts)


def _states(parts: _Parts, task_id: str) -> list[str | None]:
    """Of a task's instances."""
    if task_id in parts.sealed:
        return [parts.sealed[task_id].state]
    return [task.state for task in parts.tasks if task.task_id == task_id]


def _unended(states: Iterable[str | None], last: str | None) -> str:
    """Of a stage whose last task hasn't ended."""
    found = set(states) | {last}
    taken_up = next((state for state in _TAKEN_UP if state in found), None)
    if taken_up is not None:
        return taken_up
    return "running" if found & {"success", "failed"} else PLANNED


def _kind(planned: Sequence[Outlined]) -> str:
    """What works on the stage."""
    kinds = [task.kind for task in planned]
    if "item" in kinds:
        return "agent" if any(task.agent for task in planned) else "human"
    return "pipeline" if "result" in kinds or "start" in kinds else kinds[-1]


def _items(parts: _Parts) -> dict[str, int] | None:
    """By the attempts, where agents worked on items; else by the mapped tasks that ran."""
    last = {place_of(attempt): attempt for attempt in parts.attempts if attempt.item}
    helped = parts.stood_in | {place_of(attempt) for attempt in parts.attempts if attempt.recovered_by is not None}
    if last:
        failed = [where for where, attempt in last.items() if attempt.state in _FAILED and where not in helped]
        return {"total": len(last), "failed": len(failed), "recovered": len(helped)}
    mapped = [task.task_id for task in parts.planned if task.mapped]
    counted = _instances(parts, mapped[-1]) if mapped else Counter()
    ran = {state: count for state, count in counted.items() if state not in (None, "skipped", "upstream_failed")}
    if not ran:
        return None
    return {"total": sum(ran.values()), "failed": ran.get("failed", 0), "recovered": len(helped)}


def _instances(parts: _Parts, task_id: str) -> Counter[str | None]:
    """How many instances of a mapped task are in each state."""
    if task_id in parts.sealed:
        return Counter(parts.sealed[task_id].instances or {})
    return Counter(task.state for task in parts.tasks if task.task_id == task_id and task.map_index >= 0)

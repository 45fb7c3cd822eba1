"""
What the run's last task counts for the run's summary.

Pure functions over the plan, the states of its tasks, and the records that they left.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.operators.verdict import instances_of
from airflow_agentic.trace.record import AnswerRecord, AttemptRecord, DecisionRecord, FailureRecord
from airflow_agentic.trace.summary import LoopCount, PeopleCount, RunSummary, StageCount
from airflow_agentic.trace.usage import total, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Literal

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.trace.record import Record, RunKey

    #: A task and the map index of an instance of it.
    Instance = tuple[str, int]

#: Kinds of tasks that stand for no stage.
_NO_STAGE = ("join", "finish")
#: Kinds of tasks that ran although their round didn't, or that only choose.
_NO_WORK = (*_NO_STAGE, "route", "fail")
#: Failures that are another stage's, or told with the stage's own task.
_OF_OTHERS = ("NotRunError", "UnhandledError")
#: States of attempts that came to nothing.
_IN_VAIN = ("failed", "retrying", "killed")
#: The group of a round: the stage that its loop goes back to, and its number. No stage's name has such an end.
_ROUND = re.compile(r"(.+)__(\d+)")


def summary_of(
    run: RunKey,
    try_number: int,
    at: str,
    state: Literal["success", "failed"],
    *,
    tasks: Sequence[PlannedTask],
    states: Mapping[str, str | None],
    records: Iterable[Record],
) -> RunSummary:
    """
    The summary of a run.

    :param tasks: of the plan.
    :param states: of the task instances, those of mapped tasks under ``<task_id>_<map index>``.
    :param records: all that the run left.
    """
    known = list(records)
    own = _Instances(tasks, states)
    attempts = [record for record in known if isinstance(record, AttemptRecord)]
    return RunSummary(
        run=run,
        try_number=try_number,
        at=at,
        state=state,
        usage=total(usage_of(record) for record in attempts),
        stages=tuple(_stages(tasks, own, known, attempts)),
        loops=tuple(_loops(tasks, own, known)),
        people=_people(record for record in known if isinstance(record, AnswerRecord)),
    )


class _Instances:
    """The task instances of a run, and the states they ended in."""

    def __init__(self, tasks: Sequence[PlannedTask], states: Mapping[str, str | None]) -> None:
        self.of: dict[str, dict[int, str | None]] = {
            task_id: {_map_index(task_id, key): state for key, state in found.items()}
            for task_id, found in instances_of(tasks, states).items()
        }

    def in_state(self, task_id: str, *states: str) -> list[int]:
        """The map indexes of a task's instances that are in one of the states."""
        return [index for index, state in self.of[task_id].items() if state in states]


def _map_index(task_id: str, key: str) -> int:
    return -1 if key == task_id else int(key.removeprefix(f"{task_id}_"))


def _stages(
    tasks: Sequence[PlannedTask], own: _Instances, records: Iterable[Record], attempts: Iterable[AttemptRecord]
) -> Iterator[StageCount]:
    made = Counter(record.stage for record in attempts)
    in_vain = Counter(record.stage for record in attempts if record.state in _IN_VAIN)
    failed = _failed(tasks, own, records)
    for stage in dict.fromkeys(task.stage for task in tasks if task.kind not in _NO_STAGE):
        if made[stage] or stage in failed:
            yield StageCount(stage=stage, failed=stage in failed, attempts=made[stage], failed_attempts=in_vain[stage])


def _failed(tasks: Iterable[PlannedTask], own: _Instances, records: Iterable[Record]) -> set[str]:
    """
    The stages that failed by themselves.

    A pipeline fails with what is in it, and an item without its list: the one is told by its stages, the other by the
    task that collects the items.
    """
    last = _last_failures(records)
    found = {
        task.stage
        for task in tasks
        if task.kind not in (*_NO_STAGE, "item")
        for index in own.in_state(task.task_id, "failed")
        if last.get((task.task_id, index)) not in _OF_OTHERS
    }
    return {stage for stage in found if not any(other.startswith(f"{stage}.") for other in found)}


def _last_failures(records: Iterable[Record]) -> dict[Instance, str]:
    """What each failed task raised last."""
    failures = [record for record in records if isinstance(record, FailureRecord) and not record.recovered]
    ordered = sorted(failures, key=lambda record: record.try_number)
    return {(record.task_id, record.map_index): record.error["type"] for record in ordered}


@dataclass(frozen=True)
class _Round:
    """
    A round of a loop that a task is in.

    :param loop: the loops and pipelines around it and its own target, without numbers: which loop it is.
    :param around: the same with numbers, without its own: which run of the loop, but for a pipeline's item.
    """

    loop: tuple[str, ...]
    around: tuple[str, ...]
    number: int

    @property
    def target(self) -> str:
        return _target(self.loop)


def _target(loop: tuple[str, ...]) -> str:
    return loop[-1].removesuffix("__")


def _rounds(task_id: str) -> list[_Round]:
    """Of the loops around a task, the outermost first."""
    groups = task_id.split(".")[:-1]
    parts = [_ROUND.fullmatch(group) for group in groups]
    names = tuple(f"{part[1]}__" if part else group for group, part in zip(groups, parts, strict=True))
    return [
        _Round(loop=names[: place + 1], around=tuple(groups[:place]), number=int(part[2]))
        for place, part in enumerate(parts)
        if part
    ]


def _loops(tasks: Sequence[PlannedTask], own: _Instances, records: Iterable[Record]) -> Iterator[LoopCount]:
    bounds: dict[tuple[str, ...], int] = {}
    used: dict[tuple[str, ...], dict[tuple[tuple[str, ...], int], int]] = defaultdict(dict)
    for task in tasks:
        ran = own.in_state(task.task_id, "success", "failed") if task.kind not in _NO_WORK else []
        for each in _rounds(task.task_id):
            bounds[each.loop] = max(bounds.get(each.loop, 0), each.number)
            for index in ran:
                runs, key = used[each.loop], (each.around, _item(task, each, index))
                runs[key] = max(runs.get(key, 0), each.number)
    sources, exhausted = _ends(tasks, own, records, bounds)
    for loop, bound in bounds.items():
        if used[loop]:
            source = sources.get(loop, "")
            pipelines, dot, _ = source.rpartition(".")
            yield LoopCount(
                target=f"{pipelines}{dot}{_target(loop)}",
                source=source,
                max_rounds=bound,
                rounds=dict(sorted(Counter(used[loop].values()).items())),
                exhausted=exhausted[loop],
            )


def _item(task: PlannedTask, each: _Round, map_index: int) -> int:
    """Of a loop in a pipeline that is repeated for a list, the item; a list inside of the loop is part of its round."""
    inside = task.mapped is not None and f"{'.'.join(each.around)}.".startswith(f"{task.mapped}.")
    return map_index if inside else -1


def _ends(
    tasks: Iterable[PlannedTask],
    own: _Instances,
    records: Iterable[Record],
    bounds: Mapping[tuple[str, ...], int],
) -> tuple[dict[tuple[str, ...], str], Counter[tuple[str, ...]]]:
    """The stage that decides about each loop, and how often it would have gone back once more."""
    chosen = _chosen(records)
    sources: dict[tuple[str, ...], str] = {}
    exhausted: Counter[tuple[str, ...]] = Counter()
    for task in tasks:
        for place, route in enumerate(task.config["routes"] if task.kind == "route" else ()):
            each = next((each for each in reversed(_rounds(task.task_id)) if each.target == route["back_to"]), None)
            if each is None:
                continue
            sources[each.loop] = task.stage
            if each.number == bounds[each.loop]:
                decided = own.in_state(task.task_id, "success")
                exhausted[each.loop] += sum(chosen.get((task.task_id, index)) == place for index in decided)
    return sources, exhausted


def _chosen(records: Iterable[Record]) -> dict[Instance, int | None]:
    """The route that each decision took last."""
    made = [record for record in records if isinstance(record, DecisionRecord)]
    ordered = sorted(made, key=lambda record: record.try_number)
    return {(record.task_id, record.map_index): record.route for record in ordered}


def _people(answers: Iterable[AnswerRecord]) -> PeopleCount:
    from airflow_agentic.trace.facts import seconds_between

    found = list(answers)
    return PeopleCount(
        asked=len(found),
        timed_out=sum(answer.timed_out for answer in found),
        seconds=sum(seconds_between(answer.asked, answer.answered) for answer in found),
    )

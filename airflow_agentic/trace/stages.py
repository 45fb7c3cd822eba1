"""
The stages of a run, as a person reads of them: a row per stage and round, however many tasks Airflow ran for it.

A fan-out's list, items and results are one row, an inner pipeline's start and result another one beside those of its
stages; joins and decisions have none. Of a stage that never ran there is one row, and none for the rounds of a loop
that were not needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.trace.facts import (
    began,
    cost_of,
    ended,
    error_of,
    kind_of,
    last_life,
    state_of,
    tokens_of,
    waited_for_people,
)
from airflow_agentic.trace.record import AnswerRecord, ArtifactRecord, AttemptRecord, DecisionRecord, MergeRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.trace.manifest import Manifest, TaskState
    from airflow_agentic.trace.record import Record

#: Kinds of tasks that are no stage's own work.
_UNSHOWN = ("join", "route", "fail", "finish")
#: Airflow's states of a task that never started.
_NOT_RUN = ("skipped", "upstream_failed")


@dataclass(frozen=True, kw_only=True)
class StageTrace:
    """
    One stage of a run, in one round.

    :param stage: with the stages of the pipelines around it before it (``clause.vote``).
    :param task_id: of the task whose state is the stage's.
    :param kind: ``agent``, ``merge``, ``human``, ``pipeline`` or ``artifact``.
    :param agent: the agent's name, null for other kinds.
    :param state: of the stage's last attempt, or Airflow's once the run is sealed (``skipped`` among them).
    :param attempts: since the task was last cleared, of all items; 0 when the stage didn't run.
    :param seconds: of work in these attempts; 0 for people.
    :param waited: seconds between these attempts, for the limits of connections, and for people's answers.
    :param tokens: ``input`` and ``output`` of these attempts, null when the agent counts none.
    :param cost_usd: of these attempts, null when unknown.
    :param error: ``kind`` and ``message`` of the last failure, null when the stage succeeded.
    :param rounds: of the loops around it, the outermost first; empty outside of loops.
    :param items: ``total`` and ``failed``, where it was repeated for a list, or lies in a pipeline that was.
    """

    stage: str
    task_id: str
    kind: str
    agent: str | None
    state: str
    attempts: int
    seconds: float
    waited: float
    model: str | None
    tokens: dict[str, int] | None
    cost_usd: float | None
    error: dict[str, str] | None
    started: str | None
    ended: str | None
    rounds: tuple[int, ...] = ()
    items: dict[str, int] | None = None

    @property
    def name(self) -> str:
        """The stage, and its round where there may be several."""
        return name_of(self.stage, self.rounds)


def name_of(stage: str, rounds: Sequence[int]) -> str:
    """A stage for people: in loops with the round, the outermost loop's first."""
    return f"{stage} (round {'.'.join(map(str, rounds))})" if rounds else stage


def stages_of(records: Iterable[Record], sealed: Manifest | None) -> tuple[StageTrace, ...]:
    """The stages in the plan's order once the run is sealed, else in the order in which they began."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=began):
        if not isinstance(record, DecisionRecord):
            found.setdefault(record.task_id, []).append(record)
    if sealed is None:
        return tuple(_stage(own, ()) for own in found.values())
    units: dict[tuple[str, tuple[int, ...]], list[TaskState]] = {}
    for task in sealed.tasks:
        if task.kind not in _UNSHOWN:
            units.setdefault((task.stage, task.rounds), []).append(task)
    rows = [_stage(_in_order(tasks, found), tasks) for tasks in units.values()]
    return tuple(row for row in rows if row is _shown(row.stage, rows) or row.state not in _NOT_RUN)


def _in_order(tasks: Sequence[TaskState], found: dict[str, list[Record]]) -> list[Record]:
    return sorted((record for task in tasks for record in found.get(task.task_id, ())), key=began)


def _shown(stage: str, rows: Sequence[StageTrace]) -> StageTrace:
    """The row that a stage has in any case: the first round that ran, or else the first that should have run."""
    own = [row for row in rows if row.stage == stage]
    return min(own, key=lambda row: _NOT_RUN[::-1].index(row.state) if row.state in _NOT_RUN else -1)


def _stage(records: Sequence[Record], tasks: Sequence[TaskState]) -> StageTrace:
    last = records[-1] if records else None
    task = tasks[-1] if tasks else None
    life = last_life([record for record in records if isinstance(record, AttemptRecord)])
    newest = life[-1] if life else None
    named = next((task.agent for task in tasks if task.agent), None)
    state = _state(tasks) if tasks else state_of(last)
    return StageTrace(
        stage=task.stage if task else getattr(last, "stage", last.task_id if last else ""),
        task_id=task.task_id if task else last.task_id if last else "",
        kind=_kind(tasks) if tasks else kind_of(last),
        agent=named or (newest.agent.get("name") if newest and not tasks else None),
        state=state,
        attempts=len(life) or int(isinstance(last, MergeRecord | AnswerRecord | ArtifactRecord)),
        seconds=last.seconds if isinstance(last, MergeRecord) else sum(record.seconds for record in life),
        waited=sum((record.next_wait or 0.0) + record.waited for record in life) + waited_for_people(records),
        model=next((record.model for record in reversed(life) if record.model), None),
        tokens=tokens_of(life),
        cost_usd=cost_of(life),
        error=None if state in ("success", "skipped") else error_of(last),
        started=began(life[0] if life else last) if last else None,
        ended=ended(last) if last else None,
        rounds=task.rounds if task else (),
        items=_items(life, tasks),
    )


def _state(tasks: Sequence[TaskState]) -> str:
    """The last task's state, which is the stage's; unless another one failed first."""
    state = tasks[-1].state or "missing"
    failed = any(task.state == "failed" for task in tasks if not task.instances)
    return "failed" if state == "upstream_failed" and failed else state


def _kind(tasks: Sequence[TaskState]) -> str:
    """What works on the stage."""
    kinds = [task.kind for task in tasks]
    if "item" in kinds:
        return "agent" if any(task.agent for task in tasks) else "human"
    return "pipeline" if "result" in kinds else kinds[-1]


def _items(life: Sequence[AttemptRecord], tasks: Sequence[TaskState]) -> dict[str, int] | None:
    """By the attempts, where several items share a mapped task; else by the mapped tasks that ran."""
    last = {(record.map_index, record.item["index"]): record.state for record in life if record.item}
    if last:
        return {"total": len(last), "failed": sum(state != "success" for state in last.values())}
    ran = [task.instances for task in tasks if task.instances]
    if not ran:
        return None
    total = sum(count for state, count in ran[-1].items() if state not in _NOT_RUN)
    return {"total": total, "failed": ran[-1].get("failed", 0)}

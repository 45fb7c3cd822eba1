"""
The worst case of a plan: how much can happen in one run, whatever its agents answer and its people decide.

Terms:

* an *execution* is one run of an agent's, merge's or person's stage; with ``for_each``, of one item. A pipeline is no
  execution: the stages in it are;
* a *call* is one attempt of an agent, whatever its type: each execution of a stage may take all of its attempts, and
  then as many of each agent that stands in for it (``on_error``). Turns of tools are part of a call; so is an attempt
  that was lost with its worker, and which is made again;
* a *question* is one execution of a person's stage;
* the *critical path* is the longest chain of executions of which each can only begin when the one before has ended.
  The items of a list are one link of it, since they don't wait for each other.

Each number is a bound that no run exceeds, and for each stage it is the product of the rounds of the loops around it,
the items of the pipelines around it and its own items: a run that takes every round works on it that often. Stages that
exclude each other are all counted in the sums, and so are rounds of an inner loop that a run leaves by an outer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.planning.sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_agentic.planning.plan import Plan, PlannedTask

WorkKind = Literal["agent", "merge", "human"]


@dataclass(frozen=True, kw_only=True)
class StageBound:
    """
    The worst case of one stage.

    :param stage: its name, with those of the pipelines around it before it (``clause.vote``).
    :param rounds: of the loops around it, at most, the outermost first.
    :param items: how many items one execution of a loop's round comes to, at most: its own list's and those of the
        pipelines around it; null where there are no lists.
    :param executions: in all.
    :param attempts: calls for one execution, those of agents that stand in included; 0 where no agent works.
    """

    stage: str
    kind: WorkKind
    rounds: tuple[int, ...]
    items: int | None
    executions: int
    attempts: int

    @property
    def calls(self) -> int:
        """Agent calls in all."""
        return self.executions * self.attempts


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """
    The worst case of a run.

    :param stages: in the plan's order.
    :param critical_path: the stages of its executions, in their order.
    :param too_long: stage → the length of its list, where that is known and more than ``max_items``: the stage fails
        before any item.
    """

    stages: tuple[StageBound, ...]
    critical_path: tuple[str, ...]
    too_long: dict[str, int]

    @property
    def executions(self) -> int:
        """Stage executions."""
        return sum(stage.executions for stage in self.stages)

    @property
    def calls(self) -> int:
        """Agent calls."""
        return sum(stage.calls for stage in self.stages)

    @property
    def questions(self) -> int:
        """Questions that people are asked."""
        return sum(stage.executions for stage in self.stages if stage.kind == "human")

    def to_data(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {
            "executions": self.executions,
            "calls": self.calls,
            "questions": self.questions,
            "critical_path": list(self.critical_path),
            "too_long": self.too_long,
            "stages": [{**vars(stage), "rounds": list(stage.rounds), "calls": stage.calls} for stage in self.stages],
        }


def worst_case(plan: Plan, inputs: Mapping[str, Any]) -> WorstCase:
    """
    The worst case of a run.

    :param inputs: values of the run's inputs, as far as they are known; they say how long lists are.
    """
    sizes = Sizes(plan, inputs)
    tasks = {task.task_id: task for task in plan.tasks}
    works: dict[str, list[tuple[PlannedTask, int | None]]] = {}
    for task in plan.tasks:
        if _kind(task) is not None:
            works.setdefault(task.stage, []).append((task, _items(task, tasks, sizes)))
    idle = {task.task_id for found in works.values() for task, items in found if items == 0}
    return WorstCase(
        stages=tuple(_stage_bound(stage, found) for stage, found in works.items()),
        critical_path=_critical_path(plan.tasks, idle),
        too_long=_too_long(plan.tasks, sizes),
    )


def _too_long(tasks: Iterable[PlannedTask], sizes: Sizes) -> dict[str, int]:
    found = {}
    for task in tasks:
        if task.kind == "items" or task.config.get("fan_out") is not None:
            size = sizes.of_list(task)
            if size.length is not None and size.length > size.items:
                found[task.stage] = size.length
    return found


def _kind(task: PlannedTask) -> WorkKind | None:
    """What a task does for its stage; None when it only serves others."""
    if task.kind == "item":
        return "agent" if "agent" in task.config else "human"
    return task.kind if task.kind in ("agent", "merge", "human") else None


def _items(task: PlannedTask, tasks: Mapping[str, PlannedTask], sizes: Sizes) -> int | None:
    """For how many items a task works, in all its instances; None where it isn't about items."""
    own = None
    if task.kind == "item":
        own = sizes.of_list(tasks[task.config["items"]]).items
    elif task.config.get("fan_out") is not None:
        own = sizes.of_list(task).items
    if task.mapped is None:
        return own
    return sizes.of_group(task) * (1 if own is None else own)


def _stage_bound(stage: str, found: list[tuple[PlannedTask, int | None]]) -> StageBound:
    first = found[0][0]
    items = [each for _, each in found if each is not None]
    asked = 1 + sum("agent" in entry for entry in first.config.get("recover", ()))
    return StageBound(
        stage=stage,
        kind=_kind(first) or "agent",
        rounds=tuple(max(rounds) for rounds in zip(*(task.rounds for task, _ in found), strict=True)),
        items=max(items) if items else None,
        executions=sum(1 if each is None else each for _, each in found),
        attempts=first.config["retry"]["attempts"] * asked if "retry" in first.config else 0,
    )


def _critical_path(tasks: Iterable[PlannedTask], idle: set[str]) -> tuple[str, ...]:
    """The stages on the longest way through the plan, of which only executions count; the first of equal ones."""
    lengths: dict[str, int] = {}
    before: dict[str, str | None] = {}
    stages: dict[str, str | None] = {}
    for task in tasks:
        previous = max(task.upstream, key=lengths.__getitem__, default=None)
        counts = _kind(task) is not None and task.task_id not in idle
        before[task.task_id], stages[task.task_id] = previous, task.stage if counts else None
        lengths[task.task_id] = (lengths[previous] if previous is not None else 0) + counts
    path = []
    place = max(lengths, key=lengths.__getitem__, default=None)
    while place is not None:
        path.append(stages[place])
        place = before[place]
    return tuple(stage for stage in reversed(path) if stage is not None)

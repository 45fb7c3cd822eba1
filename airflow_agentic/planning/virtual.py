"""
Inner pipelines that are repeated for each item of a list.

They become a mapped task group, in which Airflow's branching and half of its trigger rules can't be relied on: a branch
doesn't skip (apache/airflow#67265), and rules that one task can satisfy start early, or wait for all items. What holds
is ``all_success``, ``none_failed`` and ``all_done``. So the empty tasks of such a group, arms and joins, are taken out
again: each task that followed them starts when the tasks behind them are done, and judges for itself, by a formula that
says what the empty tasks would have said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.planning.plan import PlannedTask

_RELIABLE = ("all_success", "none_failed", "all_done")


def virtualize(tasks: list[PlannedTask], group: str, before: Iterable[PlannedTask]) -> list[PlannedTask]:
    """
    The same tasks without the empty ones.

    :param group: the mapped task group they are in.
    :param before: all tasks that are planned so far; decisions before the group may have led to it.
    """
    empty = {task.task_id: task for task in tasks if task.kind == "join"}
    arms = {task.task_id: task for task in before if "outcomes" in task.config}
    return [_judging(_inside(task, group, arms | empty), empty) for task in tasks if task.task_id not in empty]


def _inside(task: PlannedTask, group: str, arms: dict[str, PlannedTask]) -> PlannedTask:
    """A decision is known by its outcome where there is no arm to show it."""

    def shown(pair: tuple[str, str]) -> tuple[str, str]:
        return arms[pair[0]].config["outcomes"][0], pair[1]

    feedback = tuple(tuple(shown(pair) for pair in level) for level in task.feedback)
    return replace(task, mapped=group, feedback=feedback, errors=tuple(shown(pair) for pair in task.errors))


def _judging(task: PlannedTask, empty: dict[str, PlannedTask]) -> PlannedTask:
    chosen = task.kind == "fail"
    if not chosen and task.trigger_rule in _RELIABLE and not empty.keys() & set(task.upstream):
        return task
    formula: Any = [task.trigger_rule, [_formula(name, empty) for name in task.upstream]]
    if chosen:
        formula = ["all_success", [{"arm": task.config["route"], "outcomes": ["fail"]}]]
    upstream = tuple(dict.fromkeys(_tasks(formula)))
    return replace(task, start=formula, upstream=upstream, trigger_rule="all_done", labels={})


def _formula(name: str, empty: dict[str, PlannedTask]) -> Any:
    task = empty.get(name)
    if task is None:
        return name
    if "outcomes" in task.config:
        return {"arm": task.config["route"], "outcomes": task.config["outcomes"]}
    return [task.trigger_rule, [_formula(other, empty) for other in task.upstream]]


def _tasks(formula: Any) -> Iterable[str]:
    if isinstance(formula, str):
        yield formula
    elif isinstance(formula, dict):
        yield formula["arm"]
    else:
        for part in formula[1]:
            yield from _tasks(part)

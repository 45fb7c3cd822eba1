"""
When a task starts, in Airflow's trigger rules.

Airflow gives a task one rule over all its upstream tasks, but a stage may require some, wait for others and merge
still others. Where one flat rule can't say it, the others are gathered by an empty task of their own (a *join*),
and the stage's task asks for ``all_success`` over what it requires and its joins. One flat
``none_failed_min_one_success`` would look right and run the stage although a required one was skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import TriggerRule


@dataclass(frozen=True)
class Join:
    """An empty task that gathers tasks under a rule of their own."""

    task_id: str
    upstream: tuple[str, ...]
    trigger_rule: TriggerRule


@dataclass(frozen=True)
class Start:
    """What a task follows, by which rule, and the joins that have to stand before it."""

    upstream: tuple[str, ...]
    trigger_rule: TriggerRule
    joins: tuple[Join, ...] = ()


def start_of(
    task_id: str,
    *,
    required: tuple[str, ...],
    waiting: tuple[str, ...],
    parts: tuple[str, ...] = (),
    parts_rule: TriggerRule = "none_failed",
) -> Start:
    """
    How a task starts.

    :param required: tasks that must have succeeded.
    :param waiting: tasks that must be done or skipped.
    :param parts: what a merge gathers, under ``parts_rule``.
    """
    if waiting and parts and parts_rule == "none_failed":
        parts, waiting = (*waiting, *parts), ()
    if not parts and not waiting:
        return Start(required, "all_success")
    if not required and not waiting:
        return Start(parts, parts_rule)
    if not required and not parts:
        return Start(waiting, "none_failed")
    joins = []
    if waiting:
        joins.append(Join(f"{task_id}__opt", waiting, "none_failed"))
    if parts:
        joins.append(Join(f"{task_id}__parts", parts, parts_rule))
    return Start((*required, *(join.task_id for join in joins)), "all_success", tuple(joins))

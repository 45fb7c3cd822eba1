"""
The task groups of a plan as Airflow's.

The ids of a plan are whole: a task's id begins with the ids of its groups. Airflow puts a group's id before the ids of
what is made in it, and shows what is left without it; so a group here leaves an id alone that has its prefix already.

A mapped task group can be made only after the task whose list it is repeated for, so each group is made when its first
task is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import TaskGroup, XComArg
from airflow.sdk.definitions._internal.expandinput import DictOfListsExpandInput
from airflow.sdk.definitions.taskgroup import MappedTaskGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import DAG
    from airflow.sdk.types import Operator

    from airflow_agentic.planning.plan import Group, Plan


class _WholeIds:
    """A group in which ids are whole."""

    group_id: str

    def child_id(self, label: str) -> str:
        """The id of a task or group in this one."""
        prefix = f"{self.group_id}."
        return label if label.startswith(prefix) else prefix + label


class PlannedGroup(_WholeIds, TaskGroup):
    """A task group of a plan."""


class PlannedMappedGroup(_WholeIds, MappedTaskGroup):
    """A task group of a plan that is repeated for each entry of a list."""


class Groups:
    """
    The groups of a DAG that is being built.

    :param tasks: the DAG's tasks by id, as far as they are made.
    """

    def __init__(self, plan: Plan, dag: DAG, tasks: Mapping[str, Operator]) -> None:
        self._planned = {group.group_id: group for group in plan.groups}
        self._tasks = tasks
        self._made: dict[str, TaskGroup] = {"": dag.task_group}

    def around(self, task_id: str) -> TaskGroup:
        """
        The innermost group of a task, made if it isn't yet.

        :raises KeyError: the plan has no such group.
        """
        group_id = task_id.rpartition(".")[0]
        return self._made.get(group_id) or self._make(self._planned[group_id])

    def _make(self, group: Group) -> TaskGroup:
        parent = self.around(group.group_id)
        own_id = group.group_id.rpartition(".")[2]
        if group.mapped is None:
            made: TaskGroup = PlannedGroup(own_id, group.label, parent_group=parent)
        else:
            expand_input = DictOfListsExpandInput({"item": XComArg(self._tasks[group.mapped])})
            made = PlannedMappedGroup(
                group_id=own_id, group_display_name=group.label, parent_group=parent, expand_input=expand_input
            )
            # The scheduler looks here for what is to be expanded when the list is there.
            made.upstream_task_ids.add(group.mapped)
        self._made[group.group_id] = made
        return made

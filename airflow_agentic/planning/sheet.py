"""What a planner writes its tasks on: in order, with levels, and joins made only once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.plan import Group, PlannedTask

if TYPE_CHECKING:
    from airflow_agentic.planning.joins import Start
    from airflow_agentic.planning.plan import TriggerRule


@dataclass
class Sheet:
    """The tasks and groups of a plan in the making."""

    tasks: list[PlannedTask] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    _levels: dict[str, int] = field(default_factory=dict)

    def group(self, group_id: str, label: str, mapped: str | None = None) -> str:
        """Begin a task group; what is in it has the returned prefix."""
        self.groups.append(Group(group_id=group_id, label=label, mapped=mapped))
        return f"{group_id}."

    def join(
        self,
        task_id: str,
        stage: str,
        upstream: tuple[str, ...],
        rule: TriggerRule,
        labels: dict[str, str] | None = None,
        **config: Any,
    ) -> str:
        """An empty task; it is made once, however often it is asked for."""
        if task_id not in self._levels:
            self._put(
                task_id=task_id,
                kind="join",
                stage=stage,
                step=0,
                upstream=upstream,
                trigger_rule=rule,
                labels=labels or {},
                config=config,
            )
        return task_id

    def task(self, task_id: str, kind: Any, stage: str, start: Start, **more: Any) -> str:
        """A task that does something, after the joins that it needs."""
        for join in start.joins:
            self.join(join.task_id, stage, join.upstream, join.trigger_rule)
        self._put(
            task_id=task_id,
            kind=kind,
            stage=stage,
            step=1,
            upstream=start.upstream,
            trigger_rule=start.trigger_rule,
            **more,
        )
        return task_id

    def prune(self) -> None:
        """Take out the empty tasks that nothing follows."""
        while True:
            followed = {name for task in self.tasks for name in task.upstream}
            kept = [task for task in self.tasks if task.kind != "join" or task.task_id in followed]
            if len(kept) == len(self.tasks):
                return
            self.tasks = kept

    def _put(self, *, task_id: str, step: int, upstream: tuple[str, ...], **more: Any) -> None:
        level = max(self._levels[name] for name in upstream) + step if upstream else 0
        self._levels[task_id] = level
        self.tasks.append(PlannedTask(task_id=task_id, level=level, upstream=upstream, **more))

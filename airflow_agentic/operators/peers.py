"""
The other tasks of a run, as one of them sees them.

Outside of mapped task groups there is one of each. A task in a mapped task group sees those of its own group under
its own map index, and all others as everybody does; so it asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import NOT_RUN
from airflow_agentic.operators import xcom
from airflow_agentic.planning.rules import Becomes, judge, routes_of, tasks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_agentic.planning.plan import PlannedTask


@dataclass(frozen=True)
class Peers:
    """
    The tasks around a task.

    :param ti: Airflow's task instance, which asks.
    """

    ti: Any
    planned: PlannedTask

    def index_of(self, task_id: str) -> int:
        """The map index under which a task is seen; -1 for one that isn't mapped."""
        group = self.planned.mapped
        return self.ti.map_index if group is not None and task_id.startswith(f"{group}.") else -1

    def output(self, task_id: str) -> Any:
        """The output of a task that succeeded."""
        return xcom.pull_output(self.ti, task_id, self.index_of(task_id))

    def provenance(self, task_id: str) -> dict[str, Any]:
        """What stands behind the output of a task that succeeded."""
        return xcom.pull_provenance(self.ti, task_id, self.index_of(task_id))

    def error(self, task_id: str) -> dict[str, Any] | None:
        """Why a task failed; nothing of one that was killed."""
        return xcom.pull_error(self.ti, task_id, self.index_of(task_id))

    def decision(self, task_id: str) -> dict[str, Any] | None:
        """What a route task that succeeded chose."""
        return xcom.pull_decision(self.ti, task_id, self.index_of(task_id))

    def states(self, task_ids: Iterable[str]) -> dict[str, str | None]:
        """The states of tasks, in one call; in two where some are in a mapped task group and others aren't."""
        found: dict[str, str | None] = {}
        mine: dict[int, list[str]] = {}
        for task_id in task_ids:
            mine.setdefault(self.index_of(task_id), []).append(task_id)
        for index, ids in mine.items():
            found.update(xcom.task_states(self.ti, ids, index))
        return found

    def true_states(self, task_ids: Iterable[str]) -> dict[str, str | None]:
        """
        The states of tasks, in which one that failed only to say that it couldn't run is ``upstream_failed``.

        A task that judges for itself can't take that state, so it fails with an error of that kind.
        """
        found = self.states(task_ids)
        for task_id, state in found.items():
            if state == "failed" and (self.error(task_id) or {}).get("kind") == NOT_RUN:
                found[task_id] = "upstream_failed"
        return found

    def judged(self) -> Becomes:
        """What the task's start formula makes of it."""
        formula = self.planned.start
        states = self.true_states(tasks_of(formula))
        return judge(formula, states, self.outcomes(routes_of(formula), states))

    def outcomes(self, routes: Iterable[str], states: Mapping[str, str | None]) -> dict[str, str | None]:
        """What those of the route tasks chose that succeeded."""
        ended = [route for route in routes if states.get(route) == "success"]
        return {route: (self.decision(route) or {}).get("outcome") for route in ended}

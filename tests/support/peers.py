"""A task instance that knows the states and XComs of a made-up run, and counts how often it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG

#: Task id, or that and a map index.
Instance = str | tuple[str, int]


@dataclass
class FakeTaskInstance:
    """
    Answers as the API server does.

    :param states: of the run's task instances.
    :param xcoms: task instance → key → value; asking for one that isn't there is an error, as it is one in the log.
    """

    states: dict[Instance, str | None] = field(default_factory=dict)
    xcoms: dict[Instance, dict[str, Any]] = field(default_factory=dict)
    map_index: int = -1
    calls: list[str] = field(default_factory=list)
    pushed: dict[str, Any] = field(default_factory=dict)
    dag_id: str = "d"
    run_id: str = "r"
    try_number: int = 1
    max_tries: int = 0

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None, map_index: int | None = None
    ) -> dict[str, Any]:
        """As Airflow: the instances of mapped tasks are called after their map index."""
        self.calls.append("states")
        if (dag_id, run_ids) != (self.dag_id, [self.run_id]):
            raise LookupError(f"no run {run_ids} of {dag_id}")
        found = {}
        for instance, state in self.states.items():
            task_id, index = instance if isinstance(instance, tuple) else (instance, -1)
            if (task_ids is None or task_id in task_ids) and map_index in (None, index):
                found[task_id if index < 0 else f"{task_id}_{index}"] = state
        return {self.run_id: found}

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        """One XCom."""
        self.calls.append(task_ids if key == "return_value" else f"{task_ids}:{key}")
        instance = task_ids if map_indexes < 0 else (task_ids, map_indexes)
        if self.states.get(instance) not in ("success", "failed"):
            raise LookupError(f"pulling from {instance} would write an error into the log")
        return self.xcoms.get(instance, {}).get(key)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep it."""
        self.pushed[key] = value


def dag_run(**more: Any) -> Any:
    """A run that was triggered by hand."""
    given = {
        "run_id": "r",
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": datetime(2026, 5, 4, tzinfo=UTC),
        "conf": None,
        "consumed_asset_events": [],
    }
    return SimpleNamespace(dag_id="d", **{**given, **more})


def context(ti: Any, **more: Any) -> Any:
    """What Airflow hands an operator, as far as ours look at it."""
    given = {"ti": ti, "dag_run": dag_run(), "dag": DAG("d"), "params": {}}
    return {**given, **more}

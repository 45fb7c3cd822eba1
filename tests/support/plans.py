"""Plans made by hand: any tasks, without a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.plan import Plan, PlannedTask

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import Group, TaskKind

DAG: dict[str, Any] = {
    "description": None,
    "doc": None,
    "owner": None,
    "tags": ["agentic"],
    "schedule": None,
    "start_date": "2024-01-01T00:00:00+00:00",
    "catchup": False,
    "max_active_runs": None,
    "run_timeout": None,
    "deadline": None,
    "notify": {"on_failure": [], "on_success": [], "on_escalation": []},
}
ECHO = {"type": "python", "callable": "support.scripted_agents:echo", "output_schema": {}}


def planned(task_id: str, kind: TaskKind, *upstream: str, **more: Any) -> PlannedTask:
    """A task; its stage has its name unless another is given."""
    return PlannedTask(
        **{"task_id": task_id, "kind": kind, "stage": task_id.rpartition(".")[2], "level": 0, **more}, upstream=upstream
    )


def hand_made(*tasks: PlannedTask, groups: tuple[Group, ...] = (), name: str = "hand_made") -> Plan:
    """A plan of these tasks; its one agent is ``echo``."""
    return Plan(
        name=name,
        digest="d" * 64,
        source="version: 1\n",
        file=f"{name}.yaml",
        dag=DAG,
        inputs={},
        agents={"echo": ECHO},
        tasks=tasks,
        groups=groups,
    )

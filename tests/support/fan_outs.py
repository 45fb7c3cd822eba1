"""Plans of a stage with ``for_each``, as the planner makes them, put together by hand."""

from __future__ import annotations

from typing import Any

from support.plans import DAG

from airflow_agentic.planning.plan import Group, Plan, PlannedTask

RETRY = {"attempts": 3, "wait": 0.01, "multiplier": 2.0, "max_wait": 1.0, "jitter": False}
#: What a run takes: the items.
INPUTS = {"list": {"schema": {}, "required": False, "default": [], "description": None}}


def agent_config(agent: str = "worker", **more: Any) -> dict[str, Any]:
    """The config of a stage that asks an agent."""
    return {
        "agent": agent,
        "prompt": None,
        "prompt_reads": "stages",
        "instructions": None,
        "input": {},
        "when": None,
        "accept": None,
        "retry": RETRY,
        "timeout": 60.0,
        "airflow": {},
        "recover": [],
        **more,
    }


def python_agent(function: str, **more: Any) -> dict[str, Any]:
    """An agent of ``support.item_agents``."""
    return {"type": "python", "callable": f"support.item_agents:{function}", "output_schema": {}, **more}


def items_config(**more: Any) -> dict[str, Any]:
    """The config of the list."""
    return {
        "for_each": "inputs.list",
        "max_items": 1000,
        "max_parallel": None,
        "items_per_task": "auto",
        "works": "agent",
        "when": None,
        **more,
    }


def task(task_id: str, kind: str, config: dict[str, Any], *upstream: str, **more: Any) -> PlannedTask:
    """A task of the stage ``work``."""
    given = {"stage": "work", "level": 0, "config": config, "upstream": upstream}
    return PlannedTask(task_id=task_id, kind=kind, **{**given, **more})  # type: ignore[arg-type]


def plan(name: str, agents: dict[str, dict[str, Any]], tasks: list[PlannedTask]) -> Plan:
    """A plan of some tasks."""
    groups = tuple(
        Group(group_id=group, label=group) for group in ("work",) if any("." in one.task_id for one in tasks)
    )
    return Plan(
        name=name,
        digest="d1",
        source="",
        file="x.yaml",
        dag=DAG,
        inputs=INPUTS,
        agents=agents,
        tasks=tuple(tasks),
        groups=groups,
    )


def fan_out_plan(
    name: str,
    agents: dict[str, dict[str, Any]],
    *,
    items: dict[str, Any] | None = None,
    tolerate: int | str = 0,
    killed: list[dict[str, Any]] | None = None,
    **item: Any,
) -> Plan:
    """
    A stage that asks an agent for each of the run's items.

    :param killed: ``recover`` of the task that collects.
    :param item: of the agent's config.
    """
    collecting = {"items": "work.items", "item": "work.item", "tolerate": tolerate, "recover": killed or []}
    return plan(
        name,
        agents,
        [
            task("work.items", "items", items_config(**(items or {}))),
            task("work.item", "item", {**agent_config(**item), "items": "work.items"}, "work.items"),
            task("work.done", "join", {}, "work.item", trigger_rule="all_done"),
            task("work.collect", "collect", collecting, "work.items", "work.done"),
        ],
    )

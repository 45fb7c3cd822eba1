"""``plan``: how a template runs, before it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.planning.plan import Plan, PlannedTask

_RULES = {"all_success": "", "none_failed": " (or skipped)", "all_done": " (or failed, or skipped)"}
#: Columns of a plan that is printed into a file or a pipe.
_WIDTH = 140


def plan_command(arguments: argparse.Namespace) -> int:
    """Print a template's plan."""
    plan = make_plan(load_template(arguments.template))
    if arguments.json:
        print(json.dumps(plan.to_data(), indent=2, ensure_ascii=False))
    else:
        _print(plan)
    return 0


def _print(plan: Plan) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("level", "task", "kind", "agent", "attempts", "starts after", "when"):
        table.add_column(title, justify="right" if title in ("level", "attempts") else "left")
    for row in (_row(plan, task) for task in plan.tasks):
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(Text(": ".join(part for part in (plan.name, plan.dag["description"]) if part), style="bold"))
    console.print(table)
    levels = max(task.level for task in plan.tasks) + 1
    stages = [task for task in plan.tasks if task.kind in ("agent", "merge")]
    calls = sum(task.config["retry"]["attempts"] for task in plan.tasks if task.kind == "agent")
    console.print(f"{len(stages)} stages, {len(plan.tasks)} tasks on {levels} levels; at most {calls} agent calls")
    console.print(f"digest {plan.digest}", soft_wrap=True)


def _row(plan: Plan, task: PlannedTask) -> tuple[str, ...]:
    config: dict[str, Any] = task.config
    agent = config.get("agent", "")
    shown = f"{agent} ({plan.agents[agent]['type']})" if agent else config.get("how", "")
    attempts = str(config["retry"]["attempts"]) if "retry" in config else ""
    return str(task.level), task.task_id, task.kind, shown, attempts, _after(task), config.get("when") or ""


def _after(task: PlannedTask) -> str:
    if task.kind == "finish":
        return "all tasks"
    if not task.upstream:
        return ""
    return ", ".join(task.upstream) + _RULES[task.trigger_rule]

"""What the DAG's documentation tab shows: what it is for, its stages, and the template itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.shown import fenced

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import Plan, PlannedTask

#: Kinds of tasks that are no stage's own.
_UNKNOWN = ("join", "route", "fail", "finish")
_KINDS = {"start": "pipeline"}


def dag_doc(plan: Plan) -> str:
    """The plan as Markdown: description, the author's own ``doc``, a table of stages, the YAML."""
    parts = [
        plan.dag["description"],
        plan.dag["doc"],
        _table(plan),
        # The digest covers included files too: whatever changes a run makes another version of the DAG.
        f"Template `{plan.file}`, digest `{plan.digest}`:\n\n{fenced(plan.source, 'yaml')}",
    ]
    return "\n\n".join(part.strip() for part in parts if part)


def route_doc(planned: PlannedTask) -> str:
    """A decision as Markdown: what is tried, in order, and where each leads."""
    rows = ["| if | then |", "| --- | --- |"]
    rows += [f"| {_code(route['when'])} | {_cell(route['shown'])} |" for route in planned.config["routes"]]
    for entry in planned.config["error"] or ():
        kinds = ", ".join(entry["kinds"]) or "any error"
        rows.append(f"| it failed: {_cell(kinds)} | {_cell(entry['to'])} |")
    return "\n".join(rows)


def _table(plan: Plan) -> str:
    """A row per stage, from its first task that its author would recognize."""
    rows = {"": "| stage | kind | agent | after |", "-": "| --- | --- | --- | --- |"}
    #: The stages that a task stands for: a join is how Airflow waits; what the author knows is what it waits for.
    stands_for: dict[str, tuple[str, ...]] = {}
    agents = {task.stage: task.config["agent"] for task in plan.tasks if "agent" in task.config}
    for task in plan.tasks:
        before = tuple(dict.fromkeys(name for task_id in task.upstream for name in stands_for[task_id]))
        stands_for[task.task_id] = before if task.kind == "join" else (task.stage,)
        if task.kind not in _UNKNOWN and task.stage not in rows:
            rows[task.stage] = f"| {task.stage} | {_kind(plan, task, agents.get(task.stage))} | {', '.join(before)} |"
    return "\n".join(rows.values())


def _kind(plan: Plan, task: PlannedTask, agent: str | None) -> str:
    """What works on the stage, and the agent's name."""
    kind = plan.agents[agent]["type"] if agent else task.config.get("works", _KINDS.get(task.kind, task.kind))
    return f"{kind}{', for each' if task.kind == 'items' else ''} | {_cell(agent or '')}"


def _code(expression: str | None) -> str:
    return f"`{_cell(expression)}`" if expression else "else"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

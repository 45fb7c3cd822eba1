"""What the DAG's documentation tab shows: what it is for, its stages, and the template itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import Plan, PlannedTask

_BACKTICKS = re.compile("`{3,}")


def dag_doc(plan: Plan) -> str:
    """The plan as Markdown: description, the author's own ``doc``, a table of stages, the YAML."""
    parts = [
        plan.dag["description"],
        plan.dag["doc"],
        _table(plan),
        # The digest covers included files too: whatever changes a run makes another version of the DAG.
        f"Template `{plan.file}`, digest `{plan.digest}`:\n\n{fenced(plan.source)}",
    ]
    return "\n\n".join(part.strip() for part in parts if part)


def fenced(source: str, language: str = "yaml") -> str:
    """A Markdown code block whose fence is longer than any in the text, so that nothing in it can end the block."""
    longest = max((len(run) for run in _BACKTICKS.findall(source)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{source.rstrip()}\n{fence}"


def _table(plan: Plan) -> str:
    rows = ["| stage | kind | agent | after |", "| --- | --- | --- | --- |"]
    joins = {task.task_id: task.upstream for task in plan.tasks if task.kind == "join"}
    for task in plan.tasks:
        if task.kind not in ("join", "finish"):
            # A join is how Airflow waits; what the author knows is what it waits for.
            before = dict.fromkeys(one for name in task.upstream for one in joins.get(name, (name,)))
            rows.append(f"| {task.stage} | {_kind(plan, task)} | {', '.join(before)} |")
    return "\n".join(rows)


def _kind(plan: Plan, task: PlannedTask) -> str:
    agent = task.config.get("agent", "")
    kind = plan.agents[agent]["type"] if agent else task.kind
    return f"{kind} | {_cell(agent)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

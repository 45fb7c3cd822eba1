"""``plan``: how a template runs, and what that comes to at most, before it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_agentic.cli.inputs import check_some_inputs, read_inputs
from airflow_agentic.planning.configs import budget_config
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.planning.worst_case import worst_case
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    import argparse

#: Columns of a plan that is printed into a file or a pipe.
_WIDTH = 140


def plan_command(arguments: argparse.Namespace) -> int:
    """
    Print a template's plan.

    :raises InputError: the template doesn't take these inputs; some may be left out.
    """
    template = load_template(arguments.template)
    plan = make_plan(template)
    inputs = read_inputs(plan, arguments.input, arguments.inputs)
    check_some_inputs(plan, inputs)
    worst = worst_case(plan, inputs)
    if arguments.json:
        more = {"budget": budget_config(template), "worst_case": worst.to_data()}
        print(json.dumps({**plan.to_data(), **more}, indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console
    from rich.text import Text

    from airflow_agentic.cli.planned import lines_below, stage_table, task_table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(Text(": ".join(part for part in (plan.name, plan.dag["description"]) if part), style="bold"))
    console.print(task_table(plan) if arguments.tasks else stage_table(template, worst))
    for line in lines_below(template, plan, worst):
        console.print(Text(line), soft_wrap=line.startswith("digest"))
    return 0

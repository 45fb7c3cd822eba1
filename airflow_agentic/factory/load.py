"""The front door for people who write DAG files: a template, or a folder of them, as DAGs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory import find
from airflow_agentic.template.problems import Problem

if TYPE_CHECKING:
    import os

    from airflow.sdk import DAG

    from airflow_agentic.planning.plan import Plan

#: Two templates have one name.
DUPLICATE = "AGT190"
#: Airflow refuses what the checks let through.
REFUSED = "AGT191"
#: The planner failed in a way that it shouldn't.
FAILED = "AGT192"


def build_dag(path: str | os.PathLike[str]) -> DAG:
    """
    The DAG of one template.

    :raises TemplateError: the template has problems; all of them are reported.
    """
    return dag_of(plan_of(Path(path)), str(path))


def load_templates(folder: str | os.PathLike[str]) -> dict[str, DAG]:
    """
    The DAGs of all templates in a folder and below it, by name, in the order of their paths.

    :raises TemplateError: templates have problems, or two have one name; everything is reported.
    """
    root = Path(folder)
    plans: dict[str, Plan] = {}
    problems: list[Problem] = []
    candidates = {candidate.path: candidate for candidate in find.templates(root)}
    for path in candidates:
        try:
            plans[path] = plan_of(root / path, root)
        except TemplateError as error:
            problems += error.problems
    for path, owner in find.duplicates({path: plan.name for path, plan in plans.items()}).items():
        problems.append(duplicate(candidates[path], plans[path].name, shown=str(root / path), owner=str(root / owner)))
    if problems:
        raise TemplateError(problems)
    return {plan.name: dag_of(plan, str(root / path)) for path, plan in plans.items()}


def plan_of(path: Path, root: Path | None = None) -> Plan:
    """
    The plan of a template.

    :param root: the folder that included files can't leave; default: the template's own.
    :raises TemplateError: the template has problems.
    """
    from airflow_agentic.planning.planner import make_plan
    from airflow_agentic.template.parse import load_template

    return make_plan(load_template(path, root=root))


def plan_in(root: Path, path: str) -> Plan:
    """
    The plan of a template in a folder of them; its problems name files as they are called in the folder.

    :raises TemplateError: the template has problems.
    """
    try:
        return plan_of(root / path, root)
    except TemplateError as error:
        raise TemplateError([_seen_from(root, problem) for problem in error.problems]) from None


def dag_of(plan: Plan, shown: str) -> DAG:
    """
    The DAG of a plan.

    :raises TemplateError: Airflow refuses it.
    """
    from airflow.sdk.exceptions import AirflowException

    from airflow_agentic.factory.dag import build_dag_from_plan

    try:
        return build_dag_from_plan(plan)
    except (ValueError, AirflowException) as error:
        message = f"Airflow refuses this template: {error}"
        raise TemplateError([Problem(code=REFUSED, message=message, path=shown, line=1, column=1)]) from error


def duplicate(candidate: find.Candidate, name: str, *, shown: str, owner: str) -> Problem:
    """The problem of a template whose name is another one's already."""
    line = candidate.name_line
    source_line = find.as_text(candidate.content).split("\n")[line - 1] if candidate.content else ""
    return Problem(
        code=DUPLICATE,
        message=f"the name {name!r} is taken by {owner}",
        path=shown,
        line=line,
        column=1,
        source_line=source_line.rstrip("\r"),
        hint="give one of the two another name:",
    )


def _seen_from(root: Path, problem: Problem) -> Problem:
    path = Path(problem.path)
    return replace(problem, path=path.relative_to(root).as_posix()) if path.is_relative_to(root) else problem

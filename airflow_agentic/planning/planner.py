"""From a checked template to its plan. Pure: equal templates give equal plans."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.configs import budget_config, inputs_config
from airflow_agentic.planning.joins import Start
from airflow_agentic.planning.judging import ends_of
from airflow_agentic.planning.plan import Plan, canonical_json
from airflow_agentic.planning.sheet import Sheet
from airflow_agentic.planning.unroll import FINISH, AgentBook, Scope
from airflow_agentic.render import picture
from airflow_agentic.template.credentials import without_credentials

if TYPE_CHECKING:
    from airflow_agentic.template import models
    from airflow_agentic.template.template import Template

#: Fixed, so that the same template is the same DAG whenever it is parsed.
START_DATE = "2024-01-01T00:00:00+00:00"
TAG = "agentic"


def make_plan(template: Template) -> Plan:
    """The plan of a checked template."""
    sheet, agents = _tasks(template)
    plan = Plan(
        name=template.name,
        digest="",
        source=without_credentials(template.source.text),
        file=Path(template.source.path).name,
        dag=_dag(template),
        inputs=inputs_config(template.inputs),
        agents=agents.entries,
        tasks=tuple(sheet.tasks),
        groups=tuple(sheet.groups),
        picture=picture.to_data(picture.picture_of(template)),
    )
    return replace(plan, digest=_digest(plan))


def _digest(plan: Plan) -> str:
    """Over all that shapes a run; comments and the file's name don't."""
    data = {key: value for key, value in plan.to_data().items() if key not in ("digest", "source", "file", "picture")}
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _dag(template: Template) -> dict[str, Any]:
    spec = template.spec
    return {
        "description": spec.description,
        "doc": spec.doc,
        "owner": spec.owner,
        "tags": list(dict.fromkeys((TAG, *spec.tags))),
        "schedule": template.schedule,
        "start_date": spec.start_date or START_DATE,
        "catchup": spec.catchup,
        "max_active_runs": spec.max_active_runs,
        "run_timeout": spec.run_timeout,
        "deadline": spec.deadline
        and {"after": spec.deadline.after, "notify": [_notifier(entry) for entry in spec.deadline.notify]},
        "notify": {
            "on_failure": [_notifier(entry) for entry in spec.notify.on_failure],
            "on_success": [_notifier(entry) for entry in spec.notify.on_success],
            "on_escalation": [_notifier(entry) for entry in spec.notify.on_escalation],
        },
    }


def _notifier(entry: models.Notifier) -> dict[str, Any]:
    return {"notifier": entry.notifier, "arguments": entry.model_extra or {}}


def _tasks(template: Template) -> tuple[Sheet, AgentBook]:
    sheet, agents = Sheet(), AgentBook()
    scope = Scope(template, sheet, agents, budget=budget_config(template))
    scope.plan()
    judged = scope.judged(FINISH)
    several = isinstance(template.spec.artifact, list)
    config = {
        "output": template.spec.output,
        "artifact": scope.artifacts if several else next(iter(scope.artifacts), None),
        "judged": judged,
    }
    reads, guarded = scope.read_at_end("output")
    start = Start(ends_of(judged), "all_done")
    doc = "Checks the run, makes its output and seals it."
    sheet.task(FINISH, "finish", FINISH, start, reads=reads, guarded=guarded, config=config, doc=doc)
    sheet.prune()
    _forget_pruned(sheet)
    return sheet, agents


def _forget_pruned(sheet: Sheet) -> None:
    """Let decisions choose among the arms that are left."""
    left = {task.task_id for task in sheet.tasks}
    for task in sheet.tasks:
        if task.kind == "route":
            arms = {outcome: [arm for arm in arms if arm in left] for outcome, arms in task.config["arms"].items()}
            task.config["arms"] = {outcome: arms for outcome, arms in arms.items() if arms}

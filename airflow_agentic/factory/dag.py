"""
Turn a plan into a DAG.

Everything that can be decided before is decided in the plan; here it is only said in Airflow's words. The dag
processor does this for every template again and again, and a worker at the start of every task, so it reads no file,
asks no connection or variable, and imports only the operators that the plan uses.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.param import ParamsDict

from airflow_agentic.factory.docs import dag_doc
from airflow_agentic.factory.schedule import schedule_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.bases.operator import BaseOperator

    from airflow_agentic.planning.plan import Plan, PlannedTask


def build_dag_from_plan(plan: Plan) -> DAG:
    """
    Build the DAG of a plan.

    :raises ValueError: Airflow refuses something that the plan says.
    """
    with DAG(plan.name, **_dag_arguments(plan)) as dag:
        tasks: dict[str, BaseOperator] = {}
        for planned in plan.tasks:
            task = _OPERATORS[planned.kind](plan, planned)
            tasks[planned.task_id] = task
            # What `set_upstream` does in the end; its checks cost as much as half a task.
            for task_id in planned.upstream:
                task.upstream_task_ids.add(task_id)
                tasks[task_id].downstream_task_ids.add(planned.task_id)
    # Last: every operator copies the params of its DAG, up to three times, and has no use for them: a task's params
    # are the DAG's anyway.
    dag.params = ParamsDict({name: _param(spec) for name, spec in plan.inputs.items()})
    return dag


def _dag_arguments(plan: Plan) -> dict[str, Any]:
    settings = plan.dag
    arguments: dict[str, Any] = {
        "description": settings["description"],
        "doc_md": dag_doc(plan),
        "tags": settings["tags"],
        "catchup": settings["catchup"],
        **schedule_arguments(settings["schedule"], settings["start_date"]),
    }
    if settings["owner"]:
        arguments["default_args"] = {"owner": settings["owner"]}
    if settings["max_active_runs"]:
        arguments["max_active_runs"] = settings["max_active_runs"]
    if settings["run_timeout"]:
        arguments["dagrun_timeout"] = timedelta(seconds=settings["run_timeout"])
    if settings["deadline"] or settings["notify"]["on_failure"] or settings["notify"]["on_success"]:
        from airflow_agentic.factory.notify import notify_arguments

        arguments.update(notify_arguments(plan))
    return arguments


def _param(spec: dict[str, Any]) -> Param:
    """
    An input as Airflow's ``Param``.

    Its schema goes through as it is: the form, the REST API and the task's own check all follow it, and
    ``format: password`` is what hides the field's text in the form.
    """
    if spec["required"]:
        return Param(description=spec["description"], schema=spec["schema"])
    return Param(spec["default"], description=spec["description"], schema=spec["schema"])


def _agent(plan: Plan, planned: PlannedTask) -> BaseOperator:
    from airflow_agentic.operators.agent import AgentOperator

    agent = plan.agents[planned.config["agent"]]
    return AgentOperator.of(planned, plan.digest, agent=agent)


def _merge(plan: Plan, planned: PlannedTask) -> BaseOperator:
    from airflow_agentic.operators.merge import MergeOperator

    return MergeOperator.of(planned, plan.digest)


def _artifact(plan: Plan, planned: PlannedTask) -> BaseOperator:
    from airflow_agentic.operators.artifact import ArtifactOperator

    return ArtifactOperator.of(planned, plan.digest)


def _finish(plan: Plan, planned: PlannedTask) -> BaseOperator:
    from airflow_agentic.operators.finish import FinishOperator

    expected = tuple(task.task_id for task in plan.tasks)
    return FinishOperator.of(planned, plan.digest, expected=expected, source=plan.source)


def _join(_plan: Plan, planned: PlannedTask) -> BaseOperator:
    from airflow.providers.standard.operators.empty import EmptyOperator

    return EmptyOperator(task_id=planned.task_id, trigger_rule=planned.trigger_rule, doc_md=planned.doc)


_OPERATORS: dict[str, Callable[[Plan, PlannedTask], BaseOperator]] = {
    "agent": _agent,
    "merge": _merge,
    "join": _join,
    "artifact": _artifact,
    "finish": _finish,
}

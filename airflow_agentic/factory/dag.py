"""
Turn a plan into a DAG.

Everything that can be decided before is decided in the plan; here it is only said in Airflow's words. The dag
processor does this for every template again and again, and a worker at the start of every task, so it reads no file,
asks no connection or variable, and imports only the operators that the plan uses.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param
from airflow.sdk.definitions._internal.contextmanager import TaskGroupContext
from airflow.sdk.definitions.param import ParamsDict

from airflow_agentic.factory.docs import dag_doc, route_doc
from airflow_agentic.factory.groups import Groups
from airflow_agentic.factory.schedule import schedule_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk.types import Operator

    from airflow_agentic.planning.plan import Plan, PlannedTask

    #: Those made so far, by id.
    Tasks = Mapping[str, Operator]


def build_dag_from_plan(plan: Plan) -> DAG:
    """
    Build the DAG of a plan.

    :raises ValueError: Airflow refuses something that the plan says.
    """
    with DAG(plan.name, **_dag_arguments(plan)) as dag:
        _add_tasks(plan, dag)
    # Last: every operator copies the params of its DAG, up to three times, and has no use for them: a task's params
    # are the DAG's anyway.
    dag.params = ParamsDict({name: _param(spec) for name, spec in plan.inputs.items()})
    return dag


def _add_tasks(plan: Plan, dag: DAG) -> None:
    """Make the tasks, each in its group, and the edges between them with their labels."""
    tasks: dict[str, Operator] = {}
    groups = Groups(plan, dag, tasks)
    opening = next(planned.task_id for planned in plan.tasks if not planned.upstream)
    for planned in plan.tasks:
        TaskGroupContext.push(groups.around(planned.task_id))
        try:
            task = _OPERATORS.get(planned.kind, _plain)(plan, planned, tasks)
        finally:
            TaskGroupContext.pop()
        tasks[planned.task_id] = task
        if planned.task_id == opening:
            vars(task)["opens"] = plan
        # What `set_upstream` does in the end; its checks cost as much as half a task.
        for task_id in planned.upstream:
            task.upstream_task_ids.add(task_id)
            tasks[task_id].downstream_task_ids.add(planned.task_id)
        for task_id, label in planned.labels.items():
            dag.edge_info.setdefault(task_id, {})[planned.task_id] = {"label": label}


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


@cache
def _class(kind: str) -> Any:
    """The operator of a kind of task; each is in a module of its own, so that only those used are imported."""
    return getattr(import_module(f"airflow_agentic.operators.{kind}"), f"{kind.capitalize()}Operator")


def _plain(plan: Plan, planned: PlannedTask, _tasks: Tasks) -> Operator:
    operator: Operator = _class(planned.kind).of(planned, plan.digest)
    return operator


def _agent(plan: Plan, planned: PlannedTask, _tasks: Tasks) -> Operator:
    operator: Operator = _class("agent").of(planned, plan.digest, agents=plan.agents)
    return operator


def _item(plan: Plan, planned: PlannedTask, tasks: Tasks) -> Operator:
    """Repeated for each entry of a list; how many may be at work at once stands with the list."""
    over: Any = tasks[planned.config["items"]]
    settings = {"over": over, "max_parallel": over.planned.config["max_parallel"]}
    if "agent" in planned.config:
        mapped = _class("item").mapped(planned, plan.digest, **settings, agents=plan.agents)
    else:
        mapped = _class("human").mapped(planned, plan.digest, **settings, notifications=_escalations(plan))
    operator: Operator = mapped
    return operator


def _human(plan: Plan, planned: PlannedTask, _tasks: Tasks) -> Operator:
    operator: Operator = _class("human").of(planned, plan.digest, notifications=_escalations(plan))
    return operator


def _escalations(plan: Plan) -> tuple[Any, ...]:
    if not plan.dag["notify"].get("on_escalation"):
        return ()
    from airflow_agentic.factory.notify import escalations

    return escalations(plan)


def _start(plan: Plan, planned: PlannedTask, tasks: Tasks) -> Operator:
    operator = _plain(plan, planned, tasks)
    if planned.config["max_parallel"]:
        # So that no two of them count at the same time how many pipelines are at work.
        operator.max_active_tis_per_dagrun = 1
    return operator


def _route(plan: Plan, planned: PlannedTask, tasks: Tasks) -> Operator:
    operator: Any = _class("route").of(planned, plan.digest, tasks=plan.tasks)
    operator.doc_md = planned.doc or route_doc(planned)
    task: Operator = operator
    return task


def _result(plan: Plan, planned: PlannedTask, _tasks: Tasks) -> Operator:
    operator: Operator = _class("result").of(planned, plan.digest, tasks=plan.tasks)
    return operator


def _finish(plan: Plan, planned: PlannedTask, _tasks: Tasks) -> Operator:
    operator: Operator = _class("finish").of(planned, plan.digest, tasks=plan.tasks, source=plan.source)
    return operator


#: Other kinds need nothing but their part of the plan.
_OPERATORS: dict[str, Callable[[Plan, PlannedTask, Tasks], Operator]] = {
    "agent": _agent,
    "item": _item,
    "human": _human,
    "start": _start,
    "route": _route,
    "result": _result,
    "finish": _finish,
}

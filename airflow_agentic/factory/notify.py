"""
Who is told what about a run: Airflow's notifiers, with arguments in the template's language.

A run's end is told by DAG callbacks, which the dag processor runs; a missed deadline by a callback that the triggerer
runs, whatever the executor; that a stage waits for people by the stage's own task. All import the notifier's class
only then: a class that isn't installed is the
notification's problem, not the DAG's.

What an argument renders to is data. Airflow's notifiers render their template fields with Airflow's own Jinja when
they are called, which would evaluate what an agent wrote, with connections in reach; so that is switched off for all
fields that hold anything of ours. And what is inserted into HTML is text: nothing in it is a tag.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context
    from airflow.sdk.bases.notifier import BaseNotifier

    from airflow_agentic.planning.plan import Plan

log = logging.getLogger(__name__)

_MARKS = ("{{", "{%", "{#")
#: The tasks whose output is a stage's; those of inner pipelines have names that no text can read.
_RESULTS = ("agent", "merge", "human", "collect", "result")


def notify_arguments(plan: Plan) -> dict[str, Any]:
    """The DAG's callbacks and deadline, as arguments of ``airflow.sdk.DAG``."""
    arguments: dict[str, Any] = {}
    for event in ("on_failure", "on_success"):
        entries = plan.dag["notify"][event]
        if entries:
            arguments[f"{event}_callback"] = [RunNotification(plan, entry) for entry in entries]
    if plan.dag["deadline"]:
        arguments["deadline"] = _deadline(plan)
    return arguments


def escalations(plan: Plan) -> tuple[RunNotification, ...]:
    """What a stage that asks people calls when it starts to wait."""
    return tuple(RunNotification(plan, entry) for entry in plan.dag["notify"].get("on_escalation", ()))


class RunNotification:
    """
    A callback of a DAG or a task that calls one notifier.

    :param entry: ``{"notifier": dotted path, "arguments": {…}}``.
    """

    def __init__(self, plan: Plan, entry: Mapping[str, Any]) -> None:
        self._plan = plan
        self._entry = entry
        self.__name__ = str(entry["notifier"])

    def __call__(self, context: Context, more: Mapping[str, Any] | None = None) -> None:
        """
        Notify.

        :param more: values that the arguments can read beside those of the run.
        :raises Exception: what the notifier raises; Airflow logs it.
        """
        if "ti" in context and not _has_task_api():
            log.info("%s is not called: the run was a trial in this process", self.__name__)
            return
        notifier = make_notifier(self._entry, {**self._scope(context), **(more or {})})
        notifier(context)

    def _scope(self, context: Context) -> dict[str, Any]:
        """What the arguments can read; stages only as far as they succeeded."""
        from airflow_agentic.operators.scope import build_scope
        from airflow_agentic.planning.plan import PlannedTask
        from airflow_agentic.template.expressions import texts_in

        names = {name for text in texts_in(self._entry["arguments"]) for name in _names(text)}
        if "ti" not in context:
            # Airflow knows of no task instance to speak for the run: nothing of it can be pulled.
            return {"run": {"id": context["run_id"]}, "inputs": context["dag"].params.dump()}
        reads: dict[str, tuple[str, ...]] = {}
        for task in self._plan.tasks:
            if task.kind in _RESULTS and task.stage in names:
                reads[task.stage] = (*reads.get(task.stage, ()), task.task_id)
        own = PlannedTask(task_id="notify", kind="finish", stage="notify", level=0, reads=reads, guarded=tuple(reads))
        values = build_scope(context, own).values
        return {**values, **self._artifact(context)} if "artifact" in names else values

    def _artifact(self, context: Context) -> dict[str, Any]:
        """``artifact``: what was written, one mapping or a list, as the template has it."""
        from airflow_agentic.operators.xcom import pull_output, task_states

        planned = self._plan.tasks[-1].config["artifact"]
        task_ids = [planned] if isinstance(planned, str) else planned or []
        states = task_states(context["ti"], task_ids) if task_ids else {}
        written = [pull_output(context["ti"], name) for name in task_ids if states.get(name) == "success"]
        if isinstance(planned, list):
            return {"artifact": written}
        return {"artifact": written[0]} if written else {}


async def tell_missed_deadline(
    notify: list[dict[str, Any]], inputs: dict[str, Any], context: dict[str, Any] | None = None
) -> None:
    """
    Call the notifiers of a missed deadline. Run by Airflow's triggerer.

    :param notify: entries as in the plan.
    :param inputs: the defaults of the run's inputs.
    :param context: the run and the deadline, as JSON-able data.
    :raises Exception: what the last notifier that failed raised, after all were called.
    """
    failure: Exception | None = None
    run = (context or {}).get("dag_run") or {}
    # As far as it goes, what Airflow's notifiers find in the context of a callback.
    known = {**(context or {}), "run_id": run.get("dag_run_id"), "params": {**inputs, **(run.get("conf") or {})}}
    for entry in notify:
        try:
            await _tell(make_notifier(entry, _deadline_scope(known)), known)
        except Exception as error:
            log.exception("The notifier %s failed", entry["notifier"])
            failure = error
    if failure is not None:
        raise failure


def make_notifier(entry: Mapping[str, Any], scope: Mapping[str, Any]) -> BaseNotifier:
    """
    The notifier of an entry, with rendered arguments that Airflow won't render again.

    :raises ImportError, AttributeError: there is no such class.
    :raises ExpressionError: an argument can't be rendered.
    """
    from airflow_agentic.template.expressions import texts_in

    module, _, name = entry["notifier"].rpartition(".")
    arguments = {key: _rendered(key, value, scope) for key, value in entry["arguments"].items()}
    notifier: BaseNotifier = getattr(import_module(module), name)(**arguments)
    touchy = [text for text in texts_in(arguments) if any(mark in text for mark in _MARKS)]
    notifier.template_fields = tuple(
        field
        for field in notifier.template_fields
        if field not in arguments and not _holds(getattr(notifier, field, None), touchy)
    )
    return notifier


def _rendered(key: str, value: Any, scope: Mapping[str, Any]) -> Any:
    """An argument; in one that is HTML by its name (``html_content``), what is inserted into it is text."""
    from html import escape

    from airflow_agentic.template.expressions import render, render_changed

    if isinstance(value, str) and key.startswith("html"):
        return render_changed(value, scope, lambda inserted, _: escape(inserted))
    return render(value, scope)


def _deadline(plan: Plan) -> Any:
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    deadline = plan.dag["deadline"]
    inputs = {name: spec["default"] for name, spec in plan.inputs.items() if not spec["required"]}
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=deadline["after"]),
        callback=AsyncCallback(tell_missed_deadline, kwargs={"notify": deadline["notify"], "inputs": inputs}),
    )


def _deadline_scope(context: Mapping[str, Any]) -> dict[str, Any]:
    from airflow_agentic.agents.base import RunInfo

    run = context.get("dag_run") or {}
    info = RunInfo(
        id=run.get("dag_run_id", ""),
        dag_id=run.get("dag_id", ""),
        date=run.get("logical_date") or run.get("run_after") or "",
        logical_date=run.get("logical_date"),
        interval_start=run.get("data_interval_start"),
        interval_end=run.get("data_interval_end"),
        conf=run.get("conf") or {},
    )
    return {"run": info.as_scope(), "inputs": context["params"]}


async def _tell(notifier: BaseNotifier, context: Any) -> None:
    """Notify without blocking the triggerer: most notifiers only have a blocking form."""
    from airflow.sdk.bases.notifier import BaseNotifier

    if type(notifier).async_notify is BaseNotifier.async_notify:
        await asyncio.to_thread(notifier, context)
        return
    notifier.context = context
    await notifier


def _has_task_api() -> bool:
    """Whether outputs can be read here: not in ``dag.test``, which runs callbacks outside of any task."""
    from airflow.sdk.execution_time import task_runner

    return hasattr(task_runner, "SUPERVISOR_COMMS")


def _names(text: str) -> Iterator[str]:
    from airflow_agentic.template.expressions import is_text, parse
    from airflow_agentic.template.references import analyse

    if not is_text(text):
        yield from (reference.name for reference in analyse(parse(text))[0])


def _holds(value: Any, touchy: list[str]) -> bool:
    from airflow_agentic.template.expressions import texts_in

    return any(text in one for one in texts_in(value) for text in touchy)

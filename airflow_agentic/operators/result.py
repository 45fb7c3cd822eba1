"""
The end of an inner pipeline: it is to the pipeline what the run's last task is to the run.

Whatever is inside has ended, however it did. What nobody inside handled makes the pipeline's stage fail, with the
reasons; otherwise its output is rendered from what ran.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_agentic.errors import AgenticError, NotRunError
from airflow_agentic.operators.base import PlannedOperator, map_index
from airflow_agentic.operators.finish import causes_of
from airflow_agentic.operators.peers import Peers
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.start import entry_of
from airflow_agentic.operators.verdict import failure_message, unhandled
from airflow_agentic.operators.xcom import push_output, push_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask


class PipelineFailedError(AgenticError):
    """Something inside a pipeline failed, and nothing inside handled it."""


class ResultOperator(PlannedOperator):
    """A task that ends an inner pipeline, and makes its output."""

    ui_color = "#e8e8e8"
    shallow_copy_attrs = (*PlannedOperator.shallow_copy_attrs, "tasks")

    #: all tasks of the plan
    tasks: tuple[PlannedTask, ...]

    def work(self, context: Context) -> None:
        """Judge the pipeline and push its output; or fail, or let a value stand in."""
        states = self._states(context)
        self._check_begun(context, states)
        how: dict[str, Any] = {}
        try:
            self._check_failures(context, states)
            output = self._output(context, states)
        except AgenticError as error:
            if not self.planned.config["recover"]:
                raise
            output = self.stand_in(context, error, self._outer_values(context))
            how["recovered"] = "value"
        push_provenance(context["ti"], self.planned, **how)
        push_output(context["ti"], output)

    def _outer_values(self, context: Context) -> dict[str, Any]:
        """What the stage's own texts read: where the pipeline begins, not inside of it."""
        start = next(task for task in self.tasks if task.task_id == self.planned.inputs)
        return {**build_scope(context, start).values, **entry_of(context["ti"], start)}

    def _states(self, context: Context) -> dict[str, str | None]:
        """Of everything that the pipeline is judged by, or that its output reads."""
        judged = self.planned.config["judged"]
        wanted = [task_id for ids in self.planned.reads.values() for task_id in ids]
        wanted += [self.planned.inputs] if self.planned.inputs else []
        for entry in judged:
            wanted += [entry["task"], *entry.get("tasks", ()), *entry["readers"]]
            wanted += [entry["route"]] if entry["route"] else []
        return Peers(context["ti"], self.planned).states(task_id for task_id in wanted if task_id != self.task_id)

    def _check_begun(self, context: Context, states: Mapping[str, str | None]) -> None:
        """
        Has the pipeline begun?

        :raises AirflowSkipException: it was skipped.
        :raises NotRunError: something that it needs failed before.
        """
        start = self.planned.inputs or ""
        state = states.get(start)
        if state == "failed":
            state = Peers(context["ti"], self.planned).true_states((start,))[start]
        if state == "skipped":
            raise AirflowSkipException("The pipeline was skipped.")
        if state == "upstream_failed":
            raise NotRunError(f"{self.planned.stage!r} was not run, because something that it needs failed.")

    def _check_failures(self, context: Context, states: Mapping[str, str | None]) -> None:
        """
        Has everything inside done what it should have?

        :raises PipelineFailedError: no; the message says what failed, and why.
        """
        from airflow_agentic.trace.store import TraceStore

        start: dict[str, Any] = {"task": self.planned.inputs, "stage": self.planned.stage, "route": None, "readers": {}}
        failed = unhandled([start], states) or unhandled(self.planned.config["judged"], states)
        if not failed:
            return
        causes = causes_of(failed, states, TraceStore(), self.run_key(context), map_index(context["ti"]))
        raise PipelineFailedError(failure_message(f"pipeline {self.planned.stage!r}", failed, causes))

    def _output(self, context: Context, states: Mapping[str, str | None]) -> dict[str, Any]:
        scope = build_scope(context, replace(self.planned, guarded=tuple(self.planned.reads)), states)
        return self.rendered(self.planned.config["output"] or {}, "output", scope.values)

"""
The run's last task: what it answers for is the whole run.

Airflow colours a run by its leaves only, so this one is the only leaf, runs when everything else has ended, however it
ended, and fails when the run must not be green. It also notices a run whose tasks aren't those of its template: a
run that was triggered just after an edit may have the new template with the old serialized DAG, and would miss a stage
without a word. In every case it seals the run with a manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError, RunFailedError
from airflow_agentic.operators.base import PlannedOperator, now
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.verdict import check_tasks, failed_tasks, failure_message
from airflow_agentic.operators.xcom import pull_output, push_output, task_states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_agentic.trace.manifest import TaskState
    from airflow_agentic.trace.record import Record, RunKey
    from airflow_agentic.trace.store import TraceStore


class FinishOperator(PlannedOperator):
    """The task that judges and seals a run."""

    ui_color = "#e8e8e8"

    #: the ids of all tasks of the plan
    expected: tuple[str, ...]
    #: the template's text
    source: str

    def work(self, context: Context) -> None:
        """Judge the run, render its output, seal it; then push the output, or fail with the reason."""
        from airflow_agentic.trace.store import TraceStore

        store = TraceStore()
        states = task_states(context["ti"])
        output: dict[str, Any] | None = None
        failure: AgenticError | None = None
        try:
            check_tasks(self.expected, states)
            self._check_failures(states, store, self.run_key(context))
            output = self._output(context, states)
        except AgenticError as error:
            failure = error
        self._seal(context, store, states, output, failure)
        if failure is not None:
            raise failure
        push_output(context["ti"], output)

    def record_failure(self, context: Context, error: Exception) -> None:
        """The manifest tells it; a record after the seal would break it."""

    def _check_failures(self, states: Mapping[str, str | None], store: TraceStore, run: RunKey) -> None:
        """
        Has every stage done what it should have?

        :raises RunFailedError: no; the message says what failed, and why.
        """
        judged = {task_id: states.get(task_id) for task_id in self.planned.upstream}
        failed = failed_tasks(judged, self.planned.config["readers"])
        if failed:
            causes = [task_id for task_id in failed if states.get(task_id) == "failed"]
            raise RunFailedError(failure_message(failed, {task_id: _last(store, run, task_id) for task_id in causes}))

    def _output(self, context: Context, states: Mapping[str, str | None]) -> dict[str, Any]:
        from airflow_agentic.template.expressions import render

        template = self.planned.config.get("output") or {}
        ran = {name: ids for name, ids in self.planned.reads.items() if states.get(ids[-1]) == "success"}
        scope = build_scope(context, ran, ())
        values = {**scope.values, **self._artifact(context, states)}
        output = {}
        for key, text in template.items():
            with self.locating(f"output.{key}"):
                output[key] = render(text, values)
        return output

    def _artifact(self, context: Context, states: Mapping[str, str | None]) -> dict[str, Any]:
        """What ``artifact`` means in the output: the one artifact, or a list where the template has a list."""
        planned = self.planned.config["artifact"]
        ids = planned if isinstance(planned, (list, tuple)) else (planned,) if planned else ()
        written = [pull_output(context["ti"], task_id) for task_id in ids if states.get(task_id) == "success"]
        if ids is planned:
            return {"artifact": written}
        return {"artifact": written[0]} if written else {}

    def _seal(
        self,
        context: Context,
        store: TraceStore,
        states: Mapping[str, str | None],
        output: dict[str, Any] | None,
        failure: AgenticError | None,
    ) -> None:
        """Last of all, so that nothing is missing in it."""
        from airflow_agentic.trace.manifest import Manifest, inventory
        from airflow_agentic.trace.mask import masked

        run, try_number = self.run_key(context), context["ti"].try_number
        store.write_template(run, self.source)
        packed = store.pack(masked(output), run)
        manifest = Manifest(
            run=run,
            try_number=try_number,
            sealed=now(),
            state="success" if failure is None else "failed",
            error=None if failure is None else masked(str(failure)),
            output=packed,
            tasks=tuple(self._task_state(context, task_id, states) for task_id in self.expected),
            records=inventory(store, run),
        )
        store.write_manifest(run, try_number, manifest.to_data())

    def _task_state(self, context: Context, task_id: str, states: Mapping[str, str | None]) -> TaskState:
        from airflow_agentic.trace.manifest import TaskState

        task = context["dag"].task_dict.get(task_id)
        planned = getattr(task, "planned", None)
        return TaskState(
            task_id=task_id,
            stage=planned.stage if planned else task_id,
            kind=planned.kind if planned else "join",
            state=states.get(task_id),
            agent=planned.config.get("agent") if planned else None,
        )


def _last(store: TraceStore, run: RunKey, task_id: str) -> Record | None:
    records = store.of_task(run, task_id, -1)
    return records[-1] if records else None

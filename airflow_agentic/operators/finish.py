"""
The run's last task: what it answers for is the whole run.

Airflow colours a run by its leaves only, so this one is the only leaf, runs when everything else has ended, however it
ended, and fails when the run must not be green. It also notices a run whose tasks aren't those of its template: a
run that was triggered just after an edit may have the new template with the old serialized DAG, and would miss a stage
without a word. In every case it seals the run with a manifest.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.errors import AgenticError, RunFailedError
from airflow_agentic.operators.base import PlannedOperator, now
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.verdict import (
    Cause,
    check_tasks,
    culprits,
    failure_message,
    instances_of,
    unhandled,
)
from airflow_agentic.operators.xcom import pull_output, push_output, task_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.trace.manifest import TaskState
    from airflow_agentic.trace.record import RunKey
    from airflow_agentic.trace.store import TraceStore


log = logging.getLogger(__name__)

#: Where the run's seal is kept apart from its records: among the XComs of its last task, and in that task's log.
SEAL_KEY = "seal"


class FinishOperator(PlannedOperator):
    """The task that judges and seals a run."""

    ui_color = "#e8e8e8"

    shallow_copy_attrs = (*PlannedOperator.shallow_copy_attrs, "tasks")

    #: all tasks of the plan
    tasks: tuple[PlannedTask, ...]
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
            check_tasks(self.tasks, states)
            self._check_failures(states, store, self.run_key(context))
            output = self._output(context, states)
        except AgenticError as error:
            failure = error
        self._seal(context, store, states, output, failure)
        if failure is not None:
            raise failure
        push_output(context["ti"], output)

    def record_failure(
        self, context: Context, error: Exception, *, recovered: bool = False, item: int | None = None
    ) -> None:
        """The manifest tells it; a record after the seal would break it."""

    def _check_failures(self, states: Mapping[str, str | None], store: TraceStore, run: RunKey) -> None:
        """
        Has every stage done what it should have?

        :raises RunFailedError: no; the message says what failed, and why.
        """
        failed = unhandled(self.planned.config["judged"], states)
        if failed:
            raise RunFailedError(failure_message("run", failed, causes_of(failed, states, store, run)))

    def _output(self, context: Context, states: Mapping[str, str | None]) -> dict[str, Any]:
        # whatever has failed or was skipped: what ran is there
        scope = build_scope(context, replace(self.planned, guarded=tuple(self.planned.reads)), states)
        values = {**scope.values, **self._artifact(context, states)}
        return self.rendered(self.planned.config.get("output") or {}, "output", values)

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
        self._sum_up(store, run, try_number, states, "success" if failure is None else "failed")
        manifest = Manifest(
            run=run,
            try_number=try_number,
            sealed=now(),
            state="success" if failure is None else "failed",
            error=None if failure is None else masked(str(failure)),
            output=packed,
            tasks=self._task_states(states),
            records=inventory(store, run),
        )
        seal = store.write_manifest(run, try_number, manifest.to_data())
        log.info("The run's seal, the SHA-256 of its manifest.%d.json, is %s", try_number, seal)
        context["ti"].xcom_push(SEAL_KEY, seal)

    def _sum_up(
        self,
        store: TraceStore,
        run: RunKey,
        try_number: int,
        states: Mapping[str, str | None],
        state: Literal["success", "failed"],
    ) -> None:
        """Write the run's summary. It only adds up what is there: a run without one isn't the worse for it."""
        from airflow_agentic.operators.summing import summary_of

        try:
            records = store.records(run.dag_id, run.run_id).values()
            store.write_summary(
                summary_of(run, try_number, now(), state, tasks=self.tasks, states=states, records=records)
            )
        except Exception:
            self.log.warning("The run's summary could not be written.", exc_info=True)

    def _task_states(self, states: Mapping[str, str | None]) -> tuple[TaskState, ...]:
        from airflow_agentic.trace.manifest import TaskState

        found = instances_of(self.tasks, states)
        return tuple(
            TaskState(
                task_id=task.task_id,
                stage=task.stage,
                kind=task.kind,
                state=_worst(found[task.task_id].values()),
                agent=task.config.get("agent"),
                rounds=task.rounds,
                instances=_counted(task, found[task.task_id]),
            )
            for task in self.tasks
        )


def causes_of(
    failed: Iterable[Mapping[str, Any]],
    states: Mapping[str, str | None],
    store: TraceStore,
    run: RunKey,
    map_index: int = -1,
) -> list[Cause]:
    """
    The tasks that failed by themselves, with their last records.

    :param failed: entries of ``judged``.
    """
    found: dict[str, Cause] = {}
    for entry in failed:
        for task_id in culprits(entry, states):
            records = store.of_task(run, task_id, map_index)
            record = records[-1] if records else None
            found.setdefault(task_id, Cause(task_id=task_id, stage=entry["stage"], record=record))
    return list(found.values())


def _worst(states: Iterable[str | None]) -> str | None:
    """The state that stands for all instances of a task."""
    found = set(states)
    ordered = ("failed", "upstream_failed", "success", "skipped", "removed")
    return next((state for state in ordered if state in found), next(iter(found), None))


def _counted(task: PlannedTask, instances: Mapping[str, str | None]) -> dict[str, int] | None:
    """How many instances of a mapped task are in each state; None for one that isn't mapped."""
    if task.task_id in instances or not instances:
        return None
    return dict(sorted(Counter(str(state) for state in instances.values()).items()))

"""
What the first task of a run records before its own work: how the run began, and all that was planned.

One task has to do it, so that the record has one writer, and one whose start nothing can keep away: the plan's first
task that waits for none. A try that finds the record leaves it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.operators.base import now
from airflow_agentic.operators.scope import run_info, run_inputs

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.record import RunKey


def record_opening(plan: Plan, context: Context, run: RunKey) -> None:
    """
    Store the begin record and the template's text, unless they are there.

    :raises TraceError: the trace store can't be written.
    """
    from airflow_agentic.trace.mask import masked
    from airflow_agentic.trace.outline import budget_of, outline_of
    from airflow_agentic.trace.record import BeginRecord
    from airflow_agentic.trace.store import TraceStore

    ti, store = context["ti"], TraceStore()
    if store.has_begun(run):
        return
    inputs = masked(run_inputs(context))
    store.write_template(run, plan.source)
    store.begin(
        BeginRecord(
            run=run,
            task_id=ti.task_id,
            try_number=ti.try_number,
            at=now(),
            inputs=inputs,
            triggered=masked(_triggered(context)),
            budget=budget_of(plan),
            outline=outline_of(plan),
            picture=plan.picture,
        )
    )


def _triggered(context: Context) -> dict[str, Any]:
    run: Any = context["dag_run"]
    info = run_info(context)
    return {
        "type": getattr(run.run_type, "value", run.run_type),
        "by": getattr(run, "triggering_user_name", None),
        "logical_date": info.logical_date,
        "run_after": run.run_after.isoformat(),
        "interval_start": info.interval_start,
        "interval_end": info.interval_end,
        "assets": dict(info.assets),
    }

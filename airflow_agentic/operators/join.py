"""A task that does nothing but wait for others: Airflow's scheduler ends it by itself, without a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_agentic.operators.base import PlannedOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask


class JoinOperator(PlannedOperator, EmptyOperator):
    """An empty task: half of the tasks of a template with routes are such."""

    ui_color = EmptyOperator.ui_color

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """Nothing about retries: what isn't run can't fail."""
        return {"trigger_rule": planned.trigger_rule, "doc_md": planned.doc}

    def work(self, context: Context) -> None:
        """Nothing."""

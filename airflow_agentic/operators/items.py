"""
The list of a stage with ``for_each``: evaluated once, and dealt to the mapped tasks that work on its items.

Airflow maps a task over what another one *returns*, so this operator returns its output where others push theirs. A
list that isn't one, or is too long, fails here, before any item, with a message: in Airflow's own hands the mapped
task would just never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from airflow_agentic.operators.base import PlannedOperator
from airflow_agentic.operators.dealing import deal
from airflow_agentic.operators.gathering import FanOutError, entries_of
from airflow_agentic.operators.listing import listed
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import push_provenance, wrapped

if TYPE_CHECKING:
    from airflow.sdk import Context


class ItemsOperator(PlannedOperator):
    """A task that says what a stage is repeated for."""

    ui_color = "#f3ecd8"

    _dealt: list[Any]

    def execute(self, context: Context) -> Any:
        """Do the work; its output, one entry for each mapped task, is what it returns."""
        super().execute(context)
        return self._dealt

    def work(self, context: Context) -> None:
        """Skip, or deal."""
        scope = build_scope(context, self.planned)
        self.check_when(context, scope)
        own = self.planned.config
        with self.locating("for_each"):
            values = listed(self.planned.stage, own, scope.values)
        entries = entries_of(values)
        dealt: list[Any] = entries
        if own["works"] == "agent":
            dealt = deal(entries, own["items_per_task"] or "auto", own["max_parallel"])
        self._check_length(len(dealt), len(entries))
        self.log.info("%d items in %d mapped tasks.", len(entries), len(dealt))
        # each on its own: Airflow has to see the list
        self._dealt = [wrapped(entry) for entry in dealt]
        push_provenance(context["ti"], self.planned)

    def _check_length(self, tasks: int, items: int) -> None:
        """
        Can Airflow map so many tasks?

        :raises FanOutError: no.
        """
        most = conf.getint("core", "max_map_length", fallback=1024)
        if tasks <= most:
            return
        more = " Give each task more items (items_per_task)." if self.planned.config["works"] == "agent" else ""
        raise FanOutError(
            f"Stage {self.planned.stage!r}: {items} items need {tasks} mapped tasks, and Airflow makes no more than "
            f"{most} ([core] max_map_length).{more}"
        )

"""
The mapped task of a stage with ``for_each`` that asks an agent: one item, or some that are worked on at the same time.

An item that fails is a result; the task itself fails only when it has to be tried again, and then goes on with the
items that have no result yet. What the items' failures mean for the stage is for
:mod:`airflow_agentic.operators.collect` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.operators.agent import AgentOperator
from airflow_agentic.operators.dealing import share
from airflow_agentic.operators.mapped import mapped
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import push_output, unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import BaseOperator, Context

    from airflow_agentic.operators.mapped import PlannedMappedOperator
    from airflow_agentic.planning.plan import PlannedTask

#: Characters of an item in Airflow's UI.
_SHOWN = 60


class ItemOperator(AgentOperator):
    """A task that works on some of a list's items."""

    #: its entry of the list: items with their places
    given: Any
    #: items at work at once in all tasks of the stage
    max_parallel: int | None

    @classmethod
    def mapped(
        cls,
        planned: PlannedTask,
        digest: str,
        *,
        over: BaseOperator,
        max_parallel: int | None,
        agents: Mapping[str, Mapping[str, Any]],
    ) -> PlannedMappedOperator:
        """
        The task, repeated for each entry of a list.

        :param over: the task that deals the items.
        :param max_parallel: items that may be at work at once; null: as many as is sensible.
        """
        settings = {
            **cls.settings(planned),
            "max_active_tis_per_dagrun": max_parallel,
            "map_index_template": "{{ task.items_name }}",
        }
        own = {"planned": planned, "digest": digest, "agents": agents, "max_parallel": max_parallel}
        return mapped(cls, planned.task_id, over=over, settings=settings, **own)

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """The items, each with its place."""
        entries: list[dict[str, Any]] = unwrapped(self.given)
        return entries

    @property
    def items_name(self) -> str:
        """What Airflow's UI calls the mapped task."""
        return name_of(self.entries)

    def work(self, context: Context) -> None:
        """Ask for all items of this task."""
        scope = build_scope(context, self.planned)
        results = self.ask_for_all(context, scope, self.entries, self._at_once(context["ti"]))
        failed = sum(not result["ok"] for result in results)
        self.log.info("%d items are done, %d have failed.", len(results) - failed, failed)
        push_output(context["ti"], {"results": results})

    def _at_once(self, ti: Any) -> int | None:
        """This task's part of the items that may be at work at once."""
        if self.max_parallel is None or len(self.entries) == 1:
            return self.max_parallel
        tasks = ti.get_ti_count(dag_id=ti.dag_id, task_ids=[self.task_id], run_ids=[ti.run_id])
        return share(self.max_parallel, tasks, ti.map_index)


def name_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """What a person may recognize a mapped task's items by; places are counted from 1."""
    from airflow_agentic.template.expressions import to_text

    if len(entries) > 1:
        return f"items {entries[0]['index'] + 1}–{entries[-1]['index'] + 1}"  # noqa: RUF001
    text = " ".join(to_text(entries[0]["item"]).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

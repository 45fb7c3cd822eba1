"""
The button "Trace" of each task instance: it leads to what the trace tells of that very attempt.

The plugin gives it to the operators where Airflow's api-server shows them. So it stands in no serialized DAG, no task
has to leave an XCom for it, and parsing doesn't know of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink

from airflow_agentic.plugin import TAB

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

_PACKAGE = "airflow_agentic.operators"
_KINDS = (
    *("agent", "artifact", "collect", "fail", "finish", "human", "item", "items", "join", "merge", "result"),
    *("route", "start"),
)


def _operators() -> list[type[BaseOperator]]:
    return [getattr(import_module(f"{_PACKAGE}.{kind}"), f"{kind.capitalize()}Operator") for kind in _KINDS]


class TraceLink(BaseOperatorLink):
    """Airflow gives it to the operators that it names."""

    operators = _operators()

    @property
    def name(self) -> str:
        """The button's text."""
        return "Trace"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        The address of the tab, from Airflow's own address on, which may have a path.

        Of mapped tasks, Airflow (3.3) tells operators apart by their class's name only: other packages' get none.
        """
        module: Any = getattr(operator, "_task_module", None) or type(operator).__module__
        if not module.startswith(f"{_PACKAGE}."):
            return ""
        return trace_address(ti_key)


def trace_address(key: TaskInstanceKey) -> str:
    """Of the tab, opened at one try of a task instance."""
    run = f"dags/{quote(key.dag_id, safe='')}/runs/{quote(key.run_id, safe='')}"
    place = urlencode({"task": key.task_id, "map": key.map_index, "try": key.try_number}, quote_via=quote)
    return f"{run}/plugin/{TAB}#{place}"

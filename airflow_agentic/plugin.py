"""
What the package adds to Airflow's UI: the tab of a run, the page of all pipelines, the link of each task instance.

Airflow loads plugins in every process, also in that of each task, through the entry point ``airflow.plugins``. So this
module imports nothing of its own; what only the api-server needs is imported when it is asked for. (A plugin that the
provider's information names is loaded only where ``[core] lazy_discover_providers`` is off, and then as a second one.)
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

#: The part of the tab's address after ``plugin/``.
TAB = "agentic-trace"
#: Where the app is below Airflow's own address.
PREFIX = "/agentic"

#: Addresses have no slash in front: they count from Airflow's own, which may have a path.
_VIEWS = (
    {
        "name": "Trace",
        "href": "agentic/trace/{DAG_ID}/{RUN_ID}/",
        "destination": "dag_run",
        "url_route": TAB,
    },
    {
        "name": "Pipelines",
        "href": "agentic/pipelines",
        "destination": "nav",
        "url_route": "agentic-pipelines",
        "nav_top_level": True,
    },
)


class AgenticPlugin(AirflowPlugin):
    """Airflow reads these attributes, those of a kind in processes that have use for it."""

    name = "agentic"
    external_views = [dict(view) for view in _VIEWS]  # noqa: RUF012 - Airflow's own way

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The app of all pages; asked for by the api-server only."""
        from airflow_agentic.web.app import app

        return [{"app": app(), "url_prefix": PREFIX, "name": "Agentic"}]

    @cached_property
    def operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        """Asked for where DAGs are deserialized: by the api-server and the scheduler."""
        from airflow_agentic.operators.link import TraceLink

        return [TraceLink()]

"""
What the package adds to an api-server whose metadata database is SQLite.

Airflow loads plugins in every process, also in that of each task, so this module imports next to nothing; what only the
api-server needs is imported when it is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin


class SqlitePlugin(AirflowPlugin):
    """Found by the entry point ``airflow.plugins``."""

    name = "agentic_sqlite"

    @cached_property
    def fastapi_root_middlewares(self) -> list[Any]:  # type: ignore[override]
        """Asked for by the api-server only, and only ever read."""
        from airflow.configuration import conf

        from airflow_agentic.local.turns import WritesInTurn

        if not conf.get("database", "sql_alchemy_conn").startswith("sqlite"):
            return []
        return [{"name": "Writes in turn", "middleware": WritesInTurn}]

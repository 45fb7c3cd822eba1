"""What to say about an Airflow connection that isn't there: the first error that most users meet."""

from __future__ import annotations


def no_connection(connection: str) -> str:
    """The message, with what to do."""
    variable = f"AIRFLOW_CONN_{connection.upper()}"
    return (
        f"There is no Airflow connection {connection!r}. Create it in Airflow (Admin, Connections, or `airflow "
        f"connections add`), or set {variable}; docs/agents.md has examples."
    )

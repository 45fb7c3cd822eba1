"""
What Airflow's provider discovery asks for: who we are, our configuration options, our commands.

It is called in every Airflow process, before Airflow is configured, so it imports nothing but the table of options.
"""

from __future__ import annotations

from typing import Any

from airflow_agentic import __version__
from airflow_agentic.config import OPTIONS, SECTION


def get_provider_info() -> dict[str, Any]:
    """Airflow's provider information, by the schema of ``airflow/provider_info.schema.json``."""
    return {
        "package-name": "airflow-agentic",
        "name": "Agentic",
        "description": "Multi-agent workflows in YAML, run by Apache Airflow",
        "versions": [__version__],
        "config": {SECTION: {"description": "Options for agentic workflows.", "options": _options()}},
        "cli": ["airflow_agentic.cli.airflow.get_agentic_cli_commands"],
    }


def _options() -> dict[str, dict[str, Any]]:
    return {
        option.name: {
            "description": option.description,
            "version_added": __version__,
            "type": option.type,
            "example": option.example,
            "default": option.default,
        }
        for option in OPTIONS.values()
    }

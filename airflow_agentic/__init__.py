"""Multi-agent workflows in YAML, run by Apache Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentic.errors import AgenticError, TemplateError
    from airflow_agentic.factory.bundle import TemplateDagBundle
    from airflow_agentic.factory.load import build_dag, load_templates

__version__ = "0.1.0"

__all__ = ["AgenticError", "TemplateDagBundle", "TemplateError", "__version__", "build_dag", "load_templates"]

# Provider discovery imports this package before Airflow is configured, and every task parses a file that does:
# nothing is imported until it is used.
_HOME = {
    "AgenticError": "airflow_agentic.errors",
    "TemplateError": "airflow_agentic.errors",
    "TemplateDagBundle": "airflow_agentic.factory.bundle",
    "build_dag": "airflow_agentic.factory.load",
    "load_templates": "airflow_agentic.factory.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)

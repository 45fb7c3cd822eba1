"""``trace``: what happened in a run, from its records; Airflow isn't needed, nor imported unless it is configured."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic import config

if TYPE_CHECKING:
    import argparse

_SET_IN_FILE = re.compile(r"^\s*trace_url(_cmd|_secret)?\s*[=:]", re.MULTILINE)


def trace_command(arguments: argparse.Namespace) -> int:
    """Print a run's trace as the command line says."""
    return trace(arguments.dag_id, arguments.run_id, as_json=arguments.json)


def trace(dag_id: str, run_id: str, *, as_json: bool) -> int:
    """
    Print a run's trace; 0.

    :raises TraceError: the run left no records, or one of them is unreadable.
    """
    from airflow_agentic.trace.assemble import assemble

    _load_configuration()
    found = assemble(dag_id, run_id)
    if as_json:
        print(json.dumps(found.to_data(), ensure_ascii=False, indent=2))
        return 0
    from rich.console import Console

    from airflow_agentic.cli.report import print_report

    print_report(Console(highlight=False), found)
    return 0


def _load_configuration() -> None:
    """Import Airflow (a second and a half) only where its configuration file says where the records are."""
    file = Path(os.environ.get("AIRFLOW_CONFIG") or Path(config.airflow_home(), "airflow.cfg")).expanduser()
    if file.is_file() and _SET_IN_FILE.search(file.read_text(errors="replace")):
        import airflow.sdk.configuration  # noqa: F401

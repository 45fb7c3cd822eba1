"""
``trace``: what happened in a run, or which runs there are, from their records, and from Airflow where one is asked.

Airflow isn't needed, nor imported unless it is configured.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic import config
from airflow_agentic.cli.facts import facts_source

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.trace.facts_source import FactsSource

_SET_IN_FILE = re.compile(r"^\s*trace_url(_cmd|_secret)?\s*[=:]", re.MULTILINE)


def trace_command(arguments: argparse.Namespace) -> int:
    """Print a run's trace, or list the runs, as the command line says."""
    load_configuration()
    if arguments.run_id is None:
        return list_runs(arguments.dag_id, as_json=arguments.json)
    return trace(arguments.dag_id, arguments.run_id, facts_source(arguments), as_json=arguments.json)


def list_runs(dag_id: str, *, as_json: bool) -> int:
    """
    Print the runs of a DAG that left records, the one that ended last at the end; 0.

    :raises TraceError: there are none, or one can't be read.
    """
    from airflow_agentic.cli.report import plain
    from airflow_agentic.trace.runs import runs_of

    runs = runs_of(dag_id)
    if as_json:
        print(json.dumps({"dag_id": dag_id, "runs": [asdict(run) for run in runs]}, ensure_ascii=False, indent=2))
        return 0
    names = [plain(run.run_id) for run in runs]
    widest = max(map(len, names))
    for name, run in zip(names, runs, strict=True):
        print(f"{name:{widest}}  {run.state:7}  {run.sealed or ''}".rstrip())
    return 0


def trace(dag_id: str, run_id: str, ask: FactsSource, *, as_json: bool) -> int:
    """
    Print a run's trace; 0.

    :param run_id: or the name of the folder of its records.
    :param ask: what Airflow knows of the run.
    :raises TraceError: the run left no records and Airflow doesn't know it, or the store or Airflow doesn't answer.
    """
    from airflow_agentic.trace.assemble import assembled
    from airflow_agentic.trace.document import to_data
    from airflow_agentic.trace.runs import run_called
    from airflow_agentic.trace.store import TraceStore

    store = TraceStore()
    known_as = run_called(dag_id, run_id, store)
    found = assembled(dag_id, known_as, ask(dag_id, known_as), store)
    if as_json:
        print(json.dumps(to_data(found), ensure_ascii=False, indent=2))
        return 0
    from rich.console import Console

    from airflow_agentic.cli.report import print_report

    print_report(Console(highlight=False), found)
    return 0


def load_configuration() -> None:
    """Import Airflow (a second and a half) only where its configuration file says where the records are."""
    file = Path(os.environ.get("AIRFLOW_CONFIG") or Path(config.airflow_home(), "airflow.cfg")).expanduser()
    if file.is_file() and _SET_IN_FILE.search(file.read_text(errors="replace")):
        import airflow.sdk.configuration  # noqa: F401

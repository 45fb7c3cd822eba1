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
from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.facts_source import FactsSource

_SET_IN_FILE = re.compile(r"^\s*trace_url(_cmd|_secret)?\s*[=:]", re.MULTILINE)


def trace_command(arguments: argparse.Namespace) -> int:
    """
    Print a run's trace, or list the runs, as the command line says.

    :raises InputError: several formats are asked for, or one of a list, or a bundle; or the file can't be written.
    """
    formats = [name for name in ("json", "html", "markdown") if getattr(arguments, name)]
    if len(formats) > 1:
        raise InputError(f"One format at a time: --{formats[0]} or --{formats[1]}.")
    if arguments.run_id is None and arguments.dag_id.endswith(".zip"):
        raise InputError(
            "An audit bundle has its trace in it, as trace.html. "
            f"`airflow-agentic verify {arguments.dag_id} --html FILE` checks it, and draws that page from its records."
        )
    load_configuration()
    if arguments.run_id is None:
        if formats not in ([], ["json"]):
            raise InputError(f"--{formats[0]} is for one run: give its RUN_ID.")
        return list_runs(arguments.dag_id, as_json=arguments.json)
    found = trace_of_run(arguments.dag_id, arguments.run_id, facts_source(arguments))
    if arguments.html is not None:
        _write_page(found, arguments.html)
    elif arguments.markdown:
        from airflow_agentic.view.markdown import trace_markdown

        print(encodable(trace_markdown(found)), end="")
    elif arguments.json:
        from airflow_agentic.trace.document import to_data

        print(encodable(json.dumps(to_data(found), ensure_ascii=False, indent=2)))
    else:
        from rich.console import Console

        from airflow_agentic.cli.report import print_report

        print_report(Console(highlight=False), found)
    return 0


def trace_of_run(dag_id: str, run_id: str, ask: FactsSource) -> Trace:
    """
    A run's trace.

    :param run_id: or the name of the folder of its records.
    :param ask: what Airflow knows of the run.
    :raises TraceError: the run left no records and Airflow doesn't know it, or the store or Airflow doesn't answer.
    """
    from airflow_agentic.trace.assemble import assembled
    from airflow_agentic.trace.runs import run_called
    from airflow_agentic.trace.store import TraceStore

    store = TraceStore()
    known_as = run_called(dag_id, run_id, store)
    return assembled(dag_id, known_as, ask(dag_id, known_as), store)


def encodable(text: str) -> str:
    """The text as it can be written anywhere: what agents wrote may hold half a character."""
    return text.encode("utf-8", "replace").decode()


def _write_page(found: Trace, target: str) -> None:
    from airflow_agentic.view.page import trace_page

    page = encodable(trace_page(found))
    if target == "-":
        print(page, end="")
        return
    try:
        Path(target).write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} can't be written: {error.strerror or error}") from None


def list_runs(dag_id: str, *, as_json: bool) -> int:
    """
    Print the runs of a DAG that left records, the one that ended last at the end; 0.

    :raises TraceError: there are none, or one can't be read.
    """
    from airflow_agentic.cli.report import plain_line
    from airflow_agentic.trace.runs import runs_of

    runs = runs_of(dag_id)
    if as_json:
        print(json.dumps({"dag_id": dag_id, "runs": [asdict(run) for run in runs]}, ensure_ascii=False, indent=2))
        return 0
    names = [plain_line(run.run_id) for run in runs]
    widest = max(map(len, names))
    for name, run in zip(names, runs, strict=True):
        print(f"{name:{widest}}  {plain_line(run.state):7}  {plain_line(run.sealed or '')}".rstrip())
    return 0


def load_configuration() -> None:
    """Import Airflow (a second and a half) only where its configuration file says where the records are."""
    file = Path(os.environ.get("AIRFLOW_CONFIG") or Path(config.airflow_home(), "airflow.cfg")).expanduser()
    if file.is_file() and _SET_IN_FILE.search(file.read_text(errors="replace")):
        import airflow.sdk.configuration  # noqa: F401

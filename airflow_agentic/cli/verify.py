"""``verify``: does a run's trace, in the store or in an audit bundle, still say what was sealed?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.cli.report import plain_line
from airflow_agentic.cli.trace import encodable, load_configuration
from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.trace.verify import Verdict

#: Exit codes. 2 is for trouble: a command line that means nothing, or what can't be read at all.
_CODES = {"intact": 0, "broken": 1, "unsealed": 3, "uncompared": 4}

_TOLD = {
    "intact": "intact",
    "uncompared": "records and artifacts intact, the page NOT VERIFIED; export the run again, or draw the page from "
    "the records with --html",
}


def verify_command(arguments: argparse.Namespace) -> int:
    """
    Compare a run with its seal, as the command line says.

    :raises InputError: it names nothing that can be compared, or the page can't be written.
    """
    verdict = _drawn(arguments) if arguments.html is not None else _verdict(arguments)
    if arguments.json:
        print(encodable(json.dumps(verdict.to_data(), ensure_ascii=False, indent=2)))
    else:
        _print(verdict, given=arguments.seal is not None)
    return _CODES[verdict.state]


def _verdict(arguments: argparse.Namespace) -> Verdict:
    match arguments.what:
        case [bundle]:
            from airflow_agentic.trace.bundle_check import verify_bundle

            return verify_bundle(Path(bundle), arguments.seal)
        case [dag_id, run_id]:
            from airflow_agentic.trace.runs import run_called
            from airflow_agentic.trace.store import TraceStore
            from airflow_agentic.trace.verify import verify

            load_configuration()
            store = TraceStore()
            return verify(store, dag_id, run_called(dag_id, run_id, store), arguments.seal)
        case _:
            raise InputError("Give DAG_ID and RUN_ID, or the file of an audit bundle.")


def _drawn(arguments: argparse.Namespace) -> Verdict:
    """Of a bundle, and write its page as it is drawn here."""
    from airflow_agentic.trace.bundle_check import verify_and_draw

    match arguments.what:
        case [bundle]:
            verdict, page = verify_and_draw(Path(bundle), arguments.seal)
        case _:
            raise InputError("--html is for an audit bundle; of a run, `airflow-agentic trace --html` draws the page.")
    if page is None:
        print("airflow-agentic: no page was drawn: what it is made of isn't intact, or too large", file=sys.stderr)
        return verdict
    try:
        Path(arguments.html).write_bytes(page)
    except OSError as error:
        raise InputError(f"{arguments.html} can't be written: {error.strerror or error}") from None
    return verdict


def _print(verdict: Verdict, *, given: bool) -> None:
    for finding in verdict.findings:
        print(f"{finding.what.upper():8} {plain_line(finding.words)}")
    for note in verdict.notes:
        print(f"note     {plain_line(note)}")
    who = plain_line(f"{verdict.dag_id} {verdict.run_id}")
    read = f"{verdict.files} files, {verdict.bytes:,} bytes"
    if verdict.state == "unsealed":
        print(f"{who}: not sealed: its last task never ended, so there is nothing to compare with ({read})")
        return
    found = len(verdict.findings)
    told = _TOLD[verdict.state] if not found else f"NOT INTACT: {found} finding{'s' if found > 1 else ''}"
    print(f"{who}: {told} ({read}; sealed {plain_line(verdict.sealed or '?')})")
    print(f"seal {verdict.seal}")
    if not found and not given:
        print("Whoever may write the records may seal them anew: compare this seal with one that was kept elsewhere.")

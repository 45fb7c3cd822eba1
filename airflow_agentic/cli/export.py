"""``export``: all of a run in one file for auditors."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.cli.facts import facts_source
from airflow_agentic.cli.report import plain_line
from airflow_agentic.cli.trace import load_configuration

if TYPE_CHECKING:
    import argparse


def export_command(arguments: argparse.Namespace) -> int:
    """Write a run's audit bundle, as the command line says; 0, also when its records aren't intact: they're told."""
    from airflow_agentic.trace import layout
    from airflow_agentic.trace.export import export
    from airflow_agentic.trace.runs import run_called
    from airflow_agentic.trace.store import TraceStore

    load_configuration()
    store, dag_id = TraceStore(), arguments.dag_id
    run_id = run_called(dag_id, arguments.run_id, store)
    target = Path(arguments.output or f"{layout.segment(dag_id)}.{layout.segment(run_id)}.zip")
    facts = facts_source(arguments)(dag_id, run_id)
    verdict = export(store, dag_id, run_id, facts, target)
    with target.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if arguments.json:
        told = {"file": str(target), "sha256": digest, "bytes": target.stat().st_size, "verdict": verdict.to_data()}
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return 0
    for finding in verdict.findings:
        print(f"airflow-agentic: {finding.what}: {plain_line(finding.words)}", file=sys.stderr)
    if verdict.state != "intact":
        print(
            f"airflow-agentic: the run's records are {verdict.state}; they are in the bundle as they are",
            file=sys.stderr,
        )
    print(f"{target}  {target.stat().st_size:,} bytes  sha256 {digest}")
    print(f"seal {verdict.seal or 'none'}")
    return 0

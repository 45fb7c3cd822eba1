"""``diff``: what differs between two runs. The exit code is that of ``diff``: 0 the same, 1 different, 2 trouble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.cli.facts import facts_source
from airflow_agentic.cli.trace import encodable, load_configuration, trace_of_run
from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.facts_source import FactsSource

_HOW = "Give DAG_ID RUN_A RUN_B, or DAG_A RUN_A DAG_B RUN_B; an audit bundle's file (.zip) may stand for a run."


def diff_command(arguments: argparse.Namespace) -> int:
    """
    Compare two runs, as the command line says.

    :raises InputError: it doesn't name two runs, or asks for two formats.
    """
    from airflow_agentic.trace.diff import diff

    if arguments.json and arguments.markdown:
        raise InputError("One format at a time: --json or --markdown.")
    load_configuration()
    a, b = _traces(list(arguments.what), facts_source(arguments))
    found = diff(a, b)
    if arguments.json:
        print(encodable(json.dumps(found.to_data(), ensure_ascii=False, indent=2)))
    else:
        from airflow_agentic.cli.diff_text import as_markdown, as_text

        print(encodable(as_markdown(found) if arguments.markdown else as_text(found)), end="")
    return 0 if found.same else 1


def _traces(what: list[str], ask: FactsSource) -> tuple[Trace, Trace]:
    """The two runs that are named."""
    if len(what) == 3 and not any(_is_bundle(word) for word in what):
        dag_id, one, other = what
        return trace_of_run(dag_id, one, ask), trace_of_run(dag_id, other, ask)
    named: list[tuple[str, ...]] = []
    while what:
        count = 1 if _is_bundle(what[0]) else 2
        named.append(tuple(what[:count]))
        what = what[count:]
    match named:
        case [a, b] if len(b) == 2 or _is_bundle(b[0]):
            return _trace(a, ask), _trace(b, ask)
        case _:
            raise InputError(_HOW)


def _trace(named: tuple[str, ...], ask: FactsSource) -> Trace:
    from airflow_agentic.trace.bundle_check import bundled_trace
    from airflow_agentic.trace.document import from_data

    match named:
        case [bundle]:
            return from_data(bundled_trace(Path(bundle)))
        case _:
            dag_id, run_id = named
            return trace_of_run(dag_id, run_id, ask)


def _is_bundle(word: str) -> bool:
    return word.endswith(".zip")

"""
The runs of a DAG, found by what they left in the trace store.

A run's records lie in a folder that has the run's id for a name, quoted as in a URL, so people who look into the store
know a run by the one or the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.manifest import manifest_from_data
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """
    How a run ended.

    :param state: ``success`` or ``failed``, as it was last sealed; else ``running`` (a run that was killed leaves
        nothing that would tell).
    :param sealed: ISO 8601 in UTC; null for a run that isn't sealed.
    """

    run_id: str
    state: str
    sealed: str | None


def runs_of(dag_id: str, store: TraceStore | None = None) -> tuple[RunEnd, ...]:
    """
    The runs of a DAG in the order in which they ended, those that haven't last.

    :param store: None for the one of ``[agentic] trace_url``.
    :raises TraceError: there is none, or one can't be read.
    """
    store = store or TraceStore()
    found = [_end(dag_id, run_id, store) for run_id in _ids(dag_id, store)]
    if not found:
        raise TraceError(f"There are no records of {dag_id!r} in {store.url}.")
    return tuple(sorted(found, key=lambda run: (run.sealed is None, run.sealed or "", run.run_id)))


def run_called(dag_id: str, name: str, store: TraceStore) -> str:
    """
    The id of a run that somebody calls by its id, or by its folder's name; of a run that left nothing, the name.

    :raises TraceError: it can't be read.
    """
    folders = store.folders(layout.segment(dag_id))
    if layout.segment(name) in folders or name not in folders:
        return name
    return _id_of(dag_id, name, store) or name


def _ids(dag_id: str, store: TraceStore) -> Iterator[str]:
    for folder in store.folders(layout.segment(dag_id)):
        run_id = _id_of(dag_id, folder, store)
        if run_id is not None:
            yield run_id


def _id_of(dag_id: str, folder: str, store: TraceStore) -> str | None:
    """The run of a folder; one with a shortened name has its id in its files."""
    known = layout.name_of(folder)
    if known is not None:
        return known
    inside = f"{layout.segment(dag_id)}/{folder}"
    files = (path for part in (*layout.FOLDERS, "") for path in store.names(f"{inside}/{part}".rstrip("/")))
    first = next(files, None)
    if first is None:
        return None
    try:
        return str(json.loads(store.read_bytes(first))["run"]["run_id"])
    except (ValueError, TypeError, KeyError) as error:
        raise TraceError(f"The record {first} in {store.url} can't be read: {error}") from None


def _end(dag_id: str, run_id: str, store: TraceStore) -> RunEnd:
    data = store.manifest(dag_id, run_id)
    if data is None:
        return RunEnd(run_id=run_id, state="running", sealed=None)
    manifest = manifest_from_data(data)
    return RunEnd(run_id=run_id, state=manifest.state, sealed=manifest.sealed)

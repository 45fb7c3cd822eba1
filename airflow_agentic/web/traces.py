"""
The traces that the api-server shows, kept as long as nothing has happened in their runs.

A run's trace takes reading all of its records. What Airflow knows of the run, and which files it has left, says
whether anything has happened since: records are never changed. So a run that goes on is always told as it is, and one
that has ended is read once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.document import Trace

#: How many runs are kept; each may be some megabytes.
_MOST = 8
#: Seconds in which nobody looks again: a page asks for several things at once.
_FRESH = 1.0
#: How many of the api-server's threads (40) may wait for a trace store: Airflow needs the others, however slow it is.
_WAITING = 12
_ENDED = ("success", "failed")


class NoTraceError(AgenticError):
    """The run isn't there, or it is none of a template."""


@dataclass(frozen=True)
class Rendered:
    """Some text made of a trace."""

    content: bytes

    @cached_property
    def etag(self) -> str:
        """Its HTTP entity tag."""
        return f'"{sha256(self.content).hexdigest()[:32]}"'


@dataclass
class Shown:
    """A trace and what was made of it."""

    trace: Trace
    _made: dict[str, Rendered] = field(default_factory=dict)

    def rendered(self, name: str, make: Callable[[Trace], str]) -> Rendered:
        """
        What is made of the trace, once for all who ask.

        :param name: of what is made.
        """
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = Rendered(make(self.trace).encode("utf-8", "replace"))
        return found


@dataclass
class _Entry:
    """One run; its lock is held by who looks or assembles, so that nobody else does the same."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    shown: Shown | None = None
    #: what Airflow knew and which files there were when it was assembled
    mark: Any = None
    #: on the process's monotonic clock
    looked: float = float("-inf")


class Traces:
    """Those of one process. All methods block, and may be called by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_WAITING)
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def of(self, dag_id: str, run_id: str) -> Shown:
        """
        The trace of a run as it is now.

        :raises NoTraceError: there is none.
        :raises TraceError: the records can't be read, or too many wait for records already.
        """
        entry = self._entry((dag_id, run_id))
        if not self._places.acquire(blocking=False):
            if entry.shown is None:
                raise TraceError(f"{_WAITING} threads wait for records already: the trace store is slow.")
            return entry.shown
        try:
            with entry.lock:
                if entry.shown is None or time.monotonic() - entry.looked > _FRESH:
                    entry.shown, entry.mark = _looked(dag_id, run_id, entry)
                    entry.looked = time.monotonic()
                return entry.shown
        finally:
            self._places.release()

    def _entry(self, key: tuple[str, str]) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > _MOST:
                self._entries.popitem(last=False)
            return entry


def _looked(dag_id: str, run_id: str, entry: _Entry) -> tuple[Shown, Any]:
    """The trace and its mark: the former ones if nothing has happened."""
    from airflow_agentic.trace.assemble import assembled
    from airflow_agentic.trace.store import TraceStore

    store = TraceStore()
    facts, files = facts_of(dag_id, run_id), store.files(dag_id, run_id)
    if not files and not (facts is not None and _is_template(dag_id)):
        raise NoTraceError(f"The run {run_id!r} of {dag_id!r} has no trace.")
    mark = (facts, files)
    if entry.shown is None or entry.mark != mark:
        trace = assembled(dag_id, run_id, facts, store)
        # what couldn't be read may be readable the next time
        return Shown(trace), None if trace.problems else mark
    if entry.shown.trace.state in _ENDED:
        return entry.shown, mark
    # the same, but time goes on
    return Shown(entry.shown.trace), mark


def facts_of(dag_id: str, run_id: str) -> RunFacts | None:
    """What Airflow knows of a run, if it knows it."""
    from airflow.utils.session import create_session

    from airflow_agentic.trace.airflow import UnknownRunError
    from airflow_agentic.trace.airflow_database import facts_from_database

    try:
        with create_session(scoped=False) as session:
            return facts_from_database(session, dag_id, run_id)
    except UnknownRunError:
        return None


def _is_template(dag_id: str) -> bool:
    """Whether the DAG is one of a template: a run of it that was just queued has left nothing yet."""
    from airflow.utils.session import create_session

    from airflow_agentic.web.template_dags import is_template_dag

    with create_session(scoped=False) as session:
        return is_template_dag(session, dag_id)

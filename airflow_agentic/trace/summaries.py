"""
The summaries of many runs, read as fast as the trace store can, and each of them once.

A summary never changes, so a process keeps those that it has read. The first page of a month of runs still has to wait
for all of them, and on a store that is far away or slow nobody should: so they are read by a thread of its own, a whole
batch at a time, and whoever asks waits for a bounded time and goes on with what is there by then.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_agentic.errors import MissingFileError, TraceError
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.summary import summary_of_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.trace.summary import RunSummary

#: As many as the usual file systems read at the same time.
_BATCH = 250
#: The most that are asked for at a time, and kept: about 2 kB each.
MOST = 20_000
_KEPT = 2 * MOST
#: Seconds. What isn't there won't come later, but for a restored backup; what can't be read may be in a moment.
_ASK_AGAIN_MISSING = 600.0
_ASK_AGAIN_UNREADABLE = 15.0


class Summaries:
    """
    The summaries below one trace store.

    :param store: where they are.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._known: OrderedDict[str, RunSummary] = OrderedDict()
        #: what can't be had, and until when nobody asks again
        self._refused: dict[str, tuple[TraceError, float]] = {}
        #: what is to be read, the next one first
        self._queue: OrderedDict[str, None] = OrderedDict()
        #: what is being read, while a thread reads
        self._batch: frozenset[str] | None = None

    def get(self, paths: Iterable[str], seconds: float) -> dict[str, RunSummary | TraceError]:
        """
        What is known of some summaries, after waiting for them for a while.

        :param paths: the most urgent ones first; at most :data:`MOST`.
        :param seconds: to wait at most.
        :returns: for one that can't be had, why (:class:`MissingFileError`: there is none); nothing for one that
            hasn't been read yet. Those are read all the same, for whoever asks next.
        """
        wanted = list(dict.fromkeys(paths))
        pending = deque(wanted)

        def is_done() -> bool:
            while pending and self._is_settled(pending[0]):
                pending.popleft()
            return not pending

        with self._changed:
            self._enqueue(wanted)
            self._changed.wait_for(is_done, timeout=seconds)
            for path in wanted:
                if path in self._known:
                    self._known.move_to_end(path)  # what nobody asked for lately is forgotten first
            return {path: found for path in wanted if (found := self._found(path)) is not None}

    def _found(self, path: str) -> RunSummary | TraceError | None:
        if path in self._known:
            return self._known[path]
        return self._refused[path][0] if path in self._refused else None

    def _is_settled(self, path: str) -> bool:
        return path in self._known or path in self._refused

    def _enqueue(self, wanted: Iterable[str]) -> None:
        """Have what isn't known read."""
        now = time.monotonic()
        for path in wanted:
            if path in self._refused and self._refused[path][1] < now:
                del self._refused[path]
            if not self._is_settled(path) and path not in (self._batch or ()):
                self._queue.setdefault(path)
        if self._queue and self._batch is None:
            self._batch = frozenset()
            threading.Thread(target=self._read, name="agentic-summaries", daemon=True).start()

    def _read(self) -> None:
        """Read until nothing is left to be read."""
        while True:
            with self._changed:
                batch = [self._queue.popitem(last=False)[0] for _ in range(min(_BATCH, len(self._queue)))]
                self._batch = frozenset(batch) or None
            if not batch:
                return
            found = self._read_batch(batch)
            with self._changed:
                self._keep(found)
                self._changed.notify_all()

    def _read_batch(self, paths: list[str]) -> dict[str, RunSummary | TraceError]:
        try:
            read = self._store.read_many(paths)
        except Exception as error:  # the thread goes on, and the page says that they can't be read
            return dict.fromkeys(paths, TraceError(f"The summaries in {self._store.url} can't be read: {error}"))
        return {path: _parsed(data) for path, data in read.items()}

    def _keep(self, found: dict[str, RunSummary | TraceError]) -> None:
        now = time.monotonic()
        for path, summary in found.items():
            if isinstance(summary, TraceError):
                pause = _ASK_AGAIN_MISSING if isinstance(summary, MissingFileError) else _ASK_AGAIN_UNREADABLE
                self._refused[path] = summary, now + pause
            else:
                self._known[path] = summary
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        if len(self._refused) > _KEPT:
            self._refused = {path: entry for path, entry in self._refused.items() if entry[1] >= now and path in found}


def _parsed(data: bytes | TraceError) -> RunSummary | TraceError:
    if isinstance(data, TraceError):
        return data
    try:
        return summary_of_bytes(data)
    except TraceError as error:
        return error


@lru_cache(maxsize=4)
def summaries_at(url: str) -> Summaries:
    """
    This process's summaries below a trace store's URL.

    :raises ConfigError: the URL's file system isn't there.
    """
    return Summaries(TraceStore(url))

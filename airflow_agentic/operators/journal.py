"""
What a task has paid for, safe from the end of its process.

Airflow deletes a task's XComs when it tries again, and the trace's records are masked; so answers are kept in Airflow's
task state store as soon as they are there, until the task has pushed its output and, if Airflow is told so
(``[state_store] clear_on_success``), has ended. The store outlives a clear, so each life of the task (see
:mod:`airflow_agentic.operators.life`) has keys of its own; and so has each try, because a try that Airflow has given up
may still be at work.

A write is a round trip of some 20 ms, in which everything else goes on; what came meanwhile is written together.
"""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.threads import run_to_end
from airflow_agentic.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.operators.life import Life

log = logging.getLogger(__name__)

#: Characters of JSON in one entry of the store, as far as single values allow it: Airflow warns of larger ones.
MOST_CHARACTERS = 50_000


class Journal:
    """
    What one life of a task has kept, by key.

    :param store: ``context["task_state_store"]``.
    :param try_number: Airflow's.
    """

    def __init__(self, store: Any, life: Life, try_number: int) -> None:
        self._store = store
        self._life = life
        self._try = try_number
        self._known: dict[str, Any] = {}
        self._unwritten: list[tuple[str, Any]] = []
        self._writing = asyncio.Lock()
        self._written = 0

    def read(self) -> None:
        """Find what this life's earlier tries have kept. Blocks."""
        for number in range(self._life.former_tries + 1, self._try):
            for place in count():
                entry = self._store.get(self._key(number, place))
                if entry is None:
                    break
                self._known.update(json.loads(entry))

    def find(self, key: str) -> Any | None:
        """What earlier tries have kept under a key; None: nothing."""
        return self._known.get(key)

    async def keep(self, key: str, value: Any) -> None:
        """
        Keep a JSON-able value before anything else is done with it.

        When the store refuses it, a warning is all: the work itself is done.

        :raises StoppedError: nothing can be kept any more, because Airflow's supervisor of this task is gone, or this
            try has been given up.
        """
        self._unwritten.append((key, value))
        async with self._writing:
            entries, self._unwritten = self._unwritten, []
            if entries:
                await run_to_end(partial(self._write, entries))

    def _write(self, entries: Sequence[tuple[str, Any]]) -> None:
        try:
            for text in _texts(entries):
                self._store.set(self._key(self._try, self._written), text)
                self._written += 1
        except (OSError, EOFError) as error:
            raise StoppedError("Airflow's supervisor of this task is gone: nothing it does is kept.") from error
        except Exception as error:
            if _is_unknown(error):
                raise StoppedError("Airflow has begun another try of this task: nothing it does is kept.") from error
            log.warning("%d results could not be kept for a retry.", len(entries), exc_info=True)

    def _key(self, try_number: int, place: int) -> str:
        return f"agentic.{self._life.former_tries}.{try_number}.{place}"


def _is_unknown(error: Exception) -> bool:
    """Whether Airflow's API doesn't know the task instance: its scheduler has put another one in its place."""
    detail = getattr(getattr(error, "error", None), "detail", None) or {}
    return detail.get("status_code") in (404, 410)


def _texts(entries: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """The entries as JSON texts: Airflow's messages hold neither every number nor every text that JSON can."""
    parts: list[str] = []
    size = 0
    for key, value in entries:
        part = f"{json.dumps(key)}:{json.dumps(value, default=str)}"
        if parts and size + len(part) > MOST_CHARACTERS:
            yield f"{{{','.join(parts)}}}"
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    yield f"{{{','.join(parts)}}}"

"""
What a task that works on many items has achieved so far, safe from its end.

Airflow deletes a task's XComs when it tries again, and the trace's records are masked; so results are kept in Airflow's
task state store until the task pushes them all. The store outlives a clear, so each life of the task (see
:mod:`airflow_agentic.operators.life`) has keys of its own.
"""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.operators.life import Life

#: Bytes of JSON in one entry, as far as single results allow it: Airflow warns of larger ones.
MOST_BYTES = 50_000


class Journal:
    """
    The results of one life of a task. All methods block.

    :param store: ``context["task_state_store"]``.
    """

    def __init__(self, store: Any, life: Life) -> None:
        self._store = store
        self._life = life
        self._written = 0

    def read(self) -> list[dict[str, Any]]:
        """The results of this life's earlier tries."""
        found: list[dict[str, Any]] = []
        if self._life.is_first_try:
            return found
        for number in count():
            entry = self._store.get(self._key(number))
            if entry is None:
                self._written = number
                return found
            found += entry["results"]
        raise RuntimeError("counting has no end")

    def add(self, results: Sequence[dict[str, Any]]) -> None:
        """Keep some results."""
        for part in _parts(results):
            self._store.set(self._key(self._written), {"results": part})
            self._written += 1

    def _key(self, number: int) -> str:
        return f"agentic.{self._life.former_tries}.{number}"


def _parts(results: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for result in results:
        own = len(json.dumps(result))
        if part and size + own > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(result)
        size += own
    if part:
        yield part

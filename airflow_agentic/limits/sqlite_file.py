"""
A SQLite file that all processes of a machine share.

Every step is one transaction that takes the write lock at its start, so that steps come one after the other and none
has to be undone. A step takes well below a millisecond; others wait for it as long as :data:`PATIENCE`.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import LimiterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds to wait for the write lock.
PATIENCE = 60.0


class SqliteFile:
    """
    The file, which is made if it isn't there. Its methods block, and can be called from any thread.

    :param schema: statements that make its tables where they are missing.
    :param clock: seconds since the epoch; the same for all processes.
    :raises LimiterError: the file can't be used.
    """

    def __init__(self, path: str, schema: str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        with self._reaching():
            self._database = self._opened(schema)

    @contextlib.contextmanager
    def step(self) -> Iterator[float]:
        """
        One transaction; gives the time, read when nobody else can be at it.

        :raises LimiterError: the file can't be used.
        """
        with self._lock, self._reaching():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._clock()
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def do(self, statement: str, *values: object) -> list[Any]:
        """Within a step, run a statement; gives its rows."""
        return self._database.execute(statement, values).fetchall()

    def _opened(self, schema: str) -> sqlite3.Connection:
        folder = Path(self._path).parent
        folder.mkdir(parents=True, exist_ok=True)
        # SQLite doesn't wait for others while it changes the journal's mode, so only one may be at it.
        with open(f"{self._path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            database = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(schema)
        return database

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LimiterError(
                f"The file of the rate limits and budgets, {self._path}, can't be used: {error}. "
                "Nothing was sent; see [agentic] limiter_url."
            ) from error

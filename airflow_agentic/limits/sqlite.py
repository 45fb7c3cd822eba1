"""What was used of connections' limits, in a SQLite file: for all processes of one machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_agentic.limits.sqlite_file import SqliteFile
from airflow_agentic.limits.store import KEPT, LATE, LEASE, WINDOW, Answer, Ask
from airflow_agentic.limits.window import MARGIN, Ahead, Used, wait_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    connection TEXT NOT NULL,
    name TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    since REAL NOT NULL,
    present_until REAL NOT NULL,
    UNIQUE (connection, name)
);
CREATE TABLE IF NOT EXISTS grants (
    name TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    at REAL NOT NULL,
    tokens INTEGER NOT NULL,
    lease_until REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grants_at ON grants (connection, at);
"""


class SqliteStore:
    """
    A :class:`~airflow_agentic.limits.store.Store` in a file, which is made if it isn't there.

    :param window, margin, lease: seconds.
    :param clock: seconds since the epoch; the same for all processes.
    :raises LimiterError: the file can't be used.
    """

    def __init__(
        self,
        path: str,
        *,
        window: float = WINDOW,
        margin: float = MARGIN,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lease = lease
        self._window = window + margin
        self._file = SqliteFile(path, _SCHEMA, clock=clock)

    def ask(self, ask: Ask) -> Answer:
        """See :meth:`airflow_agentic.limits.store.Store.ask`."""
        with self._file.step() as now:
            self._clean(ask.connection, now)
            number, since = self._ticket(ask, now)
            used, ahead = self._used(ask.connection, now), self._ahead(ask.connection, number, now)
            wait = wait_of(ask.limits, used, ahead, tokens=ask.tokens, now=now, window=self._window)
            if wait is None:
                self._grant(ask, number, now)
                return Answer(granted=True, waited=now - since)
            self._file.do(
                "UPDATE tickets SET present_until = ?, tokens = ? WHERE number = ?",
                now + wait.look + LATE,
                ask.tokens,
                number,
            )
            return Answer(granted=False, waited=now - since, wait=wait.seconds, look=wait.look)

    def step_aside(self, connection: str, ticket: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.step_aside`."""
        with self._file.step() as now:
            self._file.do(
                "UPDATE tickets SET present_until = ? WHERE connection = ? AND name = ?", now, connection, ticket
            )

    def leave(self, connection: str, ticket: str, grant: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.leave`."""
        with self._file.step():
            self._file.do("DELETE FROM tickets WHERE connection = ? AND name = ?", connection, ticket)
            self._file.do("DELETE FROM grants WHERE name = ?", grant)

    def renew(self, connection: str, grant: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.renew`."""
        with self._file.step() as now:
            self._file.do(
                "INSERT INTO grants VALUES (?, ?, ?, 0, ?) ON CONFLICT (name) DO UPDATE SET lease_until = ?",
                *(grant, connection, now - self._window, now + self.lease, now + self.lease),
            )

    def settle(self, connection: str, grant: str, tokens: int | None) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.settle`."""
        with self._file.step():
            self._file.do(
                "UPDATE grants SET lease_until = NULL, tokens = coalesce(?, tokens) WHERE name = ?", tokens, grant
            )

    def _clean(self, connection: str, now: float) -> None:
        # A clock that was set back must not make anybody wait for longer than a window.
        self._file.do("UPDATE grants SET at = ? WHERE connection = ? AND at > ?", now, connection, now)
        self._file.do(
            "DELETE FROM grants WHERE connection = ? AND at <= ? AND coalesce(lease_until, 0) <= ?",
            *(connection, now - self._window, now),
        )
        self._file.do("DELETE FROM tickets WHERE connection = ? AND present_until <= ?", connection, now - KEPT)

    def _ticket(self, ask: Ask, now: float) -> tuple[int, float]:
        self._file.do(
            "INSERT INTO tickets (connection, name, tokens, since, present_until) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (connection, name) DO NOTHING",
            *(ask.connection, ask.ticket, ask.tokens, now, now),
        )
        ((number, since),) = self._file.do(
            "SELECT number, since FROM tickets WHERE connection = ? AND name = ?", ask.connection, ask.ticket
        )
        return number, min(since, now)

    def _used(self, connection: str, now: float) -> Used:
        log = self._file.do(
            "SELECT at, tokens FROM grants WHERE connection = ? AND at > ? ORDER BY at", connection, now - self._window
        )
        ((at_work,),) = self._file.do(
            "SELECT count(*) FROM grants WHERE connection = ? AND lease_until > ?", connection, now
        )
        return Used(log=log, at_work=at_work)

    def _ahead(self, connection: str, number: int, now: float) -> Ahead:
        ((requests, tokens),) = self._file.do(
            "SELECT count(*), coalesce(sum(tokens), 0) FROM tickets "
            "WHERE connection = ? AND number < ? AND present_until > ?",
            *(connection, number, now),
        )
        return Ahead(requests=requests, tokens=tokens)

    def _grant(self, ask: Ask, number: int, now: float) -> None:
        lease = now + self.lease if ask.limits.max_concurrent is not None else None
        self._file.do("DELETE FROM tickets WHERE number = ?", number)
        self._file.do("INSERT INTO grants VALUES (?, ?, ?, ?, ?)", ask.grant, ask.connection, now, ask.tokens, lease)

"""What runs have spent, in a SQLite file: for all processes of one machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_agentic.limits.purses import KEPT, LEASE, Sums, Verdict, Wish, judged
from airflow_agentic.limits.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS purses (
    run TEXT PRIMARY KEY,
    calls INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    nanos INTEGER NOT NULL DEFAULT 0,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS purses_used_at ON purses (used_at);
CREATE TABLE IF NOT EXISTS reservations (
    run TEXT NOT NULL,
    call TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    PRIMARY KEY (run, call)
) WITHOUT ROWID;
"""


class SqlitePurses:
    """
    :class:`~airflow_agentic.limits.purses.Purses` in a file, which is made if it isn't there.

    :param lease: seconds.
    :param clock: seconds since the epoch; the same for all processes.
    :raises LimiterError: the file can't be used.
    """

    def __init__(self, path: str, *, lease: float = LEASE, clock: Callable[[], float] = time.time) -> None:
        self.lease = lease
        self._file = SqliteFile(path, _SCHEMA, clock=clock)

    def reserve(self, wish: Wish) -> Verdict:
        """See :meth:`airflow_agentic.limits.purses.Purses.reserve`."""
        with self._file.step() as now:
            verdict = judged(wish, *self._sums(wish.run, now))
            if verdict.state == "granted":
                self._use(wish.run, now)
                self._file.do(
                    "INSERT INTO reservations VALUES (?, ?, ?, ?, ?)",
                    *(wish.run, wish.call, verdict.granted.tokens, verdict.granted.nanos, now + self.lease),
                )
            return verdict

    def renew(self, run: str, call: str) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.renew`."""
        with self._file.step() as now:
            self._file.do(
                "UPDATE reservations SET lease_until = ? WHERE run = ? AND call = ?", now + self.lease, run, call
            )

    def settle(self, run: str, call: str, tokens: int | None, nanos: int | None) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.settle`."""
        with self._file.step() as now:
            for held in self._file.do("SELECT tokens, nanos FROM reservations WHERE run = ? AND call = ?", run, call):
                taken = [was if known is None else known for known, was in zip((tokens, nanos), held, strict=True)]
                self._use(run, now)
                self._file.do(
                    "UPDATE purses SET calls = calls + 1, tokens = tokens + ?, nanos = nanos + ? WHERE run = ?",
                    *(*taken, run),
                )
                self._drop(run, call)

    def give_back(self, run: str, call: str) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.give_back`."""
        with self._file.step():
            self._drop(run, call)

    def _sums(self, run: str, now: float) -> tuple[Sums, Sums]:
        """What was spent, and what is reserved by those who are at work."""
        (sums,) = self._file.do("SELECT calls, tokens, nanos FROM purses WHERE run = ?", run) or [(0, 0, 0)]
        held = self._file.do("SELECT tokens, nanos, lease_until FROM reservations WHERE run = ?", run)
        # A clock that was set back must not make anybody wait for longer than a lease.
        alive = [(tokens, nanos) for tokens, nanos, until in held if now < until <= now + self.lease]
        reserved = Sums(tokens=sum(tokens for tokens, _ in alive), nanos=sum(nanos for _, nanos in alive))
        spent = Sums(
            calls=sums[0] + len(held),
            tokens=sums[1] + sum(tokens for tokens, _, _ in held) - reserved.tokens,
            nanos=sums[2] + sum(nanos for _, nanos, _ in held) - reserved.nanos,
        )
        return spent, reserved

    def _use(self, run: str, now: float) -> None:
        """Open the purse, or keep it from being forgotten."""
        if not self._file.do("SELECT run FROM purses WHERE run = ?", run):
            self._file.do("INSERT INTO purses (run, used_at) VALUES (?, ?)", run, now)
            self._forget(now - KEPT)
        self._file.do("UPDATE purses SET used_at = ? WHERE run = ?", now, run)

    def _forget(self, before: float) -> None:
        for (run,) in self._file.do("SELECT run FROM purses WHERE used_at <= ?", before):
            self._file.do("DELETE FROM reservations WHERE run = ?", run)
            self._file.do("DELETE FROM purses WHERE run = ?", run)

    def _drop(self, run: str, call: str) -> None:
        self._file.do("DELETE FROM reservations WHERE run = ? AND call = ?", run, call)

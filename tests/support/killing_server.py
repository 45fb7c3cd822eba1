"""Servers that kill whoever asks them: the process of a task, or the one that supervises it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Literal

import psutil
from support.openai_server import OpenAIServer
from support.scripted_server import Call, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

Victim = Literal["task", "worker"]


class KillingSite(ScriptedServer):
    """
    Answers ``/<n>`` with ``{"n": n}``, and once kills whoever asks.

    :param at: the number of the call that is the last one to be made before.
    """

    def __init__(self, victim: Victim, *, at: int, delay: float = 0.1) -> None:
        super().__init__()
        self.victim: Victim = victim
        self.killed_at: float | None = None
        self.answered: list[tuple[str, float]] = []
        self._at = at
        self._delay = delay

    def reply_to(self, call: Call) -> Reply:
        with self._lock:
            is_time = self.killed_at is None and len(self.calls) >= self._at
            if is_time:
                self.killed_at = time.time()
        if is_time:
            kill_client(self.port, self.victim)
        time.sleep(self._delay)
        self.answered.append((call.path, time.time()))
        return Reply(body={"n": int(call.path[1:])})


class KillingModel(OpenAIServer):
    """Plays a model's part, and kills whoever asks for the given request, once."""

    def __init__(self, *replies: dict[str, Any], at: int) -> None:
        super().__init__(*replies)
        self.killed_at: float | None = None
        self._at = at

    def reply_to(self, call: Call) -> Reply:
        if self.killed_at is None and len(self.requests) == self._at:
            self.killed_at = time.time()
            kill_client(self.port, "task")
            time.sleep(1)
            return Reply(hang_up=True)
        return super().reply_to(call)


def kill_client(port: int, victim: Victim) -> None:
    """End the process that is connected to a port of this process with ``SIGKILL``, or the one that supervises it."""
    for client in set(_clients(port)):
        os.kill(client if victim == "task" else psutil.Process(client).ppid(), signal.SIGKILL)


def _clients(port: int) -> Iterator[int]:
    for connection in psutil.net_connections("tcp"):
        if connection.raddr and connection.raddr.port == port and connection.pid not in (None, os.getpid()):
            yield connection.pid

"""A server that keeps its callers waiting from some call on, until it is told to go on."""

from __future__ import annotations

import threading
from collections import Counter

from support.scripted_server import Call, Reply, ScriptedServer


class GatedServer(ScriptedServer):
    """
    Answers ``/<n>`` with ``{"n": n}``.

    :param free: calls that are answered at once; the others wait at the gate.
    """

    def __init__(self, *, free: int) -> None:
        super().__init__(Reply())
        self.gate = threading.Event()
        self.answered: Counter[str] = Counter()
        self._free = free

    def reply_to(self, call: Call) -> Reply:
        """Wait and answer."""
        with self._lock:
            waits = len(self.calls) > self._free
        if waits:
            self.gate.wait(300)
        with self._lock:
            self.answered[call.path] += 1
        return Reply(body={"n": int(call.path[1:])})

    @property
    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        with self._lock:
            return Counter(call.path for call in self.calls)

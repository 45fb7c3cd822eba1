"""
A real HTTP server on loopback whose replies are faulty as often as a seed says, for all types of agents.

It speaks three protocols over one port: ``POST /api`` for http agents and ``GET /api?…`` for callables (the reply is
data), ``POST /v1/chat/completions`` for models. What is asked for is told apart by a *key*, ``<run>/<stage>/<item>``,
which the request carries; what is wrong with a key's n-th reply depends on nothing but the seed, the key and n. So runs
can go on at the same time, in any process, and each has its faults. The log of what was answered can be compared with
the records that the runs leave.

Sometimes nobody listens at all for a moment: whoever comes then is refused, and isn't in the log.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from support.openai_server import good, raw_arguments, reply_of
from support.scripted_server import Call, Reply, ScriptedServer, retry_after_date, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

Fault = Literal[
    "busy",
    "busy_for_seconds",
    "busy_until_date",
    "broken",
    "overloaded",
    "slow",
    "cut",
    "garbled",
    "html",
    "wrong",
    "gone",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: What a fault has to be called in a record: for an http agent, a model, a callable that uses requests.
KINDS: dict[str, tuple[str, str, str]] = {
    "busy": ("rate_limited",) * 3,
    "busy_for_seconds": ("rate_limited",) * 3,
    "busy_until_date": ("rate_limited",) * 3,
    "broken": ("unavailable",) * 3,
    "overloaded": ("unavailable",) * 3,
    "slow": ("timeout",) * 3,
    "cut": ("malformed_output", "malformed_output", "unavailable"),
    "garbled": ("malformed_output", "malformed_output", "bug"),
    "html": ("malformed_output", "malformed_output", "bug"),
    "wrong": ("malformed_output",) * 3,
    "gone": ("unavailable",) * 3,
}
#: Of the faults that HTTP has a status for.
STATUSES: dict[str, int] = {
    "busy": 429,
    "busy_for_seconds": 429,
    "busy_until_date": 429,
    "broken": 500,
    "overloaded": 503,
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """
    One reply.

    :param number: the how many-th of its key, from 1.
    :param fault: what was wrong with it; null: nothing.
    """

    key: str
    number: int
    fault: Fault | None
    at: float


class FaultServer(ScriptedServer):
    """
    Answers calls, some of them badly.

    :param share: of the replies that are faulty, from 0 to 1.
    :param slow: seconds that a slow reply takes: more than the timeout of whoever asks.
    :param keys: finds the key in a model's messages, in its groups.
    """

    def __init__(self, *, seed: int, share: float = 0.3, slow: float = 4.0, keys: str, port: int = 0) -> None:
        super().__init__(Reply(), port=port)
        self.log: list[Served] = []
        self._seed = seed
        self._share = share
        self._slow = slow
        self._keys = re.compile(keys, re.DOTALL)
        self._numbers: Counter[str] = Counter()

    def reply_to(self, call: Call) -> Reply:
        """The reply, and its entry in the log."""
        key, is_model = self._key(call)
        with self._lock:
            self._numbers[key] += 1
            number = self._numbers[key]
            fault = self.fault_of(key, number)
            self.log.append(Served(key=key, number=number, fault=fault, at=time.time()))
        if is_model:
            return self._of_model(fault, call, key)
        return self._of_api(fault, key)

    def fault_of(self, key: str, number: int) -> Fault | None:
        """What is wrong with a key's reply of that number."""
        dice = random.Random(f"{self._seed}/{key}/{number}")
        return dice.choice(FAULTS) if dice.random() < self._share else None

    @contextlib.contextmanager
    def outages(self, *, every: float, seconds: float) -> Iterator[None]:
        """Again and again, don't listen for some seconds; calls that have begun are answered."""
        ended = threading.Event()

        def go_on_and_off() -> None:
            while not ended.wait(every):
                self._refuse_for(seconds)

        thread = threading.Thread(target=go_on_and_off, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _refuse_for(self, seconds: float) -> None:
        port = self.port
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        time.sleep(seconds)
        self._open(port)
        self._thread.start()

    def _key(self, call: Call) -> tuple[str, bool]:
        if call.path.endswith("/chat/completions"):
            said = json.dumps(call.json["messages"], ensure_ascii=False)
            found = self._keys.search(said)
            if found is None:
                raise ValueError(f"no key in {said}")
            return "/".join(found.groups()), True
        asked = call.json or {name: values[0] for name, values in parse_qs(urlsplit(call.path).query).items()}
        return str(asked["key"]), False

    def _of_api(self, fault: Fault | None, key: str) -> Reply:
        reply = self._failing(fault)
        if reply is not None:
            return reply
        data: Any = {"key": key, "items": [f"{key}#{number}" for number in range(5)], "score": 1}
        match fault:
            case "garbled":
                return Reply(body=json.dumps(data)[:-9].encode(), headers={"Content-Type": "application/json"})
            case "wrong":
                return Reply(body={"ky": key, "items": "none"})
            case "slow":
                return Reply(body=data, body_delay=self._slow)
            case "cut":
                return Reply(body=data, cut=20)
        return Reply(body=data)

    def _of_model(self, fault: Fault | None, call: Call, key: str) -> Reply:
        reply = self._failing(fault)
        if reply is not None:
            return reply
        answer = good({"key": key, "claims": [f"{key}#{number}" for number in range(3)]})
        match fault:
            case "garbled":
                answer = raw_arguments('{"key": "')
            case "wrong":
                answer = good({"ky": key})
            case "slow":
                answer = {**answer, "body_delay": self._slow}
            case "cut":
                answer = {**answer, "cut": 40}
        return reply_of(answer, call.json)

    def _failing(self, fault: Fault | None) -> Reply | None:
        """The faults that are the same in all protocols."""
        error = {"error": {"message": "injected", "type": "injected", "code": None}}
        match fault:
            case "busy":
                return Reply(status=429, body=error)
            case "busy_for_seconds":
                return Reply(status=429, body=error, headers=retry_after_seconds(0.2))
            case "busy_until_date":
                return Reply(status=429, body=error, headers=retry_after_date(1))
            case "broken":
                return Reply(status=500, body=error)
            case "overloaded":
                return Reply(status=503, body=error, headers=retry_after_seconds(0))
            case "html":
                return Reply(body=b"<html>Please wait.</html>", headers={"Content-Type": "application/json"})
            case "gone":
                return Reply(hang_up=True)
        return None

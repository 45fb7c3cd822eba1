"""An HTTP API that remembers every call, when it came, and when it was answered."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from support.scripted_server import Call, Reply, ScriptedServer

#: Seconds between a call and its answer: long enough to be killed in.
DELAY = 0.8


class CallServer(ScriptedServer):
    """Answers each call with a text, and a score that is the number at the end of the call's name."""

    def reply_to(self, call: Call) -> Reply:
        name = str(call.json["call"])
        last = name.split()[-1]
        return Reply(
            body={"text": f"about {name}", "score": int(last) if last.isdecimal() else 0},
            delay=DELAY,
        )

    def counted(self) -> Counter[tuple[str, str]]:
        """How often each call was made, by the run's id and the call's name."""
        return Counter(key_of(call.json) for call in list(self.calls))

    def at_work(self, moment: float, allowance: float) -> set[tuple[str, str]]:
        """
        The calls that were going on at a moment, by ``time.time()``.

        :param allowance: seconds that it takes until an answer that was sent is kept.
        """
        return {key_of(call.json) for call in list(self.calls) if moment - DELAY - allowance <= call.at <= moment}

    def wait_for(self, number: int, *, timeout: float, check: Any) -> None:
        """Wait until so many calls have been made."""
        deadline = time.monotonic() + timeout
        while len(self.calls) < number:
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {len(self.calls)} of {number} calls after {timeout:.0f} s")
            time.sleep(0.05)


def key_of(body: Any) -> tuple[str, str]:
    """Run and name of a call, from what was sent."""
    return str(body["run"]), str(body["call"])

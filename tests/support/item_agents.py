"""Python agents for the items of a list; each call is noted in a file, so that calls in any process can be counted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from airflow_agentic.errors import FinalError, RetryableError

_lock = threading.Lock()
_at_work = 0


def note(folder: str, what: str) -> int:
    """Note a call; how many of its kind there have been."""
    path = Path(folder) / "calls"
    with _lock:
        with path.open("a") as file:
            file.write(f"{what}\n")
        return calls(folder)[what]


def calls(folder: str | Path) -> Counter[str]:
    """What was noted."""
    path = Path(folder) / "calls"
    return Counter(path.read_text().split("\n")[:-1] if path.exists() else [])


def double(value: int) -> int:
    """Twice the value; negative ones are refused, 13 is a bug."""
    if value < 0:
        raise FinalError("no negative numbers", kind="rejected")
    if value == 13:
        raise ValueError("unlucky")
    return value * 2


async def slowly(value: Any, seconds: float = 0.02) -> dict[str, Any]:
    """Give the value back after a while, and tell how many were at work meanwhile."""
    return await _among(value, seconds)


def blocking(value: Any, seconds: float = 0.02) -> dict[str, Any]:
    """The same, in a thread."""
    return asyncio.run(_among(value, seconds))


async def _among(value: Any, seconds: float) -> dict[str, Any]:
    global _at_work
    with _lock:
        _at_work += 1
        most = _at_work
    await asyncio.sleep(seconds)
    with _lock:
        most = max(most, _at_work)
        _at_work -= 1
    return {"value": value, "at_work": most}


def later(folder: str, value: int, retry_after: float = 1.0) -> int:
    """Odd values are unavailable in their first call, every fifth is refused."""
    number = note(folder, f"later {value}")
    if value % 5 == 0:
        raise FinalError("refused", kind="rejected")
    if value % 2 and number == 1:
        raise RetryableError("busy", kind="rate_limited", retry_after=retry_after)
    return value


def deadly(folder: str, value: int, others: int, number: int = signal.SIGTERM) -> int:
    """
    In their first calls, the values 3 and 4 hang, and 3 gets its process a signal when the others have long been done.

    :param others: how many there are.
    """
    times = note(folder, f"deadly {value}")
    if value in (3, 4) and times == 1:
        if value == 3:
            while len(calls(folder)) < others + 2:
                time.sleep(0.01)
            time.sleep(1.5)
            os.kill(os.getpid(), number)
        time.sleep(60)
    return value


def fatal(folder: str, value: int, others: int) -> int:
    """3 always gets its process killed, when the others have been called."""
    note(folder, f"fatal {value}")
    if value == 3:
        while len(calls(folder)) < others:
            time.sleep(0.01)
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def unavailable(**_: Any) -> Any:
    """Never there."""
    raise RetryableError("away", kind="unavailable")


def noted(folder: str, value: int) -> int:
    """Note the call, and give the value back; negative ones can't be had."""
    note(folder, str(value))
    if value < 0:
        raise RetryableError("not there", kind="unavailable")
    return value


def stand_in(value: Any = None) -> Any:
    """Somebody else's answer."""
    return {"instead": value}

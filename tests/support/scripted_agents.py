"""Python agents for tests: what they do is told by their input, what they were called with is kept in files."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any


def echo(value: Any = None) -> Any:
    """Give back what was given."""
    return value


def read(file: str) -> str:
    """What somebody has written into a file."""
    return Path(file).read_text(encoding="utf-8").strip()


def fail(message: str = "broken") -> Any:
    """Fail like any callable with a bug."""
    raise ValueError(message)


def fail_until(counter: str, succeed_at: int, value: Any = "done", retry_after: float | None = None) -> Any:
    """Fail as unavailable until the call of that number."""
    from airflow_agentic.errors import RetryableError

    if count(counter) < succeed_at:
        raise RetryableError("not yet", kind="unavailable", retry_after=retry_after)
    return value


def be_killed(counter: str) -> str:
    """The first call gets the process a SIGTERM and hangs; any other succeeds."""
    if count(counter) == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    return "survived"


def see_run(run: dict[str, Any]) -> dict[str, Any]:
    """Give back what the run looks like."""
    return json.loads(json.dumps(run))


def count(file: str) -> int:
    """How often this was called with that file."""
    path = Path(file)
    number = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(number))
    return number


def wait_once(started: str) -> str:
    """The first call says that it has begun, and does nothing; any other succeeds."""
    if count(started) == 1:
        time.sleep(600)
    return "done"

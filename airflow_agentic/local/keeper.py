"""
Keeps a few processes running for as long as somebody holds its standard input open, then ends all of them.

Whoever starts a private Airflow may be killed at any moment (Ctrl-C in a test run, a closed terminal). A pipe is
closed by the system however its owner ended, so no server is ever left behind. Airflow's tasks have process groups of
their own, so that signalling a server's group doesn't reach them: what is left is found by its session.

Run as ``python -m airflow_agentic.local.keeper SPECIFICATION``: a JSON file with ``grace`` (seconds between asking a
process to end and killing it) and ``processes``, a list of ``command`` and ``log``. Ends with 0 when it was asked to,
with 1 when one of its processes ended by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Any

_POLL = 0.25


def main(specification: Path) -> int:
    """Start the processes, wait until standard input is closed or one of them ends, end them all."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    spec: dict[str, Any] = json.loads(specification.read_text())
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(_start(process["command"], Path(process["log"])) for process in spec["processes"])
        return _wait(processes)
    finally:
        _end(processes, grace=float(spec["grace"]))


def _leave(*_: Any) -> None:
    raise SystemExit(0)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - what our own server.py wrote
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait(processes: list[subprocess.Popen[bytes]]) -> int:
    while all(process.poll() is None for process in processes):
        ready, _, _ = select([sys.stdin], [], [], _POLL)
        if ready and not os.read(sys.stdin.fileno(), 1024):
            return 0
    return 1


def _end(processes: list[subprocess.Popen[bytes]], *, grace: float) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions = {process.pid for process in processes}
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(0.05)
    for pid in _members(sessions):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.wait()


def _members(sessions: set[int]) -> list[int]:
    """The processes of these sessions: the servers, their workers and the tasks in them."""
    import psutil

    found = []
    for pid in psutil.pids():
        with suppress(OSError):
            if os.getsid(pid) in sessions:
                found.append(pid)
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

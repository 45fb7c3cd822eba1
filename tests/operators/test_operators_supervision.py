"""A task whose supervisor is gone stops."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_agentic.operators.supervision import supervised

if TYPE_CHECKING:
    from pathlib import Path

#: A supervisor that forks a task, which notes its own end.
SUPERVISOR = """
import asyncio, os, socket, sys, time
from pathlib import Path

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from airflow_agentic.operators.supervision import supervised

folder = Path(sys.argv[1])


async def task():
    me = asyncio.current_task()
    try:
        async with supervised(me.cancel):
            (folder / "working").touch()
            await asyncio.sleep(60)
    except asyncio.CancelledError:
        (folder / "stopped").touch()


if os.fork() == 0:
    ours, theirs = socket.socketpair()
    task_runner.SUPERVISOR_COMMS = CommsDecoder(socket=ours)
    asyncio.run(task())
    os._exit(0)
time.sleep(60)
"""


def wait_for(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.05)


def test_it_stops_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path)])
    try:
        wait_for(tmp_path / "working", 60)
        os.kill(supervisor.pid, signal.SIGKILL)
        wait_for(tmp_path / "stopped", 20)
    finally:
        supervisor.kill()
        supervisor.wait()


@pytest.mark.parametrize("comms", [None, object()])
def test_without_a_supervisor_of_its_own_nobody_is_looked_after(monkeypatch: pytest.MonkeyPatch, comms: object) -> None:
    """``dag.test`` answers its tasks in their own process, whose parent may be anybody."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    async def work() -> int:
        async with supervised(lambda: pytest.fail("it was told to stop")):
            return len(asyncio.all_tasks())

    assert asyncio.run(work()) == 1

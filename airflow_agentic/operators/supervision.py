"""
Whether Airflow's supervisor of a task is still there.

A task is a process that another one supervises. When that one is killed, the task goes on, and nobody knows: its
heartbeats have ended, so Airflow gives it up and tries it again, while what it still pays for can't be kept. So a task
that has lost its supervisor stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = logging.getLogger(__name__)

#: Seconds between two looks.
_INTERVAL = 0.5


@contextlib.asynccontextmanager
async def supervised(stop: Callable[[], None]) -> AsyncIterator[None]:
    """
    Look after the supervisor while something is done.

    :param stop: called once the supervisor is gone.
    """
    if not _is_forked():
        yield
        return
    watching = asyncio.create_task(_watch(os.getppid(), stop))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(supervisor: int, stop: Callable[[], None]) -> None:
    while os.getppid() == supervisor:
        await asyncio.sleep(_INTERVAL)
    log.error("Airflow's supervisor of this task is gone, so the task stops.")
    stop()


def _is_forked() -> bool:
    """Whether the supervisor is another process, and not this one (``dag.test``)."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    return isinstance(getattr(task_runner, "SUPERVISOR_COMMS", None), CommsDecoder)

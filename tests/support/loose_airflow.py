"""A real Airflow of which single processes can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
from support.airflow_env import AirflowEnv

if TYPE_CHECKING:
    from pathlib import Path

#: What is looked after as elsewhere.
_KEPT = ("api-server", "dag-processor")


class LooseAirflow(AirflowEnv):
    """An Airflow whose scheduler and triggerer are nobody's children: nothing ends when they do."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, components=_KEPT, **more)
        self._loose: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._server.start()
        self.begin("scheduler")
        self._server.wait_until_ready()

    def stop(self) -> None:
        """End all of its processes, those that were left behind too."""
        for pid in self._members(self._sessions):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._loose.values():
            process.wait()
        super().stop()

    def begin(self, component: str) -> None:
        """Start a process (once more)."""
        log = (self.home / "servers" / f"loose-{component}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "airflow", component, "--skip-serve-logs"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._server.folder,
                env=self._server._environment,
                start_new_session=True,
            )
        self._loose[component] = process
        self._sessions.add(process.pid)

    def kill(self, component: str) -> None:
        """Kill a process, and leave what it has started alone."""
        process = self._loose[component]
        process.kill()
        process.wait()

    def kill_all_of(self, component: str) -> None:
        """Kill a process and everything that it has started, as the end of its machine does."""
        process = self._loose[component]
        for pid in self._members({process.pid}):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def is_healthy(self, component: str) -> bool:
        """Whether the process that was started last reports to the api-server."""
        return bool(self.rest.health().get(component, {}).get("status") == "healthy")

    @staticmethod
    def _members(sessions: set[int]) -> list[int]:
        found = []
        for pid in psutil.pids():
            with suppress(OSError):
                if os.getsid(pid) in sessions:
                    found.append(pid)
        return found

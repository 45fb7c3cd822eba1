"""A Redis of a test's own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = "there is no redis-server; Debian and Ubuntu: apt-get install redis-server"


def redis_binary() -> str | None:
    """The server's program, if it is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Start it; gives its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with (folder / "redis.log").open("w") as log:
        server = subprocess.Popen([str(redis_binary()), *arguments], stdout=log, stderr=log)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

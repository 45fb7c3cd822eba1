"""A Python agent that takes as long as a test wants."""

from __future__ import annotations

import time
from pathlib import Path


def wait_for(file: str, seconds: float = 60.0) -> bool:
    """Wait until a file is there."""
    deadline = time.monotonic() + seconds
    while not Path(file).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(file)
        time.sleep(0.05)
    return True

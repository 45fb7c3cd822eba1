"""A terminal with somebody at it: what is typed when which text has appeared."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from select import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.command_line import CommandLine

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def call_on_terminal(
    shell: CommandLine, *arguments: str, typed: Sequence[tuple[str, str]], timeout: float = 120.0
) -> tuple[int, str]:
    """
    Run ``airflow-agentic`` on a terminal.

    :param typed: in this order, ``(text that has appeared, what is typed then)``.
    :returns: the exit code, and all that appeared, without the codes that move the cursor.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "airflow_agentic.cli.main", *arguments],
        cwd=shell.folder,
        env=shell.environment(TERM="xterm"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        shown = _type(master, list(typed), time.monotonic() + timeout)
        return process.wait(timeout=10), shown
    finally:
        process.kill()
        os.close(master)


def _type(master: int, typed: list[tuple[str, str]], deadline: float) -> str:
    shown, seen = "", 0
    while time.monotonic() < deadline:
        ready, _, _ = select([master], [], [], 0.5)
        try:
            shown += os.read(master, 65536).decode(errors="replace") if ready else ""
        except OSError:  # the other end is closed: the command has ended
            break
        if typed and typed[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(master, typed.pop(0)[1].encode())
    return _ESCAPES.sub("", shown).replace("\r", "")

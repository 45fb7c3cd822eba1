"""Call ``airflow-agentic`` as a user does: in a process of its own, with nothing configured, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.local.settings import clean_environment

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as JSON; fails when there is anything else on it."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """
    A user's shell.

    :param folder: where it is; ``home`` in it is the user's home.
    """

    folder: Path

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.folder / "home"

    def environment(self, **more: str) -> dict[str, str]:
        """What the user's processes see."""
        cache = os.environ["XDG_CACHE_HOME"]
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        own = {"HOME": str(self.home), "XDG_CACHE_HOME": cache, "TMPDIR": str(temporary), "COLUMNS": "120"}
        return {**clean_environment(os.environ), **own, **more}

    def start(
        self, *arguments: str, module: str = "airflow_agentic.cli.main", **environment: str
    ) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, **options: str) -> Ended:
        """Run a command to its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=180)
        return Ended(code=process.returncode, out=out, err=err)

    def temporary_files(self) -> list[str]:
        """What commands left in the folder for temporary files."""
        return sorted(entry.name for entry in (self.folder / "tmp").iterdir())

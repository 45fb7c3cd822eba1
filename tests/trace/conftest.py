"""Where the runs of these tests leave what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run_folder(tmp_path: Path, metadata_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for templates, traces and artifacts; the metadata database is there."""
    from support.agreement import environment

    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path

"""Where the runs of these tests leave what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def flow_folder(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> Path:
    """A folder for templates, traces and artifacts; the metadata database is there."""
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(autouse=True)
def _environment(flow_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of these tests, which other tests in the same process must not see."""
    from support.agreement import environment

    for name, value in environment(flow_folder).items():
        monkeypatch.setenv(name, value)

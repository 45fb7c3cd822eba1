"""Where the runs of these tests leave what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def flow_folder(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> Iterator[Path]:
    """A folder for templates, traces and artifacts; the metadata database is there."""
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("flow")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        yield folder

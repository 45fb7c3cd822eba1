"""The runs whose pages are looked at: made once, by really running their templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_agentic.trace.document import Trace


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> Iterator[Path]:
    """A folder for templates, traces and artifacts."""
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="session")
def brief(runs_folder: Path) -> Trace:
    """A run with a loop, 30 items, retries, a stand-in, a person's answer, tools and an artifact."""
    from support import shown_runs

    return shown_runs.brief(runs_folder)


@pytest.fixture(scope="session")
def refused(runs_folder: Path) -> Trace:
    """A run that failed."""
    from support import shown_runs

    return shown_runs.refused(runs_folder)


@pytest.fixture(scope="session")
def ledger(runs_folder: Path) -> Trace:
    """A run of 1,000 items."""
    from support import shown_runs

    return shown_runs.ledger(runs_folder)

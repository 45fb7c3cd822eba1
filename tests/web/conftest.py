"""Airflow's api-server in this process, with all of its parts, and people who may see this or that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.web import Web, a_run, web_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.scheduling import ScriptedRun


@pytest.fixture(scope="session")
def web(metadata_database: Path) -> Iterator[Web]:
    """The api-server."""
    with web_app() as app:
        yield Web(app)


@pytest.fixture(scope="module")
def run(
    metadata_database: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ScriptedRun]:
    """A run of a template of the module's own, that left its records where the api-server looks for them."""
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        yield a_run(folder, request.module.__name__.replace("test_web", "shown"))

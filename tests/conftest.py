"""
What all tests share: a private Airflow configuration, and the fixtures that start a real Airflow.

This module is imported before any test, so that Airflow, once imported, never sees the user's own configuration.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from airflow_agentic.local.database import new_database
from airflow_agentic.local.inprocess import throw_away_environment
from airflow_agentic.local.rest import RestError
from airflow_agentic.local.settings import without_airflow

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from support.airflow_env import AirflowEnv

TESTS = Path(__file__).parent
PROJECT = TESTS.parent

sys.path.insert(0, str(TESTS))
settings.register_profile("shared", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("shared"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "shared")

_begun: set[Path] = set()
_folder = tempfile.TemporaryDirectory(prefix="airflow-agentic-tests-")


def _isolate(folder: Path) -> None:
    """Point everything that Airflow or this package would read or write to a folder of this process."""
    kept = without_airflow(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(throw_away_environment(folder))
    os.environ["AIRFLOW_HOME"] = str(folder)
    os.environ["XDG_CACHE_HOME"] = str(PROJECT / ".test" / "cache")


_isolate(Path(_folder.name))
# what a shell started in its background ignores Ctrl-C, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of the real Airflow, and one all of ``dag.test``: each pays its start once."""
    for item in items:
        for group in ("airflow", "run_dag"):
            if group in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the garbage collector forget what earlier modules made: with all of Airflow in memory it doubles times."""
    if item.path not in _begun:
        _begun.add(item.path)
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where Airflow's REST API failed a test: what Airflow said meanwhile."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(RestError):
        from support.airflow_env import AirflowEnv

        servers = [value for value in item.funcargs.values() if isinstance(value, AirflowEnv)]
        report.sections += [("Airflow's processes", server.last_words()) for server in servers]
    return report


def pytest_unconfigure() -> None:
    """Remove this process's folder."""
    _folder.cleanup()


@pytest.fixture(scope="session")
def metadata_database() -> Path:
    """A migrated metadata database, which Airflow in this process uses."""
    database = Path(_folder.name, "airflow.db")
    new_database(database)
    return database


@pytest.fixture(scope="session")
def run_dag(metadata_database: Path) -> Callable[[DAG, dict[str, Any]], DagRun]:
    """Run a DAG to its end in this process (``dag.test``): ``run_dag(dag, conf)`` gives the ended run."""
    from airflow_agentic.local.inprocess import run_dag

    return run_dag


@pytest.fixture(scope="session")
def airflow_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowEnv]:
    """The session's real Airflow, ready."""
    from support.airflow_env import AirflowEnv

    environment = AirflowEnv(tmp_path_factory.mktemp("airflow"), source_roots=PROJECT)
    try:
        environment.start()
        yield environment
    finally:
        environment.stop()


@pytest.fixture
def airflow(airflow_env: AirflowEnv) -> Iterator[AirflowEnv]:
    """The session's real Airflow; what a test put into its folders is removed after it."""
    yield airflow_env
    airflow_env.clear()

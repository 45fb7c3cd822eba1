"""
Metadata databases (SQLite) for private Airflows.

Creating one costs five seconds, copying one nothing, so each version of Airflow gets one migrated database in the
user's cache folder, made by whoever needs it first.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.errors import ConfigError
from airflow_agentic.local.settings import without_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds.
_LOCK_TIMEOUT = 60
_INITIALIZE = "from airflow.utils.db import initdb; initdb()"


def cache_folder() -> Path:
    """Where this package keeps what it can make again: ``airflow-agentic`` in ``XDG_CACHE_HOME``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "airflow-agentic")


def new_database(target: Path) -> None:
    """
    Write a migrated, empty metadata database.

    Any number of processes may do this at once, also the first time.

    :param target: the file; its folder exists, it doesn't.
    :raises ConfigError: Airflow couldn't create it.
    """
    try:
        source = _migrated_database(cache_folder())
    except (OSError, RuntimeError):  # no home, or a read-only one: then without a cache
        _create(target)
        return
    shutil.copyfile(source, target)


def migrate(database: Path) -> None:
    """
    Bring an existing metadata database to the installed Airflow's version.

    :raises ConfigError: Airflow couldn't.
    """
    _initialize(database)


def database_url(file: Path) -> str:
    """
    The SQLAlchemy URL of an SQLite file.

    Airflow's processes wait for each other's writes; the default of 5 s is not enough on a busy machine, and ends in
    “database is locked”.
    """
    return f"sqlite:///{file}?timeout={_LOCK_TIMEOUT}"


def _migrated_database(cache: Path) -> Path:
    """The cached database of the installed Airflow, created when it is missing."""
    target = cache / f"metadata-{version('apache-airflow-core')}.db"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.exists():
            _create(target)
    return target


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _create(target: Path) -> None:
    """Create the database beside its target and rename it, so that no half of one is ever seen."""
    with tempfile.TemporaryDirectory(prefix="airflow-agentic-", dir=target.parent) as folder:
        draft = Path(folder, "airflow.db")
        _initialize(draft)
        _flush(draft)
        draft.rename(target)


def _flush(database: Path) -> None:
    """Move what is still in SQLite's write-ahead log into the file itself, which is all that is copied."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _initialize(database: Path) -> None:
    home = database.parent
    environment = {
        **without_airflow(os.environ),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(database),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [sys.executable, "-c", _INITIALIZE]
    done = subprocess.run(  # noqa: S603 - a constant
        command, env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"Airflow could not create its metadata database {database}:\n{done.stderr[-2000:]}")

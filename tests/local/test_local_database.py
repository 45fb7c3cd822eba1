"""Metadata databases: made once for each version of Airflow, by whoever is first."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

from airflow_agentic.local.database import migrate, new_database

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _tables(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def _start(target: Path, cache: Path) -> subprocess.Popen[str]:
    code = "import sys; from pathlib import Path; from airflow_agentic.local.database import new_database as new; "
    return subprocess.Popen(
        [sys.executable, "-c", f"{code} new(Path(sys.argv[1]))", str(target)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_first_runs_at_once_make_one_database(tmp_path: Path) -> None:
    targets = [tmp_path / f"{number}.db" for number in range(4)]
    for process in [_start(target, tmp_path / "cache") for target in targets]:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for target in targets:
        assert {"dag_run", "task_instance", "serialized_dag"} <= _tables(target)
    names = sorted(entry.suffix for entry in (tmp_path / "cache" / "airflow-agentic").iterdir())
    assert names == [".db", ".lock"]


def test_a_cache_that_cant_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    new_database(tmp_path / "new.db")
    assert "dag_run" in _tables(tmp_path / "new.db")


def test_migrating_keeps_what_is_there(tmp_path: Path) -> None:
    database = tmp_path / "kept.db"
    new_database(database)
    with sqlite3.connect(database) as connection:
        columns = "conn_id, conn_type, is_encrypted, is_extra_encrypted"
        connection.execute(f"insert into connection ({columns}) values ('mine', 'http', 0, 0)")
    connection.close()
    migrate(database)
    with sqlite3.connect(database) as connection:
        assert connection.execute("select conn_type from connection where conn_id = 'mine'").fetchall() == [("http",)]

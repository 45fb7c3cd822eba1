"""The private Airflow of the demo and the tests: does it run DAGs, and does it leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_agentic.local.rest import RestError

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

DAG_FILE = """
from airflow.sdk import DAG, task

with DAG("server_check") as dag:

    @task
    def double(params):
        return params.get("number", 0) * 2

    @task
    def fail_if_odd(number):
        if number % 4:
            raise ValueError("not a multiple of four")

    fail_if_odd(double())
"""


def test_runs_are_triggered_followed_and_read(airflow: AirflowEnv) -> None:
    airflow.put_dag_file("server_check.py", DAG_FILE)
    good = airflow.run("server_check", {"number": 4})
    assert good.state == "success", str(good)
    assert airflow.rest.xcom("server_check", good.run_id, "double") == 8
    bad = airflow.run("server_check", {"number": 3})
    assert bad.tasks == {"double": "success", "fail_if_odd": "failed"}
    assert "not a multiple of four" in bad.logs


def test_a_run_is_started_once(airflow: AirflowEnv) -> None:
    airflow.put_dag_file("server_once.py", DAG_FILE.replace("server_check", "server_once"))
    airflow.wait_for_dag("server_once")
    run_id = airflow.rest.trigger("server_once")
    with pytest.raises(RestError) as caught:
        airflow.rest.trigger("server_once", run_id=run_id)
    assert caught.value.status == 409


def test_a_broken_file_is_an_import_error_and_goes_with_the_file(airflow: AirflowEnv) -> None:
    file = airflow.put_dag_file(
        "broken_check.py", "from airflow.sdk import DAG\nraise RuntimeError('broken on purpose')\n"
    )
    assert "broken on purpose" in airflow.wait_for_import_error("broken_check.py")
    file.unlink()
    airflow.wait_until(lambda: not airflow.rest.import_errors(), what="end of the import error", timeout=60)


def _keeper(folder: Path, *scripts: str) -> tuple[str, Path]:
    """A specification whose processes write their ids to a file, as JSON text."""
    ids = folder / "ids"
    commands = [[sys.executable, "-c", textwrap.dedent(script), str(ids)] for script in scripts]
    processes = [{"command": command, "log": str(folder / "log")} for command in commands]
    specification = folder / "processes.json"
    specification.write_text(json.dumps({"grace": 0.5, "processes": processes}))
    return str(specification), ids


TREE = """
    import os, signal, subprocess, sys, time
    from pathlib import Path
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        time.sleep(600)
    Path(sys.argv[1]).write_text(f"{os.getpid()} {child}")
    time.sleep(600)
"""


def _start_keeper(specification: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "airflow_agentic.local.keeper", specification], stdin=subprocess.PIPE
    )


def _read_ids(file: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while not file.exists() or len(file.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(part) for part in file.read_text().split()]


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_the_keeper_ends_whole_trees_when_its_owner_is_killed(tmp_path: Path) -> None:
    specification, ids = _keeper(tmp_path, TREE)
    keeper = [sys.executable, "-m", "airflow_agentic.local.keeper", specification]
    command = f"import subprocess, time; subprocess.Popen({keeper!r}, stdin=subprocess.PIPE); time.sleep(600)"
    owner = subprocess.Popen([sys.executable, "-c", command])
    pids = _read_ids(ids)
    assert _alive(pids) == pids
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 15
    while _alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pids)


def test_the_keeper_ends_all_when_one_ends(tmp_path: Path) -> None:
    specification, ids = _keeper(tmp_path, TREE, "import time; time.sleep(1.5)")
    keeper = _start_keeper(specification)
    pids = _read_ids(ids)
    assert keeper.wait(timeout=15) == 1
    assert not _alive(pids)


def test_the_keeper_obeys_a_signal(tmp_path: Path) -> None:
    specification, ids = _keeper(tmp_path, TREE)
    keeper = _start_keeper(specification)
    pids = _read_ids(ids)
    os.kill(keeper.pid, signal.SIGTERM)
    assert keeper.wait(timeout=15) == 0
    assert not _alive(pids)

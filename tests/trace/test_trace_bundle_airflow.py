"""A run of the real Airflow, exported by Airflow's own command line, and verified without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from support.clearing import clear

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

NAME = "audited"
TEMPLATE = """\
version: 1
name: audited
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
stages:
  draft: {agent: echo, input: {value: "Tea is a drink."}}
  last: {agent: echo, input: {value: "{{ draft }}"}}
output: {text: "{{ last }}"}
artifact: {path: "audited/{{ run.id | slug }}.md", content: "# Tea\\n\\n{{ last }}\\n"}
"""


def called(folder: Path, environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def kept_seal(airflow: AirflowEnv, run_id: str) -> str:
    """What Airflow keeps of the seal, apart from the records."""
    path = f"/dags/{NAME}/dagRuns/{quote(run_id)}/taskInstances/run__finish/xcomEntries/seal"
    return str(airflow.rest.call("GET", path, deserialize="true")["value"])


def test_a_run_of_airflow_is_exported_and_verified(airflow: AirflowEnv, tmp_path: Path) -> None:
    airflow.put_template(f"{NAME}.yaml", TEMPLATE)
    run = airflow.run(NAME)
    assert run.state == "success", run
    first = kept_seal(airflow, run.run_id)
    assert first in airflow.rest.log(NAME, run.run_id, "run__finish", 1)
    clear(airflow, NAME, run.run_id, "last")
    assert airflow.finish(NAME, run.run_id).state == "success"
    seal = kept_seal(airflow, run.run_id)
    assert seal != first

    inside = airflow._server._environment
    exported = called(tmp_path, inside, "airflow", "agentic", "export", NAME, run.run_id, "-o", "run.zip")
    assert exported.returncode == 0, exported.stderr
    assert f"seal {seal}" in exported.stdout
    again = called(tmp_path, inside, "airflow", "agentic", "export", NAME, run.run_id, "-o", "again.zip")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "run.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()

    outside = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    own = ("airflow_agentic.cli.main", "verify", "run.zip", "--json", "--seal")
    verified = called(tmp_path, outside, *own, seal)
    assert verified.returncode == 0, verified.stdout
    found = json.loads(verified.stdout)
    assert (found["state"], found["findings"], found["run_id"]) == ("intact", [], run.run_id)
    assert called(tmp_path, outside, *own, first).returncode == 1
    stored = called(tmp_path, inside, "airflow", "agentic", "verify", NAME, run.run_id, "--seal", seal)
    assert stored.returncode == 0, stored.stdout

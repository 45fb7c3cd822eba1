"""The demo, as ``make demo ONCE=1`` runs it: a real Airflow from nothing to the brief, and to nothing again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from airflow_agentic.local.settings import clean_environment

PROJECT = Path(__file__).parents[1]


@pytest.mark.xdist_group("airflow")  # one Airflow at a time is enough for a small machine
def test_the_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ran = subprocess.run(
        [sys.executable, "-P", PROJECT / "scripts" / "demo.py", "--once", "--folder", folder],
        env=clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Airflow's UI: http://127.0.0.1:" in ran.stdout
    assert "qa (round 1.1): skipped" in ran.stdout  # the sources: back to research
    assert "qa (round 2.2): success" in ran.stdout  # the score: back to the draft
    assert "# Retries in Airflow" in ran.stdout
    assert "verified_brief success in" in ran.stdout
    assert (
        (folder / "artifacts" / "briefs" / "retries-in-airflow-verified.md")
        .read_text()
        .startswith("# Retries in Airflow")
    )
    left = [process.pid for process in psutil.process_iter() if str(folder) in _environment(process)]
    assert left == []


def _environment(process: psutil.Process) -> str:
    try:
        return process.environ().get("AIRFLOW_HOME", "")
    except psutil.Error:
        return ""

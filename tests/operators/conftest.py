"""Runs of templates with records and artifacts in the test's own folder."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.template_runs import Ran, plan_of, run_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def run_template(
    run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Ran]]:
    """``run_template(text, **inputs)`` runs a template whose version and name are filled in."""
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path / "trace"))
    monkeypatch.setenv("AIRFLOW__AGENTIC__ARTIFACT_URL", str(tmp_path / "artifacts"))
    name = re.sub(r"\W+", "_", request.node.name)

    def run(text: str, **conf: Any) -> Ran:
        return run_plan(plan_of(f"version: 1\nname: {name}\n{text}", tmp_path / "template.yaml"), run_dag, conf)

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    # a task leaves its own handler behind
    signal.signal(signal.SIGTERM, handler)

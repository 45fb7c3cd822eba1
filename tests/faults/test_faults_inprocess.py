"""Runs against a server of which 30 % of the replies are faulty: they end well, and every call is in a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.fault_runs import KEYS, TEMPLATE, check, name_of
from support.fault_server import FAULTS, FaultServer
from support.template_runs import plan_of, run_plan

from airflow_agentic.trace.record import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("pydantic_ai")


def connect(monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> None:
    api = {"conn_type": "http", "host": "127.0.0.1", "port": server.port}
    monkeypatch.setenv("AIRFLOW_CONN_FAULTY_API", json.dumps(api))
    model = {
        "conn_type": "pydanticai",
        "host": f"{server.url}/v1",
        "password": "k",
        "extra": {"model": "openai-chat:m"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_FAULTY_MODEL", json.dumps(model))


def test_runs_end_well_and_every_call_is_in_a_record(
    tmp_path: Path, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: dict[str, list[AttemptRecord]] = {}
    with FaultServer(seed=4, slow=2.5, keys=KEYS) as server:
        connect(monkeypatch, server)
        text = TEMPLATE.format(url=server.url, timeout="2s", items_per_task=3)
        plan = plan_of(text, tmp_path / "faulty_inprocess.yaml")
        with server.outages(every=0.7, seconds=0.1):
            for number in range(4):
                ran = run_plan(plan, run_dag, {"name": name_of(number)})
                assert ran.state == "success", ran.trace.error
                assert ran.output() == {"key": f"{name_of(number)}/publish", "checked": 3}
                runs[name_of(number)] = ran.records(AttemptRecord)
    counts = check(server.log, runs)
    assert counts["answered"] == 4 * 12
    assert set(FAULTS) <= set(counts), "every fault was among them"

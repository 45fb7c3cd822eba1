"""How a part of Airflow is, as a health check asks."""

from __future__ import annotations

import pytest
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.deploy import health

_TOLD = {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}, "triggerer": {"status": None}}


@pytest.mark.parametrize(
    ("part", "code", "status"),
    [
        ("metadatabase", 0, "healthy"),
        ("scheduler", 1, "unhealthy"),
        ("triggerer", 1, "None"),
        ("dag_processor", 1, "None"),
    ],
)
def test_what_the_server_tells(
    part: str, code: int, status: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedServer(Reply(body=_TOLD)) as server:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"{server.url}/execution/")
        assert health.main([part]) == code
        assert server.calls[0].path == "/api/v2/monitor/health"
    assert capsys.readouterr().out == f"{part}: {status}\n"


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(body="<html>"), Reply(hang_up=True)])
def test_a_server_that_is_not_well(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(reply) as server:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"{server.url}/execution/")
        assert health.main(["scheduler"]) == 1


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:9/execution/")
    assert health.main(["scheduler"]) == 1


@pytest.mark.parametrize("arguments", [[], ["worker"], ["scheduler", "triggerer"]])
def test_it_has_to_be_told_what_to_look_at(arguments: list[str]) -> None:
    assert health.main(arguments) == 2


def test_it_has_to_be_told_where_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", raising=False)
    assert health.main(["scheduler"]) == 2

"""Where facts are from: whom the command line asks, and what it says when nobody answers."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from support.records import RUN, attempt
from support.scripted_server import Call, Reply, ScriptedServer

from airflow_agentic.cli.facts import facts_source
from airflow_agentic.cli.main import main
from airflow_agentic.errors import ConfigError, TraceError
from airflow_agentic.trace.facts_source import from_database, from_rest, records_only
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RUN = {
    "state": "failed",
    "run_type": "manual",
    "triggering_user_name": "ada",
    **dict.fromkeys(("logical_date", "run_after", "queued_at", "start_date"), "2026-01-01T00:00:00Z"),
    "end_date": None,
}


class Server(ScriptedServer):
    """An Airflow with one run of no tasks; or none, or one that refuses."""

    run: dict[str, Any] | None = _RUN
    status = 200

    def reply_to(self, call: Call) -> Reply:
        if self.status != 200:
            return Reply(status=self.status, body={"detail": "no"})
        if call.path == "/auth/token":
            return Reply(body={"access_token": "t"})
        if call.path.startswith("/api/v2/version"):
            return Reply(body={"version": "3"})
        if "taskInstances" in call.path:
            return Reply(body={"task_instances": [], "total_entries": 0})
        return Reply(body=self.run) if self.run is not None else Reply(status=404, body={"detail": "no such run"})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_AGENTIC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_AGENTIC_TOKEN", "from-elsewhere")


def test_nobody_is_asked_but_inside_of_airflow_or_where_one_is_named(server: Server) -> None:
    assert facts_source(argparse.Namespace(airflow=None, inside_airflow=False)) is records_only
    assert facts_source(argparse.Namespace(airflow=None, inside_airflow=True)) is from_database
    named = facts_source(argparse.Namespace(airflow=server.url, inside_airflow=True))("a", "b")
    assert named is not None
    assert named.by == "ada"


def test_a_token_is_used_as_it_is(server: Server) -> None:
    from_rest(f"{server.url}/")("a", "b")
    assert {call.headers["authorization"] for call in server.calls} == {"Bearer from-elsewhere"}


def test_a_user_and_a_password_get_a_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_AGENTIC_TOKEN")
    with pytest.raises(ConfigError, match="set AIRFLOW_AGENTIC_TOKEN, or AIRFLOW_AGENTIC_USER and"):
        from_rest(server.url)
    monkeypatch.setenv("AIRFLOW_AGENTIC_USER", "ada")
    monkeypatch.setenv("AIRFLOW_AGENTIC_PASSWORD", "secret")
    from_rest(server.url)("a", "b")
    assert server.calls[0].path == "/auth/token"
    assert server.calls[1].headers["authorization"] == "Bearer t"


def test_a_run_that_airflow_does_not_know_is_told_from_its_records(server: Server, metadata_database: Path) -> None:
    server.run = None
    assert from_rest(server.url)("a", "b") is None
    assert from_database("a", "b") is None


@pytest.mark.parametrize(
    ("status", "told"), [(401, "refuses this user.*"), (403, "refuses this user.*"), (404, "doesn't answer")]
)
def test_what_is_no_airflow_or_refuses_is_an_error(server: Server, status: int, told: str) -> None:
    server.status = status
    with pytest.raises(TraceError, match=rf"{told}: GET .*{status}"):
        from_rest(server.url)("a", "b")


def test_an_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="begins with http"):
        from_rest("localhost:8080")


def test_the_command_asks(server: Server, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    TraceStore(str(tmp_path)).write(attempt())
    command = ["trace", RUN.dag_id, RUN.run_id, "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is False
    assert main([*command, "--airflow", server.url]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["state"], told["triggered"]["by"]) == (True, "failed", "ada")

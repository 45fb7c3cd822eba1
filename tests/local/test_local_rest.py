"""The REST client: what it makes of what a server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.local import rest
from airflow_agentic.local.rest import RestClient, RestError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = Reply(status=201, body={"access_token": "t0ken"})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_AGAIN", (0.01, 0.01))
    monkeypatch.setattr(rest, "_POLL", 0.01)


def _client(server: ScriptedServer) -> RestClient:
    return RestClient(server.url, user="admin", password="secret")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    return


@pytest.mark.usefixtures("proxied")
def test_it_logs_in_once_and_past_any_proxy() -> None:
    with ScriptedServer(TOKEN, Reply(body={"dag_run_id": "r 1"}), Reply(body={"state": "success"})) as server:
        client = _client(server)
        assert client.trigger("d", {"a": 1}, run_id="r 1") == "r 1"
        assert client.run("d", "r 1/+") == {"state": "success"}
    login, trigger, run = server.calls
    assert login.json == {"username": "admin", "password": "secret"}
    assert trigger.path == "/api/v2/dags/d/dagRuns"
    assert trigger.json == {"dag_run_id": "r 1", "logical_date": None, "conf": {"a": 1}}
    assert run.path == "/api/v2/dags/d/dagRuns/r%201%2F%2B"
    assert trigger.headers["authorization"] == run.headers["authorization"] == "Bearer t0ken"


def test_a_question_is_asked_again_when_the_server_fails() -> None:
    with ScriptedServer(TOKEN, Reply(status=500), Reply(hang_up=True), Reply(body={"is_stale": False})) as server:
        assert _client(server).has_dag("d")
    assert len(server.calls) == 4


def test_task_instances_come_in_pages() -> None:
    pages = [{"task_instances": [{"task_id": name}], "total_entries": 2} for name in ("a", "b")]
    with ScriptedServer(TOKEN, *(Reply(body=page) for page in pages)) as server:
        found = _client(server).task_instances("d", "r")
    assert [instance["task_id"] for instance in found] == ["a", "b"]
    assert [call.path.partition("?")[2].split("&")[1] for call in server.calls[1:]] == ["offset=0", "offset=1"]


def test_what_would_change_something_is_asked_once() -> None:
    busy = ScriptedServer(TOKEN, Reply(status=503, body="busy"))
    with busy as server, pytest.raises(RestError, match="503 busy") as caught:
        _client(server).call("PATCH", "/dags/d", {"is_paused": True})
    assert caught.value.status == 503
    assert len(server.calls) == 2


TAKEN = Reply(status=409, body="there is one")


@pytest.mark.parametrize("lost", [Reply(hang_up=True), Reply(delay=0.5), Reply(status=500)])
@pytest.mark.parametrize("then", [Reply(body={}), TAKEN])
def test_a_run_whose_start_got_no_answer_is_started_once(
    monkeypatch: pytest.MonkeyPatch, lost: Reply, then: Reply
) -> None:
    monkeypatch.setattr(rest, "_TIMEOUT", 0.2)
    with ScriptedServer(TOKEN, lost, then) as server:
        run_id = _client(server).trigger("d")
    assert [call.json["dag_run_id"] for call in server.calls[1:]] == [run_id, run_id]


def test_a_run_that_somebody_else_has_started_is_no_success() -> None:
    with ScriptedServer(TOKEN, TAKEN) as server, pytest.raises(RestError, match="409 there is one"):
        _client(server).trigger("d", run_id="r")
    assert len(server.calls) == 2


def test_runs_have_ids_of_their_own() -> None:
    with ScriptedServer(TOKEN, Reply(body={})) as server:
        client = _client(server)
        assert len({client.trigger("d") for _ in range(20)}) == 20


def test_what_never_gets_an_answer_ends() -> None:
    with ScriptedServer(TOKEN, Reply(hang_up=True)) as server, pytest.raises(RestError) as caught:
        _client(server).once("PATCH", "/x")
    assert caught.value.status == 0
    assert len(server.calls) == 4


def test_a_dag_that_isnt_there_or_no_longer() -> None:
    with ScriptedServer(TOKEN, Reply(status=404), Reply(body={"is_stale": True}), Reply(status=403)) as server:
        client = _client(server)
        assert not client.has_dag("d")
        assert not client.has_dag("d")
        with pytest.raises(RestError, match="403"):
            client.has_dag("d")


def test_no_server_and_no_json() -> None:
    with ScriptedServer(TOKEN, Reply(body="<html>")) as server:
        client = _client(server)
        with pytest.raises(RestError, match="not JSON"):
            client.import_errors()
    with pytest.raises(RestError, match="refused"):
        client.health()


def test_waiting_for_a_run_ends_with_it_or_with_the_timeout() -> None:
    states = [Reply(body={"state": state}) for state in ("queued", "running", "failed", "running")]
    seen: list[int] = []
    with ScriptedServer(TOKEN, *states) as server:
        client = _client(server)
        assert client.wait_for_run("d", "r", timeout=10, on_wait=lambda: seen.append(1)) == "failed"
        assert len(seen) == 3
        with pytest.raises(RestError, match="still running after 0 s"):
            client.wait_for_run("d", "r", timeout=0)


def test_a_log_is_text() -> None:
    content = [
        {"event": "::group::"},
        {"timestamp": "12:00", "event": "boom", "level": "error", "error": "no"},
        "plain",
    ]
    with ScriptedServer(TOKEN, Reply(body={"content": content})) as server:
        assert _client(server).log("d", "r", "t") == "::group::\n12:00 boom {'error': 'no'}\nplain"

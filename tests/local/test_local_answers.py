"""The tests' own people: an answer whose reply was lost is given once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.people import answer
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.local import rest
from airflow_agentic.local.rest import RestClient, RestError

TOKEN = Reply(status=201, body={"access_token": "t0ken"})
GIVEN = {"chosen_options": ["Yes"], "response_received": True}


@dataclass
class Server:
    """As much of a real Airflow as people ask for."""

    rest: RestClient


def _answered(monkeypatch: pytest.MonkeyPatch, *replies: Reply) -> tuple[object, list[str]]:
    monkeypatch.setattr(rest, "_AGAIN", (0.01, 0.01))
    with ScriptedServer(TOKEN, *replies) as server:
        airflow = Server(RestClient(server.url, user="admin", password="secret"))
        taken = answer(airflow, "d", "r", "ask", "Yes")  # type: ignore[arg-type]
    return taken, [call.method for call in server.calls[1:]]


def test_an_answer_that_was_taken_isnt_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = (Reply(hang_up=True), Reply(status=409), Reply(body=GIVEN))
    assert _answered(monkeypatch, *replies) == (GIVEN, ["PATCH", "PATCH", "GET"])


def test_an_answer_that_was_lost_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _answered(monkeypatch, Reply(hang_up=True), Reply(body=GIVEN)) == (GIVEN, ["PATCH", "PATCH"])


def test_a_question_that_somebody_else_has_answered_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RestError, match="409"):
        _answered(monkeypatch, Reply(status=409))

"""What exceptions of the usual clients mean, raised by callables and tools against real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.client_agents import CLIENTS
from support.openai_server import OpenAIServer, calls
from support.requests import attempt_all, free_port, make_request, run_once
from support.scripted_server import Reply, ScriptedServer, retry_after_date, retry_after_seconds
from support.tls import untrusted_context

from airflow_agentic.agents.foreign_errors import meaning_of
from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

if TYPE_CHECKING:
    from pathlib import Path

#: urllib3 leaves judging a status to its caller
JUDGING = [client for client in CLIENTS if client != "with_urllib3"]
SDKS = ["with_openai", "with_anthropic"]


def error_of(client: str, **values: Any) -> AttemptError:
    agent = make_agent({"type": "python", "callable": f"support.client_agents:{client}"})
    with pytest.raises(AttemptError) as caught:
        run_once(agent, make_request(input=values, timeout=20))
    return caught.value


def at_server(client: str, reply: Reply, **values: Any) -> AttemptError:
    with ScriptedServer(reply) as server:
        error = error_of(client, url=server.url, **values)
    assert len(server.calls) >= 1
    return error


@pytest.mark.parametrize("client", [*JUDGING, *SDKS])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limited"), (503, "unavailable"), (500, "unavailable"), (408, "timeout")],
)
def test_a_status_that_may_pass(client: str, status: int, kind: str) -> None:
    error = at_server(client, Reply(status=status, body={}, headers=retry_after_seconds(7)))
    assert (error.kind, error.retry_after, type(error)) == (kind, 7.0, RetryableError)
    assert error.details["status"] == status
    assert error.message.startswith(f"support.client_agents:{client} raised ")
    assert client in error.details["traceback"]


@pytest.mark.parametrize("client", [*JUDGING, *SDKS])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_status_that_refuses(client: str, status: int) -> None:
    error = at_server(client, Reply(status=status, body={}))
    assert (error.kind, error.retry_after, type(error)) == ("rejected", None, FinalError)


@pytest.mark.parametrize("client", [*JUDGING, *SDKS])
def test_retry_after_as_a_date(client: str) -> None:
    error = at_server(client, Reply(status=429, body={}, headers=retry_after_date(90)))
    assert error.retry_after == pytest.approx(90, abs=3)


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "", "99999999999999", "Wed, 21 Oct 1215 07:28:00 GMT"])
def test_a_retry_after_that_says_nothing_sensible(value: str) -> None:
    wait = at_server("with_requests", Reply(status=429, body={}, headers={"Retry-After": value})).retry_after
    assert wait is None or 0 <= wait <= 7 * 24 * 3600


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
@pytest.mark.parametrize("late", [{"delay": 0.7}, {"body_delay": 0.7}])
def test_a_slow_reply_is_a_timeout(client: str, late: dict[str, float]) -> None:
    assert at_server(client, Reply(body={}, **late), seconds=0.15).kind == "timeout"


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
def test_nobody_there(client: str) -> None:
    error = error_of(client, url=f"http://127.0.0.1:{free_port()}/")
    assert (error.kind, type(error)) == ("unavailable", RetryableError)


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
def test_a_name_that_nobody_has(client: str) -> None:
    assert error_of(client, url="http://nobody.invalid/").kind == "unavailable"


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
def test_no_answer(client: str) -> None:
    assert at_server(client, Reply(hang_up=True)).kind == "unavailable"


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
def test_half_an_answer(client: str) -> None:
    assert at_server(client, Reply(body={"a": "b" * 100}, cut=10)).kind == "unavailable"


@pytest.mark.parametrize("client", [*CLIENTS, *SDKS])
def test_a_certificate_that_nobody_trusts(client: str, tmp_path: Path) -> None:
    with ScriptedServer(Reply(body={}), tls=untrusted_context(tmp_path)) as server:
        error = error_of(client, url=server.url)
    assert (error.kind, type(error)) == ("rejected", FinalError)
    assert server.calls == []


def test_an_empty_account_is_no_rate_limit() -> None:
    reply = Reply(status=429, body={"error": {"code": "insufficient_quota", "message": "no money"}})
    assert at_server("with_openai", reply).kind == "rejected"


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limited"), (503, "unavailable"), (404, "rejected")])
def test_airflows_own_hook(status: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(Reply(status=status, headers=retry_after_seconds(4))) as server:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": server.port}
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(connection))
        error = error_of("with_hook", connection="api")
    assert error.kind == kind
    assert error.retry_after == (None if kind == "rejected" else 4.0)


def test_what_it_was_raised_from_counts_and_what_was_only_handled_does_not() -> None:
    busy = Reply(status=429, headers=retry_after_seconds(3))
    wrapped = at_server("wrapped", busy)
    assert (wrapped.kind, wrapped.retry_after) == ("rate_limited", 3.0)
    assert wrapped.message == "support.client_agents:wrapped raised LookupError: the archive has no such page"
    assert at_server("confused", busy).kind == "bug"


def test_a_reply_that_is_no_json_is_the_callables_to_judge() -> None:
    assert at_server("with_requests", Reply(body="<html>")).kind == "bug"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "unavailable"),
        (ExceptionGroup("all", [ValueError(), ConnectionRefusedError()]), "unavailable"),
        (FileNotFoundError(), None),
        (KeyError("status_code"), None),
    ],
)
def test_pythons_own_exceptions(error: Exception, kind: str | None) -> None:
    meaning = meaning_of(error)
    assert (meaning.kind if meaning else None) == kind


def aws(status: int, code: str, **headers: str) -> Exception:
    """As botocore raises it; it isn't installed here."""
    kind = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})
    error: Any = kind(f"An error occurred ({code})")
    error.response = {
        "Error": {"Code": code},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ThrottlingException", "rate_limited"),
        (503, "SlowDown", "rate_limited"),
        (429, "TooManyRequestsException", "rate_limited"),
        (500, "InternalServerException", "unavailable"),
        (403, "AccessDeniedException", "rejected"),
        (404, "NoSuchKey", "rejected"),
    ],
)
def test_aws_says_it_with_codes(status: int, code: str, kind: str) -> None:
    meaning = meaning_of(aws(status, code, **{"retry-after": "2"}))
    assert meaning is not None
    assert (meaning.kind, meaning.status) == (kind, status)
    assert meaning.retry_after == (None if kind == "rejected" else 2.0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("RESOURCE_EXHAUSTED", "rate_limited"),
        ("UNAVAILABLE", "unavailable"),
        ("DEADLINE_EXCEEDED", "timeout"),
        ("PERMISSION_DENIED", "rejected"),
        ("UNKNOWN", None),
    ],
)
def test_codes_of_grpc(code: str, kind: str | None) -> None:
    grpc = pytest.importorskip("grpc")

    class Failed(grpc.RpcError):  # type: ignore[misc]
        def code(self) -> Any:
            return grpc.StatusCode[code]

    meaning = meaning_of(Failed())
    assert (meaning.kind if meaning else None) == kind


def test_a_tool_is_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = [{"python": "support.client_agents:with_requests"}]
    agent = make_agent({"type": "llm", "connection": "model", "tools": tools})
    api = ScriptedServer(Reply(status=429, headers=retry_after_seconds(5)))
    model = OpenAIServer(calls(("with_requests", {"url": api.url})))
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", model.connection())
    with api, model, pytest.raises(AttemptError) as caught:
        run_once(agent, make_request(prompt="Look it up.", timeout=20))
    assert (caught.value.kind, caught.value.retry_after) == ("rate_limited", 5.0)
    assert caught.value.details["tool_calls"][0]["tool"] == "with_requests"


def test_attempts_wait_as_the_other_side_asked() -> None:
    replies = [Reply(status=429, headers=retry_after_seconds(3)), Reply(status=503), Reply(body={"ok": True})]
    agent = make_agent({"type": "python", "callable": "support.client_agents:with_requests"})
    with ScriptedServer(*replies) as server:
        told, end = attempt_all(agent, make_request(input={"url": server.url}))
    assert [attempt.error and attempt.error.kind for attempt in told] == ["rate_limited", "unavailable", None]
    assert [attempt.next_wait for attempt in told] == [3.0, 0.02, None]
    assert end is told[-1]


def test_no_client_is_imported_to_judge() -> None:
    code = (
        "import sys; from airflow_agentic.agents.foreign_errors import meaning_of; before = set(sys.modules)\n"
        "meaning_of(ValueError()); meaning_of(TimeoutError())\n"
        "print({'httpx', 'requests', 'aiohttp', 'urllib3', 'openai', 'grpc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

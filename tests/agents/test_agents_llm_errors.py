"""What each failure of a provider means, for both SDKs, and that none of them repeats a request behind our back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.requests import attempt_all, free_port, make_request, run_once, settings
from support.scripted_server import Reply, ScriptedServer, retry_after_date
from support.tls import untrusted_context

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import AttemptError, RetryableError

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pydantic_ai")

MODELS = ("openai-chat:m", "openai:m", "anthropic:m")
both_sdks = pytest.mark.parametrize("model", MODELS)
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def refusal(model: str, status: int, code: str = "", message: str = "scripted", **headers: str) -> Reply:
    """An error as the provider writes it."""
    error: dict[str, Any] = {"type": code or "some_error", "message": message}
    body = {"type": "error", "error": error} if model.startswith("anthropic") else {"error": {**error, "code": code}}
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def answer(model: str, text: str = "Hello.") -> Reply:
    """An answer as the provider writes it."""
    if model.startswith("anthropic"):
        usage = {"input_tokens": 3, "output_tokens": 2}
        content = [{"type": "text", "text": text}]
        body = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": content, "usage": usage}
        return Reply(body={**body, "stop_reason": "end_turn"})
    if model.startswith("openai-chat"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Reply(body={"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output = [{"id": "o", "type": "message", "role": "assistant", "status": "completed", "content": content}]
    kept = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
    return Reply(
        body={"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": output}
        | kept
    )


def connect(monkeypatch: pytest.MonkeyPatch, model: str, url: str) -> Any:
    """An agent whose connection leads to a server."""
    host = url if model.startswith("anthropic") else f"{url}/v1"
    fields = {"conn_type": "pydanticai", "host": host, "password": "sk-secret", "extra": {"model": model}}
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", json.dumps(fields))
    return make_agent({"type": "llm", "connection": "model"})


def ask(**changes: Any) -> Any:
    return make_request(**{"prompt": "Hello?", "output_schema": None, "timeout": 20, **changes})


def error_of(monkeypatch: pytest.MonkeyPatch, model: str, reply: Reply, **changes: Any) -> AttemptError:
    with ScriptedServer(reply) as server, pytest.raises(AttemptError) as caught:
        run_once(connect(monkeypatch, model, server.url), ask(**changes))
    assert len(server.calls) == 1, "nothing but run_attempts may repeat a request"
    assert "sk-secret" not in str(caught.value) + json.dumps(caught.value.details)
    return caught.value


@both_sdks
def test_the_servers_of_this_test_can_be_talked_to(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(answer(model)) as server:
        assert run_once(connect(monkeypatch, model, server.url), ask()).output == "Hello."


@both_sdks
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request_error", "rejected"),
        (401, "authentication_error", "rejected"),
        (402, "billing_error", "rejected"),
        (403, "permission_error", "rejected"),
        (404, "not_found_error", "rejected"),
        (408, "", "timeout"),
        (409, "", "rejected"),
        (413, "request_too_large", "rejected"),
        (422, "", "rejected"),
        (429, "rate_limit_error", "rate_limited"),
        (500, "api_error", "unavailable"),
        (502, "", "unavailable"),
        (503, "", "unavailable"),
        (504, "", "unavailable"),
        (529, "overloaded_error", "unavailable"),
    ],
)
def test_statuses(model: str, status: int, code: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = error_of(monkeypatch, model, refusal(model, status, code))
    assert (error.kind, error.details["status"]) == (kind, status)
    assert isinstance(error, RetryableError) == (kind != "rejected")
    assert error.message.startswith(f"The model 'm' answered {status}: scripted")


@pytest.mark.parametrize(
    ("model", "code", "message", "kind"),
    [
        ("openai-chat:m", "context_length_exceeded", "x", "window_exceeded"),
        ("openai-chat:m", "", "This model's maximum context length is 9 tokens", "window_exceeded"),
        ("openai:m", "context_length_exceeded", "x", "window_exceeded"),
        ("anthropic:m", "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", "window_exceeded"),
        ("openai-chat:m", "content_filter", "x", "rejected"),
    ],
)
def test_a_prompt_that_is_too_long(
    model: str, code: str, message: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert error_of(monkeypatch, model, refusal(model, 400, code, message)).kind == kind


@both_sdks
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "-5"}, 0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "99999999999"}, 7 * 24 * 3600),
        ({"retry_after": "Wed, 21 Oct 1215 07:28:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_retry_after(model: str, headers: dict[str, str], wait: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(monkeypatch, model, refusal(model, 429, **headers)).retry_after == wait


@both_sdks
@pytest.mark.parametrize("status", [429, 503, 529])
def test_retry_after_as_a_date(model: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"retry_after": retry_after_date(90)["Retry-After"]}
    assert error_of(monkeypatch, model, refusal(model, status, **headers)).retry_after == pytest.approx(90, abs=3)


@both_sdks
@pytest.mark.parametrize("text", ["<html>busy</html>", "", "[]", "null", '"text"', "{}", '{"choices": 3}'])
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
def test_something_else_than_an_answer(
    model: str, text: str, content_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Reply(body=text.encode(), headers={"Content-Type": content_type})
    error = error_of(monkeypatch, model, reply, output_schema=SCHEMA)
    assert (error.kind, type(error).__name__) == ("malformed_output", "MalformedOutput")


@both_sdks
def test_half_an_answer(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(model)
    error = error_of(monkeypatch, model, Reply(body=whole.body, cut=40))
    assert error.kind == "malformed_output"


@both_sdks
def test_no_answer(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(monkeypatch, model, Reply(hang_up=True)).kind == "unavailable"


@both_sdks
@pytest.mark.parametrize("late", [{"delay": 3}, {"body_delay": 3}])
def test_a_slow_answer(model: str, late: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(monkeypatch, model, Reply(body=answer(model).body, **late), timeout=1.5).kind == "timeout"


@both_sdks
def test_nobody_there(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://nobody.invalid"):
        with pytest.raises(AttemptError) as caught:
            run_once(connect(monkeypatch, model, url), ask())
        assert caught.value.kind == "unavailable"


@both_sdks
def test_a_certificate_that_nobody_trusts(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        ScriptedServer(answer(model), tls=untrusted_context(tmp_path)) as server,
        pytest.raises(AttemptError) as caught,
    ):
        run_once(connect(monkeypatch, model, server.url), ask())
    assert caught.value.kind == "rejected"
    assert server.calls == []


@both_sdks
def test_every_request_is_an_attempt(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = [refusal(model, 429), refusal(model, 500), Reply(hang_up=True), refusal(model, 529), answer(model)]
    with ScriptedServer(*replies) as server:
        agent = connect(monkeypatch, model, server.url)
        told, end = attempt_all(agent, ask(), retry=settings(6))
    kinds = [attempt.error and attempt.error.kind for attempt in told]
    assert kinds == ["rate_limited", "unavailable", "unavailable", "unavailable", None]
    assert len(server.calls) == 5
    assert end is told[-1]

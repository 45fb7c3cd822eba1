"""Language models through common-ai's hook, against a real server that speaks OpenAI's chat API."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import (
    OpenAIServer,
    body,
    cut_off,
    failing,
    filtered,
    good,
    limited,
    no_choices,
    out_of_tokens,
    raw_arguments,
    slow,
)
from support.requests import attempt_all, make_request, run_once, settings

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., str]

BRIEF = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "score": {"type": "number", "maximum": 1}},
    "required": ["text"],
    "additionalProperties": False,
}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define a connection to a server in the environment."""

    def define(server: OpenAIServer, name: str = "model", **more: Any) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection(**more))
        return name

    return define


def llm(connection: str = "model", **spec: Any) -> Any:
    return make_agent({"type": "llm", "connection": connection, **spec})


def ask(**changes: Any) -> Any:
    return make_request(**{"prompt": "Write about retries.", "output_schema": None, "timeout": 10, **changes})


def error_of(connect: Connect, *replies: Any, **changes: Any) -> AttemptError:
    with OpenAIServer(*replies) as server, pytest.raises(AttemptError) as caught:
        run_once(llm(connect(server)), ask(**changes))
    assert len(server.requests) == 1, "nothing but run_attempts may repeat a request"
    return caught.value


def test_text(connect: Connect) -> None:
    with OpenAIServer(good("Retries help.", model="gpt-test-2026")) as server:
        agent = llm(connect(server), settings={"temperature": 0, "max_tokens": 50, "extra_headers": {"X-Token": "t"}})
        result = run_once(agent, ask(instructions="Be brief."))
    (request,) = server.requests
    assert request["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Write about retries."},
    ]
    assert (request["model"], request["temperature"], request["max_completion_tokens"]) == ("gpt-test", 0, 50)
    assert "tools" not in request
    assert result.output == "Retries help."
    assert result.model == "gpt-test-2026"
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.requests) == (11, 7, 1)
    assert result.cost_usd is None
    assert result.sent == {
        "connection": "model",
        "model": "openai:gpt-test",
        "instructions": "Be brief.",
        "messages": [{"role": "user", "content": "Write about retries."}],
        "settings": {"temperature": 0, "max_tokens": 50, "extra_headers": {"X-Token": "***"}},
    }
    assert "sk-secret" not in json.dumps(result.sent)


def test_structured_output_is_asked_for_and_validated(connect: Connect) -> None:
    with OpenAIServer(good({"text": "a", "score": 0.5})) as server:
        result = run_once(llm(connect(server)), ask(output_schema=BRIEF))
    (tool,) = server.requests[0]["tools"]
    assert tool["function"]["parameters"]["properties"] == BRIEF["properties"]
    assert result.output == {"text": "a", "score": 0.5}
    assert result.sent["output_schema"] == BRIEF


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
        ({"type": "boolean"}, True),
        ({"type": "string", "enum": ["draft", "final"]}, "final"),
        ({"type": ["string", "null"]}, None),
        ({}, {"anything": [1]}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, 3),
    ],
)
def test_output_that_is_no_object_is_asked_for_in_one(connect: Connect, schema: Any, value: Any) -> None:
    with OpenAIServer(good({"output": value})) as server:
        result = run_once(llm(connect(server)), ask(output_schema=schema))
    assert result.output == value
    assert result.sent["output_schema"] == schema if schema else True


def test_the_connections_model_can_be_replaced_and_the_price_of_a_known_one_is_counted(connect: Connect) -> None:
    with OpenAIServer(good("x")) as server:
        result = run_once(llm(connect(server), model="openai-chat:gpt-4o-mini"), ask())
    assert server.requests[0]["model"] == "gpt-4o-mini"
    assert result.sent["model"] == "openai-chat:gpt-4o-mini"
    assert result.cost_usd == pytest.approx(11 * 0.15e-6 + 7 * 0.6e-6, rel=0.01)


def test_a_reply_without_usage_counts_nothing(connect: Connect) -> None:
    with OpenAIServer(good("x", usage=None)) as server:
        usage = run_once(llm(connect(server)), ask()).usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (None, None, 1)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (good({"text": "a", "score": 7}), "$.score"),
        (good({"txt": "a"}), "'text' is a required property"),
        (good({"text": "a", "more": 1}), "Additional properties are not allowed"),
        (raw_arguments('{"text": "a'), "Invalid JSON"),
        (raw_arguments("[1, 2]"), "should be an object"),
        (good("I would rather chat."), "does not fit"),
        (out_of_tokens(None), "limit of tokens"),
        (no_choices(), "can't be read: IndexError"),
        (cut_off({"text": "a"}), "cut off"),
        (body("<html>busy</html>"), "cut off: Failed to decode response as JSON"),
        (body("<html>busy</html>", content_type="text/html"), "expected JSON data"),
        (body("{}"), "Invalid response"),
        (good({"text": "\ud800"}), "Invalid JSON"),
    ],
)
def test_malformed_replies(connect: Connect, reply: Any, says: str) -> None:
    error = error_of(connect, reply, output_schema=BRIEF)
    assert (error.kind, isinstance(error, RetryableError)) == ("malformed_output", True)
    assert says in error.message
    assert "errors.pydantic.dev" not in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize("reply", [good(""), out_of_tokens("half a sen")])
def test_a_text_that_is_empty_or_cut_off_is_malformed(connect: Connect, reply: Any) -> None:
    assert error_of(connect, reply).kind == "malformed_output"


def test_the_model_is_told_what_was_wrong_in_the_same_conversation(connect: Connect) -> None:
    with OpenAIServer(good({"text": "a", "score": 7}), good({"text": "b", "score": 1})) as server:
        told, end = attempt_all(llm(connect(server)), ask(output_schema=BRIEF))
    assert end is told[-1]
    first, second = server.requests
    assert second["messages"][: len(first["messages"])] == first["messages"]
    answer, feedback = second["messages"][len(first["messages"]) :]
    assert json.loads(answer["tool_calls"][0]["function"]["arguments"]) == {"text": "a", "score": 7}
    assert feedback["role"] == "tool"
    assert feedback["tool_call_id"] == answer["tool_calls"][0]["id"]
    assert "$.score: 7 is greater than the maximum of 1" in feedback["content"]
    failed, succeeded = told
    assert failed.error is not None
    assert failed.error.reply == {"text": "a", "score": 7}
    assert failed.error.details["usage"] == {"input_tokens": 11, "output_tokens": 7, "requests": 1}
    assert failed.error.details["model"] == "gpt-test"
    assert succeeded.result is not None
    assert succeeded.result.usage.input_tokens == 11
    assert [message["role"] for message in succeeded.sent["messages"]] == ["user", "assistant", "tool"]


def test_a_text_instead_of_data_is_answered_too_and_the_conversation_survives_other_errors(connect: Connect) -> None:
    replies = [good("Sure! Here it is."), limited(0), no_choices(), raw_arguments("{"), good({"text": "b"})]
    with OpenAIServer(*replies) as server:
        told, end = attempt_all(llm(connect(server)), ask(output_schema=BRIEF))
        assert isinstance(end, RetryableError)
        assert len(told) == 3
    with OpenAIServer(*replies) as server:
        told, end = attempt_all(llm(connect(server)), ask(output_schema=BRIEF), retry=settings(5))
    assert end is told[-1]
    assert [attempt.error and attempt.error.kind for attempt in told] == [
        "malformed_output",
        "rate_limited",
        "malformed_output",
        "malformed_output",
        None,
    ]
    lengths = [len(request["messages"]) for request in server.requests]
    assert lengths == [1, 3, 3, 3, 5]
    assert server.requests[1]["messages"][1] == {"role": "assistant", "content": "Sure! Here it is."}
    assert "does not fit" in server.requests[1]["messages"][2]["content"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failing(429), "rate_limited"),
        (failing(429, code="insufficient_quota"), "rejected"),
        (failing(500), "unavailable"),
        (failing(503), "unavailable"),
        (failing(529), "unavailable"),
        (failing(408), "timeout"),
        (failing(400), "rejected"),
        (failing(400, code="context_length_exceeded"), "window_exceeded"),
        (failing(401), "rejected"),
        (failing(403), "rejected"),
        (failing(404, code="model_not_found"), "rejected"),
        (filtered(), "rejected"),
    ],
)
def test_what_a_failure_means(connect: Connect, reply: Any, kind: str) -> None:
    error = error_of(connect, reply)
    assert error.kind == kind
    assert isinstance(error, FinalError if kind in ("rejected", "window_exceeded") else RetryableError)
    assert "sk-secret" not in str(error) + json.dumps(error.details)
    if reply["kind"] == "status":
        assert error.details["status"] == reply["status"]
        assert error.message.startswith(f"The model 'gpt-test' answered {reply['status']}: scripted")


def test_retry_after_in_seconds_and_as_a_date(connect: Connect) -> None:
    assert error_of(connect, limited(7)).retry_after == 7
    assert error_of(connect, limited(90, as_date=True)).retry_after == pytest.approx(90, abs=2)


def test_no_request_is_repeated_behind_our_back(connect: Connect) -> None:
    with OpenAIServer(limited(3), failing(500), good("done")) as server:
        told, end = attempt_all(llm(connect(server)), ask())
    assert len(server.requests) == len(told) == 3
    assert [attempt.next_wait for attempt in told] == [3.0, 0.02, None]
    assert end is told[-1]


def test_a_slow_reply_is_a_timeout(connect: Connect) -> None:
    began = time.monotonic()
    error = error_of(connect, slow(1.5), timeout=0.3)
    assert error.kind == "timeout"
    assert time.monotonic() - began < 3


def test_a_timeout_in_the_settings_counts_too(connect: Connect) -> None:
    with OpenAIServer(slow(1)) as server, pytest.raises(RetryableError) as caught:
        run_once(llm(connect(server), settings={"timeout": 0.2}), ask(timeout=None))
    assert caught.value.kind == "timeout"


def test_no_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    connection = {"conn_type": "pydanticai", "host": host, "password": "k", "extra": {"model": "openai-chat:x"}}
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", json.dumps(connection))
    with pytest.raises(RetryableError) as caught:
        run_once(llm(), ask())
    assert caught.value.kind == "unavailable"


@pytest.mark.parametrize("failure", [failing(500), limited(5), failing(401), slow(2)])
def test_a_connection_to_fall_back_on_answers_within_the_attempt(connect: Connect, failure: Any) -> None:
    with OpenAIServer(failure) as first, OpenAIServer(good("b", model="backup-1")) as second:
        connect(second, "backup", model="openai-chat:backup")
        result = run_once(llm(connect(first, fallback_conn_ids=["backup"])), ask(timeout=2))
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert result.model == "backup-1"
    assert result.sent["model"] == "fallback:openai:gpt-test,openai:backup"


@pytest.mark.parametrize(
    ("failures", "kind", "wait"),
    [
        ((limited(5), limited(9)), "rate_limited", 5),
        ((limited(5), failing(500)), "rate_limited", None),
        ((failing(401), limited(9)), "rate_limited", 9),
        ((failing(401), failing(404)), "rejected", None),
    ],
)
def test_when_all_connections_fail_the_most_hopeful_failure_counts(
    connect: Connect, failures: Any, kind: str, wait: float | None
) -> None:
    with OpenAIServer(failures[0]) as first, OpenAIServer(failures[1]) as second:
        connect(second, "backup", model="openai-chat:backup")
        with pytest.raises(AttemptError) as caught:
            run_once(llm(connect(first, fallback_conn_ids=["backup"])), ask())
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert "All models failed" in str(caught.value)
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (None, "no Airflow connection 'model'"),
        ({"conn_type": "http", "host": "x"}, "has type 'http'"),
        ({"conn_type": "pydanticai", "password": "k"}, "No model specified"),
        ({"conn_type": "pydanticai", "password": "k", "extra": {"model": "gpt-5"}}, "cannot be resolved"),
        ({"conn_type": "pydanticai", "password": "k", "extra": {"model": "nobody:gpt-5"}}, "cannot be resolved"),
    ],
)
def test_a_connection_that_gives_no_model_is_final(monkeypatch: pytest.MonkeyPatch, connection: Any, says: str) -> None:
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", json.dumps(connection))
    with pytest.raises(FinalError) as caught:
        run_once(llm(), ask())
    assert says in caught.value.message


@pytest.mark.parametrize("prompt", ["", "  \n", None])
def test_an_empty_prompt_is_refused_before_anything_is_sent(prompt: str | None) -> None:
    with pytest.raises(FinalError, match="prompt is empty"):
        run_once(llm(), ask(prompt=prompt))


def test_the_preview_is_what_is_sent_first(connect: Connect) -> None:
    with OpenAIServer(good("x")) as server:
        agent = llm(connect(server), model="openai-chat:gpt-4o", settings={"temperature": 0})
        request = ask(instructions="Be brief.")
        assert agent.preview(request) == run_once(agent, request).sent


def test_data_is_never_a_template(connect: Connect) -> None:
    text = "{{ 7*7 }} {% raw %} $HOME ${x} {schema}"
    with OpenAIServer(good({"text": text})) as server:
        result = run_once(llm(connect(server)), ask(prompt=text, instructions=text, output_schema=BRIEF))
    assert [message["content"] for message in server.requests[0]["messages"]] == [text, text]
    assert result.output == {"text": text}

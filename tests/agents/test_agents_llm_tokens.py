"""Windows by a provider's own count of tokens, against a real server that speaks Anthropic's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.anthropic_server import AnthropicServer, refused, said, tokens_of
from support.requests import attempt_all, make_request

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import FinalError
from airflow_agentic.template.expressions import render_string

pytest.importorskip("pydantic_ai")
pytest.importorskip("anthropic")

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import AgentRequest

SENTENCE = "This is a sentence of ten words, more or less. "


def text_of(paragraphs: int) -> str:
    return "\n\n".join(f"Paragraph {number}. " + SENTENCE * 4 for number in range(paragraphs))


def asked(
    monkeypatch: pytest.MonkeyPatch,
    server: AnthropicServer,
    text: str,
    *,
    tokens: int = 2000,
    overflow: str = "truncate",
) -> tuple[Attempt, Attempt | Exception]:
    """What came of asking about a text."""
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())
    window = {"max_tokens": tokens, "overflow": overflow}
    agent = make_agent({"type": "llm", "connection": "model", "window": window, "settings": {"max_tokens": 500}})

    def made(read: Mapping[str, Any]) -> AgentRequest:
        prompt = render_string("Read this:\n{{ input.text }}", read)
        request: AgentRequest = make_request(prompt=prompt, output_schema=None, timeout=20, read=read, remade=made)
        return request

    told, end = attempt_all(agent, made({"input": {"text": text}}))
    return told[0], end


def test_the_provider_is_not_asked_while_the_estimate_is_far_below_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    with AnthropicServer(said("Done.")) as server:
        attempt, _ = asked(monkeypatch, server, text_of(5))
    assert (len(server.requests), server.counted) == (1, [])
    assert attempt.window is None


def test_a_request_that_only_the_estimate_finds_too_long_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of(34)
    with AnthropicServer(said("Done.")) as server:
        attempt, _ = asked(monkeypatch, server, text)
    assert len(text) // 3 > 2000 > server.counted[0]
    assert len(server.counted) == 1
    assert text in server.requests[0]["messages"][0]["content"][0]["text"]
    assert attempt.window is None


@pytest.mark.parametrize("paragraphs", [60, 400], ids=["near", "far"])
def test_the_window_is_filled_by_the_providers_count(monkeypatch: pytest.MonkeyPatch, paragraphs: int) -> None:
    with AnthropicServer(said("Done.")) as server:
        attempt, _ = asked(monkeypatch, server, text_of(paragraphs))
    (request,) = server.requests
    assert 1800 < tokens_of(request) <= 2000
    assert attempt.window is not None
    assert attempt.window["tokens"] == tokens_of(request)
    assert len(server.counted) <= 3
    assert max(server.counted) < 4 * 2000, "what is surely too long isn't sent to be counted"


def test_without_the_counter_the_estimate_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    with AnthropicServer(said("Done."), counts=False) as server:
        attempt, _ = asked(monkeypatch, server, text_of(60))
    assert len(server.requests) == 1
    assert len(server.counted) == 1, "a counter that fails isn't asked again in the attempt"
    assert attempt.window is not None
    assert attempt.window["counted_by"] == "estimate"
    assert 1200 < tokens_of(server.requests[0]) < 2000


def test_a_refusal_says_who_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with AnthropicServer(said("Done.")) as server:
        attempt, end = asked(monkeypatch, server, text_of(60), overflow="fail")
    assert server.requests == []
    assert isinstance(end, FinalError)
    assert attempt.error is not None
    assert "tokens (counted by the provider)" in attempt.error.message
    assert attempt.error.details["tokens"] == server.counted[0]


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 213462 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 197000 + 8192 > 200000, decrease input length or "
        "`max_tokens` and try again",
    ],
)
def test_a_window_that_is_larger_than_the_models(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    with AnthropicServer(refused(message)) as server:
        _, end = asked(monkeypatch, server, text_of(5))
    assert len(server.requests) == 1
    assert isinstance(end, FinalError)
    assert end.kind == "window_exceeded"
    assert message in end.message
    assert "Let the agent's window" in end.message

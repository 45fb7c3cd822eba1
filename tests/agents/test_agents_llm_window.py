"""Windows of language models, against a real server: what is too long is refused, cut or summed up, and not sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, calls, failing, good, raw_arguments
from support.requests import attempt_all, make_request, run_once, settings

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.agents.marking import unmarked
from airflow_agentic.errors import AttemptError, FinalError
from airflow_agentic.limits.purse import purse_of
from airflow_agentic.template.expressions import render_string

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_agentic.agents.base import AgentRequest

    Connect = Callable[..., str]

PROMPT = "Question: {{ input.question }}\n\nText:\n{{ input.text }}"
TEXT = "\n\n".join(f"Paragraph {number} says that the number is {number}. It is a number." for number in range(200))
NOTES = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
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


def llm(overflow: str = "truncate", tokens: int = 1500, **spec: Any) -> Any:
    window = {"max_tokens": tokens, "overflow": overflow}
    return make_agent({"type": "llm", "connection": "model", "window": window, **spec})


def ask(values: Mapping[str, Any], *, prompt: str = PROMPT, instructions: str = "Be brief.", **changes: Any) -> Any:
    """A request that can be made again from other values, as a stage's can."""

    def made(read: Mapping[str, Any]) -> AgentRequest:
        request: AgentRequest = make_request(
            prompt=render_string(prompt, read),
            instructions=render_string(instructions, read),
            input=read["input"],
            read=read,
            remade=made,
            **{"output_schema": None, "timeout": 10, **changes},
        )
        return request

    return made({"input": values})


def refused(connect: Connect, agent: Any, request: Any, *replies: Any) -> tuple[FinalError, list[Any]]:
    """The error of a request that doesn't fit, and what was sent nevertheless."""
    with OpenAIServer(*replies, good("Done.")) as server:
        connect(server)
        with pytest.raises(FinalError) as caught:
            run_once(agent, request)
    assert caught.value.kind == "window_exceeded"
    return caught.value, server.requests


def prompt_of(request: Any) -> str:
    (text,) = [message["content"] for message in request["messages"] if message["role"] == "user"]
    return str(text)


def tokens_of(request: Any) -> int:
    """By the rule of the estimate, of what really went out; the API's own words around it are about as many."""
    return len(json.dumps([request["messages"], request.get("tools")], ensure_ascii=False).encode()) // 3


def test_what_fits_is_sent_as_it_is(connect: Connect) -> None:
    with OpenAIServer(good("Done.")) as server:
        connect(server)
        told, _ = attempt_all(llm(tokens=10_000), ask({"question": "Which?", "text": TEXT}))
    assert TEXT in prompt_of(server.requests[0])
    assert told[0].window is None


def test_fail_sends_nothing_and_says_what_is_too_long(connect: Connect) -> None:
    error, sent = refused(connect, llm("fail"), ask({"question": "Which?", "text": TEXT, "unread": "x" * 100_000}))
    assert sent == []
    assert error.details["window"] == 1500
    assert error.details["tokens"] > 4000
    assert error.details["counted_by"] == "estimate"
    assert f"has {error.details['tokens']:,} tokens (estimated), and the agent's window is 1,500" in error.message
    assert "input.text (" in error.message
    assert "window.overflow" in error.message


def test_truncate_keeps_whole_paragraphs_and_says_so(connect: Connect) -> None:
    with OpenAIServer(good("Done.")) as server:
        connect(server)
        told, _ = attempt_all(llm(), ask({"question": "Which?", "text": TEXT}))
    (request,) = server.requests
    prompt = prompt_of(request)
    (cut,) = told[0].window["cuts"]
    kept = TEXT.split("\n\n")[: 200 - cut["left_out"]]
    assert prompt == (
        "Question: Which?\n\nText:\n" + "\n\n".join(kept) + f"\n\n[… {cut['left_out']} of 200 paragraphs left out]"
    )
    assert cut == {
        "path": "input.text",
        "unit": "paragraphs",
        "left_out": cut["left_out"],
        "of": 200,
        "summed_up": False,
    }
    assert 1350 < tokens_of(request) <= 1550
    window = told[0].window
    assert (window["max_tokens"], window["overflow"], window["counted_by"]) == (1500, "truncate", "estimate")
    assert 1350 < window["tokens"] <= 1500 < 4000 < window["tokens_before"]
    assert window["summaries"] == []
    assert told[0].sent["messages"] == [{"role": "user", "content": prompt}]
    assert told[0].sent["instructions"] == "Be brief."


def test_instructions_made_from_the_input_are_shortened_too(connect: Connect) -> None:
    with OpenAIServer(good("Done.")) as server:
        connect(server)
        values = {"question": "Which?", "text": "None.", "rules": TEXT}
        told, _ = attempt_all(llm(), ask(values, instructions="Rules:\n{{ input.rules }}"))
    system, user = server.requests[0]["messages"]
    assert system["role"] == "system"
    assert system["content"].endswith("paragraphs left out]")
    assert told[0].sent["instructions"] == system["content"]
    assert user["content"] == "Question: Which?\n\nText:\nNone."


@pytest.mark.parametrize("overflow", ["truncate", "summarize"])
def test_what_the_template_itself_says_can_not_be_cut(connect: Connect, overflow: str) -> None:
    error, sent = refused(
        connect, llm(overflow), ask({"question": "Which?", "text": TEXT}, prompt=PROMPT + "\n" + "Mind this. " * 600)
    )
    assert sent == []
    assert error.details["least"] > 1500
    assert "the template's own texts" in error.message


def test_a_request_that_can_not_be_made_again_can_not_be_cut(connect: Connect) -> None:
    _error, sent = refused(connect, llm(), make_request(prompt=TEXT, output_schema=None))
    assert sent == []


def test_a_template_that_needs_what_was_cut_is_told_so(connect: Connect) -> None:
    request = ask({"docs": [TEXT[:400]] * 30}, prompt="{{ input.docs | join }} {{ input.docs[29] }}")
    error, _sent = refused(connect, llm(), request)
    assert "can't be made from less" in error.message


def test_tools_and_schema_count(connect: Connect) -> None:
    wide = {**NOTES, "properties": {f"field_{n}": {"type": "string", "description": "word " * 20} for n in range(40)}}
    error, sent = refused(
        connect, llm("fail"), ask({"question": "Which?", "text": "None."}, output_schema={**wide, "required": []})
    )
    assert sent == []
    assert "Nothing that it reads is long" in error.message


@pytest.mark.parametrize("reply", ['{"txt": 1}', json.dumps({"txt": "word " * 300})])
def test_a_malformed_reply_goes_on_with_what_was_sent(connect: Connect, reply: str) -> None:
    """The model's own long answer takes some room from the text; a short one may leave it as it was."""
    with OpenAIServer(raw_arguments(reply), good({"text": "b"})) as server:
        connect(server)
        told, end = attempt_all(llm(), ask({"question": "Which?", "text": TEXT}, output_schema=NOTES))
    assert end is told[-1]
    first, second = server.requests
    assert len(second["messages"]) == len(first["messages"]) + 2
    assert tokens_of(second) <= 1650
    left_out = []
    for attempt, request in zip(told, server.requests, strict=True):
        (cut,) = attempt.window["cuts"]
        left_out.append(cut["left_out"])
        assert cut["of"] == 200
        assert prompt_of(request).endswith(f"[… {cut['left_out']} of 200 paragraphs left out]")
        assert attempt.sent["messages"][0] == {"role": "user", "content": prompt_of(request)}
    assert left_out[0] < left_out[1]


def test_a_conversation_that_was_cut_says_so_in_later_attempts(connect: Connect) -> None:
    text = "\n\n".join("A long paragraph. " * 40 for _ in range(10))
    with OpenAIServer(raw_arguments("{}"), good({"text": "b"})) as server:
        connect(server)
        told, _ = attempt_all(llm(), ask({"question": "Which?", "text": text}, output_schema=NOTES))
    first, second = server.requests
    assert prompt_of(first) == prompt_of(second)
    assert told[0].window == told[1].window
    assert told[0].window is not None


def test_the_record_of_a_failed_attempt_says_what_was_sent(connect: Connect) -> None:
    with OpenAIServer(failing(503)) as server:
        connect(server)
        told, _ = attempt_all(llm(), ask({"question": "Which?", "text": TEXT}), retry=settings(2))
    for attempt, request in zip(told, server.requests, strict=True):
        assert attempt.error is not None
        assert attempt.sent["messages"] == [{"role": "user", "content": prompt_of(request)}]
        assert attempt.window["tokens"] <= 1500


TOOLS = """
def search(query: str) -> list:
    "Search the archive."
    return [{"title": f"{query} {number}", "text": "A sentence of the archive. " * 8} for number in range(12)]

def page(url: str) -> str:
    "Fetch a page."
    return "\\n\\n".join(f"Paragraph {number} of {url} says something." for number in range(300))
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    (tmp_path / "window_tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(tmp_path)
    return [{"python": "window_tools:search"}, {"python": "window_tools:page"}]


def results_of(request: Any) -> list[str]:
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]


def test_long_results_of_tools_are_cut_inside_of_their_marks(connect: Connect, tools: Any) -> None:
    script = [calls(("search", {"query": "q"})), calls(("page", {"url": "u"})), good("Done.")]
    with OpenAIServer(*script) as server:
        connect(server)
        told, _ = attempt_all(llm(tokens=2500, tools=tools), ask({"question": "Which?", "text": "None."}))
    assert all(tokens_of(request) <= 2550 for request in server.requests)
    (page,) = [text for text in results_of(server.requests[2]) if "Paragraph" in text]
    cut = {cut["path"]: cut for cut in told[0].window["cuts"]}["result of page, call 1"]
    assert (cut["unit"], cut["of"]) == ("paragraphs", 300)
    inner, source = unmarked(page) or ("", "")
    assert source == "tool page"
    assert inner.endswith(f"[… {cut['left_out']} of 300 paragraphs left out]")
    assert told[0].sent["messages"][-1] == {"role": "tool", "tool": "page", "content": page}
    assert len(told[0].result.tool_calls[1]["result"]) > 5000


def test_lists_that_tools_return_lose_whole_items(connect: Connect, tools: Any) -> None:
    with OpenAIServer(calls(("search", {"query": "q"})), good("Done.")) as server:
        connect(server)
        told, _ = attempt_all(llm(tokens=1200, tools=tools), ask({"question": "Which?", "text": "None."}))
    (text,) = results_of(server.requests[1])
    hits = json.loads((unmarked(text) or ("", ""))[0])
    (cut,) = told[0].window["cuts"]
    assert (cut["path"], cut["unit"], cut["of"]) == ("result of search, call 1", "items", 12)
    assert len(hits) == 12 - cut["left_out"]
    assert hits[-1]["text"].endswith("items left out]")


def test_results_and_the_prompt_share_the_window(connect: Connect, tools: Any) -> None:
    with OpenAIServer(calls(("page", {"url": "u"})), good("Done.")) as server:
        connect(server)
        told, _ = attempt_all(llm(tokens=2000, tools=tools), ask({"question": "Which?", "text": TEXT}))
    first, second = server.requests
    assert tokens_of(second) <= 2050
    (page,) = results_of(second)
    assert len(page) > 1500
    assert len(prompt_of(second)) > 1500
    assert {cut["path"] for cut in told[0].window["cuts"]} == {"input.text", "result of page, call 1"}
    assert told[0].sent["messages"][0]["content"] == prompt_of(second) != prompt_of(first)


def test_results_that_are_too_long_fail_the_attempt_where_the_window_says_so(connect: Connect, tools: Any) -> None:
    error, sent = refused(
        connect,
        llm("fail", tokens=2000, tools=tools),
        ask({"question": "Which?", "text": "None."}),
        calls(("page", {"url": "u"})),
    )
    assert len(sent) == 1
    assert error.details["longest"][0]["path"] == "result of page, call 1"
    assert error.details["usage"]["requests"] == 1
    assert len(error.details["tool_calls"]) == 1


SUMMARY = "The paragraphs say that each number is itself."


def test_summarize_asks_the_same_model_first(connect: Connect) -> None:
    with OpenAIServer(good("Done."), rules=(("Sum up this text", [good(SUMMARY)]),)) as server:
        connect(server)
        told, _ = attempt_all(llm("summarize"), ask({"question": "Which?", "text": TEXT}))
    *sums, last = server.requests
    assert len(sums) > 1, "the text is longer than the window, so it is summed up in parts"
    assert all(tokens_of(request) <= 1550 for request in server.requests)
    read = "\n".join(prompt_of(request) for request in sums)
    assert all(f"Paragraph {number} " in read for number in range(200))
    assert prompt_of(last) == "Question: Which?\n\nText:\n[Summary of 200 paragraphs] " + "\n\n".join(
        [SUMMARY] * len(sums)
    )
    (attempt,) = told
    assert attempt.sent["messages"] == [{"role": "user", "content": prompt_of(last)}]
    assert attempt.window["cuts"] == [
        {"path": "input.text", "unit": "paragraphs", "left_out": 200, "of": 200, "summed_up": True}
    ]
    recorded = attempt.window["summaries"]
    assert [call["prompt"] for call in recorded] == [prompt_of(request) for request in sums]
    assert {call["answer"] for call in recorded} == {SUMMARY}
    assert recorded[0]["tokens"] == {"input": 11, "output": 7}
    assert recorded[0]["path"] == "input.text"
    assert attempt.result.usage.requests == len(server.requests)
    assert attempt.result.usage.input_tokens == 11 * len(server.requests)


def test_summaries_cost_what_they_cost(connect: Connect) -> None:
    with OpenAIServer(good("Done."), rules=(("Sum up this text", [good(SUMMARY)]),)) as server:
        connect(server)
        agent = llm("summarize", tokens=3000, model="openai-chat:gpt-4o-mini")
        told, _ = attempt_all(agent, ask({"question": "Which?", "text": TEXT}))
    assert len(server.requests) > 1
    each = 11 * 0.15e-6 + 7 * 0.6e-6
    assert told[0].result.cost_usd == pytest.approx(each * len(server.requests), rel=0.01)
    assert told[0].window["summaries"][0]["cost_usd"] == pytest.approx(each, rel=0.01)


def test_summaries_that_are_too_long_are_cut(connect: Connect) -> None:
    with OpenAIServer(good("Done."), rules=(("Sum up this text", [good("So many words. " * 300)]),)) as server:
        connect(server)
        told, end = attempt_all(llm("summarize"), ask({"question": "Which?", "text": TEXT}))
    assert end is told[-1]
    assert len(server.requests) <= 17, "the number of calls for summaries is bounded"
    assert tokens_of(server.requests[-1]) <= 1550
    assert "left out]" in prompt_of(server.requests[-1])


def test_of_a_list_the_items_that_do_not_fit_are_summed_up(connect: Connect) -> None:
    docs = [{"title": f"Document {number}", "text": f"Number {number}. " * 20} for number in range(30)]
    prompt = "{% for doc in input.docs %}## {{ doc.title }}\n{{ doc.text }}\n{% endfor %}"
    with OpenAIServer(good("Done."), rules=(("Sum up this text", [good(SUMMARY)]),)) as server:
        connect(server)
        told, _ = attempt_all(llm("summarize", tokens=2000), ask({"docs": docs}, prompt=prompt))
    *sums, last = server.requests
    (cut,) = told[0].window["cuts"]
    assert (cut["path"], cut["unit"], cut["of"], cut["summed_up"]) == ("input.docs", "items", 30, True)
    assert f"## Document {29 - cut['left_out']}\n" in prompt_of(last)
    assert f"[… {cut['left_out']} of 30 items left out; in short: {SUMMARY}" in prompt_of(last)
    read = "\n".join(prompt_of(request) for request in sums)
    assert f'"Document {30 - cut["left_out"]}"' in read
    assert '"Document 29"' in read
    assert '"Document 0"' not in read


def test_a_summary_is_not_paid_for_again_by_the_next_attempt(connect: Connect) -> None:
    rules = (("Sum up this text", [good(SUMMARY)]),)
    with OpenAIServer(failing(503), good("Done."), rules=rules) as server:
        connect(server)
        told, end = attempt_all(llm("summarize", tokens=3000), ask({"question": "Which?", "text": TEXT}))
    assert end is told[1]
    sums = sum("Sum up this text" in prompt_of(request) for request in server.requests)
    assert len(server.requests) == sums + 2
    assert len(told[0].window["summaries"]) == sums
    assert told[1].window["summaries"] == []
    assert told[1].window["cuts"] == told[0].window["cuts"]
    assert told[0].error.details["usage"]["requests"] == sums


def test_summaries_are_calls_of_the_runs_budget(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", str(tmp_path / "limits.db"))
    purse = purse_of({"calls": 2}, f"brief/{tmp_path}")
    with OpenAIServer(good("Done."), rules=(("Sum up this text", [good(SUMMARY)]),)) as server:
        connect(server)
        told, end = attempt_all(llm("summarize"), replace(ask({"question": "Which?", "text": TEXT}), spending=purse))
    assert isinstance(end, FinalError)
    assert end.kind == "budget_exceeded"
    assert len(server.requests) == 2
    assert len(told[0].window["summaries"]) == 2


def test_a_failing_summary_fails_the_attempt_and_what_was_paid_is_in_the_record(connect: Connect) -> None:
    rules = (("Sum up this text", [good(SUMMARY), failing(503)]),)
    with OpenAIServer(good("Done."), rules=rules) as server:
        connect(server)
        told, end = attempt_all(llm("summarize"), ask({"question": "Which?", "text": TEXT}), retry=settings(1))
    assert isinstance(end, AttemptError)
    assert end.kind == "unavailable"
    assert len(server.requests) == 2
    assert len(told[0].window["summaries"]) == 1
    assert end.details["usage"]["requests"] == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it"),
        (500, "Context size has been exceeded."),
        (
            400,
            "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with "
            "context length of only 4096 tokens, which is not enough.",
        ),
    ],
)
def test_a_window_that_is_larger_than_the_models_context(connect: Connect, status: int, message: str) -> None:
    error, sent = refused(connect, llm(), ask({"question": "Which?", "text": ""}), failing(status, message=message))
    assert len(sent) == 1
    assert message.rstrip(".") in error.message
    assert "Let the agent's window" in error.message

"""
How our words are told in OpenTelemetry's: every span, attribute and event that is sent, in one table.

What the GenAI semantic conventions have a name for goes by that name; all else is ``agentic.*``. The conventions are
still in development, so they are pinned here: a newer version of them changes this file and nothing else.
``docs/telemetry.md`` shows these tables (a test compares the two).

Attributes are made from the records, so both always say the same. Values under ``content`` hold what people, agents or
models wrote; they are sent only where ``[agentic] telemetry_content`` says so, and masked like the records.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_agentic.trace.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_agentic.trace.record import AttemptRecord, Record

#: Of the OpenTelemetry GenAI semantic conventions, as docs/gen-ai of open-telemetry/semantic-conventions has them.
VERSION = "1.41.0"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{VERSION}"

#: Nothing longer goes onto a span: collectors refuse messages of a few megabytes.
LONGEST_CONTENT = 32_768


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """
    One attribute.

    :param on: the spans and events that have it.
    :param content: whether it holds what people, agents or models wrote.
    """

    name: str
    on: tuple[str, ...]
    meaning: str
    content: bool = False


#: what a span is of → how it is called, and what it stands for
SPANS: dict[str, tuple[str, str]] = {
    "stage": ("stage {stage}", "One task of a stage, under Airflow's span of the task's try."),
    "attempt": ("invoke_agent {agent}", "One attempt of an agent (of one item), as in its record."),
    "chat": ("chat {model}", "One request to a model. What was answered from what was kept is none."),
    "tool": ("execute_tool {tool}", "One call of a tool by a model."),
}
#: events of spans → what they mean
EVENTS: dict[str, tuple[str, str]] = {
    "agentic.limit_wait": ("attempt", "It waited for a connection's limits before its requests."),
    "agentic.retry": ("attempt", "It failed, and another attempt follows."),
    "agentic.wait": ("stage", "The wait before the next attempt is so long that Airflow takes it over."),
    "agentic.decision": ("stage", "Where the run goes on, or that a stage is left out."),
    "agentic.failure": ("stage", "The task failed outside of an attempt, or a value stood in."),
    "agentic.answer": ("stage", "A question to people was answered, or nobody did in time."),
    "agentic.merge": ("stage", "Outputs were merged."),
    "agentic.artifact": ("stage", "An artifact was written."),
}

_ALL = ("stage", "attempt", "chat", "tool")
ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name="gen_ai.operation.name", on=_ALL[1:], meaning="`invoke_agent`, `chat` or `execute_tool`"),
    Attribute(name="gen_ai.provider.name", on=("attempt", "chat"), meaning="the model's; else the agent's type"),
    Attribute(name="gen_ai.agent.name", on=("attempt",), meaning="the agent"),
    Attribute(name="gen_ai.request.model", on=("chat",), meaning="the model that was asked for"),
    Attribute(name="gen_ai.request.max_tokens", on=("chat",), meaning="the bound of the answer, where there is one"),
    Attribute(name="gen_ai.request.temperature", on=("chat",), meaning="where it is set"),
    Attribute(name="gen_ai.response.model", on=("attempt", "chat"), meaning="the model that answered (last)"),
    Attribute(name="gen_ai.response.id", on=("chat",), meaning="the provider's id of the answer"),
    Attribute(name="gen_ai.response.finish_reasons", on=("chat",), meaning="why the answer ended"),
    Attribute(name="gen_ai.output.type", on=("attempt",), meaning="`json`, or `text` without an output schema"),
    Attribute(name="gen_ai.usage.input_tokens", on=("attempt", "chat"), meaning="of the attempt: of all its requests"),
    Attribute(name="gen_ai.usage.output_tokens", on=("attempt", "chat"), meaning="of the attempt: of all its requests"),
    Attribute(name="gen_ai.tool.name", on=("tool",), meaning="the tool"),
    Attribute(name="gen_ai.tool.call.id", on=("tool",), meaning="the model's id of the call"),
    Attribute(name="server.address", on=("chat",), meaning="the host of the model's API"),
    Attribute(name="server.port", on=("chat",), meaning="its port"),
    Attribute(
        name="error.type",
        on=(*_ALL, "agentic.retry", "agentic.failure", "agentic.wait"),
        meaning="the language's kind of the error, else the exception's class",
    ),
    Attribute(name="gen_ai.system_instructions", on=("attempt",), meaning="the instructions", content=True),
    Attribute(name="gen_ai.input.messages", on=("attempt",), meaning="what the model was told", content=True),
    Attribute(name="gen_ai.output.messages", on=("attempt",), meaning="what was accepted", content=True),
    Attribute(name="gen_ai.tool.call.arguments", on=("tool",), meaning="the arguments", content=True),
    Attribute(name="gen_ai.tool.call.result", on=("tool",), meaning="the result", content=True),
    Attribute(name="agentic.stage", on=("stage", "attempt"), meaning="with the stages of the pipelines around it"),
    Attribute(name="agentic.task.kind", on=("stage",), meaning="`agent`, `item`, `route`, `merge`, …"),
    Attribute(name="agentic.template.digest", on=("stage",), meaning="of the template that the run was made from"),
    Attribute(
        name="agentic.round", on=("stage", "attempt", "agentic.decision"), meaning="of the innermost loop, from 1"
    ),
    Attribute(name="agentic.state", on=("stage", "attempt"), meaning="how it ended, see below"),
    Attribute(name="agentic.agent.type", on=("attempt",), meaning="`llm`, `python` or `http`"),
    Attribute(name="agentic.attempt", on=("attempt", "agentic.wait"), meaning="its number, as in the record"),
    Attribute(name="agentic.try_number", on=("attempt",), meaning="Airflow's"),
    Attribute(name="agentic.map_index", on=("attempt",), meaning="Airflow's; -1 for a task that isn't mapped"),
    Attribute(name="agentic.item", on=("attempt", "agentic.failure"), meaning="its place in the list, from 0"),
    Attribute(name="agentic.record", on=("attempt",), meaning="the path of its record in the trace store"),
    Attribute(name="agentic.seconds", on=("attempt",), meaning="of work"),
    Attribute(name="agentic.waited", on=("attempt", "agentic.limit_wait"), meaning="seconds"),
    Attribute(name="agentic.next_wait", on=("agentic.retry",), meaning="seconds until the next attempt"),
    Attribute(name="agentic.calls", on=("attempt",), meaning="requests to the agent that were made"),
    Attribute(name="agentic.cost_usd", on=("attempt",), meaning="where it is known"),
    Attribute(name="agentic.replayed", on=("attempt",), meaning="calls of a model that weren't made again, if any"),
    Attribute(name="agentic.cached", on=("attempt",), meaning="true: nobody was asked"),
    Attribute(name="agentic.until", on=("agentic.wait",), meaning="when Airflow may make the next try"),
    Attribute(name="agentic.outcome", on=("agentic.decision",), meaning="what was chosen"),
    Attribute(name="agentic.route", on=("agentic.decision",), meaning="its place in the template's list, from 0"),
    Attribute(name="agentic.max_rounds", on=("agentic.decision",), meaning="of the innermost loop"),
    Attribute(name="agentic.recovered", on=("agentic.failure",), meaning="true: a value stood in"),
    Attribute(name="agentic.timed_out", on=("agentic.answer",), meaning="true: nobody answered in time"),
    Attribute(name="agentic.merge.how", on=("agentic.merge",), meaning="one of the language's ways"),
    Attribute(name="agentic.merge.used", on=("agentic.merge",), meaning="how many outputs"),
    Attribute(name="agentic.merge.missing", on=("agentic.merge",), meaning="how many were missing"),
    Attribute(name="agentic.artifact.bytes", on=("agentic.artifact",), meaning="its size"),
    Attribute(name="agentic.artifact.sha256", on=("agentic.artifact",), meaning="its digest"),
    Attribute(name="agentic.input", on=("attempt",), meaning="what was sent to another agent, as JSON", content=True),
    Attribute(name="agentic.error.message", on=(*_ALL, "agentic.failure"), meaning="what went wrong", content=True),
    Attribute(name="agentic.conditions", on=("agentic.decision",), meaning="and the values they saw", content=True),
    Attribute(name="agentic.answer.choice", on=("agentic.answer",), meaning="the option chosen", content=True),
    Attribute(name="agentic.artifact.uri", on=("agentic.artifact",), meaning="where it is", content=True),
)
_CONTENT = frozenset(attribute.name for attribute in ATTRIBUTES if attribute.content)

#: The language's words for why something failed. Nothing else that calls itself a kind is told.
KINDS = frozenset(
    ("rate_limited", "unavailable", "timeout", "malformed_output", "bug", "rejected", "window_exceeded")
) | frozenset(("budget_exceeded", "not_accepted", "not_run", "killed", "failed"))

#: pydantic-ai's names of providers → the conventions' (the others are the same, or have none)
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-cloud": "gcp.vertex_ai",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}


def sent(attributes: Mapping[str, Any], *, content: bool, masked: Callable[[Any], Any]) -> dict[str, Any]:
    """
    The attributes as they are sent: those that are known, and content only where it may be, as text or JSON.

    :param content: whether it may.
    :param masked: takes secrets out of a value; before it is cut, since half a secret wouldn't be known as one.
    """
    allowed = {name: value for name, value in attributes.items() if content or name not in _CONTENT}
    safe = {name: masked(value) for name, value in allowed.items() if value is not None}
    return {name: _cut(value) if name in _CONTENT else value for name, value in safe.items()}


def span_name(of: str, name: str | None) -> str:
    """How a span is called."""
    return SPANS[of][0].partition(" {")[0] + (f" {name}" if name else "")


def attempt_attributes(record: AttemptRecord, path: str) -> dict[str, Any]:
    """
    Of an attempt's span.

    :param path: of the record.
    """
    usage, details = usage_of(record), (record.error or {}).get("details") or {}
    return {
        "gen_ai.response.model": record.model or details.get("model"),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "agentic.stage": record.stage,
        "agentic.round": record.round,
        "agentic.state": record.state,
        "agentic.attempt": record.attempt,
        "agentic.try_number": record.try_number,
        "agentic.map_index": record.map_index,
        "agentic.item": None if record.item is None else record.item["index"],
        "agentic.record": path,
        "agentic.seconds": record.seconds,
        "agentic.waited": record.waited,
        "agentic.calls": usage.calls,
        "agentic.cost_usd": usage.cost_usd,
        "agentic.replayed": record.replayed or None,
        "agentic.cached": True if record.cached is not None else None,
        "error.type": error_type(record),
        "agentic.error.message": (record.error or {}).get("message"),
        **_said(record),
    }


def agent_attributes(name: str, agent_type: str) -> dict[str, Any]:
    """Of an attempt's span before anything was asked. A model's provider is known when it is asked."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": name,
        "gen_ai.provider.name": agent_type,
        "agentic.agent.type": agent_type,
    }


def chat_attributes(provider: str, model: str, url: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Of a request to a model.

    :param provider: as pydantic-ai names it.
    :param url: of the model's API.
    """
    try:
        parts = urlsplit(url or "")
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider_name(provider),
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": settings.get("max_tokens"),
        "gen_ai.request.temperature": settings.get("temperature"),
        "server.address": parts.hostname,
        "server.port": port if parts.hostname else None,
    }


def tool_attributes(name: str, call_id: str | None, arguments: Any) -> dict[str, Any]:
    """Of a call of a tool."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": arguments,
    }


def provider_name(name: str) -> str:
    """A provider's name in the conventions."""
    return _PROVIDERS.get(name, name)


def event_of(record: Record) -> tuple[str, dict[str, Any]] | None:
    """The event of the stage's span that a record is told by; None: it has none."""
    from airflow_agentic.trace import record as records

    match record:
        case records.WaitRecord():
            told = {"error.type": record.why, "agentic.attempt": record.attempt, "agentic.until": record.until}
            return "agentic.wait", told
        case records.DecisionRecord():
            return "agentic.decision", {
                "agentic.outcome": record.outcome,
                "agentic.route": record.route,
                "agentic.round": record.round,
                "agentic.max_rounds": record.max_rounds,
                "agentic.conditions": list(record.conditions),
            }
        case records.FailureRecord():
            return "agentic.failure", {
                "error.type": type_of(record.error.get("kind"), record.error["type"]),
                "agentic.recovered": record.recovered,
                "agentic.item": record.item,
                "agentic.error.message": record.error.get("message"),
            }
        case records.AnswerRecord():
            return "agentic.answer", {
                "agentic.timed_out": record.timed_out,
                "agentic.answer.choice": record.choice,
            }
        case records.MergeRecord():
            return "agentic.merge", {
                "agentic.merge.how": record.how,
                "agentic.merge.used": len(record.used),
                "agentic.merge.missing": len(record.missing),
            }
        case records.ArtifactRecord():
            return "agentic.artifact", {
                "agentic.artifact.bytes": record.bytes,
                "agentic.artifact.sha256": record.sha256,
                "agentic.artifact.uri": record.uri,
            }
    return None


def type_of(kind: object, name: str) -> str:
    """
    What a failure is called.

    :param kind: as it calls itself.
    :param name: of the exception's class.
    """
    return kind if isinstance(kind, str) and kind in KINDS else name


def error_type(record: AttemptRecord) -> str | None:
    """Why an attempt failed, in the language's words; an attempt that was killed has no error of its own."""
    return "killed" if record.state == "killed" else record.error["kind"] if record.error is not None else None


def _said(record: AttemptRecord) -> dict[str, Any]:
    """The content of an attempt: a model's as messages, another agent's as it is."""
    given = record.input if isinstance(record.input, dict) else {}
    answered = [_message("assistant", record.output)] if record.output is not None else None
    if record.agent.get("type") != "llm":
        return {"agentic.input": record.input, "gen_ai.output.messages": answered}
    instructions = given.get("instructions")
    return {
        "gen_ai.system_instructions": [{"type": "text", "content": instructions}] if instructions else None,
        "gen_ai.input.messages": list(_messages(given.get("messages") or ())),
        "gen_ai.output.messages": answered,
    }


def _messages(said: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for one in said:
        message = _message(str(one.get("role")), one.get("content"), str(one.get("tool") or ""))
        for call in one.get("tool_calls") or ():
            part = {"type": "tool_call", "id": None, "name": call["tool"], "arguments": call["arguments"]}
            message["parts"].append(part)
        yield message


def _message(role: str, content: Any, tool: str = "") -> dict[str, Any]:
    """A message by the conventions' JSON Schema."""
    if role == "tool":
        part: dict[str, Any] = {"type": "tool_call_response", "id": None, "name": tool, "response": content}
    else:
        part = {"type": "text", "content": content if isinstance(content, str) else json.dumps(content)}
    finished = {"finish_reason": "stop"} if role == "assistant" else {}
    return {"role": role, "parts": [] if content is None else [part], **finished}


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_CONTENT else f"{text[:LONGEST_CONTENT]}…"

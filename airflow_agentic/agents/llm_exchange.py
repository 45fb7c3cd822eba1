"""
One attempt's conversation with a model: building pydantic-ai's agent, running it, and reading what was said.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai import StructuredDict, capture_run_messages
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.usage import UsageLimits

from airflow_agentic.agents.base import AgentResult, Usage
from airflow_agentic.agents.connections import no_connection
from airflow_agentic.agents.llm_errors import CUT_OFF
from airflow_agentic.agents.llm_steps import counts_here, was_replayed
from airflow_agentic.errors import AttemptError, FinalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.ai.hooks.pydantic_ai import PydanticAIHook
    from pydantic_ai import Agent
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.toolsets import AbstractToolset

#: Requests to the model in one attempt. Each tool turn is one; a model that still calls tools then is going round.
MOST_TURNS = 50
#: How often the model may correct the arguments of one tool's call, within one attempt.
_TOOL_CORRECTIONS = 3


def resolve_hook(connection: str, model: str | None) -> tuple[PydanticAIHook, dict[str, Any]]:
    """
    The hook behind a connection, its model (and those to fall back on) ready. Blocks: it looks up connections.

    With it comes what the models' connections say about limits and prices (None: nothing), in the order in which the
    models are asked.

    :raises FinalError: the connection doesn't exist, is of another type, or names no usable model.
    """
    from airflow.providers.common.ai.hooks.pydantic_ai import PydanticAIHook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from pydantic_ai.exceptions import UserError

    try:
        hook: PydanticAIHook = PydanticAIHook.get_hook(connection, hook_params={"model_id": model})
        hook.get_conn()
        # what the hook has just looked up itself: asking Airflow once more would cost every attempt a request
        extras = _extras(connection, hook._get_conn_and_extra()[1])
    except AirflowNotFoundException as error:
        raise FinalError(no_connection(connection), kind="rejected") from error
    except (ValueError, UserError, ImportError) as error:
        message = f"The connection {connection!r} gives no model: {error}"
        raise FinalError(message, kind="rejected") from error
    return hook, extras


def _extras(connection: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The ``agentic`` parts of the extras, None where there is none."""
    from airflow.providers.common.ai.hooks.pydantic_ai import FALLBACK_CONN_IDS_EXTRA_KEY, PydanticAIHook

    extras = {connection: extra.get("agentic")}
    for other in extra.get(FALLBACK_CONN_IDS_EXTRA_KEY) or ():
        if other.strip():
            extras[other.strip()] = PydanticAIHook.get_connection(other.strip()).extra_dejson.get("agentic")
    return extras


def build_agent(
    hook: PydanticAIHook,
    *,
    schema: dict[str, Any] | None,
    instructions: str,
    toolsets: Sequence[AbstractToolset[Any]],
    capabilities: Sequence[AbstractCapability[Any]] = (),
) -> Agent[object, Any]:
    """
    The agent for one attempt, which answers once.

    :param schema: of an object; None for text.
    :param capabilities: what else takes part in its requests.
    :raises FinalError: models can't be asked for that schema.
    """
    from pydantic_ai.exceptions import UserError

    try:
        output: type[Any] = str if schema is None else StructuredDict(schema)
        return hook.create_agent(
            output,
            instructions=instructions,
            toolsets=list(toolsets),
            capabilities=list(capabilities),
            retries={"tools": _TOOL_CORRECTIONS, "output": 0},
            instrument=False,  # the spans are ours: see airflow_agentic.telemetry
        )
    except UserError as error:
        raise FinalError(f"The model can't be asked for this output: {error}", kind="rejected") from error


@dataclass(kw_only=True)
class Exchange:
    """
    What was said in one attempt.

    :param earlier: the conversation that it goes on with, ending in what the model is told next.
    """

    prompt: str
    earlier: list[ModelMessage]
    messages: list[ModelMessage] = field(default_factory=list)
    tool_calls: list[Mapping[str, Any]] = field(default_factory=list)
    model_id: str | None = None
    #: answers that are none of the conversation's: to calls for summaries
    beside: list[ModelResponse] = field(default_factory=list)

    async def run(self, agent: Agent[object, Any], settings: Mapping[str, Any], timeout: float | None) -> Any:
        """
        Ask, and return the answer. Whatever happens, ``messages`` holds what was said until then.

        :param timeout: seconds for the whole attempt; it is enforced outside.
        """
        self.model_id = getattr(agent.model, "model_id", None)
        with capture_run_messages() as self.messages:
            async with agent:
                result = await agent.run(
                    None if self.earlier else self.prompt,
                    message_history=self.earlier or None,
                    model_settings=_model_settings(agent.model, settings, timeout),
                    usage_limits=UsageLimits(request_limit=MOST_TURNS),
                )
        return result.output

    def result(self, answer: Any, sent: Mapping[str, Any]) -> AgentResult:
        """The attempt's result."""
        return AgentResult(
            output=answer,
            sent=sent,
            model=self._model(),
            usage=self._usage(),
            cost_usd=self._cost(),
            tool_calls=tuple(self.tool_calls),
            replayed=self._replayed(),
        )

    def with_facts(self, error: AttemptError) -> AttemptError:
        """The error with what the attempt cost and did although it failed."""
        facts: dict[str, Any] = {"model": self._model(), "cost_usd": self._cost()}
        if self._all_responses():
            usage = self._usage()
            facts["usage"] = {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "requests": usage.requests,
            }
        if self.tool_calls:
            facts["tool_calls"] = [dict(call) for call in self.tool_calls]
        if replayed := self._replayed():
            facts["replayed"] = replayed
        error.details = {**{name: fact for name, fact in facts.items() if fact is not None}, **error.details}
        return error

    def sent_messages(self) -> list[dict[str, Any]]:
        """All that the model had been told when it gave its last answer."""
        known = self._before_last_response() or self.messages
        return plain_messages(known or self.earlier or [ModelRequest(parts=[UserPromptPart(self.prompt)])])

    def reply(self) -> Any:
        """The model's last answer as it said it, for the record."""
        last = self._last_response()
        return None if last is None else _plain_response(last)

    def told(self, problem: str) -> list[ModelMessage] | None:
        """The conversation with which the next attempt goes on; None: it begins anew."""
        last = self._last_response()
        if last is None or not last.parts:
            return self.earlier or None
        return [*self._before_last_response(), last, ModelRequest(parts=_feedback(last, problem))]

    def cut_off(self, schema: Mapping[str, Any] | None) -> str | None:
        """What is wrong with a text that was cut off, which is not the text that was asked for."""
        last = self._last_response()
        if schema is None and last is not None and last.finish_reason == "length":
            return CUT_OFF
        return None

    def has_answers(self) -> bool:
        """Whether the model was asked for anything in this attempt."""
        return not all(map(was_replayed, self._all_responses()))

    def _responses(self) -> list[ModelResponse]:
        """What the model said in this attempt."""
        earlier = sum(isinstance(message, ModelResponse) for message in self.earlier)
        return [message for message in self.messages if isinstance(message, ModelResponse)][earlier:]

    def _all_responses(self) -> list[ModelResponse]:
        """All that was answered in this attempt."""
        return [*self.beside, *self._responses()]

    def _last_response(self) -> ModelResponse | None:
        responses = self._responses()
        return responses[-1] if responses else None

    def _before_last_response(self) -> list[ModelMessage]:
        last = self._last_response()
        place = next((place for place, message in enumerate(self.messages) if message is last), 0)
        return self.messages[:place]

    def _model(self) -> str | None:
        last = self._last_response()
        return last.model_name if last is not None else None

    def _replayed(self) -> int:
        """How many of the answers an earlier process got."""
        return sum(map(was_replayed, self._all_responses()))

    def _paid(self) -> list[ModelResponse]:
        """The answers whose cost is this attempt's."""
        return [response for response in self._all_responses() if counts_here(response)]

    def _usage(self) -> Usage:
        responses = self._paid()
        counted = [response.usage for response in responses if response.usage.has_values()]
        return Usage(
            input_tokens=sum(usage.input_tokens for usage in counted) if counted else None,
            output_tokens=sum(usage.output_tokens for usage in counted) if counted else None,
            requests=len(responses),
        )

    def _cost(self) -> float | None:
        """In US dollars; None when the price of any of the requests is unknown."""
        costs = [response.usage.cost for response in self._paid()]
        if not costs or any(cost is None for cost in costs):
            return None
        return float(sum(cost for cost in costs if cost is not None))


def plain_messages(messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    """A conversation as plain data."""
    plain: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            plain.append(_plain_response(message))
        else:
            plain += [_plain_part(part) for part in message.parts]
    return plain


def _plain_response(response: ModelResponse) -> dict[str, Any]:
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    plain: dict[str, Any] = {"role": "assistant", "content": text or None}
    if response.tool_calls:
        plain["tool_calls"] = [
            {"tool": call.tool_name, "arguments": _arguments(call.args)} for call in response.tool_calls
        ]
    return plain


def _plain_part(part: Any) -> dict[str, Any]:
    if isinstance(part, ToolReturnPart):
        return {"role": "tool", "tool": part.tool_name, "content": part.model_response_str()}
    role = "system" if isinstance(part, SystemPromptPart) else "user"
    content = getattr(part, "content", None)
    return {"role": role, "content": content if isinstance(content, str) else repr(content)}


def _arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _feedback(response: ModelResponse, problem: str) -> list[Any]:
    """What answers a malformed reply: each call of a tool has to be answered by itself, a text by a message."""
    if not response.tool_calls:
        return [UserPromptPart(f"This answer can't be used. {problem} Answer again.")]
    return [
        ToolReturnPart(tool_name=call.tool_name, content=problem, tool_call_id=call.tool_call_id, outcome="retried")
        for call in response.tool_calls
    ]


def _model_settings(model: Any, settings: Mapping[str, Any], timeout: float | None) -> Any:
    """
    The settings of each request to a model.

    Where several models stand in for one another, each gets its share of the attempt's time: otherwise one that hangs
    would leave none to the next.
    """
    models = getattr(model, "models", [model])
    own: dict[str, Any] = dict(settings)
    if timeout is not None:
        own.setdefault("timeout", timeout / len(models))
    own.pop("max_retries", None)
    if any("max_retries" not in getattr(each, "unsupported_settings", ()) for each in models):
        own["max_retries"] = 0  # of the provider's SDK: attempts of its own would be counted and recorded by nobody
    return own

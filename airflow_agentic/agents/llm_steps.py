"""
Conversations that go on where a process died: answers of models and results of tools, kept as they come.

A step is found again by what was asked (model, messages, settings, tools and schema; a tool's name and arguments) and
how often that was asked before in the attempt. What differs from the earlier conversation is asked anew.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.ai.durable.fingerprint import fingerprint_model_request, fingerprint_tool_call
from pydantic import TypeAdapter, ValidationError
from pydantic_ai.durable_exec import JSON_CODEC
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, ToolReturn, ToolReturnContent
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import RequestUsage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.agents.base import Steps

log = logging.getLogger(__name__)

#: What a response says about itself, in its metadata, which no model gets to see.
_MARK = "agentic"
_CONVERSATION = "conversation"
#: What a tool may give.
_FORMS: dict[str, Any] = {"return": ToolReturn, "content": ToolReturnContent}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(form) for kind, form in _FORMS.items()}


def keep_models(agent: Agent[object, Any], steps: Steps) -> None:
    """Let all that the agent asks its models be kept, and what was kept be taken."""
    if isinstance(agent.model, str) or agent.model is None:
        raise TypeError("the agent's model isn't resolved")
    agent.model = _KeptModel(agent.model, steps)


def was_replayed(response: ModelResponse) -> bool:
    """Whether the model wasn't asked for this answer in this process' attempt."""
    return _MARK in (response.metadata or {})


def counts_here(response: ModelResponse) -> bool:
    """Whether this attempt's record accounts for what the answer cost: no attempt with another number does."""
    return bool((response.metadata or {}).get(_MARK, {}).get("counts", True))


async def earlier_conversation(steps: Steps, given: list[ModelMessage]) -> list[ModelMessage]:
    """
    The messages that the attempt goes on with.

    :param given: what the attempt was told to go on with; empty: what it was told in a process that died.
    """
    if given:
        await steps.keep(_CONVERSATION, ModelMessagesTypeAdapter.dump_python(given, mode="json"))
        return given
    kept = await steps.get(_CONVERSATION)
    return [] if kept is None else ModelMessagesTypeAdapter.validate_python(kept)


class _KeptModel(WrapperModel):
    """A model whose answers are kept."""

    def __init__(self, wrapped: Model, steps: Steps) -> None:
        super().__init__(wrapped)
        self._steps = steps
        self._asked: Counter[str] = Counter()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Take what was kept, or ask and keep."""
        said = [_lasting(message) for message in messages]
        digest = fingerprint_model_request(self.wrapped.model_id, said, model_settings, model_request_parameters)
        if digest is None:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        self._asked[digest] += 1
        key = f"model/{digest}/{self._asked[digest]}"
        response = self._kept(await self._steps.get(key))
        if response is None:
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            plain = ModelMessagesTypeAdapter.dump_python([response], mode="json")
            await self._steps.keep(key, {"attempt": self._steps.attempt, "response": plain})
        return response

    def _kept(self, kept: Any | None) -> ModelResponse | None:
        if kept is None:
            return None
        try:
            (response,) = ModelMessagesTypeAdapter.validate_python(kept["response"])
        except ValidationError:
            log.warning("A kept answer can't be read, so the model is asked again.", exc_info=True)
            return None
        if not isinstance(response, ModelResponse):
            return None
        mark = {_MARK: {"replayed": True, "counts": kept["attempt"] == self._steps.attempt}}
        return replace(response, metadata={**(response.metadata or {}), **mark})


@dataclass
class KeptTools:
    """
    Results of tools that are kept.

    :param steps: None: nothing is kept.
    """

    steps: Steps | None
    _called: Counter[str] = field(default_factory=Counter, init=False)

    async def result(
        self, name: str, arguments: dict[str, Any], call_id: str | None, work: Callable[[], Awaitable[Any]]
    ) -> tuple[Any, bool]:
        """
        What a call gives, and whether it was made in an earlier process.

        :param work: the call itself.
        :raises ModelRetry, ToolFailed: what it tells the model instead of a result; kept as well.
        """
        digest = None if self.steps is None else fingerprint_tool_call(name, arguments, call_id)
        if self.steps is None or digest is None:
            return await work(), False
        self._called[digest] += 1
        key = f"tool/{digest}/{self._called[digest]}"
        kept = await self.steps.get(key)
        if kept is not None:
            return _given(kept), True
        try:
            result = await work()
        except (ModelRetry, ToolFailed) as told:
            await self.steps.keep(key, {"retry" if isinstance(told, ModelRetry) else "failed": told.message})
            raise
        plain = _plain(result)
        if plain is not None:
            await self.steps.keep(key, plain)
        return result, False


def _lasting(message: ModelMessage) -> ModelMessage:
    """A message without what may differ when it is read back."""
    return replace(message, usage=RequestUsage(), metadata=None) if isinstance(message, ModelResponse) else message


def _plain(result: Any) -> dict[str, Any] | None:
    """A tool's result as JSON-able data; None: it can't be."""
    kind = "return" if isinstance(result, ToolReturn) else "content"
    try:
        return {kind: _ADAPTERS[kind].dump_python(result, mode="json", by_alias=True)}  # as models are told it
    except ValueError:
        log.warning("The result of a tool is no plain data, so it can't be kept for a retry.", exc_info=True)
        return None


def _given(kept: dict[str, Any]) -> Any:
    """Undo :func:`_plain`."""
    ((kind, value),) = kept.items()
    match kind:
        case "retry":
            raise ModelRetry(value)
        case "failed":
            raise ToolFailed(value)
        case _:
            return JSON_CODEC.load(_FORMS[kind], value)

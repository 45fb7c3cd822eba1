"""
Models whose connections have limits: each request waits until it is let in, tool turns included.

Imports pydantic-ai, so it is itself imported only when a connection has limits. The model is wrapped, and not the
agent, because models that stand in for one another have connections, and so limits, of their own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.wrapper import WrapperModel

from airflow_agentic.agents.llm_exchange import plain_messages
from airflow_agentic.limits.admission import gate_to

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.limits.admission import Gate
    from airflow_agentic.limits.waiting import Waiting

#: Tokens reserved for an answer whose length the settings don't bound (``max_tokens``).
USUAL_ANSWER = 1024
#: Bytes of text in a token, on the safe side: English has about four, CJK characters have three and are about one.
_BYTES_PER_TOKEN = 3
#: Tokens that frame a conversation.
_FRAME = 16


def limit_models(
    agent: Agent[object, Any], limits: Mapping[str, Any], waiting: Waiting, timeout: asyncio.Timeout
) -> None:
    """
    Let the agent's models ask only when their connections let them.

    :param limits: connection → what its extra says, in the order of the models.
    :raises ConfigError: an extra says something else.
    """
    gates = [
        None if extra is None else gate_to(connection, extra, waiting, timeout) for connection, extra in limits.items()
    ]
    turns = _Turns()
    models = getattr(agent.model, "models", None)
    if models is None:
        agent.model = _limited(agent.model, gates[0], turns)
    else:
        models[:] = [_limited(model, gate, turns) for model, gate in zip(models, gates, strict=True)]


def estimated_tokens(
    messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> int:
    """
    What a request may take at most, as far as that can be told: the text that is sent, and the longest answer.

    Images and other files aren't counted.
    """
    tools = [
        [tool.name, tool.description, tool.parameters_json_schema]
        for tool in [*parameters.function_tools, *parameters.output_tools]
    ]
    instructions = {message.instructions for message in messages if isinstance(message, ModelRequest)}
    schema = parameters.output_object.json_schema if parameters.output_object is not None else None
    said = [plain_messages(messages), sorted(filter(None, instructions)), tools, schema]
    size = len(json.dumps(said, ensure_ascii=False, default=str).encode())
    return size // _BYTES_PER_TOKEN + _FRAME + int((settings or {}).get("max_tokens") or USUAL_ANSWER)


class _Turns:
    """Whether anything was asked in this attempt: from then on, it can't be put off without being paid for again."""

    begun = False


class _LimitedModel(WrapperModel):
    """A model whose connection has limits."""

    def __init__(self, wrapped: Model, gate: Gate, turns: _Turns) -> None:
        super().__init__(wrapped)
        self._gate = gate
        self._turns = turns

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Wait, ask, and tell what it took."""
        tokens = estimated_tokens(messages, model_settings, model_request_parameters)
        async with self._gate.admitted(tokens=tokens, may_hand_over=not self._turns.begun) as admission:
            self._turns.begun = True
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            if response.usage.has_values():
                admission.tokens = response.usage.total_tokens
        return response


def _limited(model: Any, gate: Gate | None, turns: _Turns) -> Any:
    return model if gate is None else _LimitedModel(model, gate, turns)

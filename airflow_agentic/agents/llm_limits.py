"""
Models whose connections have limits: each request waits until it is let in, tool turns included.

Imports pydantic-ai, so it is itself imported only when a connection has limits. The model is wrapped, and not the
agent, because models that stand in for one another have connections, and so limits, of their own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.wrapper import WrapperModel

from airflow_agentic.agents.llm_exchange import plain_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.limits.admission import Gate

#: Tokens reserved for an answer whose length the settings don't bound (``max_tokens``).
USUAL_ANSWER = 1024
#: Bytes of text in a token, on the safe side: English has about four, CJK characters have three and are about one.
BYTES_PER_TOKEN = 3
#: Tokens that frame a conversation.
_FRAME = 16


def prompt_tokens(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
    """
    What is sent, as far as that can be told without asking the provider: its text, on the safe side.

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
    return size // BYTES_PER_TOKEN + _FRAME


class Turns:
    """Whether anything was asked in this attempt: from then on, it can't be put off without being paid for again."""

    begun = False


class LimitedModel(WrapperModel):
    """
    A model whose connection has limits.

    :param turns: of the attempt, for all of its models.
    """

    def __init__(self, wrapped: Model, gate: Gate, turns: Turns) -> None:
        super().__init__(wrapped)
        self._gate = gate
        self._turns = turns
        #: requests that were let in
        self.sent = 0

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Wait, ask, and tell what it took."""
        answer = int((model_settings or {}).get("max_tokens") or USUAL_ANSWER)
        tokens = prompt_tokens(messages, model_request_parameters) + answer
        async with self._gate.admitted(tokens=tokens, may_hand_over=not self._turns.begun) as admission:
            self._turns.begun = True
            self.sent += 1
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            if response.usage.has_values():
                admission.tokens = response.usage.total_tokens
        return response

"""
Windows: a request that is longer than its agent's window is shortened, or not made.

This comes before every request of a conversation, and its changes stay in the conversation: so what is recorded, and
what a later attempt goes on with, is what was sent.

Imports pydantic-ai, so it is itself imported only when an llm agent with a window runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic_ai.capabilities import AbstractCapability

from airflow_agentic.agents.llm_dialogue import Dialogue
from airflow_agentic.agents.llm_overflow import Overflow
from airflow_agentic.agents.llm_sources import Sources
from airflow_agentic.agents.llm_summaries import Summarizer
from airflow_agentic.agents.llm_tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import ModelRequestContext

    from airflow_agentic.agents.base import AgentRequest
    from airflow_agentic.agents.llm_tokens import Counted


@dataclass(frozen=True, kw_only=True)
class Window:
    """
    How long a request may be, and what is done about one that is longer.

    :param max_tokens: of instructions, prompt, tools, output schema and earlier turns; the answer isn't counted.
    """

    max_tokens: int
    overflow: Literal["fail", "truncate", "summarize"]


class Windowed(AbstractCapability[Any]):
    """
    Makes one attempt's requests fit, and tells the attempt's ``fitting`` what it did.

    :param instructions: those that go out with a request.
    :param heard: told of each answer to a call for a summary.
    """

    def __init__(
        self,
        window: Window,
        request: AgentRequest,
        *,
        instructions: Callable[[AgentRequest], str | None],
        heard: Callable[[ModelResponse], None],
    ) -> None:
        self._window = window
        self._request = request
        self._instructions = instructions
        self._heard = heard
        #: of the shortened request, once it was shortened
        self._new_instructions: str | None = None
        self._counter: TokenCounter | None = None
        self._summarizer: Summarizer | None = None
        if request.malformed is not None and request.malformed.conversation:
            request.fitting.record = request.fitting.known.record  # it goes on with what was cut

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """
        Let through what fits, and shorten what doesn't.

        :raises FinalError: it can't be shortened, or must not be.
        """
        dialogue = Dialogue(
            messages=list(request_context.messages), parameters=request_context.model_request_parameters
        )
        if self._new_instructions is not None:
            dialogue = dialogue.with_instructions(self._new_instructions)
        if self._counter is None:
            self._counter = TokenCounter(request_context.model, self._window.max_tokens)
        counted = await self._counter.count(dialogue, request_context.model_settings)
        if counted.tokens > self._window.max_tokens:
            dialogue = await self._shortened(dialogue, counted, self._counter, request_context)
            ctx.messages[:] = dialogue.messages
        return replace(request_context, messages=dialogue.messages, model_request_parameters=dialogue.parameters)

    async def _shortened(
        self, dialogue: Dialogue, counted: Counted, counter: TokenCounter, context: ModelRequestContext
    ) -> Dialogue:
        sources = Sources(dialogue, self._request, self._instructions)
        overflow = Overflow(sources, self._window.max_tokens, counted, counter, context.model_settings)
        match self._window.overflow:
            case "fail":
                raise overflow.error()
            case "truncate":
                values = await overflow.truncated()
            case "summarize":
                values = await overflow.summed_up(self._summaries(context))
        fitted, self._new_instructions = sources.made(values)
        self._record(counted_by=counted.by, tokens_before=counted.tokens, tokens=overflow.tokens, cuts=overflow.cuts)
        fitting = self._request.fitting
        fitting.messages, fitting.instructions = list(fitted.messages), self._new_instructions
        return fitted

    def _summaries(self, context: ModelRequestContext) -> Summarizer:
        if self._summarizer is None:
            known = self._request.fitting.known
            window = self._window.max_tokens
            self._summarizer = Summarizer(context.model, context.model_settings, window, known, self._hear)
        return self._summarizer

    def _hear(self, response: ModelResponse, call: dict[str, Any]) -> None:
        """A summary was paid for: it is in the record, whatever becomes of the attempt."""
        self._heard(response)
        former = self._request.fitting.record or {}
        self._record(summaries=[*former.get("summaries", ()), call])

    def _record(self, **facts: Any) -> None:
        fitting = self._request.fitting
        empty: dict[str, Any] = {"counted_by": None, "tokens_before": None, "tokens": None, "cuts": [], "summaries": []}
        own = {"max_tokens": self._window.max_tokens, "overflow": self._window.overflow}
        fitting.record = {**own, **(fitting.record or empty), **facts}
        fitting.known.record = {**fitting.record, "summaries": []}  # each is in the record of who paid for it

"""
Agents that are language models, called through common-ai's hook and an Airflow connection.

One attempt is one conversation with the model up to its answer, tool turns included. Nothing repeats inside of it:
the provider's SDK and pydantic-ai are told not to retry, so that every request is an attempt that is counted,
recorded and waited for here. An answer that doesn't fit is not thrown away: the next attempt goes on with the same
conversation, and the model is told what was wrong.

This module imports nothing heavy; what needs pydantic-ai is in :mod:`airflow_agentic.agents.llm_exchange` and the
other ``llm_`` modules, imported when an agent runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.llm_schema import from_model, to_model
from airflow_agentic.agents.marking import INSTRUCTION, has_marks
from airflow_agentic.agents.redaction import without_secrets
from airflow_agentic.agents.validate import MalformedOutput, output_problem
from airflow_agentic.errors import AttemptError, FinalError, LimiterError, RetryableError, RetryLater, StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.agents.base import AgentRequest, AgentResult, Steps
    from airflow_agentic.agents.llm_exchange import Exchange
    from airflow_agentic.agents.llm_window import Windowed

_EXTRA = "Agents of type llm need the extra 'llm': pip install 'airflow-agentic[llm]'"


@dataclass(frozen=True, kw_only=True)
class LlmAgent:
    """
    An agent that asks a language model.

    :param connection: id of an Airflow connection of a ``pydanticai`` type.
    :param model: ``provider:model``, over the connection's own.
    :param settings: pydantic-ai's model settings (``temperature``, ``max_tokens``, …).
    :param tools: what the model may call, as the template lists them.
    :param window: how long a request may be (``max_tokens``), and what is done about a longer one (``overflow``).
    """

    connection: str
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    window: Mapping[str, Any] | None = None

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> LlmAgent:
        """Build it from an entry of ``Plan.agents``."""
        return cls(
            connection=spec["connection"],
            model=spec.get("model"),
            settings=spec.get("settings") or {},
            tools=tuple(spec.get("tools") or ()),
            window=spec.get("window"),
        )

    async def run(self, request: AgentRequest) -> AgentResult:
        """Ask the model once. See :meth:`airflow_agentic.agents.base.Agent.run`."""
        if not (request.prompt or "").strip():
            raise FinalError("The prompt is empty: there is nothing to ask the model.", kind="rejected")
        _check_installed()
        from airflow_agentic.agents.llm_exchange import Exchange

        exchange = Exchange(prompt=request.prompt or "", earlier=await self._earlier(request))
        try:
            async with asyncio.timeout(request.timeout) as limit:
                answer = await self._answer(exchange, request, limit)
        except StoppedError:
            raise
        except (RetryLater, LimiterError) as error:
            if not exchange.has_answers():
                raise  # nothing was asked
            raise exchange.with_facts(RetryableError(str(error), kind="unavailable")) from error
        except AttemptError as error:
            raise exchange.with_facts(error) from error.__cause__
        except Exception as error:
            raise exchange.with_facts(self._error(error, exchange, request, limit)) from error
        return exchange.result(answer, self._sent(request, exchange))

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        """What :meth:`run` sends first, or what it has sent so that it fits the window."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": request.prompt}]
        conversation = request.fitting.messages or _conversation(request)
        if conversation:
            from airflow_agentic.agents.llm_exchange import plain_messages

            messages = plain_messages(conversation)
        return self._record(request, messages, self.model)

    async def _answer(self, exchange: Exchange, request: AgentRequest, timeout: asyncio.Timeout) -> Any:
        from airflow_agentic.agents.llm_exchange import build_agent, resolve_hook
        from airflow_agentic.agents.llm_layers import layer_models
        from airflow_agentic.agents.llm_tools import make_toolsets

        steps = self._steps(request)
        hook, extras = await asyncio.to_thread(resolve_hook, self.connection, self.model)
        agent = build_agent(
            hook,
            schema=to_model(request.output_schema),
            instructions=self._instructions(request) or "",
            toolsets=make_toolsets(self.tools, exchange.tool_calls.append, steps),
            capabilities=self._windows(request, exchange),
        )
        layer_models(agent, request, extras, timeout, steps)
        said = await exchange.run(agent, self.settings, request.timeout)
        answer, problem = from_model(said, request.output_schema)
        problem = problem or output_problem(answer, request.output_schema) or exchange.cut_off(request.output_schema)
        if problem is not None:
            raise MalformedOutput(problem, reply=answer, conversation=exchange.told(problem))
        return answer

    def _steps(self, request: AgentRequest) -> Steps | None:
        """What is kept of the conversation; nothing where one answer is all: that is kept as the attempt's."""
        sums_up = self.window is not None and self.window["overflow"] == "summarize"
        return request.steps if self.tools or sums_up else None

    def _windows(self, request: AgentRequest, exchange: Exchange) -> list[Windowed]:
        """What keeps requests within the agent's window, if it has one."""
        if self.window is None:
            return []
        from airflow_agentic.agents.llm_window import Window, Windowed

        window = Window(**self.window)
        return [Windowed(window, request, instructions=self._instructions, heard=exchange.beside.append)]

    async def _earlier(self, request: AgentRequest) -> list[Any]:
        """The conversation that the attempt goes on with."""
        conversation, steps = _conversation(request), self._steps(request)
        if steps is None:
            return conversation
        from airflow_agentic.agents.llm_steps import earlier_conversation

        return await earlier_conversation(steps, conversation)

    def _error(
        self, error: Exception, exchange: Exchange, request: AgentRequest, limit: asyncio.Timeout
    ) -> AttemptError:
        from airflow_agentic.agents.llm_errors import attempt_error

        if isinstance(error, TimeoutError) and limit.expired():
            message = f"The model did not answer within {request.timeout:g} s."
            return RetryableError(message, kind="timeout")
        classified = attempt_error(error)
        if isinstance(classified, MalformedOutput):
            classified.reply = exchange.reply()
            classified.conversation = exchange.told(classified.message)
        return classified

    def _sent(self, request: AgentRequest, exchange: Exchange) -> dict[str, Any]:
        return self._record(request, exchange.sent_messages(), self.model or exchange.model_id)

    def _instructions(self, request: AgentRequest) -> str | None:
        """The agent's own, and what a model has to know where it is given data."""
        if not (self.tools or has_marks(request.prompt) or has_marks(request.instructions)):
            return request.instructions
        return "\n\n".join(text for text in (request.instructions, INSTRUCTION) if text)

    def _record(self, request: AgentRequest, messages: list[dict[str, Any]], model: str | None) -> dict[str, Any]:
        fitting = request.fitting
        instructions = self._instructions(request) if fitting.messages is None else fitting.instructions
        sent = {
            "connection": self.connection,
            "model": model,
            "instructions": instructions,
            "messages": messages,
            "settings": without_secrets(self.settings),
            "output_schema": request.output_schema,
            "tools": [dict(tool) for tool in self.tools],
        }
        return {name: value for name, value in sent.items() if value not in (None, {}, [])}


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("pydantic_ai") is None:
        raise FinalError(f"{_EXTRA} (pydantic-ai is missing).", kind="rejected")
    try:
        found = find_spec("airflow.providers.common.ai")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise FinalError(f"{_EXTRA} (apache-airflow-providers-common-ai is missing).", kind="rejected")


def _conversation(request: AgentRequest) -> list[Any]:
    return list(request.malformed.conversation or ()) if request.malformed is not None else []

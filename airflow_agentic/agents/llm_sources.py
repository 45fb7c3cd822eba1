"""
What a conversation with a model is made from, and the same conversation made from shortened values.

That is what the agent's prompt and instructions were rendered from, and what tools have returned: always as it was
before anything was cut, so that a cut is never cut again.

Imports pydantic-ai, so it is itself imported only when an llm agent with a window runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.llm_dialogue import ToolResult
from airflow_agentic.agents.window import shown
from airflow_agentic.errors import AgenticError, FinalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_agentic.agents.base import AgentRequest
    from airflow_agentic.agents.llm_dialogue import Dialogue
    from airflow_agentic.agents.window_values import Path

_READ, _RESULTS = "read", "results"


class Sources:
    """
    What one request to a model is made from.

    :param dialogue: the request as it is.
    :param request: the attempt's; its ``fitting`` knows the tools' results before anything was cut.
    :param instructions: those that go out with a request.
    """

    def __init__(
        self, dialogue: Dialogue, request: AgentRequest, instructions: Callable[[AgentRequest], str | None]
    ) -> None:
        self._dialogue = dialogue
        self._request = request
        self._instructions = instructions
        whole = request.fitting.known.results
        self._results = {
            call: ToolResult.of(whole.setdefault(call, content)) for call, content in dialogue.results().items()
        }
        self._names = dialogue.names()

    @property
    def values(self) -> dict[str, Any]:
        """All of it, as it was before anything was cut."""
        read = self._request.read if self._request.remade is not None else {}
        return {_READ: read, _RESULTS: {call: result.value for call, result in self._results.items()}}

    @property
    def has_tools(self) -> bool:
        """Whether there are tools that may still return something."""
        return bool(self._dialogue.parameters.function_tools)

    def made(self, values: Mapping[str, Any]) -> tuple[Dialogue, str]:
        """
        The request made from such values, and its instructions.

        :raises FinalError: what the template says can't be said of them.
        """
        request = self._remade(values[_READ])
        instructions = self._instructions(request) or ""
        contents = {call: result.content(values[_RESULTS][call]) for call, result in self._results.items()}
        dialogue = self._dialogue.with_results(contents).with_prompt(request.prompt or "")
        return dialogue.with_instructions(instructions), instructions

    def _remade(self, read: Mapping[str, Any]) -> AgentRequest:
        if self._request.remade is None:
            return self._request
        try:
            return self._request.remade(read)
        except AgenticError as error:
            message = f"The request doesn't fit into the agent's window, and can't be made from less: {error}"
            raise FinalError(message, kind="window_exceeded") from error

    def shown(self, path: Path) -> str:
        """A path among the values, for people."""
        where, first, *others = path
        if where == _READ:
            return shown(path[1:])
        return shown((f"result of {self._names[str(first)]}", *others))

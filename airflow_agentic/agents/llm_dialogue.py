"""
What is about to be sent to a model, and the same with other texts in it.

Imports pydantic-ai, so it is itself imported only when an llm agent with a window runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import AgentInstructionSource, InstructionPart, ModelRequest, ToolReturnPart, UserPromptPart

from airflow_agentic.agents.llm_limits import prompt_tokens
from airflow_agentic.agents.marking import mark, unmarked
from airflow_agentic.agents.validate import data_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import ModelRequestParameters


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """One request to a model: a conversation, its instructions, the tools and the schema of the output."""

    messages: list[ModelMessage]
    parameters: ModelRequestParameters

    def estimated_tokens(self) -> int:
        """How many tokens it has, about, and rather too many."""
        return prompt_tokens(self._said_messages(), self.parameters)

    def _said_messages(self) -> list[ModelMessage]:
        """The messages, each without the instructions it once had: only the parameters' are sent."""
        said: list[ModelMessage] = [
            replace(message, instructions=None) if isinstance(message, ModelRequest) else message
            for message in self.messages
        ]
        instructions = InstructionPart.join(self.parameters.instruction_parts or [])
        if instructions and isinstance(said[-1], ModelRequest):
            said[-1] = replace(said[-1], instructions=instructions)
        return said

    def results(self) -> dict[str, Any]:
        """What tools have returned, by the ids of their calls, as far as it is data."""
        return {part.tool_call_id: part.content for part in self._returns() if _is_data(part.content)}

    def names(self) -> dict[str, str]:
        """The id of each tool's call → how people call it."""
        counts: dict[str, int] = {}
        found = {}
        for part in self._returns():
            counts[part.tool_name] = counts.get(part.tool_name, 0) + 1
            found[part.tool_call_id] = f"{part.tool_name}, call {counts[part.tool_name]}"
        return found

    def _returns(self) -> Iterator[ToolReturnPart[Any]]:
        for message in self.messages:
            if isinstance(message, ModelRequest):
                yield from (part for part in message.parts if isinstance(part, ToolReturnPart))

    def with_prompt(self, prompt: str) -> Dialogue:
        """With another text in place of what the user said first."""
        parts = (part for message in self.messages for part in message.parts)
        first = next(part for part in parts if isinstance(part, UserPromptPart))
        return self._changed(lambda part: replace(first, content=prompt) if part is first else part)

    def with_instructions(self, instructions: str) -> Dialogue:
        """With other instructions of the agent's; those of its tools stay."""
        parts = [
            replace(part, content=instructions) if _is_of_agent(part) else part
            for part in self.parameters.instruction_parts or ()
        ]
        return replace(self, parameters=replace(self.parameters, instruction_parts=parts))

    def with_results(self, contents: Mapping[str, Any]) -> Dialogue:
        """With other results of tools: the id of a call → what it returned."""
        return self._changed(
            lambda part: (
                replace(part, content=contents[part.tool_call_id])
                if isinstance(part, ToolReturnPart) and part.tool_call_id in contents
                else part
            )
        )

    def _changed(self, change: Callable[[Any], Any]) -> Dialogue:
        messages: list[ModelMessage] = [
            replace(message, parts=[change(part) for part in message.parts])
            if isinstance(message, ModelRequest)
            else message
            for message in self.messages
        ]
        return replace(self, messages=messages)


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """
    What a tool returned.

    :param value: the data, whatever form it was sent in.
    :param source: what its mark says it is from; None: it has none.
    :param as_json: it is sent as JSON text.
    """

    value: Any
    source: str | None
    as_json: bool

    @classmethod
    def of(cls, content: Any) -> ToolResult:
        """Read a result as it is sent."""
        inside = unmarked(content) if isinstance(content, str) else None
        text, source = inside if inside is not None else (content, None)
        data = _parsed(text) if isinstance(text, str) else None
        return cls(value=text if data is None else data, source=source, as_json=data is not None)

    def content(self, value: Any) -> Any:
        """Another value, to be sent in the same form."""
        said = json.dumps(value, ensure_ascii=False) if self.as_json else value
        return said if self.source is None else mark(said, self.source)


def _is_of_agent(part: InstructionPart) -> bool:
    return part.id is not None and isinstance(part.id.source, AgentInstructionSource)


def _is_data(content: Any) -> bool:
    return isinstance(content, (str, list, dict)) and data_problem(content) is None


def _parsed(text: str) -> Any | None:
    """The list or mapping that a text is the JSON of, if it is one."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

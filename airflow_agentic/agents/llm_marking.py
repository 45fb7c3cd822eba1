"""
Marks around what tools return: a page, a row or another server's answer is data for a model, and no instruction.

What is recorded and kept of a call stays as the tool gave it; only what goes to the model is marked.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import TextContent, ToolReturn, ToolReturnPart, is_multi_modal_content
from pydantic_ai.toolsets import WrapperToolset

from airflow_agentic.agents.marking import is_small, mark

if TYPE_CHECKING:
    from pydantic_ai._run_context import RunContext
    from pydantic_ai.toolsets.abstract import ToolsetTool


class CallRefused(ToolFailed):
    """A tool was not called. The message is this package's own and no data."""


@dataclass
class MarkedToolset(WrapperToolset[Any]):
    """Tools whose results, and the reasons they give for failing, are marked as data."""

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool of the toolset."""
        source = f"tool {name}"
        try:
            result = await self.wrapped.call_tool(name, tool_args, ctx, tool)
        except CallRefused:
            raise
        except (ModelRetry, ToolFailed) as error:
            raise type(error)(mark(error.message, source)) from error
        return marked_result(result, source)


def marked_result(result: Any, source: str) -> Any:
    """
    What a tool returned, as a model gets it: texts in marks, data as JSON in a mark, pictures and files as they are.

    :param source: the tool, for the model.
    """
    if isinstance(result, ToolReturn):
        content = result.content
        parts = content if content is None or isinstance(content, str) else [_part(part, source) for part in content]
        marked = mark(parts, source) if isinstance(parts, str) else parts
        return replace(result, return_value=marked_result(result.return_value, source), content=marked)
    if is_multi_modal_content(result):
        return result
    if isinstance(result, (list, tuple)) and any(is_multi_modal_content(part) for part in result):
        return [marked_result(part, source) for part in result]
    text = ToolReturnPart(tool_name=source, content=result).model_response_str()
    return result if is_small(text) else mark(text, source)


def _part(part: Any, source: str) -> Any:
    """A part of what a tool has to say beside its result."""
    if isinstance(part, str):
        return mark(part, source)
    return TextContent(mark(part.content, source)) if isinstance(part, TextContent) else part

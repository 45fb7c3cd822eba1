"""
What a model may call: Python callables, MCP servers and SQL databases, each bounded and recorded.

Imports pydantic-ai, so it is itself imported only when an llm agent runs. What a tool gives the model passes through
Airflow's secret masker (common-ai's toolsets see to that, and its hook for every agent it builds).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.ai.utils.toolset_base import ensure_masked
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, ToolFailed, UserError
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset, WrapperToolset

from airflow_agentic.agents import callables
from airflow_agentic.agents.llm_marking import CallRefused, MarkedToolset
from airflow_agentic.agents.llm_steps import KeptTools
from airflow_agentic.agents.python import call
from airflow_agentic.errors import AttemptError, FinalError
from airflow_agentic.telemetry.conventions import tool_attributes
from airflow_agentic.telemetry.spans import client_span, set_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_ai._run_context import RunContext
    from pydantic_ai.toolsets.abstract import ToolsetTool

    from airflow_agentic.agents.base import Steps

    Record = Callable[[Mapping[str, Any]], None]

#: What a tool may raise to talk to the model (or to us); anything else is a bug of the tool.
_PASSING = (AttemptError, ModelRetry, ToolFailed, ApprovalRequired, CallDeferred)


def make_toolsets(
    specs: tuple[Mapping[str, Any], ...], record: Record, steps: Steps | None
) -> list[AbstractToolset[Any]]:
    """
    The toolsets that a template's ``tools`` describe.

    :param record: told of each call: ``tool``, ``arguments``, and ``result`` or ``error``; ``replayed`` where it was
        made in an earlier process.
    :param steps: what is kept of the conversation; None: nothing.
    :raises FinalError: a tool isn't allowed, isn't installed, or doesn't exist.
    """
    kept = KeptTools(steps)
    bounded = [_Bounded(ensure_masked(_toolset(spec)), spec.get("max_calls"), record, kept) for spec in specs]
    return [MarkedToolset(toolset) for toolset in bounded]


def _toolset(spec: Mapping[str, Any]) -> AbstractToolset[Any]:
    if "python" in spec:
        return FunctionToolset([_python_tool(spec["python"])])
    if "mcp" in spec:
        from airflow.providers.common.ai.toolsets.mcp import MCPToolset

        _check_importable("fastmcp", "mcp")
        offered = MCPToolset(spec["mcp"])
        return _Only(offered, tuple(spec["only"]), spec["mcp"]) if spec.get("only") else offered
    if "sql" in spec:
        _check_importable("sqlglot", "sql")
        from airflow.providers.common.ai.toolsets.sql import SQLToolset

        limits = {"max_rows": spec["max_rows"]} if spec.get("max_rows") is not None else {}
        return SQLToolset(spec["sql"], allow_writes=bool(spec.get("write")), **limits)
    raise FinalError(f"There is no such kind of tool: {dict(spec)!r}", kind="rejected")


def _check_importable(module: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        message = f"Tools of kind {extra} need: pip install 'apache-airflow-providers-common-ai[{extra}]'"
        raise FinalError(message, kind="rejected")


def _python_tool(name: str) -> Tool[Any]:
    """A tool whose name, description and parameters are those of a callable."""
    name = callables.full_name(name)
    function = callables.load_callable(name)
    described = function if inspect.isroutine(function) else function.__call__  # type: ignore[operator]

    @functools.wraps(described)
    async def run(*args: Any, **arguments: Any) -> Any:
        return await call(functools.partial(function, *args), arguments, name, passing=_PASSING)

    try:
        return Tool(run, name=name.rpartition(":")[2].rpartition(".")[2])
    except UserError as error:
        raise FinalError(f"{name} can't be a tool: {error}", kind="rejected") from error


@dataclass
class _Only(WrapperToolset[Any]):
    """
    Of a server's tools those that the template names. The others don't exist for the model.

    :param only: their names.
    :param connection: the server's, for the message.
    """

    only: tuple[str, ...]
    connection: str

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """
        The tools.

        :raises FinalError: the server doesn't have one of them.
        """
        tools = await self.wrapped.get_tools(ctx)
        missing = [name for name in self.only if name not in tools]
        if missing:
            message = f"The server of connection {self.connection!r} has no tool {missing[0]!r}"
            raise FinalError(f"{message}; it has {', '.join(tools) or 'none'}.", kind="rejected")
        return {name: tools[name] for name in self.only}


@dataclass
class _Count:
    calls: int = 0


@dataclass
class _Bounded(WrapperToolset[Any]):
    """
    Refuses calls over a limit, and keeps and records all others.

    What is counted and kept outlives the copies that pydantic-ai makes.
    """

    most: int | None
    record: Record
    kept: KeptTools
    count: _Count = field(default_factory=_Count)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        entry: dict[str, Any] = {"tool": name, "arguments": _plain(tool_args)}
        try:
            self._admit(name)
            work = functools.partial(self._called, name, tool_args, ctx, tool)
            result, replayed = await self.kept.result(name, tool_args, ctx.tool_call_id, work)
        except asyncio.CancelledError:
            self.record({**entry, "error": "stopped before it ended"})
            raise
        except Exception as error:
            self.record({**entry, "error": str(error)})
            raise
        self.record({**entry, "result": _plain(result), **({"replayed": True} if replayed else {})})
        return result

    async def _called(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> Any:
        with client_span("tool", name, tool_attributes(name, ctx.tool_call_id, tool_args)) as span:
            result = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            set_attributes(span, {"gen_ai.tool.call.result": result})
        return result

    def _admit(self, name: str) -> None:
        if self.most is not None and self.count.calls >= self.most:
            raise CallRefused(f"{name} was called {self.most} times, which is all it may be. Answer without it.")
        self.count.calls += 1


def _plain(result: Any) -> Any:
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(result, fallback=repr, bytes_mode="base64", inf_nan_mode="strings")
    except (ValueError, RecursionError):
        return repr(result)[:10_000]

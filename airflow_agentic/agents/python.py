"""
Agents that are Python callables, sync or async, named ``module:attribute``.

A callable gets the stage's ``input`` as keyword arguments, and ``run`` (the mapping that templates see) if it has such
a parameter. What it returns is the output; pydantic models, dataclasses, tuples and dates become plain data.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents import callables
from airflow_agentic.agents.base import AgentRequest, AgentResult, Usage
from airflow_agentic.agents.threads import ThreadStopped, run_in_thread
from airflow_agentic.agents.validate import MalformedOutput, checked_output
from airflow_agentic.errors import AttemptError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class PythonAgent:
    """
    An agent that calls a Python callable.

    :param name: ``module:attribute``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def run(self, request: AgentRequest) -> AgentResult:
        """Call it once. See :meth:`airflow_agentic.agents.base.Agent.run`."""
        function = callables.load_callable(self._name)
        arguments = self._arguments(function, request)
        callables.bind(function, arguments, self._name)
        try:
            async with asyncio.timeout(request.timeout) as timeout, request.spending.call(timeout, request.waiting):
                value = await call(function, arguments, self._name)
        except TimeoutError:
            message = f"{self._name} took longer than its timeout of {request.timeout:g} s and was stopped."
            raise RetryableError(message, kind="timeout") from None
        output = checked_output(_plain(value, self._name), request.output_schema)
        return AgentResult(output=output, sent=self.preview(request), usage=Usage(requests=1))

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        """What :meth:`run` calls, with which input."""
        return {"callable": self._name, "input": copy.deepcopy(dict(request.input))}

    def _arguments(self, function: Callable[..., Any], request: AgentRequest) -> dict[str, Any]:
        # A copy: a callable that changes its input must not change what a retry or the record gets.
        arguments = copy.deepcopy(dict(request.input))
        if "run" not in arguments and callables.takes(function, "run"):
            arguments["run"] = request.run.as_scope()
        return arguments


async def call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    name: str,
    *,
    passing: tuple[type[BaseException], ...] = (AttemptError,),
) -> Any:
    """
    Call a callable: an async one here, any other in a thread.

    :param passing: exceptions that the callable may raise for its caller.
    :raises AttemptError: of kind ``bug``, for any other exception that it raised.
    """
    if _is_async(function):
        return await _awaited(function(**arguments), name, passing)
    value = await run_in_thread(lambda: _guarded(function, arguments, name, passing))
    return await _awaited(value, name, passing) if inspect.isawaitable(value) else value


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _guarded(
    function: Callable[..., Any], arguments: Mapping[str, Any], name: str, passing: tuple[type[BaseException], ...]
) -> Any:
    try:
        return function(**arguments)
    except ThreadStopped:
        raise
    except passing:
        raise
    except BaseException as error:  # in a thread, also SystemExit and KeyboardInterrupt are only the callable's
        raise callables.failure(error, name) from error


async def _awaited(awaitable: Awaitable[Any], name: str, passing: tuple[type[BaseException], ...]) -> Any:
    try:
        return await awaitable
    except passing:
        raise
    except (Exception, SystemExit) as error:
        raise callables.failure(error, name) from error


def _plain(value: Any, name: str) -> Any:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, by_alias=False)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        message = f"{name} returned {type(value).__name__}, which is not plain data: {error}"
        raise MalformedOutput(message, reply=repr(value)[:10_000]) from None

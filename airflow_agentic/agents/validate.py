"""
What an agent's reply has to be: plain JSON data that fits the output schema.

Whatever the kind of agent, a reply that isn't is an attempt that failed, with a message that tells a model (and a
person) what to change.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class MalformedOutput(RetryableError):
    """
    The agent replied, but with something else than it was asked for.

    :param conversation: what the agent needs to be told about it in the next attempt; never recorded, not pickled.
    """

    def __init__(self, message: str, *, conversation: Any = None, **more: Any) -> None:
        more["kind"] = "malformed_output"
        super().__init__(message, **more)
        self.conversation = conversation


def checked_output(value: Any, schema: Mapping[str, Any] | None) -> Any:
    """
    The value, if it is a valid output.

    :param schema: JSON Schema; None means text.
    :raises MalformedOutput: it isn't; the message says where and why.
    """
    problem = output_problem(value, schema)
    if problem is not None:
        raise MalformedOutput(problem, reply=_recordable(value))
    return value


def output_problem(value: Any, schema: Mapping[str, Any] | None) -> str | None:
    """What is wrong with a value as output of that schema (None: text), or None."""
    problem = data_problem(value)
    if problem is not None:
        return problem
    if schema is None:
        return None if isinstance(value, str) else f"The output must be text, not {type_name(value)}."
    if not schema:
        return None
    from airflow_agentic.template.output import validation_error

    problem = validation_error(dict(schema), value)
    return None if problem is None else f"The output does not fit its schema: {problem}"


def data_problem(value: Any) -> str | None:
    """Why a value can't be written as standard JSON in UTF-8, or None."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "The output holds text that is not valid Unicode (a lone surrogate)."
    except ValueError as error:
        return f"The output is not standard JSON (which has no NaN or infinite numbers): {error}."
    except TypeError as error:
        return f"The output is not plain data: {error}."
    except RecursionError:
        return "The output is nested too deeply."
    return None


def parse_json(text: str | bytes) -> Any:
    """
    Standard JSON only: ``NaN`` and ``Infinity`` are refused.

    :raises ValueError: it isn't JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def type_name(value: Any) -> str:
    """A value's JSON type, in words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _recordable(value: Any) -> Any:
    """The value itself where a record can hold it, else how it prints."""
    return value if data_problem(value) is None else repr(value)[:10_000]

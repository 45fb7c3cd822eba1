"""
Output schemas, as models can be asked for them.

A structured answer is always an object to a model (the arguments of a call). A schema of anything else, a list or a
number, is asked for as the only field of an object, and taken out of it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD = "output"


def to_model(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The schema to ask the model for; None for text."""
    if schema is None:
        return None
    if _is_object(schema):
        return dict(schema)
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "$schema", "$id")}
    wrapped = {
        "type": "object",
        "properties": {_FIELD: inner},
        "required": [_FIELD],
        "additionalProperties": False,
    }
    return wrapped if "$defs" not in schema else {**wrapped, "$defs": schema["$defs"]}


def from_model(said: Any, schema: Mapping[str, Any] | None) -> tuple[Any, str | None]:
    """The output in what the model said, or what is wrong with it."""
    if schema is None or _is_object(schema):
        return said, None
    if isinstance(said, dict) and set(said) == {_FIELD}:
        return said[_FIELD], None
    return said, f"The answer must be an object with the one key {_FIELD!r}."


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"

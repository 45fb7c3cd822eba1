"""
The JSON Schema of the assembled trace, made from its dataclasses.

It is published as ``trace.schema.json`` beside this file, for those who read traces without this package.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from airflow_agentic.trace import document

_PARAM = re.compile(r"^:param ([\w, ]+): (.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)


def trace_schema() -> dict[str, Any]:
    """The schema (draft 2020-12), with the words of the dataclasses' docstrings."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(document.Trace).json_schema(mode="serialization")
    for name, definition in schema["$defs"].items():
        _describe(definition, getattr(document, name, None))
    _describe(schema, document.Trace)
    schema["properties"]["format"] = {**schema["properties"]["format"], "const": document.TRACE_FORMAT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The trace of a run of an airflow-agentic template",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _describe(definition: dict[str, Any], cls: type | None) -> None:
    """Put what the docstring says of each field with the field, in the place of its name in other words."""
    text = inspect.getdoc(cls) if cls is not None else None
    if not text:
        return
    for told in definition["properties"].values():
        told.pop("title", None)
    definition["description"] = " ".join(text.partition(":param")[0].split())
    for names, told in _PARAM.findall(text):
        for name in names.split(", "):
            if name in definition["properties"]:
                definition["properties"][name] = {
                    **definition["properties"][name],
                    "description": " ".join(told.replace("``", "`").split()),
                }

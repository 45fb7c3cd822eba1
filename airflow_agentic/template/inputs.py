"""What a run takes: JSON Schema plus a default per input, or the shorthand of outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean
from airflow_agentic.template.output import ShorthandError, schema_error, schema_or_text, to_schema, validation_error
from airflow_agentic.template.template import Input

if TYPE_CHECKING:
    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc

#: What JSON Schema (2020-12) and Airflow's trigger form know.
_SCHEMA_KEYS = frozenset(
    (
        *("type", "enum", "const", "title", "description", "examples", "format", "pattern", "default"),
        *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired", "anyOf", "oneOf", "allOf", "not", "if", "then"),
        *("else", "$ref", "$defs", "$comment", "deprecated", "readOnly", "writeOnly", "contentMediaType"),
        *("description_md", "section", "values_display"),
    )
)
#: Those with which a mapping can't be meant as the shorthand of an object.
_TELLING_KEYS = frozenset(
    (
        *("type", "enum", "const", "default", "items", "properties", "anyOf", "oneOf", "allOf", "not", "if", "$ref"),
        *("required", "additionalProperties", "minLength", "minimum", "minItems"),
    )
)
_TYPES = (*("string", "number", "integer", "boolean", "array", "object", "null"),)
#: Schemas of these keys only are judged here, because jsonschema costs more to import than a DAG to parse.
_NUMBER = (int, float)
_SIMPLE_KEYS: dict[str, Any] = {
    **dict.fromkeys(("type", "title", "section"), str),
    "minLength": int,
    **dict.fromkeys(("minimum", "maximum"), _NUMBER),
}
_PYTHON: dict[str, Any] = {"string": str, "number": _NUMBER, "integer": int, "boolean": bool}


def read_inputs(reader: Reader, data: Any, loc: Loc = ("inputs",), what: str = "an input") -> dict[str, Input]:
    """
    All inputs by name; what is wrong is kept by the reader.

    :param what: they are, for people.
    """
    inputs = {}
    for name, spec in reader.mapping(data, loc).items():
        if not re.match(models.NAME, name):
            message = f"'{name}' can't be {what}'s name: letters, digits and _ only"
            reader.error("AGT205", message, (*loc, name), key=True)
            continue
        inputs[name] = _read_input(reader, name, spec, (*loc, name), what)
    return inputs


def _read_input(reader: Reader, name: str, spec: Any, loc: Loc, what: str) -> Input:
    if not _is_schema(spec):
        try:
            return Input(name=name, schema=schema_or_text(to_schema(spec, closed=False)), required=True)
        except ShorthandError as error:
            reader.error("AGT220", error.message, (*loc, *error.loc), error.hint, key=error.key)
            return Input(name=name, schema={}, required=True)
    for key in spec:
        if key not in _SCHEMA_KEYS and not key.startswith("x-"):
            hint = did_you_mean(key, _SCHEMA_KEYS)
            reader.error("AGT202", f"there is no key '{key}' in a JSON Schema", (*loc, key), hint, key=True)
    schema = {key: value for key, value in spec.items() if key not in ("default", "description")}
    if not _valid_schema(reader, schema, loc):
        schema = {}
    elif "default" in spec:
        why = unfit(schema, spec["default"])
        if why is not None:
            word = what.rpartition(" ")[2]
            reader.error("AGT222", f"the default doesn't fit the {word}: {why}", (*loc, "default"))
    description = spec.get("description")
    return Input(
        name=name,
        schema=schema,
        required="default" not in spec,
        default=spec.get("default"),
        description=None if description is None else str(description),
    )


def _is_schema(spec: Any) -> bool:
    """Whether an input is written as a JSON Schema; ``{title: string, pattern: string}`` is an object of two texts."""
    if not isinstance(spec, dict) or not _SCHEMA_KEYS.intersection(spec):
        return False
    if _TELLING_KEYS.intersection(spec):
        return True
    try:
        to_schema(spec, closed=False)
    except ShorthandError:
        return True
    return False


def _valid_schema(reader: Reader, schema: dict[str, Any], loc: Loc) -> bool:
    if _is_simple(schema):
        return True
    error = schema_error(schema)
    if error is None:
        return True
    place, message = error
    kind = schema.get("type")
    hint = did_you_mean(kind, _TYPES) if isinstance(kind, str) and place == ("type",) else None
    reader.error("AGT221", f"not a JSON Schema: {message}", (*loc, *place), hint)
    return False


def _is_simple(schema: dict[str, Any]) -> bool:
    """Whether a schema is certainly one, and says little."""
    if not _SIMPLE_KEYS.keys() >= schema.keys() or not isinstance(schema.get("type"), str):
        return False
    right = (isinstance(part, _SIMPLE_KEYS[key]) and not isinstance(part, bool) for key, part in schema.items())
    return schema["type"] in _PYTHON and all(right) and schema.get("minLength", 0) >= 0


def unfit(schema: dict[str, Any], value: Any) -> str | None:
    """Why a value doesn't fit a schema, or None; jsonschema is asked only where it has to be."""
    if not schema or (_is_simple(schema) and _fits(_PYTHON[schema["type"]], schema, value)):
        return None
    error = validation_error(schema, value)
    return None if error is None else error.removeprefix("$: ")


def _fits(kind: Any, schema: dict[str, Any], value: Any) -> bool:
    """Whether a value certainly fits a simple schema; whoever doubts asks jsonschema, which also says why not."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return False
    if isinstance(value, str):
        return bool(len(value) >= schema.get("minLength", 0))
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))

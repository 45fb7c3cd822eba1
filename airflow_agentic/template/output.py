"""
What an agent's output looks like: the shorthand, the JSON Schema it stands for, and reading paths in a schema.

The shorthand is for people (``{claims: [{text: string, "page?": integer}]}``); everything else works on JSON Schema,
the standard that models, validators and editors know.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.template.hints import did_you_mean

if TYPE_CHECKING:
    from airflow_agentic.template.source import Loc

TYPES = ("string", "number", "integer", "boolean")
_ALL_TYPES = (*TYPES, "null", "any")
#: Keys of a JSON Schema whose values are data.
_DATA_KEYS = ("const", "default", "enum", "examples")
_KEY = re.compile(r"[^\s.?]+\??\Z")


@dataclass(eq=False)
class ShorthandError(Exception):
    """
    The shorthand is wrong.

    :param loc: where in it.
    :param key: at the key that stands there, not at its value.
    """

    message: str
    loc: Loc
    hint: str | None = None
    key: bool = False


def to_schema(shorthand: Any, *, closed: bool) -> dict[str, Any] | None:
    """
    The JSON Schema that a shorthand stands for; None for ``text``.

    :param closed: refuse fields that are not declared (for a model, which is told the schema).
    :raises ShorthandError: it is no shorthand.
    """
    if shorthand == "text":
        return None
    return _schema(shorthand, closed, ())


def schema_or_text(schema: dict[str, Any] | None) -> dict[str, Any]:
    """A schema as JSON Schema: none is that of a text."""
    return {"type": "string"} if schema is None else schema


def _schema(value: Any, closed: bool, loc: Loc) -> dict[str, Any]:
    if isinstance(value, str):
        return _named(value, loc)
    if isinstance(value, list):
        if len(value) != 1:
            raise ShorthandError("a list type holds exactly one type", loc, "write [string] for a list of texts")
        return {"type": "array", "items": _schema(value[0], closed, (*loc, 0))}
    if isinstance(value, dict):
        return _object(value, closed, loc)
    raise ShorthandError(f"{json.dumps(value)} is no type", loc, f"the types are {', '.join(_ALL_TYPES)}")


def _object(value: dict[str, Any], closed: bool, loc: Loc) -> dict[str, Any]:
    if not value:
        raise ShorthandError("an object type names at least one key", loc, "write any for anything")
    properties: dict[str, Any] = {}
    required = []
    for key, part in value.items():
        if not _KEY.match(key):
            hint = "no spaces, dots or '?' inside"
            raise ShorthandError(f"'{key}' can't be a key of an output", (*loc, key), hint, key=True)
        name = key.removesuffix("?")
        if name in properties:
            raise ShorthandError(f"'{name}' is declared twice", (*loc, key), key=True)
        properties[name] = _schema(part, closed, (*loc, key))
        if name == key:
            required.append(name)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if closed:
        schema["additionalProperties"] = False
    return schema


def _named(text: str, loc: Loc) -> dict[str, Any]:
    if text in TYPES:
        return {"type": text}
    words = [word.strip() for word in text.split("|")]
    types = [word for word in words if word in _ALL_TYPES]
    if len(types) == len(words):
        if "any" in types:
            return {}
        types = list(dict.fromkeys(types))
        return {"type": types[0] if len(types) == 1 else types}
    if types:
        message = f"'{text}' mixes types ({', '.join(types)}) and values"
        raise ShorthandError(message, loc, "write types only, or values only; output_schema takes any JSON Schema")
    if text.strip() == "text":
        raise ShorthandError("'text' stands only at the top of an output", loc, "write string")
    if len(words) == 1 or not all(words):
        hint = did_you_mean(words[0], _ALL_TYPES) or f"the types are {', '.join(_ALL_TYPES)}"
        raise ShorthandError(f"there is no type '{text}'", loc, hint)
    return {"type": "string", "enum": list(dict.fromkeys(words))}


@lru_cache(maxsize=256)
def _validator(schema_json: str) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing.jsonschema import EMPTY_REGISTRY

    # With a registry given, nothing is fetched from anywhere.
    return Draft202012Validator(json.loads(schema_json), format_checker=FormatChecker(), registry=EMPTY_REGISTRY)


def validation_error(schema: dict[str, Any], value: Any) -> str | None:
    """Why a value doesn't fit a JSON Schema, with the path to the place; None when it fits."""
    from jsonschema.exceptions import best_match

    try:
        error = best_match(_validator(json.dumps(schema)).iter_errors(value))
    except RecursionError:
        return "$: the value is nested too deeply, or its schema refers to itself without end"
    if error is None:
        return None
    message = error.message if len(error.message) <= 300 else error.message[:300] + "…"
    return f"{error.json_path}: {message}"


def schema_error(schema: Any) -> tuple[Loc, str] | None:
    """Why something is no JSON Schema, or one that can't be used, and where in it; None when it is one."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    error = best_match(validator.iter_errors(schema))
    if error is not None:
        return tuple(error.absolute_path), error.message
    return _unusable(schema, schema, ())


def _unusable(schema: Any, part: Any, loc: Loc) -> tuple[Loc, str] | None:
    """The first pattern that is none, or reference that can't be followed, in a part of a schema."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        place = (*loc, key)
        message = None
        if key == "pattern" and isinstance(value, str):
            message = _pattern_error(value)
        elif key == "patternProperties" and isinstance(value, dict):
            message = next(filter(None, map(_pattern_error, value)), None)
        elif key in ("$ref", "$dynamicRef") and isinstance(value, str):
            message = _reference_error(schema, value)
        if message is not None:
            return place, message
        found = None if key in _DATA_KEYS else _unusable(schema, value, place)
        if found is not None:
            return found
    return None


def _pattern_error(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"'{pattern}' is not a regular expression: {error}"
    return None


def _reference_error(schema: Any, reference: str) -> str | None:
    if reference != "#" and not reference.startswith("#/"):
        return f"'{reference}' refers to something outside of the schema: write #/$defs/…"
    seen = set()
    while reference not in seen:
        seen.add(reference)
        target = schema
        for name in reference.removeprefix("#").split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            inside = target.get(name) if isinstance(target, dict) else None
            if isinstance(target, list) and name.isdigit() and int(name) < len(target):
                inside = target[int(name)]
            if inside is None:
                return f"'{reference}' refers to nothing in the schema"
            target = inside
        following = target.get("$ref") if isinstance(target, dict) else None
        if not isinstance(following, str):
            return None
        reference = following
    return f"'{reference}' refers to itself"


@dataclass(frozen=True)
class Step:
    """
    What a schema says about one key.

    :param found: ``declared``, ``optional`` (may be absent), ``open`` (nothing is known) or ``absent``.
    :param schema: of the value; empty when nothing is known.
    :param known: the declared keys, when ``absent``.
    """

    found: Literal["declared", "optional", "open", "absent"]
    schema: dict[str, Any]
    known: tuple[str, ...] = ()
    kind: str = "object"


def step(schema: dict[str, Any] | bool | None, key: str) -> Step:
    """One key (or ``*``, any item) further into what a schema describes. None is the schema of a text."""
    if schema is None:
        return Step("absent", {}, (), "text")
    if not isinstance(schema, dict):
        return Step("open", {})
    kinds = schema.get("type")
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if len(kinds) != 1 or kinds[0] is None or "$ref" in schema:
        return Step("open", {})
    if kinds[0] == "array":
        return Step("declared", schema.get("items", {})) if key == "*" else Step("absent", {}, (), "list")
    if kinds[0] != "object":
        return Step("absent", {}, (), {"string": "text"}.get(kinds[0], kinds[0]))
    return _property(schema, key)


def _property(schema: dict[str, Any], key: str) -> Step:
    properties = schema.get("properties")
    if key == "*" or not isinstance(properties, dict):
        return Step("open", {})
    if key in properties:
        found: Literal["declared", "optional"] = "declared" if key in schema.get("required", ()) else "optional"
        part = properties[key]
        return Step(found, part if isinstance(part, dict) else {})
    if schema.get("additionalProperties") not in (None, False) or "patternProperties" in schema:
        return Step("open", {})
    return Step("absent", {}, tuple(properties))

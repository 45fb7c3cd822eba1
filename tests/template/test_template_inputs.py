"""What inputs are, written as JSON Schema or as the shorthand of outputs."""

from __future__ import annotations

import json

import pytest

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.parse import load_text


def inputs_of(spec):
    text = (
        f"version: 1\ninputs: {{x: {json.dumps(spec)}}}\nstages: {{a: {{agent: {{type: python, callable: 'a:b'}}}}}}\n"
    )
    return load_text(text, "t.yaml").inputs["x"]


def obj(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


STRING = {"type": "string"}

INPUTS = [
    ("string", STRING),
    ("text", STRING),
    ("integer", {"type": "integer"}),
    ("short | long", {"type": "string", "enum": ["short", "long"]}),
    ("any", {}),
    (["string"], {"type": "array", "items": STRING}),
    ({"author": "string"}, obj(author=STRING)),
    ({"title": "string", "author": "string"}, obj(title=STRING, author=STRING)),
    ({"title": "string", "pattern": "string"}, obj(title=STRING, pattern=STRING)),
    ({"description": "string"}, obj(description=STRING)),
    ({"description": "What to write about"}, {}),
    ({"title": "A title", "description": "More"}, {"title": "A title"}),
    ({"type": "string", "title": "string"}, {"type": "string", "title": "string"}),
    ({"type": "string", "x-mine": 1}, {"type": "string", "x-mine": 1}),
    ({"enum": [1, 2]}, {"enum": [1, 2]}),
    ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
]


@pytest.mark.parametrize(("spec", "schema"), INPUTS)
def test_inputs(spec, schema):
    found = inputs_of(spec)
    assert found.schema == schema
    assert found.required
    assert found.default is None


@pytest.mark.parametrize(
    ("spec", "default"),
    [
        ({"type": "string", "default": "a"}, "a"),
        ({"type": "integer", "default": 0}, 0),
        ({"type": "number", "default": 1}, 1),
        ({"type": "boolean", "default": False}, False),
        ({"type": ["string", "null"], "default": None}, None),
        ({"type": "array", "items": {"type": "integer"}, "default": []}, []),
        ({"default": {"a": 1}}, {"a": 1}),
        ({"type": "string", "minLength": 1, "default": "é"}, "é"),
        ({"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}, 0.5),
        ({"type": "string", "format": "date", "default": "2026-01-31"}, "2026-01-31"),
    ],
)
def test_defaults(spec, default):
    found = inputs_of(spec)
    assert not found.required
    assert found.default == default
    assert type(found.default) is type(default)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "string", "default": None},
        {"type": "string", "default": 1},
        {"type": "integer", "default": 1.5},
        {"type": "integer", "default": True},
        {"type": "boolean", "default": 0},
        {"type": "boolean", "default": "true"},
        {"type": "number", "default": "1"},
        {"type": "number", "minimum": 0, "default": -1},
        {"type": "number", "maximum": 1, "default": 2},
        {"type": "string", "minLength": 2, "default": "a"},
        {"type": "string", "maxLength": 2, "default": "abc"},
        {"type": "string", "pattern": "^a", "default": "b"},
        {"type": "string", "format": "date", "default": "tomorrow"},
        {"enum": ["a"], "default": "b"},
        {"const": 1, "default": 2},
        {"type": "array", "minItems": 1, "default": []},
        {"type": "object", "required": ["a"], "default": {}},
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": 1},
    ],
)
def test_defaults_that_do_not_fit(spec):
    with pytest.raises(TemplateError) as caught:
        inputs_of(spec)
    assert [problem.code for problem in caught.value.problems] == ["AGT222"]

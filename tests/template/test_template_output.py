"""The shorthand of outputs, the JSON Schema that it stands for, and what schemas say about values and paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airflow_agentic.template.output import ShorthandError, schema_error, step, to_schema, validation_error


def obj(required=(), closed=False, **properties):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {**schema, "additionalProperties": False} if closed else schema


STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}

SHORTHANDS = [
    ("text", None),
    ("string", STRING),
    ("number", NUMBER),
    ("integer", INTEGER),
    ("boolean", {"type": "boolean"}),
    ("null", {"type": "null"}),
    ("any", {}),
    ("any | null", {}),
    ("string | null", {"type": ["string", "null"]}),
    ("integer|number | boolean", {"type": ["integer", "number", "boolean"]}),
    ("string | string", STRING),
    ("draft | final", {"type": "string", "enum": ["draft", "final"]}),
    ("very long | short one", {"type": "string", "enum": ["very long", "short one"]}),
    ("1 | 2 | 1", {"type": "string", "enum": ["1", "2"]}),
    (["string"], {"type": "array", "items": STRING}),
    ([["number"]], {"type": "array", "items": {"type": "array", "items": NUMBER}}),
    (["any"], {"type": "array", "items": {}}),
    ([{"a": "string"}], {"type": "array", "items": obj(["a"], a=STRING)}),
    ({"a": "string"}, obj(["a"], a=STRING)),
    ({"a?": "string", "b": "integer"}, obj(["b"], a=STRING, b=INTEGER)),
    ({"a?": "string"}, obj([], a=STRING)),
    ({"a": {"b": {"c?": ["number"]}}}, obj(["a"], a=obj(["b"], b=obj([], c={"type": "array", "items": NUMBER})))),
    ({"a-b": "any", "é": "any"}, {"type": "object", "properties": {"a-b": {}, "é": {}}, "required": ["a-b", "é"]}),
]


@pytest.mark.parametrize(("shorthand", "schema"), SHORTHANDS)
def test_shorthands(shorthand, schema):
    assert to_schema(shorthand, closed=False) == schema


def test_closed_objects_refuse_more_keys_at_every_level():
    schema = to_schema({"a": [{"b?": "string"}]}, closed=True)
    inner = obj([], closed=True, b=STRING)
    assert schema == obj(["a"], closed=True, a={"type": "array", "items": inner})
    assert validation_error(schema, {"a": [{"b": "x"}]}) is None
    assert "c" in (validation_error(schema, {"a": [{"c": 1}]}) or "")


WRONG = [
    ("strng", (), "did you mean 'string'?"),
    ("", (), "the types are"),
    ("|", (), "the types are"),
    ("draft |", (), "the types are"),
    ("list", (), "the types are"),
    ("string | draft", (), "types only, or values only"),
    (["text"], (0,), "write string"),
    ({"a": "text"}, ("a",), "write string"),
    ("text ", (), "write string"),
    ([], (), "write [string]"),
    (["string", "string"], (), "write [string]"),
    ({}, (), "write any for anything"),
    ({"a": {}}, ("a",), "write any for anything"),
    (5, (), "the types are"),
    (None, (), "the types are"),
    (True, (), "the types are"),
    ({"a": [{"b": None}]}, ("a", 0, "b"), "the types are"),
    ({"a b": "string"}, ("a b",), "no spaces, dots or '?' inside"),
    ({"": "string"}, ("",), "no spaces, dots or '?' inside"),
    ({"?": "string"}, ("?",), "no spaces, dots or '?' inside"),
    ({"a??": "string"}, ("a??",), "no spaces, dots or '?' inside"),
    ({"a": "string", "a?": "string"}, ("a?",), None),
]


@pytest.mark.parametrize(("shorthand", "loc", "hint"), WRONG)
def test_wrong_shorthands(shorthand, loc, hint):
    with pytest.raises(ShorthandError) as caught:
        to_schema(shorthand, closed=False)
    assert caught.value.loc == loc
    assert hint is None or hint in (caught.value.hint or "")


words = st.sampled_from(["draft", "final", "a b", "1"])
shorthands = st.recursive(
    st.one_of(
        st.sampled_from(["string", "number", "integer", "boolean", "null", "any"]),
        st.lists(st.sampled_from(["string", "number", "null"]), min_size=2, max_size=3).map(" | ".join),
        st.lists(words, min_size=2, max_size=3).map("|".join),
    ),
    lambda inner: st.one_of(
        inner.map(lambda part: [part]),
        st.dictionaries(st.sampled_from(["a", "b", "c?", "d?"]), inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def fitting(draw, shorthand):
    """A value that fits a shorthand."""
    if isinstance(shorthand, list):
        return [draw(fitting(shorthand[0])) for _ in range(draw(st.integers(0, 2)))]
    if isinstance(shorthand, dict):
        return {
            key.removesuffix("?"): draw(fitting(part))
            for key, part in shorthand.items()
            if not key.endswith("?") or draw(st.booleans())
        }
    values = {"string": "s", "number": 0.5, "integer": 1, "boolean": True, "null": None, "any": {"x": [1]}}
    return draw(st.sampled_from([values.get(word.strip(), word.strip()) for word in shorthand.split("|")]))


@given(shorthand=shorthands, closed=st.booleans())
def test_every_shorthand_is_a_json_schema(shorthand, closed):
    schema = to_schema(shorthand, closed=closed)
    Draft202012Validator.check_schema(schema)
    assert schema_error(schema) is None


@given(data=st.data(), shorthand=shorthands, closed=st.booleans())
def test_what_fits_the_shorthand_fits_the_schema(data, shorthand, closed):
    assert validation_error(to_schema(shorthand, closed=closed), data.draw(fitting(shorthand))) is None


def followed(schema, path):
    found = [step(schema, path[0])]
    for key in path[1:]:
        found.append(step(found[-1].schema, key))
    return found


def paths_of(shorthand, before=()):
    """The paths of a shorthand, each with whether its last key may be absent."""
    if isinstance(shorthand, list):
        yield (*before, "*"), False
        yield from paths_of(shorthand[0], (*before, "*"))
    elif isinstance(shorthand, dict):
        for key, part in shorthand.items():
            path = (*before, key.removesuffix("?"))
            yield path, key.endswith("?")
            yield from paths_of(part, path)


@given(shorthand=shorthands, closed=st.booleans())
def test_every_path_of_a_shorthand_can_be_followed(shorthand, closed):
    schema = to_schema(shorthand, closed=closed)
    for path, optional in paths_of(shorthand):
        assert followed(schema, path)[-1].found == ("optional" if optional else "declared")
        if isinstance(shorthand, dict):
            missing = step(schema, "zzz")
            assert (missing.found, set(missing.known)) == ("absent", {key.removesuffix("?") for key in shorthand})


STEPS = [
    (None, "a", "absent", "text"),
    (STRING, "a", "absent", "text"),
    ({"type": ["string", "null"]}, "a", "absent", "text"),
    (INTEGER, "a", "absent", "integer"),
    ({"type": "array", "items": STRING}, "a", "absent", "list"),
    ({"type": "array", "items": STRING}, "*", "declared", "object"),
    ({"type": "array"}, "*", "declared", "object"),
    ({"type": "array", "items": True}, "*", "declared", "object"),
    (True, "a", "open", "object"),
    ({}, "a", "open", "object"),
    ({"type": "object"}, "a", "open", "object"),
    ({"type": ["object", "array"]}, "a", "open", "object"),
    ({"type": ["object", "null"], "properties": {"a": {}}, "required": ["a"]}, "a", "declared", "object"),
    ({"enum": ["a"]}, "a", "open", "object"),
    ({"anyOf": [STRING, NUMBER]}, "a", "open", "object"),
    ({"$ref": "#/$defs/a", "type": "object", "properties": {}}, "a", "open", "object"),
    (obj(["a"], a=STRING), "a", "declared", "object"),
    (obj([], a=STRING), "a", "optional", "object"),
    (obj([], a=STRING), "b", "absent", "object"),
    (obj([], a=STRING), "*", "open", "object"),
    ({**obj([], a=STRING), "additionalProperties": True}, "b", "open", "object"),
    ({**obj([], a=STRING), "additionalProperties": STRING}, "b", "open", "object"),
    ({**obj([], a=STRING), "additionalProperties": False}, "b", "absent", "object"),
    ({**obj([], a=STRING), "patternProperties": {"^b": {}}}, "b", "open", "object"),
    ({"type": "object", "properties": {"a": True}, "required": ["a"]}, "a", "declared", "object"),
]


@pytest.mark.parametrize(("schema", "key", "found", "kind"), STEPS)
def test_steps(schema, key, found, kind):
    taken = step(schema, key)
    assert taken.found == found
    if found == "absent":
        assert taken.kind == kind
    assert step(taken.schema, "more") is not None


ERRORS = [
    (STRING, 5, "$: 5 is not of type 'string'"),
    (obj(["a"], a=STRING), {}, "$: 'a' is a required property"),
    (obj(["a"], a={"type": "array", "items": INTEGER}), {"a": [1, "x"]}, "$.a[1]: 'x' is not of type 'integer'"),
    ({"enum": ["a", "b"]}, "c", "$: 'c' is not one of ['a', 'b']"),
    (NUMBER, True, "$: True is not of type 'number'"),
    ({"type": "string", "minLength": 3}, "ab", "$: 'ab' is too short"),
]


@pytest.mark.parametrize(("schema", "value", "message"), ERRORS)
def test_errors_name_the_path(schema, value, message):
    assert validation_error(schema, value) == message


@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": None}])
def test_anything_fits_any(value):
    assert validation_error({}, value) is None


def test_messages_have_an_end():
    assert len(validation_error(STRING, ["x" * 10_000]) or "") < 400


def test_a_value_that_is_too_deep_is_an_error_and_no_crash():
    value: list = []
    for _ in range(5_000):
        value = [value]
    schema = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}
    assert "too deeply" in (validation_error(schema, value) or "")


GOOD_SCHEMAS = [
    {},
    {"type": "object", "properties": {"$ref": STRING, "pattern": STRING}},
    {"enum": [{"$ref": "http://example.com"}], "const": {"pattern": "("}, "default": {"$ref": "x"}},
    {
        "$defs": {"a": STRING, "b/c": NUMBER, "d~e": {}},
        "items": {"$ref": "#/$defs/a"},
        "anyOf": [{"$ref": "#/$defs/b~1c"}],
    },
    {"allOf": [STRING, {"$ref": "#/allOf/0"}]},
    {"$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}}, "$ref": "#/$defs/tree"},
    {"type": "array", "items": {"$ref": "#"}},
    {"type": "string", "pattern": "^[a-z]+$"},
]


@pytest.mark.parametrize("schema", GOOD_SCHEMAS)
def test_schemas_that_can_be_used(schema):
    assert schema_error(schema) is None
    validation_error(schema, {"left": {"left": {}}})


BAD_SCHEMAS = [
    ({"type": "text"}, ("type",)),
    ({"properties": {"a": {"type": 5}}}, ("properties", "a", "type")),
    ({"required": "a"}, ("required",)),
    (5, ()),
    ({"pattern": "("}, ("pattern",)),
    ({"patternProperties": {"[": {}}}, ("patternProperties",)),
    ({"items": {"$ref": "#/$defs/none"}}, ("items", "$ref")),
    ({"$ref": "http://127.0.0.1:9/schema.json"}, ("$ref",)),
    ({"$ref": "file:///etc/passwd"}, ("$ref",)),
    ({"anyOf": [{}, {"$ref": "other.json#/a"}]}, ("anyOf", 1, "$ref")),
    ({"$ref": "#"}, ("$ref",)),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, ("$defs", "a", "$ref")),
]


@pytest.mark.parametrize(("schema", "place"), BAD_SCHEMAS)
def test_schemas_that_can_not_be_used(schema, place):
    found = schema_error(schema)
    assert found is not None
    assert found[0] == place


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("something was fetched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(Exception, match="Unresolvable"):
        validation_error({"$ref": "http://example.com/schema.json"}, 1)

"""YAML with positions: what plain words mean, how aliases and merges are read, and where things stand."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.template import durations
from airflow_agentic.template.source import parse_source, to_data


def read(text):
    return to_data(parse_source(text, "t.yaml"))


SCALARS = [
    *(("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False)),
    *(("yes", "yes"), ("Yes", "Yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("n", "n")),
    *(("tRUE", "tRUE"), ("tru", "tru")),
    *(("null", None), ("Null", None), ("~", None), ("", None), ("nil", "nil"), ("none", "none"), ("None", "None")),
    *(("1", 1), ("-1", -1), ("+1", 1), ("0", 0), ("007", 7), ("0o17", 15), ("017", 17), ("0x1F", 31), ("0b1", "0b1")),
    *(("1_000", "1_000"), ("12:30", "12:30"), ("190:20:30", "190:20:30"), ("1e3", 1000.0), ("1E-3", 0.001)),
    *(("1.5", 1.5), (".5", 0.5), ("-.5", -0.5), ("1.", 1.0), ("1.5.1", "1.5.1"), ("1e", "1e"), ("+", "+"), ("-", "-")),
    *(("2026-01-31", "2026-01-31"), ("2026-01-31T06:00:00Z", "2026-01-31T06:00:00Z"), ("5m", "5m"), ("20%", "20%")),
    *(("0x", "0x"), ("1 2", "1 2"), ("é", "é"), ("=", "="), ("<<x", "<<x"), ("1,5", "1,5")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), [case for case in SCALARS if case[0] != "-"])
def test_plain_words(text, value):
    data, problems = read(f"a: {text}\n")
    assert problems == []
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


@pytest.mark.parametrize("text", [text for text, _ in SCALARS])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_make_texts(text, quote):
    assert read(f"a: {quote}{text}{quote}\n") == ({"a": text}, [])
    if text != "-":
        assert read(f"a: !!str {text}\n")[0] == {"a": text}


@pytest.mark.parametrize("text", ["5", "true", "null", "1.5", "~"])
def test_keys_are_texts(text):
    assert read(f"{text}: 1\n") == ({text: 1}, [])


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", ".NaN", "1e999", "-1e999", "9" * 5000])
def test_numbers_that_json_lacks(text):
    _, problems = read(f"a: {text}\n")
    assert [(problem.code, problem.line, problem.column) for problem in problems] == [("AGT112", 1, 4)]


def test_blocks():
    assert read("a: |\n  x\n  y\nb: >\n  x\n  y\nc: |-\n  x\n")[0] == {"a": "x\ny\n", "b": "x y\n", "c": "x"}


MERGES = [
    ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", {"x": 1, "y": 3}),
    ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\n", {"x": 1, "y": 3}),
    ("a: &a {x: 1}\nc: &c {x: 2, z: 3}\nb: {<<: [*a, *c]}\n", {"x": 1, "z": 3}),
    ("a: &a {x: 1}\nc: &c {<<: *a, y: 2}\nb: {<<: *c}\n", {"x": 1, "y": 2}),
    ("b: {<<: {x: 1}, y: 2}\n", {"x": 1, "y": 2}),
    ("b: {'<<': 1}\n", {"<<": 1}),
]


@pytest.mark.parametrize(("text", "value"), MERGES)
def test_merges(text, value):
    data, problems = read(text)
    assert problems == []
    assert data["b"] == value


def test_what_an_alias_names_is_not_shared_with_whoever_changes_it():
    data, _ = read("a: &a {x: [1]}\nb: *a\n")
    assert data == {"a": {"x": [1]}, "b": {"x": [1]}}


TEXT = """\
# comment
a: 1
b:
  c: x
  d: [0,
    {  e: 1}]
t: |
  x.y is {{ not }}
  really {{ x.y }} and {{ x.y }}
n: 1
base: &b {x: 1}
m: {<<: *b, y: 2}
"""
POSITIONS = [
    (("a",), {}, (2, 4)),
    (("a",), {"key": True}, (2, 1)),
    (("b", "c"), {}, (4, 6)),
    (("b", "c"), {"key": True}, (4, 3)),
    (("b", "d"), {}, (5, 6)),
    (("b", "d", 1), {}, (6, 5)),
    (("b", "d", 1, "e"), {}, (6, 11)),
    (("b", "d", 9), {}, (5, 6)),
    (("b", "nope"), {}, (4, 3)),
    (("nope",), {}, (2, 1)),
    (("nope", "deeper"), {}, (2, 1)),
    (("m", "x"), {}, (11, 14)),
    (("m", "x"), {"key": True}, (11, 11)),
    (("m", "y"), {}, (12, 16)),
    (("t",), {}, (7, 4)),
    (("t",), {"needle": "x.y"}, (9, 13)),
    (("t",), {"needle": "x.y", "text_line": 2}, (9, 13)),
    (("t",), {"needle": "not"}, (8, 13)),
    (("t",), {"needle": "is"}, (8, 7)),
    (("t",), {"text_line": 2}, (9, 3)),
    (("t",), {"needle": "nowhere", "text_line": 2}, (9, 3)),
    (("t",), {"needle": "nowhere"}, (7, 4)),
]


@pytest.mark.parametrize(("loc", "more", "place"), POSITIONS)
def test_positions(loc, more, place):
    assert parse_source(TEXT, "t.yaml").position(loc, **more) == place


NEEDLES = [
    ("x: '{{ a.b }}'", "a.b", 7),
    ("x: 'a.b {{ a.b }}'", "a.b", 11),
    ("x: '{{ ba.b }} {{ a.b }}'", "a.b", 18),
    ("x: '{{ c.a.b }} {{ a.b }}'", "a.b", 19),
    ("x: '{{ a.bc }} {{ a.b }}'", "a.b", 18),
    ("x: \"{{ a['b'] }}\"", "a.b", 7),
    ("x: '{{ a . b }}'", "a.b", 7),
    ("x: '{% for i in a.l %}{{ i.q }}{% endfor %}'", "a.l.*.q", 25),
    ("x: '{{ a }} b {% if b %}'", "b", 20),
    ("x: 'prose b only'", "b", 10),
]


@pytest.mark.parametrize(("text", "needle", "column"), NEEDLES)
def test_needles(text, needle, column):
    line, found = parse_source(text, "t.yaml").position(("x",), needle=needle)
    assert (line, text[found - 1 :]) == (1, text[column:])


# --- differential: safe YAML means what it means elsewhere --------------------------------------------------------

# PyYAML writes what YAML 1.1 takes for a text; 1.2 knows more numbers.
texts = st.text(min_size=1, max_size=8).filter(lambda text: text[0] not in "+-.0123456789")
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(texts, plain, max_size=3))
def test_what_json_and_yaml_write_is_read_back(value):
    written = yaml.safe_dump(value, default_flow_style=None, allow_unicode=False, sort_keys=False)
    escaped = json.dumps(value)
    if "\\ud" not in escaped and "\x7f" not in escaped:  # libyaml has no pairs of surrogates, and no DEL
        data, problems = read(escaped)
        assert problems == []
        assert _like(data, value)
    data, problems = read(written)
    assert problems == []
    assert _like(data, value)


def _like(data, value):
    if isinstance(value, float):
        return isinstance(data, (int, float, str)) and math.isclose(float(data), value, rel_tol=1e-12, abs_tol=1e-300)
    if isinstance(value, dict):
        return list(data) == list(value) and all(_like(data[key], part) for key, part in value.items())
    if isinstance(value, list):
        return len(data) == len(value) and all(map(_like, data, value))
    return data == value and type(data) is type(value)


# --- durations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), (3, 3), (0.25, 0.25)],
)
def test_durations(value, seconds):
    assert durations.seconds(value) == seconds
    assert type(durations.seconds(value)) is float


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "5 m",
        "5min",
        "-5s",
        "0s",
        "1h30m",
        "m",
        "5M",
        "1e3s",
        "\u0661s",
        " 5s",
        "5s ",
        "4000d",
        0,
        -1,
        True,
        None,
        [1],
        "5\n",
    ],
)
def test_what_is_no_duration(value):
    with pytest.raises(ValueError, match="a duration is"):
        durations.seconds(value)

"""Data is never a template, passages say where data stands in a text, and everything becomes plain data."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.expression_scope import SCOPE, Trap, json_values, refused

from airflow_agentic.template.expressions import (
    evaluate,
    plain,
    render,
    render_passages,
    render_string,
    render_text,
)

# --- data is never a template -------------------------------------------------------------------------------------

HOSTILE = [
    *(
        "{{ 7*7 }}",
        "{% raw %}",
        "{% endraw %}",
        "{#",
        "#}",
        "{{",
        "}}",
        "{%",
        "%}",
        "{{ inputs }}",
        "{% if %}",
        "{{ 1/0 }}",
    ),
    *(
        "{{ ''.__class__ }}",
        "{{ missing }}",
        "# line",
        "## x",
        "${x}",
        "%(x)s",
        "%s",
        "{x}",
        "{0}",
        "\\{{",
        "\n{{ x }}\n",
    ),
    *("<b>&amp;", "'\"", "null", "[1]", '{"a": 1}', "5", "", " ", "\0", "\u2028"),
]
hostile = st.sampled_from(HOSTILE) | st.text() | st.lists(st.sampled_from(HOSTILE)).map("".join)
hostile_values = st.recursive(
    hostile | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=8,
)


@given(value=hostile_values)
def test_values_arrive_unchanged(value):
    scope = {"x": value, "d": {"k": value}, "l": [value]}
    for text in (
        "{{ x }}",
        "{{ d.k }}",
        "{{ d['k'] }}",
        "{{ l[0] }}",
        "{{ l | first }}",
        "{{ x if true }}",
        "{{ y | default(x) }}",
    ):
        assert render_text(text, scope) == value
        assert render({"a": [text]}, scope) == {"a": [value]}
    assert evaluate("x", scope) == value
    assert evaluate("{{ d.k }}", scope) == value
    assert render_text("{{ [x, {'k': x}] }}", scope) == [value, {"k": value}]
    assert render_text("{{ {'k': x} }}", scope) == {"k": value}


@given(value=hostile)
def test_texts_arrive_unchanged_in_texts(value):
    scope = {"x": value, "l": [value, value], "d": {value: value}}
    assert render_string("{{ x }}", scope) == value
    assert render_string("a{{ x }}b", scope) == f"a{value}b"
    assert render_string("a{{ x ~ x }}b", scope) == f"a{value}{value}b"
    assert render_string("{% for p in l %}{{ p }}{% endfor %}", scope) == value * 2
    assert render_string("{{ l | join('-') }}!", scope) == f"{value}-{value}!"
    assert render_string("{% set y %}{{ x }}{% endset %}{{ y }}", scope) == value
    assert render_string("{% macro m(p) %}{{ p }}{% endmacro %}{{ m(x) }}", scope) == value
    assert render_string("{{ '%s' | format(x) }}", scope) == value
    assert render_string("{% for k, v in d | items %}{{ k }}={{ v }}{% endfor %}", scope) == f"{value}={value}"
    text, passages = render_passages("a{{ x }}b{{ x }}", scope)
    assert text == f"a{value}b{value}"
    assert [text[passage.start : passage.end] for passage in passages] == [value, value]
    assert json.loads(render_string("{{ l | tojson }} ", scope)) == [value, value]


def test_rendering_twice_renders_once():
    first = render_text("{{ x }}", {"x": "{{ y }}"})
    assert first == "{{ y }}"
    assert render_text("{{ x }}", {"x": first, "y": "evaluated"}) == "{{ y }}"


@given(value=json_values)
def test_a_rendered_value_is_a_copy(value):
    scope = {"x": value}
    found = render_text("{{ x }}", scope)
    assert found == value
    if isinstance(value, (list, dict)):
        assert found is not value
        found.clear()
        assert scope["x"] == value or not value


# --- passages -----------------------------------------------------------------------------------------------------

piece = st.sampled_from(
    [
        "plain", "\n", " ", "é\U0001f600", "{% raw %}{{ x }}{% endraw %}", "{# remark #}",
        "{{ text }}", "{{ number }}", "{{ list }}", "{{ mapping.b.c[0].d }}", "{{ empty }}", "{{ text }}{{ text }}",
        "{% for x in words %}[{{ x }}]{% endfor %}", "{% if yes %}{{ text }}{% else %}{{ missing }}{% endif %}",
        "{% set a = text %}{{ a }}", "{% set b %}<{{ text }}>{% endset %}{{ b }}", "{{ 'constant' }}", "{{ 1 + 1 }}",
        "{% macro m(p) %}({{ p }}){% endmacro %}{{ m(text) }}", "{% filter upper %}{{ text }}{% endfilter %}",
        "{% with z = number %}{{ z }}{% endwith %}", "{% print text, (number, 2) %}", "{{ missing | default('d') }}",
    ]
)  # fmt: skip


@given(pieces=st.lists(piece, max_size=8))
def test_passages_are_where_they_say_and_in_order(pieces):
    template = "".join(pieces)
    text, passages = render_passages(template, SCOPE)
    assert text == render_string(template, SCOPE)
    end = 0
    for passage in passages:
        assert end <= passage.start <= passage.end <= len(text)
        end = passage.end
    outside = "".join(
        text[before:after]
        for before, after in zip(
            [0, *(p.end for p in passages)], [*(p.start for p in passages), len(text)], strict=True
        )
    )
    assert len(outside) + sum(passage.end - passage.start for passage in passages) == len(text)


@given(pieces=st.lists(piece.filter(lambda text: text.startswith("{{") and text.count("{{") == 1), max_size=6))
def test_a_passage_is_what_its_expression_prints(pieces):
    text, passages = render_passages("|".join(pieces), SCOPE)
    shown = [render_string(f"{{{{ {passage.expression} }}}}", SCOPE) for passage in passages]
    assert [text[passage.start : passage.end] for passage in passages] == shown
    assert text == "|".join(shown)


TEXT, NUMBER, DEEP = ("text",), ("number",), ("mapping", "b", "c", "*", "d")
NAME = ("objects", "*", "name")
PASSAGES = [
    ("{{ text }}", [("words", "text", {TEXT})]),
    ("a {{ text | upper }} b", [("WORDS", "text | upper", {TEXT})]),
    ("{{ mapping.b.c[0].d }}{{ number }}", [("deep", "mapping.b.c[0].d", {DEEP}), ("5", "number", {NUMBER})]),
    ("{% for o in objects %}{{ o.name }} {% endfor %}", [("x", "o.name", {NAME}), ("y", "o.name", {NAME})]),
    ("{% set t = text %}{{ t }}", [("words", "t", {TEXT})]),
    ("{% set t = text ~ number %}{{ t }}", [("words5", "t", {TEXT, NUMBER})]),
    ("{% set t %}{{ text }}!{% endset %}{{ t }}", [("words!", "t", {TEXT})]),
    ("{% with t = mapping.b %}{{ t.c[0].d }}{% endwith %}", [("deep", "t.c[0].d", {DEEP})]),
    ("{{ missing | default(text) }}", [("words", "missing | default(text)", {("missing",), TEXT})]),
    ("{% macro m(p) %}({{ p }}){% endmacro %}{{ m(text) }}", [("(words)", "m(text)", {TEXT})]),
    (
        "{% print text, number %}{{ text }}",
        [("words", "text", {TEXT}), ("5", "number", {NUMBER}), ("words", "text", {TEXT})],
    ),
    ("{% if yes %}{{ text }}{% endif %}", [("words", "text", {TEXT})]),
    ("{{ 'constant' }}", [("constant", "'constant'", set())]),
    ("{{- text -}}", [("words", "text", {TEXT})]),
    ("{{ '}}' ~ text }}", [("}}words", "'}}' ~ text", {TEXT})]),
    ("nothing", []),
]


@pytest.mark.parametrize(("template", "expected"), PASSAGES, ids=[case[0] for case in PASSAGES])
def test_what_a_passage_says(template, expected):
    text, passages = render_passages(template, SCOPE)
    found = [(text[passage.start : passage.end], passage.expression, set(passage.reads)) for passage in passages]
    assert found == expected


# --- determinism and plain data -----------------------------------------------------------------------------------


@given(value=json_values)
def test_equal_inputs_give_equal_texts(value):
    text = "{{ x }} {{ [x] | tojson }} {% for p in [x] %}{{ p }}{% endfor %}"
    assert render_string(text, {"x": value}) == render_string(text, {"x": copy.deepcopy(value)})


@given(value=json_values)
def test_plain_data_stays_itself(value):
    assert plain(value) == value
    assert json.dumps(plain(value)) == json.dumps(value)


class Words(str):
    """A text that is more than one."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (range(2), [0, 1]),
        (iter([1, iter([2])]), [1, [2]]),
        ((n for n in (1, 2)), [1, 2]),
        ({1: 2, None: 3, False: 4}, {"1": 2, "null": 3, "false": 4}),
        ({(1, 2): 3}, {"[1, 2]": 3}),
        (Words("x"), "x"),
        ({Words("k"): [Words("v")]}, {"k": ["v"]}),
    ],
)
def test_odd_values_become_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert "Words" not in repr([type(part) for part in (found if isinstance(found, list) else [found])])


def test_marked_texts_become_texts():
    markupsafe = pytest.importorskip("markupsafe")
    assert type(plain(markupsafe.Markup("<b>"))) is str


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", lambda: 1, int, Trap(), 1j, ..., [object()], {"a": {1}}])
def test_what_is_no_data_is_refused(value):
    for text in ("{{ x }}", "a{{ x }}"):
        assert "is not data" in refused(text, {"x": value})


@pytest.mark.parametrize(
    ("template", "inserted"),
    [
        ("a {% filter upper %}b {{ x }}{% endfilter %} c", "B DATA"),
        ("a {% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}b {{ x }}{% endcall %} c", "(b data)"),
        ("a {% for part in [x, x] recursive %}{{ part }},{% endfor %} c", "data,data,"),
        ("a {% if x %}{% filter upper %}{{ x }}{% endfilter %}{% endif %} c", "DATA"),
        ("a {% filter upper %}{% filter trim %} {{ x }} {% endfilter %}{% endfilter %} c", "DATA"),
    ],
)
def test_what_a_block_prints_is_one_passage(template: str, inserted: str) -> None:
    text, passages = render_passages(template + " {{ y }}", {"x": "data", "y": "more"})
    assert text == render_string(template + " {{ y }}", {"x": "data", "y": "more"})
    assert [(text[p.start : p.end], p.expression, p.reads) for p in passages] == [
        (inserted, "", (("x",),)),
        ("more", "y", (("y",),)),
    ]

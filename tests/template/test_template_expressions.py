"""Texts and expressions: what they make of values, and what is undefined."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.expression_scope import SCOPE, refused

from airflow_agentic.template import expressions
from airflow_agentic.template.expressions import (
    ExpressionError,
    evaluate,
    is_true,
    parse,
    render,
    render_passages,
    render_string,
    render_text,
)

# --- values -------------------------------------------------------------------------------------------------------

NATIVE = [
    ("{{ list }}", [1, "two", None]),
    ("{{ mapping.b.c[0].d }}", "deep"),
    ("{{ mapping['with space'] }}", 2),
    ("{{ mapping.items }}", "field"),
    ("{{ mapping.keys }}", "k"),
    ("{{ mapping.__class__ }}", "mine"),
    ("{{ number }}", 5),
    ("{{ half }}", 0.5),
    ("{{ yes }}", True),
    ("{{ nothing }}", None),
    ("{{ empty }}", ""),
    ("{{ text }}", "words"),
    ("{{ '5' }}", "5"),
    ("{{ 'true' }}", "true"),
    ("{{ '[1]' }}", "[1]"),
    ("{{ number + 1 }}", 6),
    ("{{ number / 2 }}", 2.5),
    ("{{ number == 5 and yes }}", True),
    ("{{ [number, {'a': text}] }}", [5, {"a": "words"}]),
    ("{{ {1: 2} }}", {"1": 2}),
    ("{{ (1, 2) }}", [1, 2]),
    ("{{ range(3) }}", [0, 1, 2]),
    ("{{ dict(a=1) }}", {"a": 1}),
    ("{{ words | sort }}", ["a", "b"]),
    ("{{ words | map('upper') }}", ["B", "A"]),
    ("{{ objects | selectattr('n', 'gt', 1) | map(attribute='name') | list }}", ["x"]),
    ("{{ objects | groupby('n') }}", [[1, [{"name": "y", "n": 1}]], [2, [{"name": "x", "n": 2}]]]),
    ("{{ objects | sort(attribute='n') | map(attribute='name') | join(',') }}", "y,x"),
    ("{{ objects | sum(attribute='n') }}", 3),
    ("{{ mapping.b | items }}", [["c", [{"d": "deep"}]]]),
    ("{{ list | length }}", 3),
    ("{{ list[-1] }}", None),
    ("{{ words[0:1] }}", ["b"]),
    ("{{ text[0] }}", "w"),
    ("{{- number -}}", 5),
    ("{{number}}", 5),
    ("{{ number\n}}", 5),
    ("{{ number }}{# a remark #}", 5),
    ("{{ 'a' if yes else 'b' }}", "a"),
    ("{{ '}}' }}", "}}"),
    ("{{ '{{ 7*7 }}' }}", "{{ 7*7 }}"),
]


@pytest.mark.parametrize(("text", "value"), NATIVE)
def test_a_text_that_is_one_expression_keeps_its_value(text, value):
    found = render_text(text, SCOPE)
    assert found == value
    assert type(found) is type(value)
    assert render({"key": [text]}, SCOPE) == {"key": [value]}


PRINTED = [
    ("{{ number }}!", "5!"),
    (" {{ number }}", " 5"),
    ("{{ number }}\n", "5\n"),
    ("{{ number }}{{ half }}", "50.5"),
    ("a {{ yes }} {{ no }} {{ nothing }}", "a true false null"),
    ("= {{ list }}", '= [1, "two", null]'),
    ("= {{ mapping.b }}", '= {"c": [{"d": "deep"}]}'),
    ("= {{ {'é': '\"'} }}", '= {"é": "\\""}'),
    ("= {{ text }} {{ empty }}.", "= words ."),
    ("{{ text ~ list ~ nothing ~ yes }}.", 'words[1, "two", null]nulltrue.'),
    ("{{ list | join(', ') }}.", "1, two, null."),
    ("{{ [yes, mapping.b] | join(' ') }}.", 'true {"c": [{"d": "deep"}]}.'),
    ("{{ list | string }}.", '[1, "two", null].'),
    ("{{ mapping.b | tojson }}.", '{"c": [{"d": "deep"}]}.'),
    ("{{ '<é>' | tojson }}.", '"<é>".'),
    ("{{ [1] | tojson(indent=2) }}.", "[\n  1\n]."),
    ("{{ '%s and %s' | format(yes, nothing) }}.", "true and null."),
    ("{{ '%d %.2f' | format(number, half) }}.", "5 0.50."),
    ("{{ '%(a)s' | format(a=list) }}.", '[1, "two", null].'),
    ("{{ yes | upper }} {{ nothing | title }}.", "TRUE Null."),
    ("{{ list | upper }}.", '[1, "TWO", NULL].'),
    ("{{ 'a-b' | replace('-', nothing) }}.", "anullb."),
    ("{{ 'aaa' | replace('a', 'b', 2) }}.", "bba."),
    ("{% for x in list %}\n{{ loop.index }}: {{ x }}\n{% endfor %}\nend", "1: 1\n2: two\n3: null\nend"),
    ("  {% if yes %}\nin\n  {% endif %}\nout", "in\nout"),
    ("{% set x = number + 1 %}{{ x }}.", "6."),
    ("{% set x %}{{ number }}!{% endset %}{{ x }}{{ x }}", "5!5!"),
    ("{% with x = list %}{{ x | length }}{% endwith %}.", "3."),
    ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m(list) }}", '<1><[1, "two", null]>'),
    ("{% filter upper %}a{{ text }}{% endfilter %}.", "AWORDS."),
    ("{% set ns = namespace(n=0) %}{% for x in list %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}.", "3."),
    ("{% raw %}{{ number }}{% endraw %}", "{{ number }}"),
    ("{% for x in words %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "b, a"),
    ("{{ 'x' if no }}.", "."),
    ("<b> & \"{{ '<i>' }}\"", '<b> & "<i>"'),
]


@pytest.mark.parametrize(("text", "printed"), PRINTED)
def test_any_other_text_is_printed(text, printed):
    assert render_text(text, SCOPE) == printed
    assert render_string(text, SCOPE) == printed
    assert render_passages(text, SCOPE)[0] == printed


@pytest.mark.parametrize("text", ["", "no braces", "} }} %} #}", "{ {", "$x ${y}", "%(x)s", "é\u2028\0"])
def test_a_text_without_jinja_is_itself(text):
    assert render_text(text, {}) == render_string(text, {}) == render_passages(text, {})[0] == text


def test_render_changes_texts_only_and_no_keys():
    value = {"{{ number }}": ["{{ number }}", 1, None, True, 0.5, ("{{ text }}",)], "n": {"x": "a{{ number }}"}}
    assert render(value, SCOPE) == {"{{ number }}": [5, 1, None, True, 0.5, ["words"]], "n": {"x": "a5"}}


FILTERS = [
    ("slug", "{{ 'Tides & Öre: 1/2..' | slug }}", "tides-öre-1-2"),
    ("slug, a path", "{{ '../../etc/passwd' | slug }}", "etc-passwd"),
    ("slug, nothing left", "{{ '///' | slug }}", "untitled"),
    ("slug, long", "{{ ('ab ' * 100) | slug }}", ("ab-" * 27)[:80].rstrip("-")),
    ("slug, a number", "{{ 5 | slug }}", "5"),
    ("flatten", "{{ [[1], [2, [3]], 4, (5,)] | flatten }}", [1, 2, [3], 4, 5]),
    ("flatten, nothing", "{{ [] | flatten }}", []),
    ("ratio", "{{ 1 | ratio(4) }}", 0.25),
    ("ratio, of nothing", "{{ 0 | ratio(0) }}", 0.0),
]


@pytest.mark.parametrize(("text", "value"), [case[1:] for case in FILTERS], ids=[case[0] for case in FILTERS])
def test_filters_of_our_own(text, value):
    assert render_text(text, SCOPE) == value


# --- conditions and bare expressions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("number > 3", True),
        ("{{ number > 3 }}", True),
        (" {{number > 3}} ", True),
        ("number > 3 and not no", True),
        ("missing", False),
        ("not missing", True),
        ("missing.a.b[0]", False),
        ("missing or yes", True),
        ("missing and yes", False),
        ("missing is defined", False),
        ("nothing", False),
        ("empty", False),
        ("list", True),
        ("[]", False),
        ("true", True),
        ("false", False),
        ("{'a': 1}", True),
        ("'no'", True),
        ("missing | default(yes)", True),
        ("text in ['words']", True),
    ],
)
def test_conditions(expression, holds):
    assert is_true(expression, SCOPE) is holds


@pytest.mark.parametrize(
    "expression", ["missing > 1", "missing == 1", "1 in missing", "missing + 1", "text.upper()", ""]
)
def test_conditions_that_can_not_be_decided(expression):
    with pytest.raises(ExpressionError):
        is_true(expression, SCOPE)


@pytest.mark.parametrize(
    ("expression", "value"),
    [("number + 1", 6), ("{{ list }}", SCOPE["list"]), ("mapping.b.c | map(attribute='d')", ["deep"])],
)
def test_bare_expressions(expression, value):
    assert evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    "expression", ["missing", "missing.a", "a }} {{ b", "{% if x %}", "", "{{ a }} {{ b }}", "a b"]
)
def test_bare_expressions_that_have_no_value(expression):
    with pytest.raises(ExpressionError):
        evaluate(expression, SCOPE)


# --- undefined ----------------------------------------------------------------------------------------------------

USES_OF_MISSING = [
    *("{{ M }}", "x{{ M }}", "{{ M ~ 'x' }}", "{{ [M] }}", "{{ {'a': M} }}", "{{ {M: 1} }}", "{{ 'a' ~ [M] }}"),
    *("{{ M == 1 }}", "{{ M != 1 }}", "{{ M < 1 }}", "{{ 1 == M }}", "{{ 1 in M }}", "{{ M in [1] }}", "{{ M + 1 }}"),
    *("{{ -M }}", "{{ M * 2 }}", "{{ M() }}", "{% for x in M %}{% endfor %}", "{{ M | list }}", "{{ M | length }}"),
    *("{{ mapping[M] }}", "{{ list[M] }}", "{{ 1 | ratio(M) }}", "{{ M | ratio(1) }}", "{{ M | ratio(0) }}"),
    *("{{ words | join(M) }}", "{{ '%s' | format(M) }}", "{{ 'a' | replace('a', M) }}", "{{ M == M }}"),
    *("{{ M and M }}", "{{ no or M }}", "{{ yes and M }}", "{{ M if yes else 1 }}", "{% set x = M %}{{ x }}"),
]


@pytest.mark.parametrize(
    "missing", ["missing", "missing.key", "mapping.missing", "mapping['missing']", "list[9]", "missing[0].x"]
)
@pytest.mark.parametrize("text", USES_OF_MISSING)
def test_using_what_is_missing_is_an_error(text, missing):
    refused(text.replace("M", missing))


@pytest.mark.parametrize("name", sorted(set(expressions.ENVIRONMENT.filters) - {"default", "d"}))
def test_every_filter_refuses_what_is_missing(name):
    refused(f"{{{{ missing | {name} }}}}")


COPES = [
    ("{{ M | default('x') }}", "x"),
    ("{{ M | d('x') }}", "x"),
    ("{{ M | default(none) }}", None),
    ("{{ M | default([]) | length }}", 0),
    ("{{ M is defined }}", False),
    ("{{ M is not defined }}", True),
    ("{{ M is undefined }}", True),
    ("{{ 'a' if M else 'b' }}", "b"),
    ("{{ M or 'b' }}", "b"),
    ("{{ (M and 1) | default('b') }}", "b"),
    ("{{ not M }}", True),
    ("{{ M.x.y[0]['z'] | default('x') }}", "x"),
    ("{% if M %}a{% elif M.x %}b{% else %}c{% endif %}", "c"),
    ("{% if M is defined and M.x == 1 %}a{% endif %}c", "c"),
    ("{% set x = M %}{{ x | default('x') }}", "x"),
]


@pytest.mark.parametrize("missing", ["missing", "missing.key", "mapping.missing", "mapping['missing']", "list[9]"])
@pytest.mark.parametrize(("text", "value"), COPES)
def test_texts_that_cope_with_what_is_missing(text, value, missing):
    assert render_text(text.replace("M", missing), SCOPE) == value


@pytest.mark.parametrize(
    ("text", "value"), [("{{ nothing | default('x') }}", None), ("{{ empty | default('x') }}", "")]
)
def test_null_and_empty_are_not_missing(text, value):
    assert render_text(text, SCOPE) == value


@pytest.mark.parametrize("name", ["text", "number", "nothing", "yes", "list"])
def test_a_dot_reads_keys_of_mappings_only(name):
    message = refused(f"{{{{ {name}.key | default('x') }}}}")
    assert "has no field 'key'" in message


# --- the short way to read plain paths gives Jinja's own tree -----------------------------------------------------

_words = st.sampled_from(
    ["a", "ab", "in", "is", "not", "true", "none", "None", "self", "loop", "if", "_x", "1a", "é", "A"]
)
_paths = st.lists(_words, min_size=1, max_size=4).map(".".join)
_parts = st.one_of(
    st.sampled_from(
        ["", " ", "\n", "{", "}", "{{", "}}", "%}", "{%", "{#", "#}", "text", "'", '"', "{{ a", "a }}", "\r", "\t"]
    ),
    st.tuples(
        st.sampled_from(["{{ ", "{{", "{{  ", "{{- ", "{{\n", "{{+"]),
        _paths,
        st.sampled_from([" }}", "}}", " -}}", "\n}}"]),
    ).map("".join),
)


@settings(max_examples=200)
@given(text=st.lists(_parts, max_size=6).map("".join))
def test_the_short_way_reads_what_jinja_reads(text):
    try:
        expected = expressions.ENVIRONMENT.parse(text)
    except Exception:
        with pytest.raises(ExpressionError):
            parse(text)
        return
    found = parse(text)
    assert repr(found) == repr(expected)

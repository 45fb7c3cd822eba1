"""Texts and expressions: what they make of values, what is undefined, and that nothing reaches out of them."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_agentic.template import expressions
from airflow_agentic.template.expressions import (
    ExpressionError,
    evaluate,
    is_true,
    parse,
    plain,
    render,
    render_passages,
    render_string,
    render_text,
)

SCOPE = {
    "text": "words",
    "empty": "",
    "number": 5,
    "half": 0.5,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", None],
    "words": ["b", "a"],
    "mapping": {
        "a": 1,
        "items": "field",
        "keys": "k",
        "b": {"c": [{"d": "deep"}]},
        "with space": 2,
        "__class__": "mine",
    },
    "objects": [{"name": "x", "n": 2}, {"name": "y", "n": 1}],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refused(text, scope=SCOPE) -> str:
    """What every way to render a text says when it can't."""
    for function in (render, render_string, render_passages):
        with pytest.raises(ExpressionError) as caught:
            function(text, scope)
    return caught.value.message


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


# --- the sandbox --------------------------------------------------------------------------------------------------

ATTRIBUTES = (
    "__class__",
    "__init__",
    "__globals__",
    "__dict__",
    "__mro__",
    "__subclasses__",
    "_func",
    "gi_frame",
    "mro",
)
OBJECTS = {
    "a text": "text",
    "a number": "number",
    "a list": "list",
    "null": "nothing",
    "a literal": "'x'",
    "a tuple": "(1, 2)",
    "a range": "range(3)",
    "a function": "range",
    "a type": "dict",
    "a namespace": "namespace(a=1)",
    "a cycler": "cycler(1)",
    "a joiner": "joiner()",
    "self": "self",
    "a generator": "(words | map('upper'))",
    "what is undefined": "(1 if no)",
    "a group": "(objects | groupby('n'))[0]",
    "the passage function": "__passage",
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_of_python_is_in_reach(name, attribute):
    value = OBJECTS[name]
    texts = [
        f"{{{{ {value}.{attribute} }}}}",
        f"{{{{ {value}['{attribute}'] }}}}",
        f"{{{{ {value} | attr('{attribute}') }}}}",
        f"{{{{ [{value}] | map('attr', '{attribute}') | list }}}}",
        f"{{{{ [{value}] | map(attribute='{attribute}') | list }}}}",
        f"{{{{ [{value}] | sort(attribute='{attribute}') | list }}}}",
        f"{{{{ [{value}, {value}] | groupby('{attribute}') | list }}}}",
        f"{{{{ [{value}] | sum(attribute='{attribute}') }}}}",
        f"{{{{ [{value}] | selectattr('{attribute}') | list }}}}",
        f"{{% set x = {value} %}}{{{{ x.{attribute} }}}}",
        f"{{% set x = {value} %}}{{% set x.{attribute} = 1 %}}{{{{ x.{attribute}.__class__ }}}}",
        f"{{{{ {value}.{attribute}() }}}}",
        f"{{{{ ({value} | attr('{attribute}'))() }}}}",
    ]
    for text in texts:
        try:
            found = render_string(text, SCOPE)
        except ExpressionError:
            continue
        assert found in ("", "[]", '[""]'), text


@pytest.mark.parametrize(
    "text",
    [
        "{% for x in list %}{{ loop.ATTRIBUTE }}{% endfor %}",
        "{% for x in list %}{{ loop | attr('ATTRIBUTE') }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m.ATTRIBUTE }}",
        "{% macro m() %}{{ caller.ATTRIBUTE }}{% endmacro %}{% call m() %}{% endcall %}",
        "{% macro m() %}{{ varargs.ATTRIBUTE }}{% endmacro %}{{ m(1) }}",
        "{% set n = namespace(a=1) %}{{ n.ATTRIBUTE }}",
    ],
)
@pytest.mark.parametrize("attribute", [*ATTRIBUTES, "_iterator", "_Namespace__attrs", "_environment", "__call__"])
def test_nor_through_what_jinja_provides(text, attribute):
    refused(text.replace("ATTRIBUTE", attribute))


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x'.format() }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0.__class__}' | attr('format') }}",
        "{{ ''.join(words) }}",
        "{{ text.upper() }}",
        "{{ list.append(1) }}",
        "{{ mapping.items() }}",
        "{{ mapping.update({'a': 2}) }}",
        "{{ mapping.get('a') }}",
        "{{ mapping.b.pop('c') }}",
        "{{ (mapping | attr('update'))({}) }}",
        "{{ range(10 ** 9) }}",
        "{{ range(0, 10 ** 7) }}",
        "{{ lipsum() }}",
        "{{ lipsum.__globals__ }}",
        "{{ get_flashed_messages() }}",
        "{{ config }}",
        "{{ request }}",
        "{{ url_for.__globals__ }}",
        "{{ open('/etc/passwd') }}",
        "{{ __import__('os') }}",
        "{{ eval('1') }}",
        "{{ self._TemplateReference__context }}",
        "{{ self }}",
        "{{ range }}",
        "{{ dict }}",
        "{{ namespace }}",
        "{{ namespace() }}",
        "{{ cycler(1) }}",
        "{{ joiner() }}",
        "{{ __passage }}",
        "{{ context }}",
        "{{ environment }}",
        "{% for x in list %}{{ loop }}{% endfor %}",
        "{% for x in list %}{{ loop.cycle }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m }}",
        "{% include '/etc/passwd' %}",
        "{% include ['a', 'b'] %}",
        "{% import 'os' as os %}",
        "{% from 'os' import path %}",
        "{% extends 'base' %}",
        "{{ 'x' | safe }}",
        "{{ 'x' | random }}",
        "{{ 'x' | escape }}",
        "{{ 'x' | xmlattr }}",
    ],
)
def test_attempts_to_break_out(text):
    refused(text)


def test_a_value_can_not_be_called():
    called = []
    for text in ("{{ f() }}", "{{ d.f() }}", "{{ l[0]() }}", "{{ l[0]('x') }}", "{{ [1] | map('f') }}"):
        refused(text, {"f": lambda: called.append(1), "d": {"f": lambda: called.append(1)}, "l": [called.append]})
    assert called == []


class Trap:
    """An object of Python in the scope, which no template should get anything out of."""

    secret = "leaked"

    def __str__(self):
        return self.secret

    __repr__ = __str__

    def __getitem__(self, key):
        return self.secret


@pytest.mark.parametrize(
    "text", ["{{ x }}", "a{{ x }}", "{{ x.secret }}", "{{ x['secret'] }}", "{{ x[0] }}", "{{ [x] }}"]
)
def test_objects_of_python_are_no_data(text):
    assert "leaked" not in refused(text, {"x": Trap()})


@pytest.mark.parametrize("name", sorted(expressions.ENVIRONMENT.filters))
def test_filters_leave_the_scope_alone_and_raise_nothing_else(name):
    for value in SCOPE:
        for arguments in ("", "(1)", "('a')", "(list)", "(nothing)", "(-1)", "('a', 'b')", "(attribute='a')", "(0, 0)"):
            scope = copy.deepcopy(SCOPE)
            for text in (f"{{{{ {value} | {name}{arguments} }}}}", f"x{{{{ {value} | {name}{arguments} }}}}"):
                try:
                    found = render_text(text, scope)
                except ExpressionError:
                    continue
                finally:
                    assert scope == SCOPE, text
                json.dumps(found)
                assert " object at 0x" not in str(found)


@pytest.mark.parametrize("name", sorted(expressions.ENVIRONMENT.tests))
def test_tests_raise_nothing_else(name):
    for value in (*SCOPE, "missing"):
        for argument in ("", " 1", " 'a'", " list", " nothing", " missing"):
            try:
                found = render_text(f"{{{{ {value} is {name}{argument} }}}}", SCOPE)
            except ExpressionError:
                continue
            assert found in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{{ 1 / 0 }}",
            "{{ 1 // 0 }}",
            "{{ 1 % 0 }}",
            "{{ 'a' + 1 }}",
            "{{ 1 < 'a' }}",
            "{{ list[text] }}",
            "{{ 1['a'] }}",
        ),
        *(
            "{{ {list: 1} }}",
            "{{ 'x' * 10 ** 13 }}",
            "{{ '%99999999999d' | format(1) }}",
            "{{ 'x' | nope }}",
            "{{ 1 is nope }}",
        ),
        *(
            "{{ 1e999 }}",
            "{{ '%d' | format(text) }}",
            "{{ '%s %s' | format(1) }}",
            "{{ 1e308 * 10 }}",
            "{{ '\\x' }}",
        ),
        *("{{", "{{ }}", "{% if %}", "{% endif %}", "{% x %}", "{{ 1 2 }}", "{{ a..b }}", "{{ " + "9" * 5000 + " }}"),
        *("{{ " + "(" * 500, "{% for a in list %}" * 25 + "{% endfor %}" * 25),
        "{{ 2 ** 'x' }}",
    ],
)
def test_whatever_goes_wrong_is_one_kind_of_error(text):
    assert refused(text)


def test_what_python_can_not_compile():
    with pytest.raises(ExpressionError):
        render_string("{{ " + "not " * 201 + "yes }}", SCOPE)


def test_an_error_shows_the_text_but_not_too_much_of_it():
    with pytest.raises(ExpressionError) as caught:
        render_text("{{ missing }}" + " " * 10 + "x" * 1000, SCOPE)
    assert "'missing' is undefined" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_error_can_be_pickled():
    import pickle

    with pytest.raises(ExpressionError) as caught:
        render_text("a\n{{ 1 + }}", SCOPE)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.expression, again.line) == (caught.value.message, "a\n{{ 1 + }}", 2)


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

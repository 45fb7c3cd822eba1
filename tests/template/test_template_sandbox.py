"""Nothing reaches out of a text: not into Python, not into files, and only one kind of error comes out of it."""

from __future__ import annotations

import copy
import json

import pytest
from support.expression_scope import SCOPE, Trap, refused

from airflow_agentic.template import expressions
from airflow_agentic.template.expressions import (
    ExpressionError,
    render_string,
    render_text,
)

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

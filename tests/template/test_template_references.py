"""What texts read, and which reads are guarded: judged by a table, and by rendering texts without what they read."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_agentic.template.expressions import ExpressionError, is_true, parse, render_string, whole_expression
from airflow_agentic.template.references import analyse


def reads(text: str) -> list[str]:
    """The reads of a text: a path, with ``?`` behind it when its name's absence is coped with."""
    references, *_ = analyse(parse(text))
    return [".".join(reference.path) + ("?" if reference.guarded else "") for reference in references]


READS = [
    ("nothing", []),
    ("{# {{ a }} #}{% raw %}{{ a }}{% endraw %}", []),
    ("{{ 'a' }} {{ 1 }} {{ true }} {{ none }}", []),
    # plain reads
    ("{{ a }}", ["a"]),
    ("{{ a.b.c }} {{ a['b'].c }} {{ a.b['c'] }}", ["a.b.c", "a.b.c", "a.b.c"]),
    ("{{ a[0].b }} {{ a[-1] }}", ["a.*.b", "a.*"]),
    ("{{ a['with space'].b }}", ["a.with space.b"]),
    ("{{ a[b] }} {{ a[b.c].d }}", ["a", "b", "a", "b.c"]),
    ("{{ a[1:b] }}", ["a", "b"]),
    ("{{ a + b.c * d }}", ["a", "b.c", "d"]),
    ("{{ a ~ b }} {{ a == b }} {{ a in b }} {{ a < b < c }}", ["a", "b", "a", "b", "a", "b", "a", "b", "c"]),
    ("{{ [a, {'k': b, c: 1}] }}", ["a", "b", "c"]),
    ("{{ a | upper | replace(b, c) }}", ["a", "b", "c"]),
    ("{{ a is divisibleby(b) }} {{ a is none }}", ["a", "b", "a"]),
    ("{{ range(a) }} {{ dict(k=b) }}", ["a", "b"]),
    ("{{ a.items }} {{ a.default }}", ["a.items", "a.default"]),
    # default and defined
    ("{{ a | default('') }} {{ a.b | d(1) }}", ["a?", "a.b?"]),
    ("{{ a | default(b) }}", ["a?", "b?"]),
    ("{{ a | upper | default('') }}", ["a"]),
    ("{{ (a ~ 'x') | default('') }}", ["a"]),
    ("{{ a[b] | default('') }}", ["a?", "b"]),
    ("{{ (a or b) | default('') }}", ["a?", "b?"]),
    ("{{ (a and b) | default('') }}", ["a?", "b?"]),
    ("{{ a is defined }} {{ a.b is not defined }} {{ a is undefined }}", ["a?", "a.b?", "a?"]),
    ("{{ not a }}", ["a?"]),
    ("{{ not a == 1 }}", ["a"]),
    # and, or
    ("{{ a or b }}", ["a?", "b"]),
    ("{{ a or a.b }}", ["a?", "a.b"]),
    ("{{ a and b }}", ["a", "b"]),
    ("{{ a is defined and a.b }}", ["a?", "a.b?"]),
    ("{{ a is not defined or a.b }}", ["a?", "a.b?"]),
    ("{{ a is defined or a.b }}", ["a?", "a.b"]),
    # conditions inline
    ("{{ a if b else c }}", ["b?", "a", "c"]),
    ("{{ a if a else '' }}", ["a?", "a?"]),
    ("{{ a.x if a else '' }}", ["a?", "a.x?"]),
    ("{{ a.x if a is defined else b }}", ["a?", "a.x?", "b?"]),
    ("{{ '' if a is not defined else a.x }}", ["a?", "a.x?"]),
    ("{{ '' if a is undefined else a.x }}", ["a?", "a.x?"]),
    ("{{ '' if not a else a.x }}", ["a?", "a.x?"]),
    ("{{ a.x if a.y else '' }}", ["a.y?", "a.x?"]),
    ("{{ a.x if a and b else '' }}", ["a?", "b?", "a.x?"]),
    ("{{ a.x if a or b else '' }}", ["a?", "b?", "a.x"]),
    ("{{ '' if not a or not b else a.x ~ b.x }}", ["a?", "b?", "a.x?", "b.x?"]),
    ("{{ a.x if a == 1 else '' }}", ["a", "a.x"]),
    ("{{ a.x if b else '' }}", ["b?", "a.x"]),
    ("{{ a.x if a is none else '' }}", ["a", "a.x"]),
    ("{{ a.x if a | default(false) else '' }}", ["a?", "a.x?"]),
    ("{{ a.x if a | default([]) and b else '' }}", ["a?", "b?", "a.x?"]),
    ("{{ a.x if a | default('y') else '' }}", ["a?", "a.x"]),
    # blocks
    ("{% if a %}{{ a.x }}{% else %}{{ a.y }}{% endif %}", ["a?", "a.x?", "a.y"]),
    ("{% if a %}{% elif b %}{{ b.x }}{{ a }}{% else %}{{ b }}{% endif %}", ["a?", "b?", "b.x?", "a", "b"]),
    ("{% if a is not defined %}x{% elif b %}{{ a.x }}{% else %}{{ a.y }}{% endif %}", ["a?", "b?", "a.x?", "a.y?"]),
    ("{% if a %}{% if b %}{{ a.x ~ b.x }}{% endif %}{{ b }}{% endif %}", ["a?", "b?", "a.x?", "b.x?", "b"]),
    ("{% if a %}x{% endif %}{{ a }}", ["a?", "a"]),
    (
        "{% for i in a.l %}{{ i.x }}{{ i }}{{ loop.index }}{% else %}{{ b }}{% endfor %}",
        ["a.l", "a.l.*.x?", "a.l.*?", "b"],
    ),
    ("{% for i in a | default([]) %}{{ i.x }}{% endfor %}", ["a?", "a.*.x?"]),
    ("{% if a %}{% for i in a.l %}{{ i.x }}{% endfor %}{% endif %}", ["a?", "a.l?", "a.l.*.x?"]),
    ("{% for i in a.l | sort | selectattr('x') %}{{ i.y }}{% endfor %}", ["a.l", "a.l.*.y?"]),
    ("{% for i in a if i.x %}{{ i.x }}{% endfor %}", ["a", "a.*.x?", "a.*.x?"]),
    ("{% for i in a %}{% for j in i.l %}{{ j.x }}{% endfor %}{% endfor %}{{ i }}", ["a", "a.*.l?", "a.*.l.*.x?", "i"]),
    ("{% for k, v in a | items %}{{ k }}{{ v.x }}{% endfor %}", ["a"]),
    ("{% for a in a.l %}{{ a.x }}{% endfor %}{{ a }}", ["a.l", "a.l.*.x?", "a"]),
    ("{% for i in a | default(b) %}{{ i.x }}{% endfor %}", ["a?", "b?"]),
    ("{{ a.x | default(a.y) }}", ["a.x?", "a.y"]),
    ("{{ inputs.x | default(b) }}", ["inputs.x?", "b"]),
    ("{% for i in (a if a else []) %}{{ i.x }}{% endfor %}", ["a?", "a?"]),
    ("{% set x = a.b %}{{ x.c }}{{ x }}", ["a.b", "a.b.c", "a.b"]),
    ("{% set x = a.b | upper %}{{ x }}", ["a.b"]),
    ("{% set x = a | default({}) %}{{ x.y | default('') }}", ["a?"]),
    ("{% set x, y = a.b, c %}{{ x }}{{ y }}", ["a.b", "c"]),
    ("{% set x %}{{ a }}{% endset %}{{ x }}", ["a"]),
    ("{% set ns = namespace(x=a) %}{% set ns.x = b %}{{ ns.x }}", ["a", "b"]),
    ("{% with x = a.b, y = c %}{{ x.d }}{{ y }}{% endwith %}{{ x }}", ["a.b", "c", "a.b.d", "c", "x"]),
    ("{% macro m(p, q=a) %}{{ p.x }}{{ b }}{% endmacro %}{{ m(c.d) }}", ["a", "b", "c.d"]),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ a }}{% endcall %}", ["a"]),
    ("{% filter upper %}{{ a }}{% endfilter %}", ["a"]),
    ("{{ a }}{% set a = 1 %}{{ a }}", ["a"]),
]


@pytest.mark.parametrize(("text", "expected"), READS, ids=[case[0] for case in READS])
def test_reads(text, expected):
    assert reads(text) == expected


def test_a_condition_only_asks_whether_it_holds():
    expression = whole_expression("{{ a.x and not b and c == 1 }}")
    references, *_ = analyse(expression, strict=False)
    found = [(".".join(reference.path), reference.guarded) for reference in references]
    assert found == [("a.x", True), ("b", True), ("c", False)]


def test_lines_are_those_of_the_text():
    references, misuses, _ = analyse(parse("a\n{{ b }}\n\n{{ c | nope }}\n{% if d %}\n{{ e }}\n{% endif %}"))
    assert [(reference.name, reference.line) for reference in references] == [("b", 2), ("c", 4), ("d", 5), ("e", 6)]
    assert [(misuse.needle, misuse.line) for misuse in misuses] == [("nope", 4)]


# --- by rendering -------------------------------------------------------------------------------------------------

SCOPE = {
    "a": {"x": "t", "n": "note", "l": [{"y": "1", "n": "2"}, {"y": "3", "n": "4"}]},
    "b": {"x": "u", "n": "note", "l": [{"y": "5", "n": "6"}]},
}
PATHS = ["a", "a.x", "a['x']", "a.n", "a.l", "a.l[0].y", "b", "b.x", "b.n", "b.l[0].n"]

paths = st.sampled_from(PATHS)
constants = st.sampled_from(["'k'", "''", "true", "none", "[]", "1"])


@cache
def _expressions(locals_: tuple[str, ...]) -> st.SearchStrategy[str]:
    leaf = paths | constants | (st.sampled_from(locals_) if locals_ else paths)

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(inner, inner).map(lambda p: f"({p[0]} | default({p[1]}))"),
            inner.map(lambda e: f"({e} | default(''))"),
            pair.map(lambda p: f"({p[0]} ~ {p[1]})"),
            pair.map(lambda p: f"({p[0]} or {p[1]})"),
            pair.map(lambda p: f"({p[0]} and {p[1]})"),
            pair.map(lambda p: f"({p[0]} == {p[1]})"),
            pair.map(lambda p: f"[{p[0]}, {p[1]}]"),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
            inner.map(lambda e: f"(not {e})"),
            inner.map(lambda e: f"({e} is defined)"),
            inner.map(lambda e: f"({e} is not defined)"),
            inner.map(lambda e: f"({e} is undefined)"),
            inner.map(lambda e: f"({e} | string | upper)"),
        )

    return st.recursive(leaf, more, max_leaves=6)


#: Lists whose items are followed to where they come from, and lists of which nothing is known.
FOLLOWED = ("a.l", "b.l | list", "a.l | default([])", "b.l | default('') | sort(attribute='y')")
OTHERS = ("a.l | default(b.l)", "(a.l if a.l else [])", "(b.l if b is defined else [])", "[{'y': 'z', 'n': a.x}]")


@cache
def bodies(lists=(*FOLLOWED, *OTHERS), depth=2, locals_=()):
    return _bodies(lists, depth, locals_)


@st.composite
def _bodies(draw, lists, depth, locals_):
    inner = bodies(lists, depth - 1, locals_)
    parts = []
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["print", "print", "if", "for", "with", "set"] if depth else ["print"]))
        if kind == "print":
            parts.append("{{ " + draw(_expressions(locals_)) + " }}")
        elif kind == "if":
            parts.append("{% if " + draw(_expressions(locals_)) + " %}" + draw(inner))
            if draw(st.booleans()):
                parts.append("{% elif " + draw(_expressions(locals_)) + " %}" + draw(inner))
            if draw(st.booleans()):
                parts.append("{% else %}" + draw(inner))
            parts.append("{% endif %}")
        elif kind == "for":
            name = draw(st.sampled_from(["i", "j"]))
            condition = draw(st.sampled_from(["", f" if {name}.n", f" if {name}.n is defined"]))
            named = bodies(lists, depth - 1, tuple(sorted({*locals_, name, f"{name}.y", f"{name}.n"})))
            parts.append("{% for " + name + " in " + draw(st.sampled_from(lists)) + condition + " %}")
            parts.append(draw(named) + "{% endfor %}")
        elif kind == "with":
            value = draw(st.sampled_from(["a", "b", "a | default({})", "{'x': 1}"]))
            named = bodies(lists, depth - 1, tuple(sorted({*locals_, "w", "w.x | default('')"})))
            parts.append("{% with w = " + value + " %}" + draw(named) + "{% endwith %}")
        else:
            parts.append("{% set s = " + draw(_expressions(locals_)) + " %}{{ s | default('') }}")
    return "".join(parts)


def without(name: str) -> dict:
    return {other: value for other, value in SCOPE.items() if other != name}


def without_notes() -> dict:
    return {name: {"x": value["x"], "l": [{"y": item["y"]} for item in value["l"]]} for name, value in SCOPE.items()}


def failure(text: str, scope: dict) -> str | None:
    try:
        render_string(text, scope)
    except ExpressionError as error:
        return error.message
    return None


@settings(max_examples=200)
@given(text=bodies())
def test_a_text_whose_reads_of_a_name_are_all_guarded_renders_without_it(text):
    references, *_ = analyse(parse(text))
    assert failure(text, SCOPE) is None
    for name in SCOPE:
        if all(reference.guarded for reference in references if reference.name == name):
            assert failure(text, without(name)) is None, name


@settings(max_examples=200)
@given(text=bodies(FOLLOWED))
def test_a_text_that_copes_without_an_optional_key_renders_without_it(text):
    references, *_ = analyse(parse(text))
    optional = [(reference, reference.path.index("n") + 1) for reference in references if "n" in reference.path]
    if all(reference.copes_without(reference.path[:end]) for reference, end in optional):
        assert failure(text, without_notes()) is None


straight = st.recursive(
    paths,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} ~ {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} == {p[1]})"),
        inner.map(lambda e: f"({e} | string | upper)"),
        inner.map(lambda e: f"({e} is defined)"),
        inner.map(lambda e: f"({e} | default('k'))"),
        inner.map(lambda e: f"(not {e})"),
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(expression=straight)
def test_and_only_such_a_text_does_where_nothing_is_decided(expression):
    text = "{{ " + expression + " }}"
    references, *_ = analyse(parse(text))
    for name in SCOPE:
        guarded = all(reference.guarded for reference in references if reference.name == name)
        assert (failure(text, without(name)) is None) == guarded


@settings(max_examples=200)
@given(expression=_expressions(()))
def test_a_guarded_condition_can_be_decided_without_what_it_reads(expression):
    references, *_ = analyse(whole_expression("{{ " + expression + " }}"), strict=False)
    for name in SCOPE:
        if all(reference.guarded for reference in references if reference.name == name):
            assert is_true(expression, without(name)) in (True, False)

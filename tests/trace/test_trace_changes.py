"""What differs between two values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.trace.changes import Change, changes, text_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


def places(a: Any, b: Any) -> list[tuple[str, str]]:
    return [(change.path, change.what) for change in changes(a, b)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, [("a", "removed"), ("b", "changed"), ("c", "added")]),
        ([1, 2], [1, 3, 4], [("[1]", "changed"), ("[2]", "added")]),
        ({"items": [{"title": "x"}]}, {"items": [{"title": "y"}]}, [("items[0].title", "changed")]),
        ({"a b": {"c": 1}}, {"a b": {"c": 2}}, [('["a b"].c', "changed")]),
        (True, 1, [("", "changed")]),
        (1, 1.0, []),
        (float("nan"), float("nan"), []),
        ({"a": [1]}, {"a": {"0": 1}}, [("a", "changed")]),
        ({"a": None}, {}, [("a", "removed")]),
        ((1,), [1], []),
    ],
)
def test_each_place_is_told(a: Any, b: Any, expected: list[tuple[str, str]]) -> None:
    assert places(a, b) == expected


@given(VALUES)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert places(value, copy.deepcopy(value)) == []


@given(VALUES, VALUES)
def test_values_differ_from_both_sides_or_not_at_all(a: Any, b: Any) -> None:
    mirrored = {"added": "removed", "removed": "added", "changed": "changed"}
    there = sorted((change.path, mirrored[change.what]) for change in changes(a, b))
    assert there == sorted(places(b, a))


def test_long_texts_are_compared_line_by_line() -> None:
    [change] = changes({"text": "one\ntwo\nthree\n"}, {"text": "one\n2\nthree\n"})
    assert change == Change(
        path="text",
        what="changed",
        a="one\ntwo\nthree\n",
        b="one\n2\nthree\n",
        lines=("--- A", "+++ B", "@@ -1,3 +1,3 @@", " one", "-two", "+2", " three"),
    )


def test_a_long_line_is_shown_around_the_place() -> None:
    a = "x" * 500 + "a" + "y" * 500
    assert text_lines(a, a.replace("a", "b")) == (
        "@@ they part at character 501 @@",
        f"-…{'x' * 40}a{'y' * 79}…",
        f"+…{'x' * 40}b{'y' * 79}…",
    )


def test_texts_that_differ_in_line_ends_say_so() -> None:
    assert text_lines("a\nb\n", "a\r\nb\n") == ("@@ they differ in how lines end @@",)


def test_huge_texts_are_compared_quickly() -> None:
    a = "\n".join(map(str, range(100_000)))
    assert text_lines(a, a.replace("\n50000\n", "\nx\n")) == (
        "@@ 100000 and 100000 lines; they part in line 50001 @@",
        "-50000",
        "+x",
    )
    assert text_lines(a, f"{a}\nmore") == ("@@ 100000 and 100001 lines; they part in line 100001 @@", "+more")

"""The seven ways of merging, as pure functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.operators.merging import MergeError, merge

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text(max_size=2)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


def parts_of(value: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, Any]]]:
    return st.lists(value, min_size=1, max_size=6).map(lambda found: [(f"s{i}", part) for i, part in enumerate(found)])


def same(one: Any, other: Any) -> bool:
    """Equal as data, and of equal types."""
    return json.dumps(one) == json.dumps(other)


@given(parts_of(values))
def test_object_keeps_every_part_under_its_name(parts: list[tuple[str, Any]]) -> None:
    assert merge("object", parts) == dict(parts)
    assert list(merge("object", parts)) == [name for name, _ in parts]


@given(parts_of(values))
def test_list_keeps_every_part_in_order(parts: list[tuple[str, Any]]) -> None:
    assert same(merge("list", parts), [value for _, value in parts])


@given(parts_of(st.lists(values, max_size=4)))
def test_concat_keeps_every_item_in_order(parts: list[tuple[str, Any]]) -> None:
    assert same(merge("concat", parts), [item for _, value in parts for item in value])


@given(parts_of(st.lists(values, max_size=5)))
def test_union_is_concat_without_what_was_there_already(parts: list[tuple[str, Any]]) -> None:
    union, everything = merge("union", parts), merge("concat", parts)
    assert same(merge("union", [("again", union)]), union)
    assert same(merge("union", [*parts, *parts]), union)
    assert all(any(item == kept for kept in union) for item in everything)
    positions = [next(i for i, item in enumerate(everything) if same(item, kept)) for kept in union]
    assert positions == sorted(positions)


@given(parts_of(scalars))
def test_majority_counts_every_part_once(parts: list[tuple[str, Any]]) -> None:
    result = merge("majority", parts)
    assert result["of"] == len(parts)
    assert result["candidates"] == [{"from": name, "value": value} for name, value in parts]
    counts = [sum(1 for _, other in parts if _equal(value, other)) for _, value in parts]
    assert result["votes"] == max(counts)
    assert same(result["value"], parts[counts.index(max(counts))][1])


@given(parts_of(values))
def test_first_is_the_first(parts: list[tuple[str, Any]]) -> None:
    assert same(merge("first", parts), parts[0][1])


@given(parts_of(st.integers(-5, 5) | st.floats(-5, 5)))
def test_best_is_the_first_of_the_highest(parts: list[tuple[str, Any]]) -> None:
    result = merge("best", parts)
    assert result["value"] == max(value for _, value in parts)
    assert result["from"] == next(name for name, value in parts if value == result["value"])


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([1, 1.0, True, "1"], [1, True, "1"]),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], [{"a": 1, "b": 2}]),
        ([0, False, None, "", []], [0, False, None, "", []]),
    ],
)
def test_what_is_equal(items: list[Any], expected: list[Any]) -> None:
    assert same(merge("union", [("one", items)]), expected)


def test_by_says_what_counts() -> None:
    first, second = {"id": 1, "text": "a"}, {"id": 1, "text": "b"}
    assert merge("union", [("x", [first]), ("y", [second])], lambda item: item["id"]) == [first]
    voted = merge("majority", [("x", {"v": 1}), ("y", first), ("z", second)], lambda item: item.get("id"))
    assert (voted["value"], voted["votes"], voted["of"]) == (first, 2, 3)
    best = merge("best", [("x", {"s": 0.2}), ("y", {"s": 0.9})], lambda item: item["s"])
    assert best == {"value": {"s": 0.9}, "from": "y"}


@pytest.mark.parametrize("how", ["concat", "union"])
@pytest.mark.parametrize("value", ["text", None, {"a": 1}, 3])
def test_lists_are_needed(how: str, value: Any) -> None:
    with pytest.raises(MergeError, match=f"'{how}' needs lists, and 'odd' gave"):
        merge(how, [("fine", [1]), ("odd", value)])


@pytest.mark.parametrize("rank", [True, "high", None, [1]])
def test_a_rank_is_a_number(rank: Any) -> None:
    with pytest.raises(MergeError, match="'best' needs a number from its 'by', and for 'odd' it is"):
        merge("best", [("odd", rank)])

"""Conditions in words."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentic.trace.words import condition_words


def seen(**values: Any) -> list[dict[str, Any]]:
    """What a condition read; two underlines stand for a dot, ``...`` for what was undefined."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return [{"path": path} if value is ... else {"path": path, "value": value} for path, value in named.items()]


@pytest.mark.parametrize(
    ("when", "held", "values", "words"),
    [
        (
            "qa.score >= inputs.min_score",
            False,
            seen(qa__score=0.71, inputs__min_score=0.8),
            "qa.score >= inputs.min_score was 0.71 >= 0.8: false",
        ),
        ("{{ qa.ok }}", True, seen(qa__ok=True), "qa.ok was true"),
        ("qa.ok", True, seen(qa__ok=0.3), "qa.ok was 0.3: true"),
        ("qa.ok", False, seen(qa__ok=...), "qa.ok was undefined: false"),
        ("a.kind not in ['x']", True, seen(a__kind="y"), 'a.kind not in [\'x\'] was "y" not in ["x"]: true'),
        (
            "round == 2 and a.b",
            False,
            seen(round=1, a__b=...),
            "round == 2 and a.b (with round = 1 and a.b = undefined): false",
        ),
        ("a.list | length > 1", True, seen(a__list=[1, 2]), "a.list | length > 1 (with a.list = [1, 2]): true"),
        ("qa.score > 1", None, [], "qa.score > 1: not tried"),
        ("qa.score > 1", None, seen(qa__score="x"), 'qa.score > 1 was "x" > 1: could not be decided'),
        (None, True, [], "otherwise"),
        (None, None, [], "otherwise: not needed"),
    ],
)
def test_a_condition_is_told_with_what_it_saw(when: str | None, held: bool | None, values: Any, words: str) -> None:
    assert condition_words(when, held, values) == words

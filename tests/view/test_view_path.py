"""The way that a run took through the picture: the very lines that were taken, and no others beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.traces import a_decision, a_trace

from airflow_agentic.render.picture import from_data, picture_of, to_data
from airflow_agentic.template.parse import load_text
from airflow_agentic.view.path import path_of

if TYPE_CHECKING:
    from airflow_agentic.trace.document import DecisionTrace

TEMPLATE = """
version: 1
name: stock
agents: {clerk: {type: python, callable: "json:dumps"}}
stages:
  count: {agent: clerk, input: {obj: 1}}
  judge:
    agent: clerk
    input: {obj: "{{ count }}"}
    routes:
      - {when: judge.good, to: ask}
      - {back_to: count, max_rounds: 3, exhausted: ask}
  ask: {after: judge, agent: clerk, input: {obj: 2}}
output: {}
"""
AGAIN = {"outcome": "again_count", "route": 1}
GOOD = {"outcome": "to_ask", "route": 0}
USED_UP = {"outcome": "to_ask", "route": 1}


def decided(*each: dict[str, Any]) -> tuple[DecisionTrace, ...]:
    return tuple(a_decision("judge", id=f"d{number}", **given) for number, given in enumerate(each))


@pytest.mark.parametrize(
    ("decisions", "taken"),
    [
        ((GOOD,), ["judge.good"]),
        ((AGAIN, GOOD), ["judge.good", "at most 3 rounds"]),
        ((AGAIN, AGAIN, USED_UP), ["at most 3 rounds", "after 3 rounds"]),
    ],
)
def test_of_two_ways_to_the_same_stage_only_the_one_that_was_taken_is_drawn_so(
    decisions: tuple[dict[str, Any], ...], taken: list[str]
) -> None:
    picture = picture_of(load_text(TEMPLATE, "stock.yaml"))
    path = path_of(a_trace(picture=to_data(picture), decisions=decided(*decisions)), ())
    assert path is not None
    ways = [edge for edge in picture.edges if edge.outcome is not None]
    told = [edge.label[-1] for edge, line in zip(picture.edges, path.lines, strict=True) if edge in ways and line.taken]
    assert told == taken


def test_a_picture_that_tells_no_routes_goes_by_the_outcomes() -> None:
    picture = picture_of(load_text(TEMPLATE, "stock.yaml"))
    old = to_data(replace(picture, edges=tuple(replace(edge, routes=()) for edge in picture.edges)))
    for edge in old["edges"]:
        del edge["routes"]
    assert from_data(old).edges[0].routes == ()
    path = path_of(a_trace(picture=old, decisions=decided(GOOD)), ())
    assert path is not None
    assert sum(line.taken for line, edge in zip(path.lines, picture.edges, strict=True) if edge.outcome) == 2

"""Stages with ``for_each``, from the list to the gathered results, run by Airflow in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.fan_outs import fan_out_plan, python_agent
from support.item_agents import calls
from support.template_runs import run_plan

from airflow_agentic.operators.dealing import MOST_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.template_runs import Ran

    Run = Callable[..., Ran]

DOUBLE = {"worker": python_agent("double")}
OF_ITEM = {"input": {"value": "{{ item }}"}}


@pytest.fixture
def run(run_template: Any, run_dag: Callable[..., Any], request: pytest.FixtureRequest) -> Run:
    """``run(agents, items, …)`` runs a stage over items."""

    def run(agents: dict[str, Any], given: list[Any], **settings: Any) -> Ran:
        name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
        return run_plan(fan_out_plan(name, agents, **settings), run_dag, {"list": given})

    return run


@pytest.mark.parametrize(("count", "tasks"), [(0, 0), (1, 1), (16, 16), (17, 16)])
def test_items_are_worked_on_and_gathered_in_order(run: Run, count: int, tasks: int) -> None:
    ran = run(DOUBLE, list(range(100, 100 + count)), **OF_ITEM)
    assert ran.state == "success"
    output = ran.output("work.collect")
    assert output["outputs"] == [2 * value for value in range(100, 100 + count)]
    assert [(each["index"], each["item"], each["ok"], each["error"]) for each in output["results"]] == [
        (index, 100 + index, True, None) for index in range(count)
    ]
    assert (output["total"], output["succeeded"], output["failed"], output["failed_ratio"]) == (count, count, 0, 0)
    assert output["errors"] == []
    assert len(ran.output("work.items")) == tasks <= MOST_TASKS
    attempts = ran.attempts("work")
    assert sorted((each.item["index"], each.item["value"], each.attempt) for each in attempts) == [
        (index, 100 + index, 1) for index in range(count)
    ]

"""Stages with ``for_each``, from the list to the gathered results, run by Airflow in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.fan_outs import agent_config, fan_out_plan, items_config, plan, python_agent, task
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


def test_failed_items_are_results_and_fail_the_stage_beyond_what_is_tolerated(run: Run) -> None:
    ran = run(DOUBLE, [1, -1, 13, 4], **OF_ITEM)
    assert ran.states["work.item"] == "success"
    assert ran.states["work.collect"] == "failed"
    error = ran.xcoms("work.collect")["agentic_error"]
    assert (error["stage"], error["kind"]) == ("work", "failed")
    assert error["message"] == (
        "Stage 'work': 2 of 4 items failed, and no more than 0 may (tolerate): item 1 (rejected): no negative numbers; "
        "item 2 (bug): support.item_agents:double raised ValueError: unlucky"
    )
    assert [(each.item["index"], each.attempt, each.state) for each in ran.attempts("work") if each.error] == [
        (1, 1, "failed"),
        (2, 1, "retrying"),
        (2, 2, "retrying"),
        (2, 3, "failed"),
    ]


@pytest.mark.parametrize("tolerate", [2, "50%"])
def test_tolerated_failures_are_told_to_readers(run: Run, tolerate: int | str) -> None:
    output = run(DOUBLE, [1, -1, 13, 4], tolerate=tolerate, **OF_ITEM).output("work.collect")
    assert output["outputs"] == [2, 8]
    assert (output["total"], output["succeeded"], output["failed"], output["failed_ratio"]) == (4, 2, 2, 0.5)
    assert [(each["index"], each["item"], each["kind"]) for each in output["errors"]] == [
        (1, -1, "rejected"),
        (2, 13, "bug"),
    ]
    assert [each["error"] and each["error"]["kind"] for each in output["results"]] == [None, "rejected", "bug", None]
    assert output["results"][1]["output"] is None


def test_items_are_recovered_one_by_one(run: Run) -> None:
    recover = [
        {"kinds": ["bug"], "agent": "other", "prompt": None, "prompt_reads": "stages", "instructions": None},
        {"kinds": [], "value": {"at": "{{ index }}", "of": "{{ item }}"}},
    ]
    agents = {**DOUBLE, "other": python_agent("stand_in")}
    ran = run(agents, [1, -1, 13], recover=recover, items={"items_per_task": 3}, **OF_ITEM)
    assert ran.output("work.collect")["outputs"] == [2, {"at": 1, "of": -1}, {"instead": 13}]
    sources = ran.xcoms("work.collect")["agentic"]["items"]
    assert [(each["attempt"], each["recovered"]) for each in sources] == [(1, None), (None, "value"), (4, "agent")]
    assert sources[2]["record"].endswith("attempts/work.item.0.1.4.2.json")
    of_bug = [each for each in ran.attempts("work") if each.item["index"] == 2]
    assert [(each.attempt, each.agent["name"], each.state) for each in of_bug] == [
        (1, "worker", "retrying"),
        (2, "worker", "retrying"),
        (3, "worker", "failed"),
        (4, "other", "success"),
    ]


def test_what_items_are_accepted_by_sees_the_item(run: Run) -> None:
    output = run(DOUBLE, [1, 2, 3], accept="output > item + 1", tolerate=1, **OF_ITEM).output("work.collect")
    assert output["outputs"] == [4, 6]
    assert output["errors"][0]["kind"] == "not_accepted"


TOUCHY = [None, "{{ 7*7 }}", {"__type": "x", "__var": 1}, {"$json": "[1]"}, [], "", {"$value": "0" * 64, "bytes": 3}]


@pytest.mark.parametrize("items_per_task", ["auto", 3])
def test_items_and_outputs_are_data_whatever_they_look_like(run: Run, items_per_task: Any) -> None:
    agents = {"worker": python_agent("slowly")}
    ran = run(agents, TOUCHY, items={"items_per_task": items_per_task}, **OF_ITEM)
    output = ran.output("work.collect")
    assert [each["value"] for each in output["outputs"]] == TOUCHY
    assert [each["item"] for each in output["results"]] == TOUCHY
    by_index = sorted(ran.attempts("work"), key=lambda each: each.item["index"])
    assert [each.item["value"] for each in by_index] == TOUCHY


@pytest.mark.parametrize("function", ["slowly", "blocking"])
@pytest.mark.parametrize(("max_parallel", "most"), [(None, 16), (5, 5), (1, 1)])
def test_items_of_a_task_are_worked_on_at_the_same_time(
    run: Run, function: str, max_parallel: int | None, most: int
) -> None:
    settings = {"items_per_task": 30, "max_parallel": max_parallel}
    seconds = 0.02 if max_parallel == 1 else 0.1
    ran = run(
        {"worker": python_agent(function)},
        list(range(30)),
        items=settings,
        input={"value": "{{ item }}", "seconds": seconds},
    )
    output = ran.output("work.collect")
    assert [each["value"] for each in output["outputs"]] == list(range(30))
    assert max(each["at_work"] for each in output["outputs"]) == most


def test_a_retry_makes_exactly_the_missing_calls(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0.2")
    given = list(range(1, 21))
    ran = run(
        {"worker": python_agent("later")},
        given,
        items={"items_per_task": 10},
        tolerate="20%",
        input={"value": "{{ item }}", "folder": str(tmp_path)},
    )
    assert ran.state == "success"
    output = ran.output("work.collect")
    assert output["outputs"] == [value for value in given if value % 5]
    assert [each["kind"] for each in output["errors"]] == ["rejected"] * 4
    assert calls(tmp_path) == {f"later {value}": 2 if value % 2 and value % 5 else 1 for value in given}
    of_third = [each for each in ran.attempts("work") if each.item["index"] == 2]
    assert [(each.try_number, each.attempt, each.state) for each in of_third] == [(1, 1, "retrying"), (2, 2, "success")]


def test_a_task_told_to_stop_keeps_what_it_has(run: Run, tmp_path: Path) -> None:
    ran = run(
        {"worker": python_agent("deadly")},
        list(range(7)),
        items={"items_per_task": 7, "max_parallel": 5},
        input={"value": "{{ item }}", "folder": str(tmp_path), "others": 5},
    )
    assert ran.state == "success"
    assert ran.output("work.collect")["outputs"] == list(range(7))
    assert calls(tmp_path) == {f"deadly {value}": 2 if value in (3, 4) else 1 for value in range(7)}
    states = {(each.item["index"], each.try_number, each.attempt): each.state for each in ran.attempts("work")}
    assert [states[index, 1, 1] for index in range(7)] == [
        "killed" if index in (3, 4) else "success" for index in range(7)
    ]
    assert states[3, 2, 1] == states[4, 2, 1] == "success"


def test_the_last_try_waits_no_more(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0")
    ran = run(
        {"worker": python_agent("unavailable")},
        [1, 2],
        tolerate=2,
        items={"items_per_task": 2},
        retry={"attempts": 2, "wait": 0.05, "multiplier": 1.0, "max_wait": 1.0, "jitter": False},
        **OF_ITEM,
    )
    assert [each["kind"] for each in ran.output("work.collect")["errors"]] == ["unavailable", "unavailable"]
    assert sorted((each.item["index"], each.try_number, each.attempt) for each in ran.attempts("work")) == [
        (0, 1, 1),
        (0, 2, 2),
        (1, 1, 1),
        (1, 2, 2),
    ]


@pytest.mark.parametrize(
    ("given", "items", "message"),
    [
        ({"a": 1}, {}, "for_each: inputs.list is an object, and not the list of items to work on."),
        ("abc", {}, "for_each: inputs.list is text, and not the list of items to work on."),
        (
            list(range(4)),
            {"max_items": 3},
            "for_each: inputs.list holds 4 items, more than max_items allows (3). None of them was worked on.",
        ),
        (
            list(range(1030)),
            {"max_items": 2000, "items_per_task": 1},
            "1030 items need 1030 mapped tasks, and Airflow makes no more than 1024 ([core] max_map_length). Give each",
        ),
    ],
)
def test_a_list_that_can_not_be_worked_on_fails_before_any_item(
    run: Run, given: Any, items: dict[str, Any], message: str
) -> None:
    ran = run(DOUBLE, given, items=items, **OF_ITEM)
    assert (ran.states["work.items"], ran.states["work.collect"]) == ("failed", "upstream_failed")
    error = ran.xcoms("work.items")["agentic_error"]
    assert error["kind"] == "failed"
    assert message in error["message"]
    assert ran.attempts("work") == []


def test_a_false_condition_skips_the_whole_stage(run: Run) -> None:
    ran = run(DOUBLE, [1], items={"when": "inputs.list | length > 1"}, **OF_ITEM)
    assert ran.states["work.items"] == ran.states["work.item"] == ran.states["work.collect"] == "skipped"


def test_one_task_works_on_a_list_where_airflow_can_not_map(
    run_template: Any, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0.2")
    fan_out = {**items_config(max_parallel=8), "tolerate": 1}
    own = agent_config(input={"value": "{{ item }}", "folder": str(tmp_path)}, fan_out=fan_out)
    agents = {"worker": python_agent("later")}
    ran = run_plan(plan("in_one_task", agents, [task("work", "agent", own)]), run_dag, {"list": [1, 2, 5]})
    output = ran.output("work")
    assert (output["outputs"], output["failed"]) == ([1, 2], 1)
    assert calls(tmp_path) == {"later 1": 2, "later 2": 1, "later 5": 1}
    assert [each["attempt"] for each in ran.xcoms("work")["agentic"]["items"]] == [2, 1, 1]

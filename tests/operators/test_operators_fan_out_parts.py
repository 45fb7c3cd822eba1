"""The parts of a fan-out that need no run: dealing, names, the journal, gathering, what a mapped task is to Airflow."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st
from support.fan_outs import RETRY, agent_config, fan_out_plan, items_config, python_agent, task

from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.operators.agent import AgentOperator
from airflow_agentic.operators.base import SPARE_TRIES
from airflow_agentic.operators.collect import CollectOperator
from airflow_agentic.operators.dealing import MOST_TASKS, deal, share, split
from airflow_agentic.operators.gathering import FanOutError, check_tolerance, entries_of, gathered
from airflow_agentic.operators.item import name_of
from airflow_agentic.operators.life import Life

AGENTS = {"worker": python_agent("double")}

# ---- dealing


@pytest.mark.parametrize(
    ("count", "per_task", "max_parallel", "sizes"),
    [
        (0, "auto", None, []),
        (1, "auto", None, [1]),
        (16, "auto", None, [1] * 16),
        (16, "auto", 4, [1] * 16),
        (17, "auto", None, [2] + [1] * 15),
        (1000, "auto", None, [63] * 8 + [62] * 8),
        (1000, "auto", 3, [334, 333, 333]),
        (1000, "auto", 100, [63] * 8 + [62] * 8),
        (7, 3, None, [3, 3, 1]),
        (7, 100, 2, [7]),
        (0, 5, None, []),
    ],
)
def test_items_are_dealt_evenly(count: int, per_task: Any, max_parallel: int | None, sizes: list[int]) -> None:
    assert [len(part) for part in deal(range(count), per_task, max_parallel)] == sizes


@given(st.integers(0, 3000), st.just("auto") | st.integers(1, 100), st.none() | st.integers(1, 50))
def test_dealt_items_are_all_there_in_order(count: int, per_task: Any, max_parallel: int | None) -> None:
    parts = deal(range(count), per_task, max_parallel)
    assert [item for part in parts for item in part] == list(range(count))
    assert all(parts)
    sizes = [len(part) for part in parts]
    if per_task == "auto":
        assert len(parts) <= MOST_TASKS
        assert max(sizes, default=0) - min(sizes, default=0) <= 1


@given(st.integers(1, 100), st.integers(1, 1000))
def test_no_more_items_than_allowed_are_at_work_at_once(max_parallel: int, tasks: int) -> None:
    """Airflow runs at most ``max_parallel`` of the tasks at once."""
    shares = sorted((share(max_parallel, tasks, number) for number in range(tasks)), reverse=True)
    assert sum(shares[:max_parallel]) <= max_parallel
    assert min(shares) >= 1
    if tasks <= max_parallel:
        assert sum(shares) == max_parallel


@given(st.integers(1, 1000))
def test_a_bound_is_split_where_nothing_is_known_beforehand(max_parallel: int) -> None:
    tasks, items = split(max_parallel)
    assert tasks >= 1
    assert items >= 1
    assert max_parallel / 2 < tasks * items <= max_parallel


# ---- names


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["tea"], "tea"),
        ([" two\n lines "], "two lines"),
        (["x" * 100], "x" * 59 + "…"),
        ([{"quote": "a", "n": 1}], '{"quote":"a","n":1}'),
        ([None], "null"),
        (["{{ 7*7 }}"], "{{ 7*7 }}"),
        (list(range(63)), "items 1–63"),  # noqa: RUF001
    ],
)
def test_mapped_tasks_are_named_after_their_items(values: list[Any], name: str) -> None:
    assert name_of(entries_of(values)).replace('": ', '":').replace(", ", ",") == name.replace(", ", ",")


# ---- lives


def test_where_a_try_stands_in_the_life_of_its_task() -> None:
    def of(try_number: int, max_tries: int) -> tuple[int, bool, bool]:
        found = Life.of(SimpleNamespace(try_number=try_number, max_tries=max_tries), retries=2)
        return found.former_tries, found.is_first_try, found.is_last_try

    assert [of(number, 2) for number in (1, 2, 3)] == [(0, True, False), (0, False, False), (0, False, True)]
    # clearing after try 2 sets max_tries to 2 + retries
    assert [of(number, 4) for number in (3, 4, 5)] == [(2, True, False), (2, False, False), (2, False, True)]


# ---- gathering


def result(index: int, output: Any = None) -> dict[str, Any]:
    return {"index": index, "ok": True, "output": output, "error": None}


def failed(index: int) -> dict[str, Any]:
    return {"index": index, "ok": False, "output": None, "error": {"kind": "bug", "message": f"no {index}"}}


def test_readers_see_all_items_in_order() -> None:
    output = gathered(entries_of(["a", "b", "c"]), [result(2, 30), failed(1), result(0, 10)])
    assert output == {
        "results": [
            {"index": 0, "item": "a", "ok": True, "output": 10, "error": None},
            {"index": 1, "item": "b", "ok": False, "output": None, "error": {"kind": "bug", "message": "no 1"}},
            {"index": 2, "item": "c", "ok": True, "output": 30, "error": None},
        ],
        "outputs": [10, 30],
        "errors": [{"index": 1, "item": "b", "kind": "bug", "message": "no 1"}],
        "total": 3,
        "succeeded": 2,
        "failed": 1,
        "failed_ratio": 1 / 3,
    }


@pytest.mark.parametrize(
    ("total", "bad", "tolerate", "fine"),
    [
        (0, 0, 0, True),
        (0, 0, "20%", True),
        (10, 2, "20%", True),
        (10, 3, "20%", False),
        (3, 1, "33.3%", False),
        (1000, 333, "33.3%", True),
        (10, 10, "100%", True),
        (10, 1, "0%", False),
        (10, 3, 3, True),
        (10, 4, 3, False),
    ],
)
def test_what_is_tolerated_is_exact(total: int, bad: int, tolerate: int | str, fine: bool) -> None:
    results = [failed(index) if index < bad else result(index) for index in range(total)]
    output = gathered(entries_of([None] * total), results)
    if fine:
        check_tolerance("work", output, tolerate)
    else:
        with pytest.raises(FanOutError, match=rf"{bad} of {total} items failed, and no more than {tolerate} may"):
            check_tolerance("work", output, tolerate)


def test_a_long_story_is_cut_short() -> None:
    output = gathered(entries_of(range(9)), [failed(index) for index in range(9)])
    with pytest.raises(FanOutError) as caught:
        check_tolerance("work", output, 0)
    assert str(caught.value).endswith("item 0 (bug): no 0; item 1 (bug): no 1; item 2 (bug): no 2; and 6 more")


# ---- collecting what tasks have left


class MappedTasks:
    """The XComs and states of the mapped task ``item``, counting round trips."""

    def __init__(self, entries: list[Any], states: list[str], **xcoms: dict[int, Any]) -> None:
        self.run_id, self.dag_id, self.map_index, self.try_number = "r", "d", None, 1
        self.calls: list[str] = []
        self.pushed: dict[str, Any] = {}
        self._entries = entries
        self._states = states
        self._xcoms = xcoms

    def xcom_pull(self, *, task_ids: Any, key: str, map_indexes: Any = None) -> Any:
        self.calls.append(key)
        if task_ids == "items":
            return self._entries
        found = self._xcoms.get(key, {})
        if isinstance(task_ids, list):
            return [found[index] for index in sorted(found)] or [None]
        assert map_indexes in found, "pulling a missing XCom writes an error into the log"
        return found[map_indexes]

    def get_task_states(self, *, task_ids: list[str], **_: Any) -> Any:
        self.calls.append("states")
        assert task_ids == ["item"]
        return {"r": {f"item_{index}": state for index, state in enumerate(self._states)}}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def collect(ti: MappedTasks, tolerate: int | str = 100) -> dict[str, Any]:
    config = {"items": "items", "item": "item", "tolerate": tolerate, "recover": []}
    operator = CollectOperator.of(task("collect", "collect", config), "d1")
    operator.work({"ti": ti})  # type: ignore[typeddict-item]
    output: dict[str, Any] = ti.pushed["return_value"]
    return output


def test_results_of_a_thousand_tasks_cost_three_questions() -> None:
    outputs = {index: {"n": index} for index in range(1000)}
    ti = MappedTasks(entries_of(range(1000)), ["success"] * 1000, return_value=outputs)
    assert collect(ti)["outputs"] == [{"n": index} for index in range(1000)]
    assert ti.calls == ["return_value", "states", "return_value"]


def test_tasks_that_left_nothing_are_items_that_were_killed() -> None:
    error = {"stage": "work", "kind": "timeout", "message": "nobody answered"}
    ti = MappedTasks(
        entries_of("abcd"),
        ["success", "failed", "failed", "upstream_failed"],
        return_value={0: 1},
        agentic_error={1: error, 2: None},
    )
    output = collect(ti)
    assert output["outputs"] == [1]
    assert [(each["item"], each["kind"]) for each in output["errors"]] == [
        ("b", "timeout"),
        ("c", "killed"),
        ("d", "killed"),
    ]


def test_outputs_are_never_taken_for_another_tasks() -> None:
    """One that failed may have pushed its output before."""
    ti = MappedTasks(
        entries_of("abc"), ["failed", "success", "success"], return_value={0: 1, 1: 2, 2: 3}, agentic_error={}
    )
    assert [each["output"] for each in collect(ti)["results"]] == [None, 2, 3]


def test_batches_without_a_result_are_killed_items() -> None:
    entries = entries_of("abcde")
    found = {1: {"results": [result(2, 20), failed(3)]}}
    output = collect(MappedTasks([entries[:2], entries[2:4], entries[4:]], [], return_value=found))
    assert [each["error"] and each["error"]["kind"] for each in output["results"]] == [
        "killed",
        "killed",
        None,
        "bug",
        "killed",
    ]


def test_an_empty_list_has_no_results() -> None:
    assert collect(MappedTasks([], []))["total"] == 0


# ---- what Airflow knows of it


def test_a_mapped_task_is_the_same_to_airflow_every_time() -> None:
    plan = fan_out_plan("mapped", AGENTS, input={"value": "{{ item }} secret of the plan"}, items={"max_parallel": 5})
    first, second = (json.dumps(DagSerialization.to_dict(build_dag_from_plan(plan))) for _ in range(2))
    assert first == second
    assert "secret of the plan" not in first
    mapped = DagSerialization.from_dict(json.loads(first)).get_task("work.item")
    assert mapped.is_mapped
    assert (mapped.max_active_tis_per_dagrun, mapped.retries) == (5, RETRY["attempts"] - 1 + SPARE_TRIES)
    assert [one.task_id for one in mapped.iter_mapped_dependencies()] == ["work.items"]


@pytest.mark.parametrize(("stand_ins", "retries"), [(0, 2), (2, 8)])
def test_airflow_has_a_try_for_every_attempt_and_some_for_lost_workers(stand_ins: int, retries: int) -> None:
    entry = {"kinds": [], "agent": "worker", "prompt": None, "prompt_reads": "stages", "instructions": None}
    planned = task("work", "agent", agent_config(recover=[entry] * stand_ins + [{"kinds": [], "value": 1}]))
    assert AgentOperator.settings(planned)["retries"] == retries + SPARE_TRIES


def test_a_list_in_one_task_shares_its_bound_with_the_tasks_beside_it() -> None:
    planned = task("work", "agent", agent_config(fan_out={**items_config(max_parallel=9), "tolerate": 0}))
    assert AgentOperator.settings(planned)["max_active_tis_per_dagrun"] == 3
    unbound = replace(planned, config=agent_config(fan_out={**items_config(), "tolerate": 0}))
    assert "max_active_tis_per_dagrun" not in AgentOperator.settings(unbound)

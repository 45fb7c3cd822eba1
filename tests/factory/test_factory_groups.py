"""Task groups, mapped tasks and edge labels: what Airflow stores of them, and what its UI draws."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.api_fastapi.core_api.services.ui.task_group import task_group_to_dict
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.dag_edges import dag_edges
from support.fan_outs import agent_config
from support.plans import hand_made, planned

from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.plan import Group, Plan

RETRY = {"attempts": 2, "wait": 1.0, "multiplier": 2.0, "max_wait": 60.0, "jitter": True}
ASK = agent_config("echo", retry=RETRY, timeout=5.0)
ROUTES = [
    {"when": "qa.score | x >= 1", "outcome": "next", "with": {}, "back_to": None, "shown": "next"},
    {"when": None, "outcome": "round", "with": {}, "back_to": "draft", "shown": "back to draft"},
]


def loop(back: str = "not yet") -> Plan:
    """Two rounds, the second within a group of its own in the first's sibling."""
    route = {
        "decides": "loop.round_1.draft",
        "routes": ROUTES,
        "error": None,
        "arms": {"next": ["loop.round_1.leave"], "round": ["loop.round_1.again"]},
        "fail_skips": [],
        "round": 1,
        "max_rounds": 2,
    }
    return hand_made(
        planned("loop.round_1.draft", "agent", config=ASK),
        planned("loop.round_1.draft__route", "route", "loop.round_1.draft", config=route, stage="draft"),
        planned(
            "loop.round_1.leave",
            "join",
            "loop.round_1.draft__route",
            labels={"loop.round_1.draft__route": "qa.score >= 1"},
        ),
        planned("loop.round_1.again", "join", "loop.round_1.draft__route", labels={"loop.round_1.draft__route": back}),
        planned("loop.round_2.draft", "agent", "loop.round_1.again", config=ASK, rounds=(2,)),
        groups=(
            Group(group_id="loop", label="loop of draft"),
            Group(group_id="loop.round_1", label="round 1"),
            Group(group_id="loop.round_2", label="round 2"),
        ),
    )


def fan_out(*, works: str = "agent", max_parallel: int | None = None) -> Plan:
    """A list and the mapped task over it, in a group."""
    items = {
        "for_each": "[1, 2]",
        "max_items": 10,
        "max_parallel": max_parallel,
        "items_per_task": "auto",
        "works": works,
        "when": None,
    }
    human: dict[str, Any] = {
        "ask": "Well?",
        "body": None,
        "options": [],
        "fields": {},
        "assignees": [],
        "timeout": 60.0,
        "on_timeout": "fail",
        "when": None,
        "recover": [],
        "airflow": {},
    }
    own = ASK if works == "agent" else human
    return hand_made(
        planned("verify.items", "items", config=items, stage="verify"),
        planned("verify.item", "item", "verify.items", config={**own, "items": "verify.items"}, stage="verify"),
        groups=(Group(group_id="verify", label="verify"),),
    )


def for_each_pipeline(max_parallel: int | None = None) -> Plan:
    """A mapped task group with a plain one in it."""
    items = {
        "for_each": "[1, 2]",
        "max_items": 10,
        "max_parallel": None,
        "items_per_task": None,
        "works": "pipeline",
        "when": None,
    }
    start = {
        "input": {},
        "inputs": {},
        "when": None,
        "max_parallel": max_parallel,
        "items": "clause.items",
        "result": "clause.each.result",
    }
    return hand_made(
        planned("clause.items", "items", config=items, stage="clause"),
        planned("clause.each.start", "start", "clause.items", config=start, mapped="clause.each", stage="clause"),
        planned("clause.each.loop.vote", "agent", "clause.each.start", config=ASK, mapped="clause.each"),
        planned(
            "clause.each.result",
            "result",
            "clause.each.loop.vote",
            config={"output": {}, "judged": [], "recover": [], "items": "clause.items"},
            mapped="clause.each",
        ),
        groups=(
            Group(group_id="clause", label="clause"),
            Group(group_id="clause.each", label="for each", mapped="clause.items"),
            Group(group_id="clause.each.loop", label="loop"),
        ),
    )


def stored(plan: Plan) -> Any:
    """The DAG as the scheduler and the UI have it."""
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(build_dag_from_plan(plan)))))


def drawn(plan: Plan) -> dict[str, str]:
    """Every node of the UI's graph: id → label."""
    found: dict[str, str] = {}

    def walk(node: dict[str, Any]) -> None:
        if node["type"] != "join":
            found[node["id"]] = node["label"]
        for child in node.get("children") or ():
            walk(child)

    for child in stored(plan).task_group.topological_sort():
        walk(task_group_to_dict(child))
    return found


def test_ids_are_whole_and_labels_short() -> None:
    assert drawn(loop()) == {
        "loop": "loop of draft",
        "loop.round_1": "round 1",
        "loop.round_1.draft": "draft",
        "loop.round_1.draft__route": "draft__route",
        "loop.round_1.leave": "leave",
        "loop.round_1.again": "again",
        "loop.round_2": "round 2",
        "loop.round_2.draft": "draft",
    }


def test_labels_of_edges_are_drawn() -> None:
    edges = {(edge["source_id"], edge["target_id"]): edge.get("label") for edge in dag_edges(stored(loop()))}
    assert edges == {
        ("loop.round_1.draft", "loop.round_1.draft__route"): None,
        ("loop.round_1.draft__route", "loop.round_1.leave"): "qa.score >= 1",
        ("loop.round_1.draft__route", "loop.round_1.again"): "not yet",
        ("loop.round_1.again", "loop.round_2.draft"): None,
    }


def test_a_decision_is_documented() -> None:
    doc = build_dag_from_plan(loop()).get_task("loop.round_1.draft__route").doc_md
    assert doc == "| if | then |\n| --- | --- |\n| `qa.score \\| x >= 1` | next |\n| else | back to draft |"


@pytest.mark.parametrize("works", ["agent", "human"])
def test_a_fan_out_is_mapped_over_its_list(works: str) -> None:
    dag = stored(fan_out(works=works, max_parallel=3))
    item = dag.get_task("verify.item")
    assert [task.task_id for task in item.iter_mapped_dependencies()] == ["verify.items"]
    assert [task.task_id for task in dag.get_task("verify.items").iter_mapped_dependants()] == ["verify.item"]
    assert (item.upstream_task_ids, item.max_active_tis_per_dagrun) == ({"verify.items"}, 3)
    assert dag.get_task("verify.item").task_group.group_id == "verify"


def test_the_plan_of_a_mapped_task_is_not_stored() -> None:
    plan = fan_out()
    data = json.dumps(DagSerialization.to_dict(build_dag_from_plan(plan)))
    assert "support.scripted_agents:echo" not in data
    assert "for_each" not in data


def test_a_mapped_group_is_repeated_for_its_list() -> None:
    dag = stored(for_each_pipeline())
    assert [node.node_id for node in dag.get_task("clause.items").iter_mapped_dependants()] == ["clause.each"]
    for task_id in ("clause.each.start", "clause.each.loop.vote", "clause.each.result"):
        assert dag.get_task(task_id).get_closest_mapped_task_group().group_id == "clause.each"
    assert dag.get_task("clause.items").get_closest_mapped_task_group() is None
    assert drawn(for_each_pipeline())["clause.each.loop.vote"] == "vote"


def test_few_pipelines_at_once_start_one_after_the_other() -> None:
    assert stored(for_each_pipeline()).get_task("clause.each.start").max_active_tis_per_dagrun is None
    assert stored(for_each_pipeline(4)).get_task("clause.each.start").max_active_tis_per_dagrun == 1


@pytest.mark.parametrize("plan", [loop(), fan_out(), for_each_pipeline()])
def test_the_same_plan_is_the_same_dag(plan: Plan) -> None:
    first, second = (DagSerialization.to_dict(build_dag_from_plan(plan)) for _ in range(2))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert DagSerialization.to_dict(build_dag_from_plan(Plan.from_json(plan.to_json()))) == first


def test_a_group_that_the_plan_lacks_is_no_group() -> None:
    with pytest.raises(KeyError):
        build_dag_from_plan(hand_made(planned("nowhere.draft", "agent", config=ASK)))

"""How Airflow finds the plugin, and what it costs processes that have no use for it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.web import a_run

if TYPE_CHECKING:
    from pathlib import Path

    from support.scheduling import ScriptedRun
    from support.web import Web


def plugins(name: str = "agentic") -> list[Any]:
    from airflow import plugins_manager

    return [plugin for plugin in plugins_manager._get_plugins()[0] if plugin.name == name]


def test_airflow_registers_it_once() -> None:
    from airflow import plugins_manager

    assert len(plugins()) == 1
    assert plugins_manager._get_plugins()[1] == {}


def test_its_views_are_as_airflows_api_wants_them() -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
    from airflow.plugins_manager import get_plugin_info

    info = next(each for each in get_plugin_info() if each["name"] == "agentic")
    told = PluginResponse.model_validate(info)
    assert told.fastapi_apps[0].url_prefix == "/agentic"
    tab = next(view for view in told.external_views if view.destination == "dag_run")
    assert (tab.name, tab.url_route, tab.href) == ("Trace", "agentic-trace", "agentic/trace/{DAG_ID}/{RUN_ID}/")


def test_tasks_pay_nothing_for_it() -> None:
    """Every process of Airflow imports the plugin: nothing of the app comes along."""
    code = (
        "import sys, airflow_agentic, airflow.sdk.plugins_manager; before = set(sys.modules); "
        "import airflow_agentic.plugin; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "['airflow_agentic.plugin']"


def test_parsing_pays_nothing_for_the_links(run: ScriptedRun) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = SerializedDagModel.get(run.dag_id, session=session)
        assert found is not None
        assert "_operator_extra_links" not in str(found.data)


FAN_OUT = """
version: 1
name: NAME
agents:
  writer: {type: python, callable: "support.web_agents:write", output: {text: string}}
stages:
  each: {agent: writer, for_each: "[1, 2, 3]", items_per_task: 1, input: {topic: "{{ item }}"}}
"""


@pytest.fixture(scope="module")
def many(run: ScriptedRun, tmp_path_factory: pytest.TempPathFactory) -> ScriptedRun:
    return a_run(tmp_path_factory.mktemp("many"), "link run", FAN_OUT.replace("NAME", "link_run"))


def link_of(web: Web, run: ScriptedRun, task_id: str, **more: Any) -> str | None:
    """As the button of a task instance."""
    from urllib.parse import quote

    from fastapi.testclient import TestClient

    client = TestClient(web.app, headers={"Authorization": f"Bearer {web.token('ann', 'ADMIN')}"})
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task_id}/links"
    links: dict[str, str | None] = client.get(path, params=more).json()["extra_links"]
    assert set(links) == {"Trace"}
    return links["Trace"]


def test_each_task_has_a_link_to_its_attempt(web: Web, run: ScriptedRun) -> None:
    tab = f"dags/{run.dag_id}/runs/{run.run_id}/plugin/agentic-trace"
    for task_id, map_index in run.states:
        assert map_index == -1
        assert link_of(web, run, task_id) == f"{tab}#task={task_id}&map=-1&try=1"


def test_mapped_tasks_have_one_for_each_item(web: Web, many: ScriptedRun) -> None:
    tab = f"dags/{many.dag_id}/runs/{many.run_id}/plugin/agentic-trace"
    mapped = {task_id for task_id, map_index in many.states if map_index == 2}
    assert mapped
    for task_id in mapped:
        assert link_of(web, many, task_id, map_index=2) == f"{tab}#task={task_id}&map=2&try=1"


def test_addresses_are_quoted(metadata_database: Path) -> None:
    from airflow.models.taskinstancekey import TaskInstanceKey

    from airflow_agentic.operators.link import trace_address

    key = TaskInstanceKey("a dag", "x.y", "manual__2026-11-22T20:00:00+00:00", 2, 4)
    assert trace_address(key) == (
        "dags/a%20dag/runs/manual__2026-11-22T20%3A00%3A00%2B00%3A00/plugin/agentic-trace#task=x.y&map=4&try=2"
    )


def test_operators_of_other_packages_have_none() -> None:
    """Of mapped tasks, Airflow compares the class's name only, and common.ai has an ``AgentOperator``, too."""
    from airflow.models.taskinstancekey import TaskInstanceKey

    from airflow_agentic.operators.link import TraceLink

    class Other:
        _task_module = "airflow.providers.common.ai.operators.agent"

    key = TaskInstanceKey("a", "b", "c", 1, -1)
    link: Any = TraceLink()
    assert link.get_link(Other(), ti_key=key) == ""


def test_every_operator_has_the_link() -> None:
    from airflow_agentic.operators.base import PlannedOperator
    from airflow_agentic.operators.link import TraceLink

    def below(kind: type[Any]) -> set[type[Any]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    own = {kind for kind in below(PlannedOperator) if kind.__module__.startswith("airflow_agentic.")}
    assert set(TraceLink.operators) == own - {PlannedOperator}

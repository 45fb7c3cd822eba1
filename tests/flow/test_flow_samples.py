"""A few templates on ``dag.test`` and on the real scheduler: the harness of the many others tells no tales."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import hypothesis
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from support.agreement import agree, expected, planned
from support.flow_templates import templates, to_yaml

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.local.rest import RestError
from airflow_agentic.operators.xcom import unwrapped
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.models.dagrun import DagRun
    from support.airflow_env import AirflowEnv

    from airflow_agentic.local.rest import RestClient

SAMPLE = 10


@dataclass(kw_only=True)
class StoredRun:
    """A run whose XComs were read from where it ran."""

    dag_id: str
    run_id: str
    state: str
    states: dict[tuple[str, int], str | None]
    xcoms: dict[tuple[str, str, int], Any]
    errors: dict[tuple[str, int], object] = field(default_factory=dict)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed, or None."""
        return unwrapped(self.xcoms.get((task_id, key, map_index)))


@dataclass(kw_only=True)
class RealRun:
    """A run of the session's real Airflow."""

    dag_id: str
    run_id: str
    state: str
    states: dict[tuple[str, int], str | None]
    rest: RestClient
    errors: dict[tuple[str, int], object] = field(default_factory=dict)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed, or None."""
        path = f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            found = self.rest.call("GET", path, map_index=map_index, deserialize="false", stringify="false")
        except RestError as error:
            if error.status == 404:
                return None
            raise
        return unwrapped(found["value"])


def stored(run: DagRun) -> StoredRun:
    """A run in the metadata database of this process."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(XComModel).filter_by(dag_id=run.dag_id, run_id=run.run_id).all()
        xcoms = {(row.task_id, row.key, row.map_index): XComModel.deserialize_value(row) for row in rows}
    states = {(ti.task_id, ti.map_index): ti.state and str(ti.state) for ti in run.get_task_instances()}
    return StoredRun(dag_id=run.dag_id, run_id=run.run_id, state=str(run.state), states=states, xcoms=xcoms)


def sample(folder: Path) -> list[dict[str, Any]]:
    """Valid templates in which something goes round, forks or fails; nobody is asked."""
    found: list[dict[str, Any]] = []

    @hypothesis.seed(7)
    @settings(
        max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    @given(templates(people=False, largest=4))
    def draw(spec: dict[str, Any]) -> None:
        if len(found) == SAMPLE:
            return
        try:
            planned(spec, folder)
        except TemplateError:
            return
        seen, _ = expected(spec, {})
        if len({key[0] for key in seen.states}) < len(seen.states) or "failed" in seen.states.values():
            found.append(spec)

    draw()
    return found


def test_dag_test_agrees(flow_folder: Path, run_dag: Callable[..., DagRun]) -> None:
    specs = sample(flow_folder)
    assert len(specs) == SAMPLE
    for spec in specs:
        plan = planned(spec, flow_folder)
        agree(spec, plan, stored(run_dag(build_dag_from_plan(plan), {})), artifacts=flow_folder / "artifacts")


REAL = {
    "overlapping": "OVERLAPPING",
    "routed": "ROUTED",
    "mapped": "MAPPED",
}


@pytest.mark.airflow
@pytest.mark.parametrize("name", REAL)
def test_the_real_scheduler_agrees(name: str, airflow: AirflowEnv, tmp_path: Path) -> None:
    import test_flow_cases as cases

    spec = yaml.safe_load(cases.HEAD + getattr(cases, REAL[name]).replace("SCRIPT", "rejected"))
    file = airflow.put_template(f"flow_{name}.yaml", to_yaml(spec))
    ended = airflow.run(f"flow_{name}")
    instances = airflow.rest.task_instances(ended.dag_id, ended.run_id)
    run = RealRun(
        dag_id=ended.dag_id,
        run_id=ended.run_id,
        state=ended.state,
        states={(ti["task_id"], ti["map_index"]): ti["state"] for ti in instances},
        rest=airflow.rest,
    )
    agree(spec, make_plan(load_template(file)), run, artifacts=airflow.artifacts, store=TraceStore(airflow.trace_url))

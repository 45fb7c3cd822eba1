"""
Every fact of a trace against sources that know nothing of records: see :mod:`support.trace_facts`.

Generated templates run on Airflow's scheduling in this process; a few of them also on a real Airflow, whose own facts
the trace then has.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.agreement import planned
from support.flow_templates import templates, to_yaml
from support.scheduling import run_scripted
from support.telling_agents import respond_into, telling
from support.trace_facts import Ran, compare
from support.traces import traced

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.airflow_rest import facts_from_rest
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv

SHARDS = 3
#: Of each shard; all are more than 20 runs.
CASES = 10
ON_A_REAL_ONE = 5
MOST_TASKS = 20


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_trace_says_what_the_agents_say(shard: int, run_folder: Path) -> None:
    counted: Counter[str] = Counter()

    @hypothesis.seed(1000 + shard)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a smaller case would take minutes to find
    )
    @given(templates(), st.integers(0, 2**16))
    def check(spec: dict[str, Any], seed: int) -> None:
        log = Path(tempfile.mkdtemp(dir=run_folder))
        try:
            plan = planned(telling(spec, log), run_folder)
        except TemplateError:
            hypothesis.assume(False)
        began = datetime.now(UTC)
        run = run_scripted(build_dag_from_plan(plan), {}, seed=seed, answer=respond_into(log))
        ran = Ran(spec=spec, plan=plan, log=log, began=began, ended=datetime.now(UTC))
        compare(ran, traced(run))
        counted["compared"] += 1

    check()
    assert counted["compared"] >= CASES


@pytest.mark.airflow
def test_a_trace_of_a_real_airflow_says_what_the_agents_say(airflow: AirflowEnv, tmp_path: Path) -> None:
    began = datetime.now(UTC)
    specs = {f"told_{number}": spec for number, spec in enumerate(small_templates(tmp_path, ON_A_REAL_ONE))}
    told: dict[str, Ran] = {}
    for name, spec in specs.items():
        log = tmp_path / name
        log.mkdir()
        file = airflow.put_template(f"{name}.yaml", to_yaml(telling(spec, log)))
        told[name] = Ran(spec=spec, plan=make_plan(load_template(file)), log=log, began=began, ended=began)
    for name in told:
        airflow.wait_for_dag(name)
    runs = {name: airflow.rest.trigger(name) for name in told}
    for name, run_id in runs.items():
        airflow.finish(name, run_id, timeout=240)
    for name, ran in told.items():
        facts = facts_from_rest(airflow.rest, name, runs[name])
        trace = assembled(name, runs[name], facts, TraceStore(airflow.trace_url))
        compare(replace(ran, ended=datetime.now(UTC)), trace)


def small_templates(folder: Path, count: int) -> list[dict[str, Any]]:
    """Templates with few tasks that ask no people, and have a loop or a list."""
    found: list[dict[str, Any]] = []

    @hypothesis.seed(7)
    @settings(max_examples=200, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(templates(largest=5, people=False))
    def collect(spec: dict[str, Any]) -> None:
        if len(found) >= count:
            return
        try:
            plan = planned(spec, folder)
        except TemplateError:
            return
        kinds = {task.kind for task in plan.tasks}
        if len(plan.tasks) <= MOST_TASKS and (kinds & {"item", "fail"} or any(task.rounds for task in plan.tasks)):
            found.append(spec)

    collect()
    assert len(found) == count
    return found

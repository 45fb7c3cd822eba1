"""Runs in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.pipelines import plan_of_text

from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.operators.join import JoinOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

LOOP = """
version: 1
name: in_process_loop
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
stages:
  draft:
    agent: echo
    input: {value: "{{ round }}"}
    routes: [{when: draft == 2, to: next}, {back_to: draft, max_rounds: 3}]
  last: {agent: echo, input: {value: "{{ draft }}"}}
output: {said: "{{ last }}"}
"""


def test_tasks_that_do_nothing_are_not_run(
    run_dag: Callable[[DAG, dict[str, Any]], DagRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike a scheduler, ``dag.test`` would, and they are most of the tasks of a template with loops."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a join was run")

    monkeypatch.setattr(JoinOperator, "work", refuse)
    run = run_dag(build_dag_from_plan(plan_of_text(tmp_path, LOOP)), {})
    assert str(run.state) == "success"
    joins = {ti.task_id: str(ti.state) for ti in run.get_task_instances() if ti.operator == "JoinOperator"}
    assert sorted(set(joins.values())) == ["skipped", "success"], joins

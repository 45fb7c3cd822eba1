"""Run a template's text to its end in this process, and look at what it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.operators.xcom import unwrapped
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.record import AttemptRecord, Record


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run that has ended."""

    dag_id: str
    run_id: str
    state: str
    states: dict[str, str | None]

    def output(self, task_id: str = "run__finish") -> Any:
        """What a task pushed."""
        return self.xcoms(task_id).get("return_value")

    def xcoms(self, task_id: str) -> dict[str, Any]:
        """All XComs of a task."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            rows = session.query(XComModel).filter_by(dag_id=self.dag_id, run_id=self.run_id, task_id=task_id).all()
            return {row.key: unwrapped(XComModel.deserialize_value(row)) for row in rows}

    @property
    def trace(self) -> Trace:
        """The run as its records tell it."""
        return assembled(self.dag_id, self.run_id)

    def records(self, kind: type[Record] | None = None) -> list[Any]:
        """The records, with their values."""
        store = TraceStore()
        read = [store.read(path) for path in store.records(self.dag_id, self.run_id)]
        return [record for record in read if kind is None or isinstance(record, kind)]

    def attempts(self, stage: str) -> list[AttemptRecord]:
        """The attempts of a stage."""
        from airflow_agentic.trace.record import AttemptRecord

        return [record for record in self.records(AttemptRecord) if record.stage == stage]


def plan_of(text: str, file: Path) -> Plan:
    """The plan of a template's text."""
    file.write_text(text, encoding="utf-8")
    return make_plan(load_template(file))


def run_plan(plan: Plan, run_dag: Callable[..., Any], conf: Mapping[str, Any] | None = None) -> Ran:
    """Run a plan."""
    run = run_dag(build_dag_from_plan(plan), dict(conf or {}))
    states = {instance.task_id: instance.state for instance in run.get_task_instances()}
    return Ran(dag_id=run.dag_id, run_id=run.run_id, state=str(run.state), states=states)

"""
A stage that makes one value from the outputs of others.

How is pure and in :mod:`~airflow_agentic.operators.merging`; here is which parts there are. Without ``require``
Airflow starts the task when no part has failed (``none_failed``) and every part that ran is used; with a number it
starts when all have ended (``all_done``), and the task counts for itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_agentic.errors import AgenticError
from airflow_agentic.operators.base import PlannedOperator, map_index, now
from airflow_agentic.operators.merging import MergeError, Part, merge
from airflow_agentic.operators.peers import Peers
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.verdict import FAILED_STATES
from airflow_agentic.operators.xcom import push_output, push_provenance
from airflow_agentic.trace.record import MergeRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.operators.scope import Scope


class MergeOperator(PlannedOperator):
    """A task that merges what its parts have left."""

    ui_color = "#dff0e3"

    def work(self, context: Context) -> None:
        """Skip, or merge and push the result; or fail, or let a value stand in."""
        started, clock, ti = now(), time.monotonic(), context["ti"]
        parts = self._parts(Peers(ti, self.planned))
        scope = self._scope(context, parts)
        self.check_when(context, scope)
        used = tuple(name for name in parts if name in scope.tasks)
        missing = {name: part.state for name, part in parts.items() if name not in used}
        how: dict[str, Any] = {}
        try:
            self._check_enough(len(used), missing)
            value = merge(self.planned.config["how"], self._values(used, scope), self._by(scope))
        except AgenticError as error:
            value = self.stand_in(context, error, scope.values)
            how["recovered"] = "value"
        record = MergeRecord(
            run=self.run_key(context),
            stage=self.planned.stage,
            task_id=self.task_id,
            map_index=map_index(ti),
            try_number=ti.try_number,
            how=self.planned.config["how"],
            used=used,
            missing=tuple({"from": name, "state": state} for name, state in missing.items()),
            started=started,
            ended=now(),
            seconds=round(time.monotonic() - clock, 6),
        )
        push_provenance(ti, self.planned, record=self.write_record(record), **how)
        push_output(ti, value)

    def _parts(self, peers: Peers) -> dict[str, _Part]:
        """For each part, the last of its tasks that succeeded, or else its last one."""
        own = {name: self.planned.reads[name] for name in self.planned.config["from"]}
        states = peers.states(task_id for ids in own.values() for task_id in ids)
        parts = {}
        for name, ids in own.items():
            ran = [task_id for task_id in ids if states.get(task_id) == "success"]
            task_id = (ran or list(ids))[-1]
            parts[name] = _Part(task_id=task_id, state=states.get(task_id))
        return parts

    def _scope(self, context: Context, parts: Mapping[str, _Part]) -> Scope:
        others = {name: ids for name, ids in self.planned.reads.items() if name not in parts}
        ran = {name: (part.task_id,) for name, part in parts.items() if part.ran}
        guarded = tuple(name for name in self.planned.guarded if name not in parts)
        return build_scope(context, replace(self.planned, reads={**ran, **others}, guarded=guarded))

    def _values(self, used: Iterable[str], scope: Scope) -> list[Part]:
        """What is merged; each output of a fan-out is a part of its own, unless stages are to be told apart."""
        own = self.planned.config
        spread = () if own["how"] == "object" else own.get("fan_outs", ())
        values: list[Part] = []
        for name in used:
            value = scope.values[name]
            values += [(name, output) for output in value["outputs"]] if name in spread else [(name, value)]
        return values

    def _check_enough(self, succeeded: int, missing: Mapping[str, str | None]) -> None:
        """
        Have enough parts run?

        :param missing: the other parts, and the states they are in.
        :raises AirflowSkipException: none has, and none has failed.
        :raises MergeError: too few have succeeded.
        """
        if not succeeded and not any(state in FAILED_STATES for state in missing.values()):
            raise AirflowSkipException("None of the stages to merge has run.")
        required = self.planned.config["require"] or 1
        if succeeded < required:
            shown = ", ".join(f"{name!r} ({state})" for name, state in missing.items())
            raise MergeError(
                f"Stage {self.planned.stage!r} requires {required} of its {succeeded + len(missing)} parts, and "
                f"{succeeded} succeeded. Missing: {shown}."
            )

    def _by(self, scope: Scope) -> Callable[[Any], Any] | None:
        from airflow_agentic.template.expressions import evaluate

        expression = self.planned.config["by"]
        if expression is None:
            return None

        def by(item: Any) -> Any:
            with self.locating("by"):
                return evaluate(expression, {**scope.values, "item": item})

        return by


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The task that stands for a part, and the state it is in."""

    task_id: str
    state: str | None

    @property
    def ran(self) -> bool:
        return self.state == "success"

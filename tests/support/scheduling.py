"""
Run a compiled DAG on Airflow's own scheduling, with the real operators, in one process and in any order.

The scheduler's part is Airflow's: ``DagRun.update_state`` decides which task instances are due, expands mapped tasks
and ends the run, ``schedule_tis`` schedules them. The workers' part is Airflow's task runner (see
:mod:`support.scripted_supervisor`). What a real Airflow leaves to chance is drawn here from a seed: which scheduled
task starts next, how long it is at work while others start and end, how many of them end before the scheduler looks
again.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from support.scripted_supervisor import RunMemory, execute

from airflow_agentic.operators.xcom import unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import DAG
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from pydantic import BaseModel
    from sqlalchemy.orm import Session

    #: What a person answers: the option and the fields; None: nobody answers in time.
    Answer = Callable[[CreateHITLDetailPayload], tuple[str, dict[str, Any]] | None]

_BUNDLE = "scripted"
_number = itertools.count(1)


@dataclass(kw_only=True)
class ScriptedRun:
    """
    A run that has ended.

    :param states: (task id, map index) → state; -1 where the task isn't mapped.
    :param order: the task instances as they started.
    """

    dag_id: str
    run_id: str
    state: str
    states: dict[tuple[str, int], str | None]
    memory: RunMemory
    order: list[tuple[str, int]] = field(default_factory=list)

    @property
    def errors(self) -> dict[tuple[str, int], BaseException]:
        """What failed tasks raised last."""
        return self.memory.errors

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed, or None."""
        return unwrapped(self.memory.xcoms.get((task_id, map_index, key)))


class StuckError(AssertionError):
    """The scheduler has nothing to do, no task is at work, and the run hasn't ended."""


def run_scripted(
    dag: DAG, conf: dict[str, Any] | None = None, *, seed: int = 0, answer: Answer | None = None
) -> ScriptedRun:
    """
    Run a DAG to its end.

    The metadata database must be there (fixture ``metadata_database``).

    :param conf: the run's inputs.
    :param seed: of the order of events.
    :param answer: what people answer.
    :raises StuckError: the run would never end.
    """
    from airflow.utils.session import create_session

    with create_session() as session:
        driver = _Driver(dag, session, random.Random(seed), answer)
        return driver.run(conf or {})


class _Driver:
    """The scheduler's loop and the workers of one run."""

    def __init__(self, dag: DAG, session: Session, chance: random.Random, answer: Answer | None) -> None:
        self._dag = dag
        self._session = session
        self._chance = chance
        self._answer = answer
        self._memory = RunMemory()
        #: whether it matters what else is at work
        self._limited = any(task.max_active_tis_per_dagrun for task in dag.tasks)
        #: task instances at work, and how each will end
        self._working: dict[Any, BaseModel] = {}
        self._order: list[tuple[str, int]] = []

    def run(self, conf: dict[str, Any]) -> ScriptedRun:
        """Schedule and work until the run has ended."""
        run = _new_run(self._dag, conf, self._session)
        # how busy the workers are compared to the scheduler differs from run to run
        haste = self._chance.choice((0.5, 0.8, 0.97))
        while True:
            self._session.expire_all()
            due, _ = run.update_state(session=self._session, execute_callbacks=False)
            if run.state != "running":
                break
            run.schedule_tis(due, session=self._session)
            self._session.flush()
            if not self._work(run, haste) and not due:
                self._check_stuck(run)
        self._session.commit()
        return self._ended(run)

    def _work(self, run: DagRun, haste: float) -> bool:
        """
        Let some tasks start and some end; whether there were any.

        The scheduler looks again only when something has changed for it: a task that has just started is nothing new.
        """
        done = False
        scheduled = self._scheduled(run)
        while scheduled or self._working:
            done = True
            chosen = self._chance.choice([*scheduled, *self._working])
            if chosen in self._working:
                self._finish(chosen)
                changed = True
            else:
                scheduled.remove(chosen)
                changed = self._start(chosen, run)
            if changed and self._chance.random() > haste:
                break
            if changed or self._limited:
                scheduled = self._scheduled(run)  # what was skipped is no longer scheduled
        return done

    def _scheduled(self, run: DagRun) -> list[Any]:
        """The ids of the task instances that workers may start, in a fixed order."""
        from airflow.models.taskinstance import TaskInstance as Row

        query = select(Row.id, Row.task_id).where(
            Row.dag_id == run.dag_id, Row.run_id == run.run_id, Row.state == "scheduled"
        )
        busy = Counter(self._instance(ti_id).task_id for ti_id in self._working)
        return [
            ti_id
            for ti_id, task_id in self._session.execute(query.order_by(Row.task_id, Row.map_index))
            if busy[task_id] < (self._dag.get_task(task_id).max_active_tis_per_dagrun or math.inf)
        ]

    def _start(self, ti_id: Any, run: DagRun) -> bool:
        """Let a task do its work; whether it has skipped others."""
        before = self._memory.skips
        ti = self._instance(ti_id)
        ti.state = "running"
        self._session.flush()
        self._order.append((ti.task_id, ti.map_index))
        task: Any = self._dag.get_task(ti.task_id)
        self._working[ti.id] = execute(ti, task, run, self._memory, self._session)
        return self._memory.skips > before

    def _finish(self, ti_id: Any) -> None:
        """What the execution API does with a task's last message."""
        from airflow.sdk.execution_time import comms

        end, ti = self._working.pop(ti_id), self._instance(ti_id)
        if isinstance(end, comms.AwaitInputTask):
            self._respond(ti, end)
            return
        ti.next_method = ti.next_kwargs = None
        if isinstance(end, comms.RetryTask):
            # due at once: nothing here waits
            ti.state, ti.end_date = "up_for_retry", end.end_date - timedelta(days=1)
            ti.retry_delay_override = 0.0
        elif isinstance(end, comms.RescheduleTask):
            ti.state = "up_for_reschedule"
        else:
            ti.state = "success" if isinstance(end, comms.SucceedTask) else str(end.state.value)  # type: ignore[attr-defined]
        self._session.flush()

    def _instance(self, ti_id: Any) -> TaskInstance:
        from airflow.models.taskinstance import TaskInstance as Row

        ti = self._session.get(Row, ti_id, populate_existing=True)
        if ti is None:
            raise RuntimeError(f"no task instance {ti_id}")
        return ti

    def _respond(self, ti: TaskInstance, end: Any) -> None:
        """What the API does with a person's response, or the scheduler when it is too late for one."""
        from airflow._shared.timezones import timezone
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent

        ti.state, ti.next_method, ti.next_kwargs = "awaiting_input", end.next_method, end.next_kwargs
        asked = self._memory.asked[str(ti.id)]
        answer = self._answer(asked) if self._answer else None
        event: dict[str, Any] = {"error": "The response timeout has passed.", "error_type": "timeout"}
        if answer is not None or asked.defaults is not None:
            fields = {
                key: value["value"] if isinstance(value, dict) and "value" in value else value
                for key, value in (asked.params or {}).items()
            }
            option = answer[0] if answer else None
            event = {
                "chosen_options": [option] if option is not None else list(asked.defaults or []),
                "params_input": {**fields, **(answer[1] if answer else {})},
                "responded_at": timezone.utcnow(),
                "responded_by_user": {"id": "editor", "name": "editor"} if answer else None,
                "timedout": answer is None,
            }
        handle_event_submit(TriggerEvent(event), task_instance=ti, session=self._session)
        self._session.flush()

    def _check_stuck(self, run: DagRun) -> None:
        """
        Is there anything left to wait for?

        :raises StuckError: no.
        """
        self._session.expire_all()
        states = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in run.get_task_instances(session=self._session)}
        before, self._states = getattr(self, "_states", None), states
        if before == states:
            raise StuckError(f"the run is stuck: {states}")

    def _ended(self, run: DagRun) -> ScriptedRun:
        instances = run.get_task_instances(session=self._session)
        return ScriptedRun(
            dag_id=run.dag_id,
            run_id=run.run_id,
            state=str(run.state),
            states={(ti.task_id, ti.map_index): None if ti.state is None else str(ti.state) for ti in instances},
            memory=self._memory,
            order=self._order,
        )


def _new_run(dag: DAG, conf: dict[str, Any], session: Session) -> DagRun:
    """A running run of a DAG that Airflow hasn't seen before."""
    from airflow._shared.timezones import timezone
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagbundle import DagBundleModel
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    if session.get(DagBundleModel, _BUNDLE) is None:
        session.add(DagBundleModel(name=_BUNDLE))
        session.flush()
    if session.get(DagModel, dag.dag_id) is None:
        session.add(DagModel(dag_id=dag.dag_id, bundle_name=_BUNDLE, fileloc="", is_stale=False))
        session.flush()
        session.add(DagVersion(dag_id=dag.dag_id, bundle_name=_BUNDLE, version_number=1))
        session.flush()
    known = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    return known.create_dagrun(
        run_id=f"scripted-{next(_number)}",
        run_after=timezone.utcnow(),
        start_date=timezone.utcnow(),
        conf=conf,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )

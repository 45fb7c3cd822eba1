"""
What stands behind a task that runs in this process: Airflow's supervisor and execution API, without processes or HTTP.

The task itself runs in Airflow's own task runner, with our real operators. What it asks its supervisor for is answered
from memory (XComs) and from the metadata database (states), in the execution API's own words; its last message, which
says how it ended, is kept for whoever drives the run.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.api.datamodels import _generated as data
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.bases.operator import BaseOperator
    from pydantic import BaseModel
    from sqlalchemy.orm import Session

#: What Airflow's own branching pushes.
XCOM_SKIPMIXIN_KEY = "skipmixin_key"
#: How a task may end, as the task runner says it.
_ENDS = (comms.SucceedTask, comms.TaskState, comms.RetryTask, comms.RescheduleTask, comms.AwaitInputTask)


@dataclass(kw_only=True)
class RunMemory:
    """
    What the tasks of one run have left.

    :param xcoms: (task id, map index, key) → value.
    :param asked: what people were asked, by the task instance's id.
    :param kept: (task id, map index, key) → value: the tasks' state stores.
    :param errors: (task id, map index) → what a failed task raised last.
    :param skips: how often a task has had others skipped.
    """

    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    asked: dict[str, comms.CreateHITLDetailPayload] = field(default_factory=dict)
    kept: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    errors: dict[tuple[str, int], BaseException] = field(default_factory=dict)
    skips: int = 0


class ScriptedSupervisor:
    """Answers one task."""

    def __init__(self, ti: TaskInstance, memory: RunMemory, session: Session) -> None:
        self.end: BaseModel | None = None
        self._ti = ti
        self._memory = memory
        self._session = session

    def send(self, msg: BaseModel) -> BaseModel | None:
        """Answer a message of the task's."""
        if isinstance(msg, _ENDS):
            self.end = msg
            return None
        answer: Callable[[Any], BaseModel | None] | None = getattr(self, f"_{type(msg).__name__}", None)
        if answer is None:
            raise NotImplementedError(f"no answer to {msg!r}")
        return answer(msg)

    def _silence(self, _msg: BaseModel) -> None:
        """Nothing depends on it."""

    _SetRenderedFields = _SetRenderedMapIndex = _MaskSecret = _silence

    def _SetXCom(self, msg: comms.SetXCom) -> None:  # noqa: N802 - named as the message
        from airflow.models.taskmap import TaskMap

        index = -1 if msg.map_index is None else msg.map_index
        self._memory.xcoms[msg.task_id, index, msg.key] = msg.value
        if msg.key == XCOM_SKIPMIXIN_KEY:
            self._store(msg, index)
        if msg.mapped_length is not None:
            row = TaskMap(
                dag_id=msg.dag_id,
                task_id=msg.task_id,
                run_id=msg.run_id,
                map_index=index,
                length=msg.mapped_length,
                keys=None,
            )
            self._session.merge(row)

    def _store(self, msg: comms.SetXCom, index: int) -> None:
        """In the database: the scheduler looks there for what a branch has skipped."""
        from airflow.models.xcom import XComModel

        self._session.flush()
        XComModel.set(
            key=msg.key,
            value=msg.value,
            dag_id=msg.dag_id,
            task_id=msg.task_id,
            run_id=msg.run_id,
            map_index=index,
            serialize=False,
            session=self._session,
        )

    def _GetXCom(self, msg: comms.GetXCom) -> comms.XComResult:  # noqa: N802
        index = -1 if msg.map_index is None else msg.map_index
        return comms.XComResult(key=msg.key, value=self._memory.xcoms.get((msg.task_id, index, msg.key)))

    def _DeleteXCom(self, msg: comms.DeleteXCom) -> None:  # noqa: N802
        index = -1 if msg.map_index is None else msg.map_index
        self._memory.xcoms.pop((msg.task_id, index, msg.key), None)

    def _sequence(self, msg: Any) -> list[Any]:
        found = {
            at: value
            for (task_id, at, key), value in self._memory.xcoms.items()
            if (task_id, key) == (msg.task_id, msg.key)
        }
        return [found[at] for at in sorted(found)]

    def _GetXComCount(self, msg: comms.GetXComCount) -> comms.XComCountResponse:  # noqa: N802
        return comms.XComCountResponse(len=len(self._sequence(msg)))

    def _GetXComSequenceItem(self, msg: comms.GetXComSequenceItem) -> BaseModel:  # noqa: N802
        values = self._sequence(msg)
        if not -len(values) <= msg.offset < len(values):
            return comms.ErrorResponse(error=ErrorType.XCOM_NOT_FOUND)
        return comms.XComSequenceIndexResult(root=values[msg.offset])

    def _GetXComSequenceSlice(self, msg: comms.GetXComSequenceSlice) -> BaseModel:  # noqa: N802
        return comms.XComSequenceSliceResult(root=self._sequence(msg)[msg.start : msg.stop : msg.step])

    def _GetTaskStates(self, msg: comms.GetTaskStates) -> comms.TaskStatesResult:  # noqa: N802
        from airflow.models.taskinstance import TaskInstance as Row

        query = select(Row.task_id, Row.map_index, Row.state).where(Row.dag_id == msg.dag_id)
        for column, wanted in ((Row.task_id, msg.task_ids), (Row.run_id, msg.run_ids)):
            query = query.where(column.in_(wanted)) if wanted else query
        if msg.map_index is not None:
            query = query.where(Row.map_index == msg.map_index)
        states = {
            task_id if index < 0 else f"{task_id}_{index}": state
            for task_id, index, state in self._session.execute(query)
        }
        return comms.TaskStatesResult(task_states={self._ti.run_id: states})

    def _GetTICount(self, msg: comms.GetTICount) -> comms.TICount:  # noqa: N802
        from airflow.models.taskinstance import TaskInstance as Row

        query = select(Row.map_index).where(Row.dag_id == msg.dag_id, Row.run_id.in_(msg.run_ids or ()))
        if msg.task_ids:
            query = query.where(Row.task_id.in_(msg.task_ids))
        if msg.states:
            query = query.where(Row.state.in_(msg.states))
        return comms.TICount(count=len(self._session.execute(query).all()))

    def _SkipDownstreamTasks(self, msg: comms.SkipDownstreamTasks) -> None:  # noqa: N802
        from airflow.api_fastapi.execution_api.routes.task_instances import ti_skip_downstream

        self._memory.skips += 1
        self._session.flush()
        ti_skip_downstream(self._ti.id, msg, self._session)

    def _ValidateInletsAndOutlets(self, _msg: BaseModel) -> comms.InactiveAssetsResult:  # noqa: N802
        return comms.InactiveAssetsResult(inactive_assets=[])

    def _CreateHITLDetailPayload(self, msg: comms.CreateHITLDetailPayload) -> comms.HITLDetailRequestResult:  # noqa: N802
        self._memory.asked[str(msg.ti_id)] = msg
        return comms.HITLDetailRequestResult.from_api_response(msg)

    def _not_found(self, _msg: BaseModel) -> comms.ErrorResponse:
        return comms.ErrorResponse(error=ErrorType.GENERIC_ERROR)

    _GetConnection = _GetVariable = _not_found

    def _SetTaskStateStore(self, msg: comms.SetTaskStateStore) -> None:  # noqa: N802
        self._memory.kept[self._ti.task_id, self._ti.map_index, msg.key] = msg.value

    def _GetTaskStateStore(self, msg: comms.GetTaskStateStore) -> BaseModel:  # noqa: N802
        kept = self._memory.kept.get((self._ti.task_id, self._ti.map_index, msg.key))
        if kept is None:
            return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return comms.TaskStateStoreResult(value=kept)


def execute(ti: TaskInstance, task: BaseOperator, run: DagRun, memory: RunMemory, session: Session) -> BaseModel:
    """
    Run a task instance in Airflow's task runner, as a worker would.

    :param task: the operator as the DAG file made it, not as it was serialized.
    :returns: the task's last message: how it ended.
    """
    runtime = RuntimeTaskInstance.model_construct(
        id=ti.id,
        task_id=ti.task_id,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        try_number=ti.try_number,
        map_index=ti.map_index,
        dag_version_id=ti.dag_version_id,
        task=task,
        _ti_context_from_server=_context_from_server(ti, run, memory),
        max_tries=ti.max_tries,
        start_date=datetime.now(tz=UTC),
        state="running",
    )
    supervisor = ScriptedSupervisor(ti, memory, session)
    with _supervised(supervisor):
        _, _, error = task_runner.run(runtime, runtime.get_template_context(), _LOG)
    if error is not None:
        memory.errors[ti.task_id, ti.map_index] = error
    if supervisor.end is None:
        raise RuntimeError(f"{ti} ended without a word") from error
    return supervisor.end


def _context_from_server(ti: TaskInstance, run: DagRun, memory: RunMemory) -> data.TIRunContext:
    keys = [key for task_id, index, key in memory.xcoms if (task_id, index) == (ti.task_id, ti.map_index)]
    dag_run = data.DagRun.model_construct(
        dag_id=run.dag_id,
        run_id=run.run_id,
        logical_date=run.logical_date,
        data_interval_start=run.data_interval_start,
        data_interval_end=run.data_interval_end,
        run_after=run.run_after,
        start_date=run.start_date,
        end_date=None,
        clear_number=0,
        run_type=data.DagRunType.MANUAL,
        state="running",
        conf=run.conf,
        consumed_asset_events=[],
        partition_key=None,
        partition_date=None,
        team_name=None,
    )
    return data.TIRunContext.model_construct(
        dag_run=dag_run,
        max_tries=ti.max_tries,
        next_method=ti.next_method,
        next_kwargs=ti.next_kwargs,
        xcom_keys_to_clear=[] if ti.next_method else keys,
        should_retry=bool(ti.max_tries) and ti.try_number <= ti.max_tries,
        task_reschedule_count=0,
    )


class _QuietLog:
    """A log that nobody reads: what a failed task raised is kept."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


_LOG: Any = _QuietLog()


@contextlib.contextmanager
def _supervised(supervisor: ScriptedSupervisor) -> Iterator[None]:
    """Tasks talk to this supervisor, and what they change in the process is put back."""
    from airflow.sdk.execution_time.supervisor import set_supervisor_comms

    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if main else None
    with set_supervisor_comms(supervisor):
        try:
            yield
        finally:
            if main:
                signal.signal(signal.SIGTERM, handler)


def quiet_airflow() -> None:
    """Airflow's scheduling tells its log about each state; in thousands of runs that is half of the time."""
    for name in ("airflow", "airflow.models", "task"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

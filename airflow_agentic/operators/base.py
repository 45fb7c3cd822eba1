"""
What all operators of the package share: settings from the plan, the scope, and how a failure is told.

An operator is made for every task of every template at every parse, so its constructor does nothing but hand on; no
field is a template of Airflow's, because what agents and users write is data and must never be rendered.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException, DownstreamTasksSkipped

from airflow_agentic.errors import AgenticError, AttemptError, NotRunError, RetryLater, StoppedError
from airflow_agentic.operators.retry import RETRY_POLICY
from airflow_agentic.telemetry.lineage import TellsLineage
from airflow_agentic.telemetry.spans import stage_span
from airflow_agentic.telemetry.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import Context

    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import Plan, PlannedTask
    from airflow_agentic.trace.record import Record, RunKey

#: How a task ends by Airflow's signals, which are no failures.
_SIGNALS = (AirflowSkipException, AirflowRescheduleException, DownstreamTasksSkipped)
#: Kinds of tasks whose failure isn't told in an XCom: nobody routes it.
_SILENT = frozenset(("item", "route", "artifact", "finish"))

#: Of Airflow's: for tasks whose worker is lost, or that can't reach what Airflow is made of.
SPARE_TRIES = 3
#: Attributes that ``BaseOperator`` converts when they are set.
_CONVERTED = frozenset(name.removeprefix("_convert_") for name in dir(BaseOperator) if name.startswith("_convert_"))


class PlannedOperator(BaseOperator, TellsLineage):
    """
    A task of a plan.

    It is made by :meth:`of` and has no constructor of its own, because Airflow wraps each one on the way up, and that
    is a good part of what making an operator costs.
    """

    template_fields = ()

    shallow_copy_attrs: Any = ("planned", "opens")

    #: the task
    planned: PlannedTask
    #: of the template, for the records
    digest: str
    #: the plan of the run that this task, as its first one, records the beginning of
    opens: Plan | None = None

    @classmethod
    def of(cls, planned: PlannedTask, digest: str, **own: Any) -> Self:
        """
        The operator of a planned task.

        :param digest: of the template.
        :param own: the attributes that the class declares beside these.
        """
        operator = cls(task_id=planned.task_id, **cls.settings(planned))
        operator.planned = planned
        operator.digest = digest
        for name, value in own.items():
            setattr(operator, name, value)
        return operator

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """What the plan says to Airflow about a task."""
        return {
            "trigger_rule": planned.trigger_rule,
            "retry_policy": RETRY_POLICY,
            "doc_md": planned.doc,
            **planned.config.get("airflow", {}),
        }

    def __setattr__(self, key: str, value: Any) -> None:
        """
        Set an attribute as ``BaseOperator`` does, without what only operators with template fields need.

        Its own method looks for a converter and for XComArgs at each of some sixty attributes, which is a third of
        what making an operator costs.
        """
        if key in _CONVERTED:
            super().__setattr__(key, value)
        else:
            object.__setattr__(self, key, value)

    def execute(self, context: Context) -> None:
        """See whether the task may start, and do its work."""
        self.carry_out(self._start, context)

    def carry_out(self, work: Callable[[Context], None], context: Context) -> None:
        """Do some work; a failure of ours is told to those who may route it, and ends without our frames."""
        with stage_span(self):
            self._carry_out(work, context)

    def _carry_out(self, work: Callable[[Context], None], context: Context) -> None:
        try:
            work(context)
        except _SIGNALS:
            raise
        except AgenticError as error:
            failure = error
        except Exception as error:
            self.tell_failure(context, error)
            raise
        else:
            return
        if isinstance(failure, RetryLater):
            self.tell_wait(context, failure)
        elif not isinstance(failure, StoppedError):
            self.tell_failure(context, failure)
        raise failure.with_traceback(None) from None

    def _start(self, context: Context) -> None:
        if self.opens is not None:
            from airflow_agentic.operators.opening import record_opening

            record_opening(self.opens, context, self.run_key(context))
        self.check_start(context)
        self.work(context)

    def check_start(self, context: Context) -> None:
        """
        Inside a mapped task group, where Airflow only waits, see for oneself what becomes of the task.

        :raises AirflowSkipException: it is skipped.
        :raises NotRunError: something that it needs failed.
        """
        if self.planned.start is None:
            return
        from airflow_agentic.operators.peers import Peers

        match Peers(context["ti"], self.planned).judged():
            case "run":
                return
            case "skipped":
                raise AirflowSkipException("Nothing leads here in this item.")
            case "upstream_failed":
                raise NotRunError(f"{self.task_id!r} was not run, because something that it needs failed.")
            case _:
                raise NotRunError(f"{self.task_id!r} was not run: it was started before what it waits for had ended.")

    def work(self, context: Context) -> None:
        """
        The task itself. It pushes its own XComs.

        :raises AgenticError: it failed, and the message says why.
        """
        raise NotImplementedError

    def check_when(self, context: Context, scope: Scope) -> None:
        """
        Go on if the stage's condition holds, or there is none; that it doesn't hold is recorded.

        :raises AirflowSkipException: it doesn't hold.
        """
        from airflow_agentic.template.expressions import is_true

        condition = self.planned.config["when"]
        if condition is None:
            return
        with self.locating("when"):
            holds = is_true(condition, scope.values)
        if not holds:
            self._record_skip(context, condition, scope)
            raise AirflowSkipException(f"The stage's condition is false: {condition}")

    def _record_skip(self, context: Context, condition: str, scope: Scope) -> None:
        """So that a reader sees why the stage is missing; a stage that runs needs no such reason."""
        from airflow_agentic.operators.deciding import SKIP, values_of
        from airflow_agentic.trace.mask import masked
        from airflow_agentic.trace.record import DecisionRecord

        ti = context["ti"]
        seen = {"when": condition, "outcome": "run", "held": False, "values": list(values_of(condition, scope.values))}
        self.write_record(
            DecisionRecord(
                run=self.run_key(context),
                stage=self.planned.stage,
                task_id=self.task_id,
                map_index=map_index(ti),
                try_number=ti.try_number,
                conditions=(masked(seen),),
                outcome=SKIP,
                route=None,
                shown="skipped",
                round=self.planned.round if self.planned.rounds else None,
                max_rounds=None,
                decided=now(),
            )
        )

    @contextlib.contextmanager
    def locating(self, key: str) -> Iterator[None]:
        """Let the errors of an expression point at the template."""
        from airflow_agentic.template.expressions import ExpressionError

        try:
            yield
        except ExpressionError as error:
            where = f"Stage {self.planned.stage!r}, {key}" if self.planned.kind not in ("artifact", "finish") else key
            message = f"{where}: {error.message}"
            raise ExpressionError(message, error.expression, error.line) from None

    def rendered(self, texts: Mapping[str, Any], where: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """
        What texts by key render to; an error says at which key.

        :param where: what they stand under in the template.
        :param values: what they can read.
        """
        from airflow_agentic.template.expressions import render

        found = {}
        for key, text in texts.items():
            with self.locating(f"{where}.{key}"):
                found[key] = render(text, values)
        return found

    def stand_in(self, context: Context, error: AgenticError, values: Mapping[str, Any]) -> Any:
        """
        The value of the stage's ``on_error`` for a failure; the failure is recorded as recovered.

        :param values: what the value's texts can read.
        :raises AgenticError: the failure itself: none is for it.
        """
        found = self.values_for(getattr(error, "kind", "failed"), values)
        if not found:
            raise error
        self.record_failure(context, error, recovered=True)
        return found[0]

    def values_for(self, kind: str, values: Mapping[str, Any]) -> list[Any]:
        """
        What the stage's ``on_error`` says of a kind of failure: one value, or none.

        :param values: what the value's texts can read.
        """
        from airflow_agentic.template.expressions import render

        for place, entry in enumerate(self.planned.config.get("recover", ())):
            if not entry["kinds"] or kind in entry["kinds"]:
                with self.locating(f"on_error[{place}].value"):
                    return [render(entry["value"], values)]
        return []

    def run_key(self, context: Context) -> RunKey:
        """What the records of this task have in common."""
        from airflow_agentic.trace.record import RunKey

        return RunKey(dag_id=self.dag_id, run_id=context["ti"].run_id, template_digest=self.digest)

    def write_record(self, record: Record) -> str:
        """
        Store a record.

        :returns: its path in the trace store.
        """
        from airflow_agentic.trace.store import TraceStore

        path = TraceStore().write(record)
        tell(self, record)
        return path

    @property
    def tells_why(self) -> bool:
        """Whether somebody looks for the reason of its failure in an XCom."""
        return self.planned.kind not in _SILENT

    def tell_failure(self, context: Context, error: Exception) -> None:
        """Leave the reason where routes and the run's last task look for it."""
        from airflow_agentic.operators.xcom import push_error
        from airflow_agentic.trace.mask import masked

        if self.tells_why:
            kind = getattr(error, "kind", "failed")
            push_error(context["ti"], stage=self.planned.stage, kind=kind, message=masked(str(error)))
        # an attempt has its own record
        if not isinstance(error, AttemptError):
            self.record_failure(context, error)

    def tell_wait(self, context: Context, later: RetryLater) -> None:
        """
        Leave the reason of a wait where people see it.

        Airflow keeps a retry's reason, but shows it neither in its UI nor in its API (3.3).
        """
        from airflow_agentic.operators.xcom import push_waiting
        from airflow_agentic.trace.mask import masked

        until = datetime.now(tz=UTC) + timedelta(seconds=later.wait)
        when = until.isoformat(timespec="seconds")
        told = {"reason": masked(str(later)), "kind": later.error.kind, "attempt": later.attempt, "until": when}
        try:
            push_waiting(context["ti"], **told)
            self._record_wait(context["ti"], context, told)
        except Exception:  # the wait itself matters more
            self.log.warning("The reason of the wait could not be shown.", exc_info=True)

    def _record_wait(self, ti: Any, context: Context, told: dict[str, Any]) -> None:
        from airflow_agentic.trace.record import WaitRecord

        self.write_record(
            WaitRecord(
                run=self.run_key(context),
                stage=self.planned.stage,
                task_id=self.task_id,
                map_index=map_index(ti),
                try_number=ti.try_number,
                at=now(),
                attempt=told["attempt"],
                why=told["kind"],
                reason=told["reason"],
                until=told["until"],
            )
        )

    def record_failure(
        self, context: Context, error: Exception, *, recovered: bool = False, item: int | None = None
    ) -> None:
        """
        So that the run's last task can say why; the error itself matters more than its record.

        :param recovered: a fixed value stood in.
        :param item: the place in the list of the one item that it is about.
        """
        from airflow_agentic.trace.mask import masked
        from airflow_agentic.trace.record import FailureRecord

        ti = context["ti"]
        record = FailureRecord(
            run=self.run_key(context),
            stage=self.planned.stage,
            task_id=self.task_id,
            map_index=map_index(ti),
            try_number=ti.try_number,
            at=now(),
            error={**_kind(error), "type": type(error).__name__, "message": masked(str(error))},
            recovered=recovered,
            item=item,
        )
        try:
            self.write_record(record)
        except Exception:
            self.log.warning("The failure could not be recorded.", exc_info=True)


def _kind(error: Exception) -> dict[str, str]:
    """The language's word for a failure that has one of its own."""
    return {"kind": error.kind} if hasattr(error, "kind") else {}


def map_index(ti: Any) -> int:
    """Airflow's, -1 for a task that isn't mapped."""
    return -1 if ti.map_index is None else int(ti.map_index)


def now() -> str:
    """ISO 8601 in UTC."""
    return datetime.now(tz=UTC).isoformat()

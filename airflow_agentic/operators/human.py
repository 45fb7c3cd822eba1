"""
A stage that asks people, and waits for one of them to answer.

It is the standard provider's human-in-the-loop operator, so that the question appears in Airflow's own views and API:
the task writes its question, ends its process, and lies in the state ``awaiting_input`` without a worker's slot.
The answer, or the scheduler when the time is up, starts it again, at :meth:`HumanOperator.go_on`.

What is rendered here is data, and no field is a template of Airflow's.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_agentic.operators.base import PlannedOperator, map_index, now
from airflow_agentic.operators.mapped import mapped
from airflow_agentic.operators.people import (
    SUBMIT,
    AnswerError,
    PeopleError,
    Question,
    StaleQuestionError,
    UnansweredError,
    checked_fields,
    default_of,
    options_of,
    params_of,
)
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import push_output, push_provenance, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import BaseOperator, Context

    from airflow_agentic.operators.mapped import PlannedMappedOperator
    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import PlannedTask


class HumanOperator(PlannedOperator, HITLOperator):
    """A task that asks people."""

    template_fields = ()
    ui_color = "#fde2e4"

    #: told when the stage starts to wait
    notifications: Sequence[Callable[[Context], None]] = ()
    #: the entry of the list, in a fan-out: ``{"index", "item"}``
    given: Any = None

    @classmethod
    def mapped(
        cls, planned: PlannedTask, digest: str, *, over: BaseOperator, max_parallel: int | None, **own: Any
    ) -> PlannedMappedOperator:
        """
        The task that asks for each entry of a list.

        :param over: the task that leaves the list, each entry ``{"index", "item"}``.
        :param max_parallel: questions that may be open at once; null for all.
        """
        settings = {**cls.settings(planned), "max_active_tis_per_dagrun": max_parallel}
        return mapped(cls, planned.task_id, over=over, settings=settings, planned=planned, digest=digest, **own)

    def __init__(self, **kwargs: Any) -> None:
        # The question is rendered when it is asked.
        super().__init__(subject="", options=[SUBMIT], **kwargs)

    def work(self, context: Context) -> None:
        """
        Skip, or ask and wait.

        :raises TaskAwaitingInput: Airflow's signal to wait; no error.
        """
        from airflow.sdk.exceptions import TaskAwaitingInput

        scope = build_scope(context, self.planned)
        self.check_when(scope)
        question = self._question(scope)
        self._show(question, context["ti"])
        self._notify(context)
        raise TaskAwaitingInput(method_name="go_on", kwargs={"asked": asdict(question)}, timeout=self.response_timeout)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> None:
        """Go on after the wait; a failure is told as any other."""
        self.carry_out(partial(super().resume_execution, next_method, next_kwargs), context)

    def go_on(self, context: Context, event: dict[str, Any], asked: Mapping[str, Any]) -> None:
        """
        Record the answer and push it.

        :param event: Airflow's: who chose what, or that the time is up.
        :param asked: the question.
        :raises PeopleError: there is no answer, or none that was asked for.
        """
        question = Question.from_data(asked)
        fields: dict[str, Any] = {}
        choice = None
        try:
            choice = self._choice(event, question)
            fields = self._fields(event)
        except PeopleError as error:
            self._record(context, question, event, choice=choice, fields=fields, error=error)
            raise
        record = self._record(context, question, event, choice=choice, fields=fields)
        answered = {"by": _name(event.get("responded_by_user")), "timed_out": _is_timed_out(event)}
        ti = context["ti"]
        push_provenance(ti, attempt=None, record=record, model=None, agent=None)
        push_output(ti, {"choice": choice, **fields, **answered})

    def _scope(self, context: Context) -> Scope:
        scope = build_scope(context, self.planned.reads, self.planned.guarded)
        item = self._item()
        own = {} if item is None else {"item": item["value"], "index": item["index"]}
        return replace(scope, values={**scope.values, **own})

    def _question(self, scope: Scope) -> Question:
        own = self.planned.config
        return Question(
            subject=self._rendered("ask", scope) or "",
            body=self._rendered("body", scope),
            options=options_of(own["options"]),
            assignees=self._assignees(scope),
            default=default_of(own["on_timeout"]),
            asked=now(),
        )

    def _rendered(self, key: str, scope: Scope) -> str | None:
        from airflow_agentic.template.expressions import render_string

        text = self.planned.config[key]
        if text is None:
            return None
        with self.locating(key):
            return render_string(text, scope.values)

    def _assignees(self, scope: Scope) -> tuple[str, ...]:
        """Ids of users; an expression may stand for several."""
        from airflow_agentic.template.expressions import render, to_text

        with self.locating("assignees"):
            rendered = render(self.planned.config["assignees"], scope.values)
            named = [name for part in rendered for name in (part if isinstance(part, list) else [part])]
            assignees = tuple(to_text(name).strip() for name in named)
        if rendered and not all(assignees):
            raise PeopleError(
                f"Stage {self.planned.stage!r}, assignees: one of them is empty, so everybody could answer."
            )
        return assignees

    def _show(self, question: Question, ti: Any) -> None:
        """
        Give the question to Airflow.

        :raises StaleQuestionError: Airflow has one of an earlier try, and keeps it.
        """
        from airflow.sdk.definitions.param import Param, ParamsDict
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        fields = params_of(self.planned.config["fields"])
        # Where the operator it is one of, and notifiers that make links, look for them.
        self.subject, self.body, self.options = question.subject, question.body, list(question.options)
        self.defaults = None if question.default is None else [question.default]
        self.params = ParamsDict(
            {name: Param(field.pop("value"), source="task", **field) for name, field in fields.items()}
        )
        self.assigned_users = [{"id": name, "name": name} for name in question.assignees]
        self.response_timeout = timedelta(seconds=self.planned.config["timeout"])
        asked = {"ti_id": ti.id, **{name: getattr(self, name) for name in _REQUEST}}
        wanted = CreateHITLDetailPayload.model_validate({**asked, "params": self.serialized_params})
        shown = SUPERVISOR_COMMS.send(wanted)
        different = [name for name in _COMPARED if _plain(getattr(shown, name)) != _plain(getattr(wanted, name))]
        if different:
            raise StaleQuestionError(
                f"Stage {self.planned.stage!r} can't be asked again with another {' and '.join(different)}: Airflow "
                "shows the question of the earlier try, and nobody should answer what isn't asked. Start a new run."
            )

    def _notify(self, context: Context) -> None:
        """Tell those who want to know; that it can't be told is no reason not to ask."""
        for notification in self.notifications:
            try:
                notification(context)
            except Exception:
                self.log.exception("The notifier %s failed", getattr(notification, "__name__", notification))

    def _choice(self, event: Mapping[str, Any], question: Question) -> str:
        if "error" in event:
            waited = timedelta(seconds=self.planned.config["timeout"])
            if event.get("error_type") == "timeout":
                raise UnansweredError(f"Stage {self.planned.stage!r} was not answered within {waited}.")
            raise AnswerError(f"Stage {self.planned.stage!r} got no answer: {event['error']}")
        chosen = list(event["chosen_options"])
        if len(chosen) != 1 or chosen[0] not in question.options:
            shown = ", ".join(question.options)
            raise AnswerError(f"Stage {self.planned.stage!r} was answered with {chosen}; its options are {shown}.")
        return str(chosen[0])

    def _fields(self, event: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return checked_fields(self.planned.config["fields"], event.get("params_input") or {})
        except AnswerError as error:
            raise AnswerError(f"The answer to stage {self.planned.stage!r} can't be used: {error}.") from None

    def _record(
        self,
        context: Context,
        question: Question,
        event: Mapping[str, Any],
        *,
        choice: str | None,
        fields: Mapping[str, Any],
        error: PeopleError | None = None,
    ) -> str:
        from airflow_agentic.trace.mask import masked
        from airflow_agentic.trace.record import AnswerRecord

        ti, by = context["ti"], event.get("responded_by_user")
        return self.write_record(
            AnswerRecord(
                run=self.run_key(context),
                stage=self.planned.stage,
                task_id=self.task_id,
                map_index=map_index(ti),
                try_number=ti.try_number,
                round=self.planned.round,
                item=self._item(),
                subject=masked(question.subject),
                body=masked(question.body),
                options=question.options,
                assignees=question.assignees,
                asked=question.asked,
                answered=_iso(event.get("responded_at")),
                by=dict(by) if by else None,
                choice=choice,
                fields=masked(dict(fields)),
                timed_out=_is_timed_out(event),
                error=None if error is None else {"kind": error.kind, "message": masked(str(error))},
            )
        )

    def _item(self) -> dict[str, Any] | None:
        """The item, as records have it."""
        if self.given is None:
            return None
        return {"index": self.given["index"], "value": unwrapped(self.given["item"])}


#: What Airflow is given, beside the fields.
_REQUEST = ("subject", "body", "options", "defaults", "multiple", "assigned_users")
#: What people see of it, and Airflow keeps when the task is cleared.
_COMPARED = ("subject", "body", "options", "params", "assigned_users")


def _plain(value: Any) -> Any:
    """Comparable: lists of models as lists of mappings, nothing as null."""
    if isinstance(value, list):
        return [part if isinstance(part, (str, dict)) else part.model_dump() for part in value] or None
    return value or None


def _is_timed_out(event: Mapping[str, Any]) -> bool:
    return bool(event.get("timedout")) or event.get("error_type") == "timeout"


def _name(user: Mapping[str, Any] | None) -> str | None:
    return (user.get("name") or user["id"]) if user else None


def _iso(date: Any) -> str:
    """When it was answered; a task that nobody answered goes on when the time is up, which is now."""
    return date.isoformat() if date else now()

"""
A stage that asks people, and waits for one of them to answer.

It is the standard provider's human-in-the-loop operator, so that the question appears in Airflow's own views and API:
the task writes its question, ends its process, and lies in the state ``awaiting_input`` without a worker's slot.
The answer, or the scheduler when the time is up, starts it again, at :meth:`HumanOperator.go_on`.

An answer that comes within a second or so meets a scheduler that hasn't heard yet that the first process has ended,
takes that end for the second one's, and fails the task. So the task has retries, which ask again.

What is rendered here is data, and no field is a template of Airflow's.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_agentic.errors import AgenticError
from airflow_agentic.operators.base import PlannedOperator, map_index, now
from airflow_agentic.operators.mapped import mapped
from airflow_agentic.operators.people import (
    Answer,
    PeopleError,
    Question,
    StaleQuestionError,
    answer_of,
    default_of,
    options_of,
    params_of,
)
from airflow_agentic.operators.scope import build_scope, run_inputs
from airflow_agentic.operators.xcom import push_output, push_provenance, unwrapped
from airflow_agentic.template.people import SUBMIT
from airflow_agentic.trace.mask import masked
from airflow_agentic.trace.record import AnswerRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import BaseOperator, Context

    from airflow_agentic.operators.mapped import PlannedMappedOperator
    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import PlannedTask

_RETRIES = 2
_RETRY_DELAY = timedelta(seconds=1)
#: What Airflow is given of a question, beside its fields.
_REQUEST = ("subject", "body", "options", "defaults", "multiple", "assigned_users")
#: What people see of it, and Airflow keeps when the task is cleared.
_SHOWN = ("subject", "body", "options", "params", "assigned_users")


class HumanOperator(PlannedOperator, HITLOperator):
    """A task that asks people."""

    template_fields = ()
    ui_color = "#fde2e4"

    #: told when the stage starts to wait, with the error that led here, if one did
    notifications: Sequence[Callable[[Context, Mapping[str, Any]], None]] = ()
    #: in a fan-out, the entry of the list
    given: Any = None

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """Retries are for what isn't the template's doing, nor an answer's: failures of the stage aren't retried."""
        return {**super().settings(planned), "retries": _RETRIES, "retry_delay": _RETRY_DELAY}

    @classmethod
    def mapped(
        cls, planned: PlannedTask, digest: str, *, over: BaseOperator, max_parallel: int | None, **own: Any
    ) -> PlannedMappedOperator:
        """
        The task that asks for each entry of a list.

        :param over: the task that leaves the list, each entry ``{"index", "item"}``.
        :param max_parallel: questions that may be open at once; null for all.
        """
        settings = {
            **cls.settings(planned),
            "max_active_tis_per_dagrun": max_parallel,
            "map_index_template": "{{ task.item_name }}",
        }
        return mapped(cls, planned.task_id, over=over, settings=settings, planned=planned, digest=digest, **own)

    def __init__(self, **kwargs: Any) -> None:
        # The question is rendered when it is asked.
        super().__init__(subject="", options=[SUBMIT], **kwargs)

    @property
    def item_name(self) -> str:
        """What Airflow's UI calls the mapped task."""
        from airflow_agentic.operators.item import name_of

        return name_of([unwrapped(self.given)])

    def work(self, context: Context) -> None:
        """
        Skip, or ask and wait.

        :raises TaskAwaitingInput: Airflow's signal to wait; no error.
        """
        from airflow.sdk.exceptions import TaskAwaitingInput

        scope = self._scope(context)
        self.check_when(context, scope)
        try:
            question = self._question(scope)
            self._show(question, context["ti"])
        except AgenticError as error:
            self._push(context, self.stand_in(context, error, scope.values), recovered="value")
            return
        # Airflow's own time of the question is when it got it, and people can answer since then.
        asked = asdict(replace(question, asked=now()))
        self._notify(context, scope)
        raise TaskAwaitingInput(method_name="go_on", kwargs={"asked": asked}, timeout=self.response_timeout)

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
        run_inputs(context)  # what somebody answers may hold the run's passwords
        answer = answer_of(self.planned.stage, self.planned.config, event)
        record = self._record(context, Question.from_data(asked), answer)
        if answer.error is None:
            self._push(context, answer.output, record=record)
        else:
            value = self.stand_in(context, answer.error, self._scope(context).values)
            self._push(context, value, record=record, recovered="value")

    @property
    def tells_why(self) -> bool:
        """In a fan-out, the reason is for the task that gathers the answers."""
        return self.given is not None or super().tells_why

    def _push(self, context: Context, output: Any, *, record: str | None = None, **how: Any) -> None:
        push_provenance(context["ti"], self.planned, record=record, **how)
        push_output(context["ti"], output)

    def _scope(self, context: Context) -> Scope:
        scope = build_scope(context, self.planned)
        if self.given is None:
            return scope
        return replace(scope, values={**scope.values, **unwrapped(self.given)})

    def _question(self, scope: Scope) -> Question:
        own = self.planned.config
        return Question(
            subject=masked(self._rendered("ask", scope) or ""),
            body=masked(self._rendered("body", scope)),
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
        if self.planned.config["assignees"] and not (assignees and all(assignees)):
            raise PeopleError(f"Stage {self.planned.stage!r}, assignees: nobody is named, so everybody could answer.")
        return assignees

    def _show(self, question: Question, ti: Any) -> None:
        """
        Give the question to Airflow.

        :raises StaleQuestionError: Airflow has one of an earlier try, and keeps it.
        """
        from airflow.sdk.definitions.param import Param, ParamsDict
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        # As the operator's own attributes: there, notifiers find what a link to the question is made of.
        self.subject, self.body, self.options = question.subject, _shown(question.body), list(question.options)
        self.defaults = None if question.default is None else [question.default]
        fields = params_of(self.planned.config["fields"])
        self.params = ParamsDict({name: Param(source="task", **field) for name, field in fields.items()})
        self.assigned_users = [{"id": name, "name": name} for name in question.assignees]
        self.response_timeout = timedelta(seconds=self.planned.config["timeout"])
        request = {"ti_id": ti.id, **{name: getattr(self, name) for name in _REQUEST}}
        wanted = CreateHITLDetailPayload.model_validate({**request, "params": self.serialized_params})
        shown = SUPERVISOR_COMMS.send(wanted)
        stale = [name for name in _SHOWN if _comparable(getattr(shown, name)) != _comparable(getattr(wanted, name))]
        if stale:
            raise StaleQuestionError(
                f"Stage {self.planned.stage!r} can't be asked again with another {' and '.join(stale)}: Airflow keeps "
                "showing the question of the earlier try, and nobody should answer what isn't asked. Start a new run."
            )

    def _notify(self, context: Context, scope: Scope) -> None:
        """Tell those who want to know; that it can't be told is no reason not to ask."""
        why = {name: value for name, value in scope.values.items() if name == "error"}
        for notification in self.notifications:
            try:
                notification(context, why)
            except Exception:
                self.log.exception("The notifier %s failed", getattr(notification, "__name__", notification))

    def _record(self, context: Context, question: Question, answer: Answer) -> str:
        ti = context["ti"]
        error = answer.error
        return self.write_record(
            AnswerRecord(
                run=self.run_key(context),
                stage=self.planned.stage,
                task_id=self.task_id,
                map_index=map_index(ti),
                try_number=ti.try_number,
                round=self.planned.round,
                item=self._item(),
                subject=question.subject,
                body=question.body,
                options=question.options,
                assignees=question.assignees,
                asked=question.asked,
                answered=answer.at or now(),
                by=answer.by,
                choice=answer.choice,
                fields=masked(answer.fields),
                timed_out=answer.timed_out,
                error=None if error is None else {"kind": error.kind, "message": masked(str(error))},
            )
        )

    def _item(self) -> dict[str, Any] | None:
        """The item, as records have it."""
        if self.given is None:
            return None
        entry = unwrapped(self.given)
        return {"index": entry["index"], "value": masked(entry["item"])}


def _shown(body: str | None) -> str | None:
    """The body as Airflow's views may show it, which load the images in it."""
    from airflow_agentic.shown import safe_markdown

    return None if body is None else safe_markdown(body)


def _comparable(value: Any) -> Any:
    """Lists of models as lists of mappings, nothing as null."""
    if isinstance(value, list):
        return [part if isinstance(part, str) else part.model_dump() for part in value] or None
    return value or None

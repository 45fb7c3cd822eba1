"""
A question to people, and their answer, as plain data.

What a question is made of and what counts as an answer is the same wherever it is answered: in Airflow's views,
through its REST API, on a terminal. So it stands here, without Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError
from airflow_agentic.template.people import SUBMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What stands for the failure of the stage where an option may stand.
FAIL = "fail"
#: What a form leaves empty.
_EMPTY: tuple[Any, ...] = ("", [], {})
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


class PeopleError(AgenticError):
    """
    A stage got no answer that it could go on with.

    :param kind: of the language's error kinds.
    """

    kind = "failed"


class UnansweredError(PeopleError):
    """Nobody answered in time, and the template says that the stage fails then."""

    kind = "timeout"


class AnswerError(PeopleError):
    """The answer is none that was asked for."""

    kind = "malformed_output"


class FieldError(AnswerError):
    """The value of a field is missing, unknown, or none that the field takes."""


class StaleQuestionError(PeopleError):
    """Airflow would show people another question than the one that is asked."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    What people are asked.

    :param subject: the headline.
    :param body: Markdown; null for none.
    :param options: at least one, as buttons.
    :param assignees: ids of Airflow's users; empty for everybody.
    :param default: the option that is taken when the time is up; null: the stage fails.
    :param asked: ISO 8601 in UTC.
    """

    subject: str
    body: str | None
    options: tuple[str, ...]
    assignees: tuple[str, ...]
    default: str | None
    asked: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Question:
        """Read a question back that went through JSON."""
        lists = {name: tuple(data[name]) for name in ("options", "assignees")}
        return cls(**{**data, **lists})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    What became of a question.

    :param choice: the option; null when there is none to go on with.
    :param fields: name → value, defaults included.
    :param by: who answered, ``id`` and ``name`` as Airflow knows them; null when nobody did.
    :param at: ISO 8601; null when nobody answered.
    :param error: why there is nothing to go on with; null when there is.
    """

    choice: str | None
    fields: dict[str, Any]
    by: dict[str, str] | None
    timed_out: bool
    at: str | None
    error: PeopleError | None = None

    @property
    def output(self) -> dict[str, Any]:
        """The stage's output."""
        by = (self.by.get("name") or self.by["id"]) if self.by else None
        return {"choice": self.choice, **self.fields, "by": by, "timed_out": self.timed_out}


def answer_of(stage: str, config: Mapping[str, Any], event: Mapping[str, Any]) -> Answer:
    """
    The answer that Airflow tells.

    :param config: the stage's, as in a plan.
    :param event: ``chosen_options``, ``params_input``, ``responded_by_user``, ``responded_at`` and ``timedout``; or
        ``error`` and ``error_type``.
    """
    choice: str | None = None
    fields: dict[str, Any] = {}
    error: PeopleError | None = None
    try:
        choice = _choice(stage, config, event)
        fields = checked_fields(config["fields"], event.get("params_input") or {})
    except FieldError as caught:
        error = AnswerError(f"The answer to stage {stage!r} can't be used: {caught}.")
    except PeopleError as caught:
        error = caught
    by, at = event.get("responded_by_user"), event.get("responded_at")
    return Answer(
        choice=choice,
        fields=fields,
        by=dict(by) if by else None,
        timed_out=bool(event.get("timedout")) or event.get("error_type") == "timeout",
        at=at.isoformat() if at else None,
        error=error,
    )


def _choice(stage: str, config: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    if event.get("error_type") == "timeout":
        raise UnansweredError(f"Stage {stage!r} was not answered within {readable(config['timeout'])}.")
    if "error" in event:
        raise AnswerError(f"Stage {stage!r} got no answer: {event['error']}")
    chosen, options = list(event["chosen_options"]), options_of(config["options"])
    if len(chosen) != 1 or chosen[0] not in options:
        raise AnswerError(f"Stage {stage!r} was answered with {chosen}; its options are {', '.join(options)}.")
    return str(chosen[0])


def options_of(options: Sequence[str]) -> tuple[str, ...]:
    """The buttons of a question."""
    return tuple(options) or (SUBMIT,)


def default_of(on_timeout: str) -> str | None:
    """The option that is taken when the time is up."""
    return None if on_timeout == FAIL else on_timeout


def readable(seconds: float) -> str:
    """A duration in the language's own units: ``2d``, ``1h 30m``, ``0s``."""
    left, parts = max(0, round(seconds)), []
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def params_of(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Fields as arguments of Airflow's ``Param``, which its forms are made of.

    Airflow's forms take an empty field for a missing one, and then can't be submitted, unless null is allowed.

    :param fields: name → JSON Schema with ``default`` and perhaps ``description``.
    """
    return {
        name: {
            "default": field.get("default"),
            "description": field.get("description"),
            "schema": _shown_schema(field),
        }
        for name, field in fields.items()
    }


def _shown_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in field.items() if key not in ("default", "description")}
    if field.get("default") in _EMPTY and isinstance(schema.get("type"), str) and "enum" not in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def checked_fields(fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The fields' values, defaults filled in.

    :param given: what somebody answered.
    :raises FieldError: a value is missing, unknown, or none that its field takes.
    """
    for name in given:
        check_field_name(fields, name)
    return {name: _checked_field(name, field, given) for name, field in fields.items()}


def check_field_name(fields: Mapping[str, Any], name: str) -> None:
    """
    Is there such a field?

    :raises FieldError: no.
    """
    if name not in fields:
        known = f"the fields are {', '.join(fields)}" if fields else "there are no fields"
        raise FieldError(f"{name}: there is no such field; {known}")


def _checked_field(name: str, field: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    from airflow_agentic.template.output import validation_error

    if name not in given:
        if "default" not in field:
            raise FieldError(f"{name}: is required")
        return field["default"]
    problem = validation_error(dict(field), given[name])
    if problem is not None and given[name] is None and "default" in field:
        return field["default"]  # left empty in a form
    if problem is not None:
        raise FieldError(f"{name}: {problem.removeprefix('$: ')}")
    return given[name]

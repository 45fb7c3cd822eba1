"""
A question to people, and their answer, as plain data.

What a question is made of and what counts as an answer is the same wherever it is answered: in Airflow's views,
through its REST API, on a terminal. So it stands here, without Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The one button of a question without options.
SUBMIT = "Submit"
#: What stands for the failure of the stage where an option may stand.
FAIL = "fail"


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


def options_of(options: Sequence[str]) -> tuple[str, ...]:
    """The buttons of a question."""
    return tuple(options) or (SUBMIT,)


def default_of(on_timeout: str) -> str | None:
    """The option that is taken when the time is up."""
    return None if on_timeout == FAIL else on_timeout


def params_of(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Fields as Airflow's forms take them.

    :param fields: name → JSON Schema with ``default`` and perhaps ``description``.
    """
    return {
        name: {
            "value": field.get("default"),
            "description": field.get("description"),
            "schema": {key: value for key, value in field.items() if key not in ("default", "description")},
        }
        for name, field in fields.items()
    }


def checked_fields(fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The fields' values, defaults filled in.

    :param given: what somebody answered.
    :raises AnswerError: a value is missing, unknown, or none that its field takes.
    """
    unknown = [name for name in given if name not in fields]
    if unknown:
        known = f"the fields are {', '.join(fields)}" if fields else "there are no fields"
        raise AnswerError(f"{unknown[0]}: there is no such field; {known}")
    return {name: _checked_field(name, field, given) for name, field in fields.items()}


def _checked_field(name: str, field: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    from airflow_agentic.template.output import validation_error

    if name not in given:
        if "default" not in field:
            raise AnswerError(f"{name}: is required")
        return field["default"]
    problem = validation_error(dict(field), given[name])
    if problem is not None:
        raise AnswerError(f"{name}: {problem.removeprefix('$: ')}")
    return given[name]

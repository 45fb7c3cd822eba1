"""Questions and answers as data: what counts as an answer, and what becomes of none."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_agentic.operators.people import (
    FieldError,
    Question,
    answer_of,
    checked_fields,
    params_of,
    readable,
)

FIELDS: dict[str, dict[str, Any]] = {
    "note": {"type": "string", "default": "", "description": "For the author", "title": "Note"},
    "stars": {"type": "integer", "minimum": 1, "default": 3},
    "name": {"type": "string", "minLength": 1},
}
CONFIG: dict[str, Any] = {"options": ["Yes", "No"], "fields": FIELDS, "timeout": 7200.0}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(*options: str, **fields: Any) -> dict[str, Any]:
    """What Airflow tells of an answer."""
    return {
        "chosen_options": list(options),
        "params_input": fields,
        "responded_by_user": {"id": "7", "name": "Ada"},
        "responded_at": NOON,
        "timedout": False,
    }


def test_an_answer_with_defaults_for_what_was_left_out() -> None:
    answer = answer_of("ask", CONFIG, event("Yes", name="x"))
    assert answer.error is None
    assert answer.output == {"choice": "Yes", "note": "", "stars": 3, "name": "x", "by": "Ada", "timed_out": False}
    assert (answer.by, answer.at) == ({"id": "7", "name": "Ada"}, NOON.isoformat())


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        (
            event("Maybe", name="x"),
            "malformed_output",
            "Stage 'ask' was answered with ['Maybe']; its options are Yes, No.",
        ),
        (event("Yes", "No", name="x"), "malformed_output", "answered with ['Yes', 'No']"),
        (event("Yes"), "malformed_output", "The answer to stage 'ask' can't be used: name: is required."),
        (event("Yes", name=""), "malformed_output", "name: '' should be non-empty"),
        (event("Yes", name=None), "malformed_output", "name: None is not of type 'string'"),
        (event("Yes", name="x", stars=0), "malformed_output", "stars: 0 is less than the minimum of 1"),
        (event("Yes", name="x", other=1), "malformed_output", "other: there is no such field; the fields are note"),
        ({"error": "late", "error_type": "timeout"}, "timeout", "Stage 'ask' was not answered within 2h."),
        ({"error": "broken", "error_type": "unknown"}, "malformed_output", "Stage 'ask' got no answer: broken"),
    ],
)
def test_what_is_no_answer(told: dict[str, Any], kind: str, message: str) -> None:
    answer = answer_of("ask", CONFIG, told)
    assert answer.error is not None
    assert answer.error.kind == kind
    assert message in str(answer.error)
    assert answer.timed_out is (kind == "timeout")


def test_the_option_taken_when_the_time_is_up_is_nobodys() -> None:
    told = {**event("No", name="x"), "responded_by_user": None, "timedout": True}
    output = answer_of("ask", CONFIG, told).output
    assert (output["choice"], output["by"], output["timed_out"]) == ("No", None, True)


def test_one_button_where_there_are_no_options() -> None:
    config = {**CONFIG, "options": [], "fields": {}}
    assert answer_of("ask", config, event("Submit")).output["choice"] == "Submit"
    assert answer_of("ask", config, event("Yes")).error is not None


def test_a_form_leaves_null_where_a_field_is_left_empty() -> None:
    """Airflow's form can't be submitted with an empty field, unless its type allows null, which it then sends."""
    assert params_of(FIELDS) == {
        "note": {
            "default": "",
            "description": "For the author",
            "schema": {"type": ["string", "null"], "title": "Note"},
        },
        "stars": {"default": 3, "description": None, "schema": {"type": "integer", "minimum": 1}},
        "name": {"default": None, "description": None, "schema": {"type": "string", "minLength": 1}},
    }
    assert checked_fields(FIELDS, {"note": None, "name": "x"})["note"] == ""
    nullable = {"note": {"type": ["string", "null"], "default": "unsaid"}}
    assert checked_fields(nullable, {"note": None}) == {"note": None}


def test_fields_that_are_not_there() -> None:
    with pytest.raises(FieldError, match=r"^x: there is no such field; there are no fields$"):
        checked_fields({}, {"x": 1})


def test_a_question_through_json() -> None:
    question = Question(subject="Well?", body=None, options=("Yes", "No"), assignees=(), default=None, asked="2026")
    data = {**asdict(question), "options": ["Yes", "No"], "assignees": []}
    assert Question.from_data(data) == question


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (0.4, "0s"),
        (59.6, "1m"),
        (90, "1m 30s"),
        (7200, "2h"),
        (172_800, "2d"),
        (90_061, "1d 1h 1m 1s"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert readable(seconds) == text

"""The small parts that agents share: valid data, waits that were asked for, schemas for models, credentials."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.agents.llm_schema import from_model, to_model
from airflow_agentic.agents.redaction import without_secrets
from airflow_agentic.agents.retry_after import LONGEST_WAIT, retry_after
from airflow_agentic.agents.validate import MalformedOutput, checked_output, data_problem, parse_json

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_plain_data_survives_as_it_is(value: Any) -> None:
    assert checked_output(value, {}) == value
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": object()}, "\udfff", {"a": {1, 2}}])
def test_what_is_no_plain_data_is_named(value: Any) -> None:
    assert data_problem(value) is not None
    with pytest.raises(MalformedOutput) as caught:
        checked_output(value, {})
    assert data_problem(caught.value.reply) is None, "the record must be able to hold it"


def test_data_that_holds_itself_or_is_too_deep_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "standard JSON" in (data_problem(loop) or "")
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert data_problem(deep) == "The output is nested too deeply."


@given(st.text(max_size=30))
def test_any_header_is_no_wait_or_a_sensible_one(text: str) -> None:
    seconds = retry_after({"Retry-After": text})
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0.5", 0.5), ("-3", 0), ("1e99", LONGEST_WAIT), ("nan", None), ("soon", None), ("", None)],
)
def test_waits_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_a_date_is_read_against_the_date_of_the_reply() -> None:
    theirs = datetime(2020, 1, 1, tzinfo=UTC)
    headers = {"Date": format_datetime(theirs, usegmt=True)}
    for wait in (90, 0):
        until = format_datetime(theirs + timedelta(seconds=wait), usegmt=True)
        assert retry_after({**headers, "Retry-After": until}) == wait
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "array"}, {"type": ["object", "null"]}, {"type": "integer"}, {"anyOf": [{"type": "object"}]}],
)
@given(value=plain)
def test_schemas_that_are_no_objects_go_through_one(schema: dict[str, Any], value: Any) -> None:
    asked = to_model(schema)
    assert asked is not None
    assert asked["type"] == "object"
    (name,) = asked["required"]
    assert from_model({name: value}, schema) == (value, None)
    assert from_model(value if not isinstance(value, dict) else [value], schema)[1] is not None


def test_an_object_is_asked_for_as_it_is() -> None:
    schema = {"type": "object", "properties": {"output": {}}}
    assert to_model(schema) == schema
    assert from_model({"output": 1}, schema) == ({"output": 1}, None)
    assert to_model(None) is None


def test_credentials_are_left_out() -> None:
    given_values = {"max_tokens": 5, "extra_headers": {"Authorization": "x", "X-Auth-Token": "y", "X-Team": "z"}}
    assert without_secrets(given_values) == {
        "max_tokens": 5,
        "extra_headers": {"Authorization": "***", "X-Auth-Token": "***", "X-Team": "z"},
    }

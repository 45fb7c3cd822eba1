"""Answers of a command line: what they are for, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.pipelines import plan_of_text

from airflow_agentic.cli.answers import Given, read_answers
from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.planning.plan import Plan

TEMPLATE = """\
version: 1
stages:
  ask:
    human:
      ask: Well?
      options: ["Yes", "No"]
      fields: {note: {type: string, default: ""}, number: {type: integer, default: 1}}
      timeout: 1h
      on_timeout: "No"
  form: {human: {ask: Name?, fields: {name: string}, timeout: 1h, on_timeout: fail}}
  inner: {pipeline: {stages: {ask: {human: {ask: Well?, options: [A, B], timeout: 1h, on_timeout: A}}}, output: {}}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of_text(tmp_path, TEMPLATE)


def answer(choice: str, **fields: Any) -> Given:
    return Given(choice=choice, fields=fields)


def test_options_and_fields_go_together(plan: Plan) -> None:
    answers = read_answers(plan, ["ask.note=2026", "ask=Yes", "ask.number=2", "form.name=Ada", "inner.ask=B"])
    assert answers.take("ask") == answer("Yes", note="2026", number=2)
    assert answers.take("form") == answer("Submit", name="Ada")
    assert answers.take("inner.ask") == answer("B")
    assert answers.unanswered == []


def test_what_is_set_twice_is_for_the_next_question_and_the_last_for_all_others(plan: Plan) -> None:
    answers = read_answers(plan, ["ask=Yes", "ask.note=a", "ask=No", "ask.note=b", "form.name=x", "form.name=y"])
    first, second = answer("Yes", note="a", number=1), answer("No", note="b", number=1)
    assert [answers.take("ask") for _ in range(4)] == [first, second, second, second]
    assert [answers.take("form") for _ in range(3)] == [
        answer("Submit", name="x"),
        answer("Submit", name="y"),
        answer("Submit", name="y"),
    ]
    assert answers.unanswered == ["inner.ask"]
    assert answers.take("inner.ask") is None
    assert answers.hint("inner.ask") == "--answer inner.ask=A|B"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["ask"], "--answer takes STAGE=OPTION or STAGE.FIELD=VALUE, not 'ask'."),
        (["=Yes"], "--answer takes STAGE=OPTION or STAGE.FIELD=VALUE, not '=Yes'."),
        (["aks=Yes"], "--answer aks: no such stage asks people; did you mean 'ask'?"),
        (["zzz=Yes"], "--answer zzz: no such stage asks people; people are asked by ask, form, inner.ask"),
        (["ask=yes"], "--answer ask: there is no option 'yes'; write one of Yes, No."),
        (["ask.note=x"], "--answer ask: an option is missing; add ask=OPTION, one of Yes, No."),
        (["ask.nte=x"], "--answer ask.nte: there is no such field; the fields are note, number."),
        (["ask=Yes", "ask.nte=x"], "--answer ask.nte: there is no such field; the fields are note, number."),
        (["ask=Yes", "ask.number=x"], "--answer ask.number: 'x' is not of type 'integer'."),
        (["form=Submit"], "--answer form.name: is required."),
        (["inner.ask=A", "inner.ask.x=1"], "--answer inner.ask.x: there is no such field; there are no fields."),
    ],
)
def test_answers_to_nothing_that_is_asked(plan: Plan, pairs: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_answers(plan, pairs)
    assert str(caught.value) == message


def test_a_template_that_asks_nobody(tmp_path: Path) -> None:
    plan = plan_of_text(tmp_path, 'version: 1\nstages: {a: {agent: {type: python, callable: "a:b"}}}\n')
    assert read_answers(plan, []).unanswered == []
    with pytest.raises(InputError, match="this template asks nobody"):
        read_answers(plan, ["a=Yes"])

"""
Answers to the people's stages of a run, given beforehand on the command line, and checked before anything runs.

Several answers to one stage are for several questions, as in a loop or for each item: they are used in their order,
the last one for all questions that follow.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.cli.inputs import read_value
from airflow_agentic.errors import InputError
from airflow_agentic.operators.people import FieldError, check_field_name, checked_fields, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_agentic.planning.plan import Plan


@dataclass(kw_only=True)
class Given:
    """
    One answer.

    :param choice: the option.
    :param fields: name → value; those left out have their defaults.
    """

    choice: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class Answers:
    """
    The answers that a run has been given.

    :param people: stage → its config, as in a plan.
    :param given: stage → its answers, in order.
    """

    def __init__(self, people: Mapping[str, Mapping[str, Any]], given: Mapping[str, Sequence[Given]]) -> None:
        self.people = people
        self._given = {stage: list(answers) for stage, answers in given.items()}

    @property
    def unanswered(self) -> list[str]:
        """The stages that may ask and have been given no answer."""
        return [stage for stage in self.people if stage not in self._given]

    def take(self, stage: str) -> Given | None:
        """The answer to a stage's next question, if there is one."""
        answers = self._given.get(stage)
        if not answers:
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def hint(self, stage: str) -> str:
        """How an answer to a stage can be given."""
        return f"--answer {stage}={'|'.join(options_of(self.people[stage]['options']))}"


def people_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """The stages that may ask people, each with its config."""
    return {task.stage: task.config for task in plan.tasks if "ask" in task.config}


def read_answers(plan: Plan, pairs: Sequence[str]) -> Answers:
    """
    The answers of a command line.

    :param pairs: ``STAGE=OPTION`` or ``STAGE.FIELD=VALUE`` each.
    :raises InputError: one of them answers nothing that is asked.
    """
    people = people_of(plan)
    given: dict[str, list[Given]] = {}
    for pair in pairs:
        target, equals, text = pair.partition("=")
        if not equals or not target:
            raise InputError(f"--answer takes STAGE=OPTION or STAGE.FIELD=VALUE, not {pair!r}.")
        stage, name = _target(people, target)
        answers = given.setdefault(stage, [Given()])
        _put(people[stage], answers, stage, name, text)
    for stage, answers in given.items():
        for answer in answers:
            _complete(people[stage], stage, answer)
    return Answers(people, given)


def _target(people: Mapping[str, Any], target: str) -> tuple[str, str | None]:
    """The stage, and the field of it; stages of inner pipelines have dots in their names, too."""
    from airflow_agentic.template.hints import did_you_mean

    stage, dot, name = target.rpartition(".")
    if target in people:
        return target, None
    if dot and stage in people:
        return stage, name
    known = f"people are asked by {', '.join(people)}" if people else "this template asks nobody"
    raise InputError(f"--answer {target}: no such stage asks people; {did_you_mean(target, people) or known}")


def _put(config: Mapping[str, Any], answers: list[Given], stage: str, name: str | None, text: str) -> None:
    """
    Add to the last answer; what would be set twice begins the next one.

    :raises InputError: there is no such option, or field.
    """
    if name is None:
        options = options_of(config["options"])
        if text not in options:
            raise InputError(f"--answer {stage}: there is no option {text!r}; write one of {', '.join(options)}.")
        if answers[-1].choice is not None:
            answers.append(Given())
        answers[-1].choice = text
        return
    with _about(stage):
        check_field_name(config["fields"], name)
    if name in answers[-1].fields:
        answers.append(Given())
    answers[-1].fields[name] = read_value(text, config["fields"][name])


def _complete(config: Mapping[str, Any], stage: str, answer: Given) -> None:
    """
    See that an answer is whole; where there is one button, it needs no naming.

    :raises InputError: it isn't.
    """
    options = options_of(config["options"])
    if answer.choice is None and len(options) > 1:
        raise InputError(f"--answer {stage}: an option is missing; add {stage}=OPTION, one of {', '.join(options)}.")
    answer.choice = answer.choice or options[0]
    with _about(stage):
        answer.fields = checked_fields(config["fields"], answer.fields)


@contextmanager
def _about(stage: str) -> Iterator[None]:
    """What is wrong with a field, as a mistake on the command line."""
    try:
        yield
    except FieldError as error:
        raise InputError(f"--answer {stage}.{error}.") from None

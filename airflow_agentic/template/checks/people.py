"""Questions to people: answers that can be given, and an end when nobody gives one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.people import RESERVED, SUBMIT

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Stage


def check(checking: Checking) -> None:
    """Options and fields have names of their own, and waiting ends with one of the options or a failure."""
    for stage in checking.template.stages.values():
        if isinstance(stage.spec, models.HumanStage):
            _check_words(checking, stage, stage.spec.human)
            _check_end(checking, stage, stage.spec.human)


def _check_words(checking: Checking, stage: Stage, human: models.HumanSpec) -> None:
    loc = (*stage.loc, "human")
    for index, option in enumerate(human.options):
        place = (*loc, "options", index)
        if option in RESERVED:
            checking.report(
                "AGT216", f"'{option}' is reserved and can't be an option", place, hint="write another word"
            )
        elif option in human.options[:index] or not option.strip():
            message = f"the option '{option}' stands here twice" if option.strip() else "an option is empty"
            checking.report("AGT216", message, place, hint="each option is a button of its own")
    for name in human.fields:
        if name in (*RESERVED, "_options"):
            message = f"'{name}' is reserved and can't be a field's name"
            checking.report("AGT216", message, (*loc, "fields", name), key=True, hint="write another name")


def _check_end(checking: Checking, stage: Stage, human: models.HumanSpec) -> None:
    loc, options = (*stage.loc, "human"), human.options or [SUBMIT]
    if human.on_timeout == "fail":
        return
    if human.on_timeout not in options:
        hint = did_you_mean(human.on_timeout, (*options, "fail")) or f"write one of {listed(options)}, or fail"
        message = f"'{human.on_timeout}' is no option of '{stage.name}'"
        checking.report("AGT459", message, (*loc, "on_timeout"), hint=hint)
    for name, field in human.fields.items():
        if "default" not in field:
            message = f"the field '{name}' has no value when nobody answers in time"
            checking.report(
                "AGT459", message, (*loc, "fields", name), key=True, hint="give it a default, or on_timeout: fail"
            )

"""Stages that are pipelines: what they are handed, and what can be repeated inside of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.expressions import is_text
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.inputs import unfit
from airflow_agentic.template.texts import nested

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Stage, Template


def check(checking: Checking) -> None:
    """A pipeline is handed what it takes, and isn't repeated around what is repeated."""
    for stage in checking.template.stages.values():
        if stage.pipeline is None or not isinstance(stage.spec, models.PipelineStage):
            continue
        if isinstance(stage.spec.pipeline, str):
            _check_inputs(checking, stage, stage.pipeline, stage.spec.input or {})
        if stage.for_each is not None:
            _check_repeated(checking, stage, stage.pipeline)


def _check_inputs(checking: Checking, stage: Stage, inner: Template, given: dict[str, object]) -> None:
    for name, value in given.items():
        place = (*stage.loc, "input", name)
        if name not in inner.inputs:
            hint = did_you_mean(name, inner.inputs)
            hint = hint or (f"it takes {listed(inner.inputs)}" if inner.inputs else "it takes no inputs")
            message = f"the pipeline of '{stage.name}' takes no input '{name}'"
            checking.report("AGT472", message, place, key=True, hint=hint)
        elif all(is_text(text) for _, text in nested(value, ())):
            error = unfit(inner.inputs[name].schema, value)
            if error is not None:
                message = f"the value doesn't fit the input '{name}' of the pipeline: {error}"
                checking.report("AGT472", message, place)
    missing = [name for name, spec in inner.inputs.items() if spec.required and name not in given]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing)
        message = f"the pipeline of '{stage.name}' needs {shown}"
        place = (*stage.loc, "input") if given else (*stage.loc, "pipeline")
        hint = f"write input: {{{missing[0]}: …}}, or give the input a default in its file"
        checking.report("AGT472", message, place, key=True, hint=hint)


def _check_repeated(checking: Checking, stage: Stage, inner: Template) -> None:
    """Airflow can't repeat a group of tasks inside of one that it repeats."""
    for each in inner.stages.values():
        if each.for_each is not None and each.kind in ("human", "pipeline"):
            what = "a pipeline" if each.kind == "pipeline" else "a stage for people"
            message = f"'{each.name}' is {what} repeated for each item, inside of a pipeline that is repeated itself"
            hint = "only a stage with an agent can have for_each there"
            here = inner.source is checking.template.source
            place = (*each.loc, "for_each") if here else (*stage.loc, "pipeline")
            checking.report("AGT473", message, place, key=True, hint=hint)
        if each.pipeline is not None:
            _check_repeated(checking, stage, each.pipeline)

"""Answers that are used again: not those of agents with tools, unless that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.uses import cache_of, has_tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Stage, Template


def check(checking: Checking) -> None:
    """What a stage's cache says about tools is true; the defaults' is for some stage."""
    if not checking.sound:
        return
    for stage in checking.template.stages.values():
        if isinstance(stage.spec, models.AgentStage) and stage.spec.cache is not None:
            _check_tools(checking, stage, stage.spec.cache)
    if checking.template.spec.defaults.cache is not None and not checking.in_place:
        _check_defaults(checking, checking.template.spec.defaults.cache)


def _check_tools(checking: Checking, stage: Stage, cache: models.Cache) -> None:
    loc = (*stage.loc, "cache")
    if not cache.tools and has_tools(checking.template, stage.agent):
        message = f"'{stage.agent}' has tools: an answer that is used again doesn't ask them"
        hint = "write tools: true in it if that is fine, or leave out cache"
        checking.report("AGT480", message, loc, key=True, hint=hint)
    elif cache.tools and not any(has_tools(checking.template, name) for name in _agents_of(stage)):
        message = f"no agent of '{stage.name}' has tools"
        checking.report("AGT481", message, (*loc, "tools"), key=True, hint="leave it out", severity="warning")


def _agents_of(stage: Stage) -> list[str | None]:
    return [stage.agent, *(entry.agent for entry in stage.recoveries)]


def _check_defaults(checking: Checking, cache: models.Cache) -> None:
    loc = ("defaults", "cache")
    following = [each for each in _worked_on(checking.template) if "cache" not in each[1].spec.model_fields_set]
    asked = (has_tools(template, name) for template, stage in following for name in _agents_of(stage))
    if not any(cache_of(template, stage) for template, stage in following):
        hint = "their agents have tools: write tools: true if that is fine" if following else "leave it out"
        message = "no stage has its cache from the defaults"
        checking.report("AGT481", message, loc, key=True, hint=hint, severity="warning")
    elif cache.tools and not any(asked):
        message = "no agent that the defaults' cache is for has tools"
        checking.report("AGT481", message, (*loc, "tools"), key=True, hint="leave it out", severity="warning")


def _worked_on(template: Template) -> Iterator[tuple[Template, Stage]]:
    """The stages of agents that the file's defaults are for, each with the pipeline that it is in."""
    for stage in template.stages.values():
        if stage.kind == "agent":
            yield template, stage
        elif stage.pipeline is not None and stage.pipeline.agents is template.agents:
            yield from _worked_on(stage.pipeline)

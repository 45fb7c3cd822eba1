"""What is worth knowing about a stage at first sight, in a few short lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from airflow_agentic.template import models
from airflow_agentic.template.expressions import bare
from airflow_agentic.template.people import SUBMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.template.template import Stage, Template


def agent_type(stage: Stage, template: Template) -> Literal["llm", "http", "python"]:
    """What kind of agent works on a stage."""
    spec = template.agents[stage.agent or ""].spec
    return next(kind for kind, model in _TYPES if isinstance(spec, model))


_TYPES: tuple[tuple[Literal["llm", "http", "python"], type[models.AgentBase]], ...] = (
    ("llm", models.LlmAgent),
    ("http", models.HttpAgent),
    ("python", models.PythonAgent),
)


def notes_of(stage: Stage, template: Template) -> tuple[str, ...]:
    """Who works on it, on what list, under which condition, and who stands in."""
    return (*_worker(stage, template), *_list(stage), *_when(stage), *_stand_ins(stage))


def _worker(stage: Stage, template: Template) -> Iterator[str]:
    spec = stage.spec
    if isinstance(spec, models.AgentStage):
        kind = agent_type(stage, template)
        yield f"{kind} agent" if stage.agent == stage.name else f"{stage.agent} · {kind} agent"
    elif isinstance(spec, models.MergeStage):
        needed = f", {spec.merge.require} of {len(spec.merge.from_)}" if spec.merge.require else ""
        yield f"merge: {spec.merge.how}{needed}"
    elif isinstance(spec, models.HumanStage):
        yield " / ".join(spec.human.options) or SUBMIT
    elif isinstance(spec.pipeline, str):
        yield f"pipeline {spec.pipeline}"


def _list(stage: Stage) -> Iterator[str]:
    if stage.for_each is not None:
        yield f"for each {one_line(stage.for_each)}"


def _when(stage: Stage) -> Iterator[str]:
    if stage.spec.when is not None:
        yield f"when {one_line(stage.spec.when)}"


def _stand_ins(stage: Stage) -> Iterator[str]:
    for recovery in stage.recoveries:
        if recovery.form != "to":
            yield f"on error: {recovery.agent if recovery.form == 'agent' else 'a fixed value'}"


def one_line(expression: str) -> str:
    """A condition, or a list's expression, without braces and line ends."""
    return " ".join(bare(expression).split())

"""The stages of a template, or of an inner pipeline, as its author wrote them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.agents import add_agent
from airflow_agentic.template.structure import check_name, read_stage
from airflow_agentic.template.template import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc
    from airflow_agentic.template.structure import StageSpec
    from airflow_agentic.template.template import Agent, Recovery, Template


@dataclass(kw_only=True)
class Loading:
    """
    What is shared by all files that one template is made of.

    :param root: the folder that they can't leave.
    :param problems: of the shape of everything.
    :param found: by the checks of inner pipelines.
    :param files: the texts of the other files, by their path from the template's folder.
    :param pipelines: templates that were read to be pipelines, by path; None for one with problems.
    :param copied: how many stages of them stand in others.
    """

    root: Path
    problems: list[Problem]
    found: list[Problem] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    pipelines: dict[Path, Template | None] = field(default_factory=dict)
    copied: int = 0


@dataclass(frozen=True, kw_only=True)
class Scope:
    """
    Where stages stand, and what their words refer to.

    :param name: the template's, or the inner pipeline's.
    :param path: of the file.
    :param agents: where agents written in place join the others.
    :param prefix: before the names of those agents.
    :param recoveries: what ``defaults`` say of errors.
    :param outer: the names of the stages around an inner pipeline.
    :param open: the files that are being read, the first one outermost.
    :param depth: how many pipelines are around it.
    """

    reader: Reader
    loading: Loading
    name: str
    path: Path
    agents: dict[str, Agent]
    defaults: models.Defaults
    prefix: str = ""
    recoveries: tuple[Recovery, ...] = ()
    outer: tuple[str, ...] = ()
    open: tuple[Path, ...] = ()
    depth: int = 0


def read_stages(scope: Scope, data: dict[str, Any], loc: Loc) -> dict[str, Stage]:
    """All stages; agents written in place join the others under the stage's name."""
    return {name: _read(scope, name, value, (*loc, name), data) for name, value in data.items()}


def _read(scope: Scope, name: str, value: Any, loc: Loc, names: dict[str, Any]) -> Stage:
    check_name(scope.reader, name, loc)
    spec = read_stage(scope.reader, value, loc, scope.defaults.agent is not None)
    if spec is None:
        # It stays known, so that what reads it isn't blamed for its problems.
        spec, value = models.AgentStage(agent={}), {}
    agent = _agent(scope, name, spec, loc) if isinstance(spec, models.AgentStage) else None
    more: dict[str, Any] = {}
    if spec.routes or "on_error" in value or scope.recoveries:
        more = _control(scope, name, spec, loc, tuple(names), own="on_error" in value)
    if isinstance(spec, models.HumanStage) and spec.human.fields:
        from airflow_agentic.template.people import read_fields

        spec = read_fields(scope.reader, spec, loc)
    elif isinstance(spec, models.PipelineStage):
        from airflow_agentic.template.pipelines import read_pipeline

        more["pipeline"] = read_pipeline(scope, name, spec, loc, tuple(names))
    return Stage(name=name, spec=spec, loc=loc, agent=agent, **more)


def _agent(scope: Scope, name: str, spec: models.AgentStage, loc: Loc) -> str | None:
    """The name of a stage's agent."""
    if not isinstance(spec.agent, dict):
        return spec.agent or scope.defaults.agent
    own, agents = f"{scope.prefix}{name}", scope.agents
    agent = f"{own}__agent" if own in agents else own
    if agent in agents:
        message = f"the agent '{agent}' has the name of the one written in place in stage '{name}'"
        scope.reader.error("AGT211", message, (*loc, "agent"), "rename the other one", key=True)
    elif spec.agent:
        add_agent(scope.reader, agents, agent, spec.agent, (*loc, "agent"))
    return agent


def _control(
    scope: Scope, name: str, spec: StageSpec, loc: Loc, names: tuple[str, ...], *, own: bool
) -> dict[str, Any]:
    """The routes of a stage, and what it does about errors: its own entries, or those of the defaults that suit it."""
    from airflow_agentic.template.control import Targets, read_recoveries, read_routes

    targets = Targets(reader=scope.reader, stage=name, stages=names, outer=scope.outer)
    routes = read_routes(targets, spec.routes, (*loc, "routes"))
    works = isinstance(spec, models.AgentStage)
    if not own:
        kept = [entry for entry in scope.recoveries if entry.to != name and (works or entry.form != "agent")]
        return {"routes": routes, "recoveries": tuple(kept)}
    backup = f"{scope.prefix}{name}__backup"
    recoveries = read_recoveries(targets, spec.on_error, (*loc, "on_error"), scope.agents, backup)
    for entry in recoveries if not works else ():
        if entry.form == "agent":
            message = f"'{name}' has no agent that another one could stand in for"
            scope.reader.error(
                "AGT210", message, (*entry.loc, "agent"), "recover with value:, or go on with to:", key=True
            )
    return {"routes": routes, "recoveries": tuple(entry for entry in recoveries if works or entry.form != "agent")}

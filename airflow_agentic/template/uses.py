"""What stages make of agents: which ones they use, whose answers are kept, how often they call at least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.template.template import Agent, Stage, Template


def used_agents(template: Template) -> Iterator[Agent]:
    """The agents that work on stages or stand in, those of inner pipelines included; one may come several times."""
    agents = template.agents
    for stage in template.stages.values():
        if stage.agent in agents:
            yield agents[stage.agent]
        if stage.recoveries:
            yield from (agents[entry.agent] for entry in stage.recoveries if entry.agent in agents)
        if stage.pipeline is not None:
            yield from used_agents(stage.pipeline)


def has_tools(template: Template, name: str | None) -> bool:
    """Whether an agent is a model with tools."""
    agent = template.agents.get(name or "")
    return agent is not None and isinstance(agent.spec, models.LlmAgent) and bool(agent.spec.tools)


def cache_of(template: Template, stage: Stage) -> models.Cache | None:
    """
    How long a stage's answers are used again: what it says itself, or else the defaults.

    Those leave out stages whose agent has tools, unless they name them.
    """
    if not isinstance(stage.spec, models.AgentStage):
        return None
    if "cache" in stage.spec.model_fields_set:
        return stage.spec.cache
    cache = template.spec.defaults.cache
    return None if cache is not None and not cache.tools and has_tools(template, stage.agent) else cache


def least_calls(template: Template) -> int:
    """
    How many calls a run makes at least that ends well: one of each agent that works whatever happens.

    Not counted are lists, which may be empty, and stages with a cache, whose answers may be there.
    """
    surely = [stage for name, stage in template.stages.items() if name not in template.optional_stages]
    return sum(_least_calls_of(template, stage) for stage in surely if stage.for_each is None)


def _least_calls_of(template: Template, stage: Stage) -> int:
    if stage.kind == "agent":
        return int(cache_of(template, stage) is None)
    if stage.pipeline is None or stage.recoveries or _may_fail(template, stage.name):
        return 0
    return least_calls(stage.pipeline)


def _may_fail(template: Template, name: str) -> bool:
    """Whether a merge copes with a stage's failure."""
    merges = (stage.spec.merge for stage in template.stages.values() if isinstance(stage.spec, models.MergeStage))
    return any(merge.require is not None and name in merge.from_ for merge in merges)

"""Agents and the stages that they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.uses import used_agents

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Agent, Recovery, Stage, Template


def check_agents_exist(checking: Checking) -> None:
    """Every agent that a stage, an entry of ``on_error`` or the defaults name is declared."""
    template = checking.template
    declared = [agent.name for agent in template.agents.values() if agent.loc[0] == "agents"]
    named = [(stage.loc, getattr(stage.spec, "agent", None)) for stage in template.stages.values()]
    named.append((("defaults",), template.spec.defaults.agent))
    for stage in template.stages.values():
        if stage.recoveries:
            named += [(entry.loc, entry.agent) for entry in stage.recoveries if not _is_own(template, entry)]
    for loc, name in named:
        if isinstance(name, str) and name not in declared:
            hint = did_you_mean(name, declared)
            if hint is None:
                hint = f"the agents are {listed(declared)}" if declared else "declare it in agents:"
            checking.report("AGT405", f"there is no agent '{name}'", (*loc, "agent"), hint=hint)


def _is_own(template: Template, entry: Recovery) -> bool:
    """Whether an entry's agent is written in place."""
    agent = template.agents.get(entry.agent or "")
    return agent is not None and agent.loc == (*entry.loc, "agent")


def check_prompts(checking: Checking) -> None:
    """A model has a prompt, and nothing else has one."""
    template = checking.template
    for stage in template.stages.values():
        if not isinstance(stage.spec, models.AgentStage) or stage.agent is None:
            continue
        names = [stage.agent]
        if stage.recoveries:
            names += [entry.agent for entry in stage.recoveries if entry.agent is not None]
        agents = [template.agents[name] for name in names if name in template.agents]
        if stage.spec.prompt is None:
            _check_prompt_there(checking, stage, agents)
        elif agents and not any(isinstance(agent.spec, models.LlmAgent) for agent in agents):
            _check_prompt_read(checking, stage, agents[0])


def _check_prompt_there(checking: Checking, stage: Stage, agents: list[Agent]) -> None:
    for agent in agents:
        if isinstance(agent.spec, models.LlmAgent) and agent.spec.prompt is None:
            message = f"neither the stage nor its agent '{agent.name}' has a prompt"
            checking.report("AGT411", message, stage.loc, key=True, hint="add prompt: to the stage")


def _check_prompt_read(checking: Checking, stage: Stage, agent: Agent) -> None:
    if isinstance(agent.spec, (models.HttpAgent, models.PythonAgent)):
        message = f"'{agent.name}' is a {agent.spec.type} agent: it takes no prompt"
        checking.report("AGT412", message, (*stage.loc, "prompt"), key=True, hint="hand it data in `input`")


def check_agents_used(checking: Checking) -> None:
    """An agent of this file that nobody uses is odd."""
    template = checking.template
    used = {id(agent) for agent in used_agents(template)}
    for agent in template.agents.values():
        if id(agent) not in used and agent.loc[0] == "agents" and agent.source is template.source:
            message = f"no stage uses the agent '{agent.name}'"
            checking.report("AGT413", message, agent.loc, key=True, severity="warning")


CHECKS = (check_agents_exist, check_prompts)

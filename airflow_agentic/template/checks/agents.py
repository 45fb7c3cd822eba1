"""Agents and the stages that they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, listed

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking


def check_agents_exist(checking: Checking) -> None:
    """Every agent that a stage or the defaults name is declared."""
    template = checking.template
    declared = [agent.name for agent in template.agents.values() if agent.loc[0] == "agents"]
    named = [(stage.loc, getattr(stage.spec, "agent", None)) for stage in template.stages.values()]
    named.append((("defaults",), template.spec.defaults.agent))
    for loc, name in named:
        if isinstance(name, str) and name not in declared:
            hint = did_you_mean(name, declared)
            if hint is None:
                hint = f"the agents are {listed(declared)}" if declared else "declare it in agents:"
            checking.report("AGT405", f"there is no agent '{name}'", (*loc, "agent"), hint=hint)


def check_prompts(checking: Checking) -> None:
    """A model has a prompt, and nothing else has one."""
    template = checking.template
    for stage in template.stages.values():
        agent = template.agents.get(stage.agent or "")
        if agent is None or not isinstance(stage.spec, models.AgentStage):
            continue
        if isinstance(agent.spec, models.LlmAgent):
            if stage.spec.prompt is None and agent.spec.prompt is None:
                message = f"neither the stage nor its agent '{agent.name}' has a prompt"
                checking.report("AGT411", message, stage.loc, key=True, hint="add prompt: to the stage")
        elif isinstance(agent.spec, (models.HttpAgent, models.PythonAgent)) and stage.spec.prompt is not None:
            message = f"'{agent.name}' is a {agent.spec.type} agent: it takes no prompt"
            checking.report("AGT412", message, (*stage.loc, "prompt"), key=True, hint="hand it data in `input`")


def check_agents_used(checking: Checking) -> None:
    """An agent of this file that nobody uses is odd."""
    template = checking.template
    used = {stage.agent for stage in template.stages.values()}
    for agent in template.agents.values():
        if agent.name not in used and agent.loc[0] == "agents" and agent.source is template.source:
            message = f"no stage uses the agent '{agent.name}'"
            checking.report("AGT413", message, agent.loc, key=True, severity="warning")


CHECKS = (check_agents_exist, check_prompts, check_agents_used)

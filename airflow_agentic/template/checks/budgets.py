"""What a run may spend: bounds that something counts against, and prices that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.pipelines import inner_pipelines
from airflow_agentic.template.uses import least_calls, used_agents

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Agent, Template

_LOC = ("budget",)


def check(checking: Checking) -> None:
    """The budget of a whole template, or what those of its pipelines say instead."""
    budget = checking.template.spec.budget
    if budget is None:
        _check_pipelines(checking, checking.template)
    elif checking.sound and _is_whole(checking.template):
        agents = list({id(agent): agent for agent in used_agents(checking.template)}.values())
        is_counted = _check_counted(checking, budget, agents)
        if is_counted and budget.cost_usd is not None:
            _check_prices(checking, [agent for agent in agents if isinstance(agent.spec, models.LlmAgent)])
        if budget.calls is not None and checking.template.cycle is None:
            _check_least(checking, budget.calls)


def _is_whole(template: Template) -> bool:
    """Whether all pipelines could be read."""
    return all(
        stage.kind != "pipeline" or (stage.pipeline is not None and _is_whole(stage.pipeline))
        for stage in template.stages.values()
    )


def _check_pipelines(checking: Checking, template: Template) -> None:
    """Other files' budgets are for runs of their own; somebody may rely on them."""
    for stage in template.stages.values():
        inner = stage.pipeline
        if inner is None:
            continue
        if inner.source is checking.template.source:
            _check_pipelines(checking, inner)
        elif any(each.spec.budget is not None for each in (inner, *inner_pipelines(inner))):
            message = f"the budget in the pipeline of '{stage.name}' doesn't count: a run has that of its own template"
            hint = "write budget: in this template"
            checking.report("AGT483", message, (*stage.loc, "pipeline"), hint=hint, severity="warning")


def _check_counted(checking: Checking, budget: models.Budget, agents: list[Agent]) -> bool:
    """Whether a model is used, whose tokens and cost count."""
    is_model = any(isinstance(agent.spec, models.LlmAgent) for agent in agents)
    for name in models.Budget.model_fields:
        if getattr(budget, name) is not None and not (is_model or (agents and name == "calls")):
            message = f"nothing counts against '{name}': no stage uses {'an agent' if name == 'calls' else 'a model'}"
            hint = "http and python agents count in calls only" if agents else None
            checking.report("AGT483", message, (*_LOC, name), key=True, hint=hint, severity="warning")
    return is_model


def _check_prices(checking: Checking, agents: list[Agent]) -> None:
    """A connection's own model, and prices of one's own, are known only when a run asks for them."""
    named = [(agent, agent.spec.model) for agent in agents if isinstance(agent.spec, models.LlmAgent)]
    try:
        unknown = [(agent, model) for agent, model in named if model is not None and not _is_known(model)]
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "genai_prices":
            raise
        message = "no price can be looked up: genai-prices isn't installed here"
        hint = "pip install 'airflow-agentic[llm]'"
        checking.report("AGT482", message, (*_LOC, "cost_usd"), key=True, hint=hint, severity="warning")
        return
    for agent, model in unknown:
        message = f"no price of '{model}' is known, so '{checking.template.name}' can't keep to its cost_usd"
        hint = "if you know it, leave out model: here, and write model and prices into the connection"
        checking.problems.append(agent.source.problem("AGT482", message, (*agent.loc, "model"), hint=hint))


def _is_known(model: str) -> bool:
    from airflow_agentic.limits.prices import is_known

    return is_known(model)


def _check_least(checking: Checking, calls: int) -> None:
    least = least_calls(checking.template)
    if least > calls:
        message = f"a run that ends well makes at least {least} calls, more than the budget has"
        hint = f"write calls: {least} or more"
        checking.report("AGT484", message, (*_LOC, "calls"), hint=hint, severity="warning")

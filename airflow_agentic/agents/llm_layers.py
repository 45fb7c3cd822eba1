"""
What stands between an attempt's conversation and its models.

From the inside out: the spans of requests, where somebody records any; the limits of each model's connection, because
they are the account's; the run's budget, whose prices are each model's; around all models that stand in for one another
what was kept of an earlier try, and the window.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.llm_limits import LimitedModel, Turns
from airflow_agentic.agents.llm_spending import SpendingModel
from airflow_agentic.agents.llm_steps import keep_models
from airflow_agentic.limits.admission import gate_to
from airflow_agentic.telemetry.model_spans import observed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from pydantic_ai import Agent
    from pydantic_ai.models import Model

    from airflow_agentic.agents.base import AgentRequest, Steps


def layer_models(
    agent: Agent[object, Any],
    request: AgentRequest,
    extras: Mapping[str, Any],
    timeout: asyncio.Timeout,
    steps: Steps | None,
) -> None:
    """
    Put the layers around the agent's models.

    :param extras: connection → the ``agentic`` part of its extra (None: it has none), in the order of the models.
    :param steps: what is kept of the conversation; None: nothing.
    :raises ConfigError: an extra says something that there isn't.
    """
    turns = Turns()

    def layered(model: Model, connection: str, extra: Any) -> Model:
        model = observed(model)
        gate = None if extra is None else gate_to(connection, extra, request.waiting, timeout)
        limited = model if gate is None else LimitedModel(model, gate, turns)
        return SpendingModel(limited, connection=connection, extra=extra, request=request, timeout=timeout)

    models: list[Any] = getattr(agent.model, "models", [agent.model])
    models[:] = [layered(model, *extra) for model, extra in zip(models, extras.items(), strict=True)]
    if not hasattr(agent.model, "models"):
        (agent.model,) = models
    if steps is not None:
        keep_models(agent, steps)

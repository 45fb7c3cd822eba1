"""
What stands between an attempt's conversation and its models.

From the inside out: the limits of each model's connection, because they are the account's; the run's budget, whose
prices are each model's; around all models that stand in for one another what was kept of an earlier try, and the
window.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from pydantic_ai import Agent

    from airflow_agentic.agents.base import AgentRequest


def layer_models(
    agent: Agent[object, Any], request: AgentRequest, extras: Mapping[str, Any], timeout: asyncio.Timeout
) -> None:
    """
    Put the layers around the agent's models.

    :param extras: connection → the ``agentic`` part of its extra (None: it has none), in the order of the models.
    :raises ConfigError: an extra says something that there isn't.
    """
    if any(extra is not None for extra in extras.values()):
        from airflow_agentic.agents.llm_limits import limit_models

        limit_models(agent, extras, request.waiting, timeout)

"""Which class is behind an agent's ``type``. Nothing that an agent doesn't need is imported for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.agents.base import Agent


def make_agent(spec: Mapping[str, Any]) -> Agent:
    """
    The agent that an entry of ``Plan.agents`` describes.

    :raises ConfigError: this version of the package has no such type of agent.
    """
    match spec.get("type"):
        case "python":
            from airflow_agentic.agents.python import PythonAgent

            return PythonAgent(spec["callable"])
        case "http":
            from airflow_agentic.agents.http import HttpAgent

            return HttpAgent.from_spec(spec)
        case "llm":
            from airflow_agentic.agents.llm import LlmAgent

            return LlmAgent.from_spec(spec)
        case other:
            raise ConfigError(f"There are no agents of type {other!r}; there are: http, llm, python.")

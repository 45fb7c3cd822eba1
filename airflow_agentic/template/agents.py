"""Agents, declared by name or written in place, with the JSON Schema of their output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.output import ShorthandError, schema_error, to_schema
from airflow_agentic.template.structure import read_agent
from airflow_agentic.template.template import Agent

if TYPE_CHECKING:
    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc


def add_agent(reader: Reader, agents: dict[str, Agent], name: str, data: Any, loc: Loc) -> None:
    """Read an agent and put it with the others."""
    spec = read_agent(reader, data, loc)
    schema: dict[str, Any] | None = {}
    if spec is not None:
        schema = _output_schema(reader, spec, loc)
    # One that can't be read stays known, so that the stages that name it aren't blamed for its problems.
    agents[name] = Agent(name=name, spec=spec or models.AgentBase(), schema=schema, source=reader.source, loc=loc)


def _output_schema(reader: Reader, spec: models.AgentBase, loc: Loc) -> dict[str, Any] | None:
    is_model = isinstance(spec, models.LlmAgent)
    if spec.output is not None and spec.output_schema is not None:
        message = "an agent has `output` or `output_schema`, not both"
        reader.error("AGT223", message, (*loc, "output_schema"), key=True)
    if spec.output_schema is not None:
        error = schema_error(spec.output_schema)
        if error is not None:
            reader.error("AGT221", f"not a JSON Schema: {error[1]}", (*loc, "output_schema", *error[0]))
            return {}
        return spec.output_schema
    if spec.output is None:
        return None if is_model else {}
    try:
        return to_schema(spec.output, closed=is_model)
    except ShorthandError as error:
        reader.error("AGT220", error.message, (*loc, "output", *error.loc), error.hint, key=error.key)
        return {}

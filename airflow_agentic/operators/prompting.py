"""
What a stage asks an agent: the stage's input, and for a model its prompt and instructions.

A request can be made again from other values than those that it was made from, so that somebody who finds it too long
can shorten what it was made from instead of cutting through its text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.base import AgentRequest
from airflow_agentic.limits.spending import UNBOUNDED
from airflow_agentic.operators.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.agents.base import RunInfo
    from airflow_agentic.limits.spending import Spending
    from airflow_agentic.operators.base import PlannedOperator


class Prompting:
    """
    Makes the requests of one stage.

    :param output_schema: of what is asked for, whoever answers.
    """

    def __init__(self, operator: PlannedOperator, run: RunInfo, output_schema: Mapping[str, Any] | None) -> None:
        self._operator = operator
        self._config = operator.planned.config
        self._run = run
        self._schema = output_schema
        self._trust = Trust(operator.planned)
        self._spending = _purse(self._config.get("budget"), run)

    def request(self, entry: Mapping[str, Any], values: Mapping[str, Any]) -> AgentRequest:
        """
        The request to one agent.

        :param entry: the stage's config, or that of a stand-in.
        :param values: what the stage's texts read.
        """
        given = self._input(values)
        return self._of(entry, {**(values if entry["prompt_reads"] == "stages" else {}), "input": given})

    def _of(self, entry: Mapping[str, Any], read: Mapping[str, Any]) -> AgentRequest:
        """The request made from what the stage's texts read, and the input."""
        given = read["input"]
        seen = read if entry["prompt_reads"] == "input" else {name: read[name] for name in read if name != "input"}
        return AgentRequest(
            stage=self._operator.planned.stage,
            run=self._run,
            input=given,
            prompt=self._text("prompt", entry, seen),
            instructions=self._text("instructions", entry, {"input": given}),
            output_schema=self._schema,
            timeout=self._config["timeout"],
            spending=self._spending,
            read=read,
            remade=partial(self._of, entry),
        )

    def _input(self, values: Mapping[str, Any]) -> dict[str, Any]:
        from airflow_agentic.template.expressions import render

        rendered = {}
        for key, value in self._config["input"].items():
            with self._operator.locating(f"input.{key}"):
                rendered[key] = render(value, values)
        return rendered

    def _text(self, key: str, entry: Mapping[str, Any], values: Mapping[str, Any]) -> str | None:
        """A text for a model, in which data is marked as such."""
        if entry[key] is None:
            return None
        with self._operator.locating(key):
            return self._trust.marked(entry[key], values)


def _purse(budget: Mapping[str, Any] | None, run: RunInfo) -> Spending:
    """What the run may still spend, in all of its tasks."""
    if budget is None:
        return UNBOUNDED
    from airflow_agentic.limits.purse import purse_of

    return purse_of(budget, f"{run.dag_id}/{run.id}")

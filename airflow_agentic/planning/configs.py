"""What the operators need to know about each stage, as plain data: the ``config`` of a planned task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.uses import cache_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_agentic.template.template import Agent, Input, Recovery, Stage, Template

#: Seconds for one attempt, where nothing else is said: no stage may wait for ever.
DEFAULT_TIMEOUT = 600.0
DEFAULT_MAX_ITEMS = 1000


def inputs_config(inputs: dict[str, Input]) -> dict[str, dict[str, Any]]:
    """The inputs of a template."""
    planned = {}
    for name, spec in inputs.items():
        planned[name] = {"schema": spec.schema, "required": spec.required, "description": spec.description}
        if not spec.required:
            planned[name]["default"] = spec.default
    return planned


def budget_config(template: Template) -> dict[str, Any]:
    """What a run may spend; empty: as much as it likes."""
    budget = template.spec.budget
    return {} if budget is None else budget.model_dump(exclude_none=True)


def agent_config(agent: Agent) -> dict[str, Any]:
    """An agent."""
    kept = agent.spec.model_dump(exclude={"output", "output_schema", "retry", "timeout"}, exclude_none=True)
    return {**kept, "output_schema": agent.schema}


class Configs:
    """
    The configs of one template's stages.

    :param agent_key: an agent's name in the template → its key in the plan.
    :param budget: of the run, from :func:`budget_config`.
    """

    def __init__(self, template: Template, agent_key: Callable[[str], str], budget: dict[str, Any]) -> None:
        self._template = template
        self._defaults = template.spec.defaults
        self._agent_key = agent_key
        self._budget = budget

    def work(self, stage: Stage) -> dict[str, Any]:
        """What a stage's own task needs: that of an agent, a person or a merge."""
        spec = stage.spec
        if isinstance(spec, models.MergeStage):
            return self._merge(stage, spec)
        if isinstance(spec, models.HumanStage):
            return self._human(stage, spec)
        if isinstance(spec, models.AgentStage):
            return self._agent(stage, spec)
        raise TypeError(f"a {stage.kind} has no task of its own")

    def _agent(self, stage: Stage, spec: models.AgentStage) -> dict[str, Any]:
        name = stage.agent or ""
        agent = self._template.agents[name].spec
        retry = spec.retry or agent.retry or self._defaults.retry or models.Retry()
        config = {
            "agent": self._agent_key(name),
            **self._texts(name, spec),
            "input": spec.input or {},
            "when": spec.when,
            "accept": spec.accept,
            "retry": dict(vars(retry)),
            "timeout": spec.timeout or agent.timeout or self._defaults.timeout or DEFAULT_TIMEOUT,
            "airflow": self._airflow(spec),
        }
        more: dict[str, Any] = {}
        if recover := [self._recover(recovery, spec) for recovery in stage.recoveries if recovery.form != "to"]:
            more["recover"] = recover
        if (cache := cache_of(self._template, stage)) is not None:
            more["cache"] = cache.model_dump()
        if self._budget:
            more["budget"] = self._budget
        return {**config, **more}

    def _texts(self, agent: str, spec: models.AgentStage) -> dict[str, Any]:
        """The prompt and the instructions with which an agent works on a stage."""
        own = self._template.agents[agent].spec
        prompt, instructions = spec.prompt, None
        if isinstance(own, models.LlmAgent):
            prompt, instructions = spec.prompt or own.prompt, own.instructions
        return {
            "prompt": prompt,
            "prompt_reads": "stages" if spec.prompt else "input",
            "instructions": instructions,
        }

    def _recover(self, recovery: Recovery, spec: models.AgentStage) -> dict[str, Any]:
        if recovery.agent is None:
            return {"kinds": list(recovery.kinds), "value": recovery.value}
        return {
            "kinds": list(recovery.kinds),
            "agent": self._agent_key(recovery.agent),
            **self._texts(recovery.agent, spec),
        }

    def values(self, stage: Stage) -> list[dict[str, Any]]:
        """The fixed values that stand in for a failed stage."""
        return [
            {"kinds": list(recovery.kinds), "value": recovery.value}
            for recovery in stage.recoveries
            if recovery.form == "value"
        ]

    def _merge(self, stage: Stage, spec: models.MergeStage) -> dict[str, Any]:
        merge = spec.merge.model_dump(by_alias=True)
        fan_outs = [name for name in spec.merge.from_ if self._template.stages[name].for_each is not None]
        more: dict[str, Any] = {"fan_outs": fan_outs} if fan_outs else {}
        if values := self.values(stage):
            more["recover"] = values
        return {**merge, "when": spec.when, "airflow": self._airflow(spec), **more}

    def _human(self, stage: Stage, spec: models.HumanStage) -> dict[str, Any]:
        human = dict(vars(spec.human))
        return {
            **human,
            "when": spec.when,
            "recover": self.values(stage),
            "airflow": self._airflow(spec),
        }

    def fan_out(self, stage: Stage) -> dict[str, Any]:
        """How the items of a stage are found, dealt and judged."""
        spec = stage.spec
        if not isinstance(spec, models.Repeated):
            raise TypeError(f"a {stage.kind} has no items")
        return {
            "for_each": spec.for_each,
            "max_items": spec.max_items or self._defaults.max_items or DEFAULT_MAX_ITEMS,
            "max_parallel": spec.max_parallel or self._defaults.max_parallel,
            "items_per_task": spec.items_per_task or self._defaults.items_per_task or "auto",
            "tolerate": self._tolerate(spec),
        }

    def _tolerate(self, spec: models.Repeated) -> int | str:
        for value in (spec.tolerate, self._defaults.tolerate):
            if value is not None:
                return value
        return 0

    def _airflow(self, spec: models.Settings) -> dict[str, Any]:
        """Airflow's own settings, under Airflow's names; only those that are set."""
        values = (
            ("pool", spec.pool or self._defaults.pool),
            ("queue", spec.queue or self._defaults.queue),
            ("priority_weight", self._defaults.priority if spec.priority is None else spec.priority),
            (
                "executor_config",
                self._defaults.executor_config if spec.executor_config is None else spec.executor_config,
            ),
        )
        return {name: value for name, value in values if value is not None}

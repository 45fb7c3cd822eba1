"""From a checked template to its plan. Pure: equal templates give equal plans."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.joins import Start, start_of
from airflow_agentic.planning.plan import Plan, PlannedTask, TaskKind, canonical_json
from airflow_agentic.template import models
from airflow_agentic.template.dependencies import Dependencies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.template.template import Agent, Stage, Template

FINISH = "run__finish"
#: Fixed, so that the same template is the same DAG whenever it is parsed.
START_DATE = "2024-01-01T00:00:00+00:00"
#: Seconds for one attempt, where nothing else is said: no stage may wait for ever.
DEFAULT_TIMEOUT = 600.0
TAG = "agentic"


def make_plan(template: Template) -> Plan:
    """The plan of a checked template."""
    plan = Plan(
        name=template.name,
        digest="",
        source=template.source.text,
        file=Path(template.source.path).name,
        dag=_dag(template),
        inputs=_inputs(template),
        agents=_agents(template),
        tasks=_Tasks(template).plan(),
    )
    return replace(plan, digest=_digest(plan))


def _digest(plan: Plan) -> str:
    """Over all that shapes a run; comments and the file's name don't."""
    data = {key: value for key, value in plan.to_data().items() if key not in ("digest", "source", "file")}
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _dag(template: Template) -> dict[str, Any]:
    spec = template.spec
    return {
        "description": spec.description,
        "doc": spec.doc,
        "owner": spec.owner,
        "tags": list(dict.fromkeys((TAG, *spec.tags))),
        "schedule": template.schedule,
        "start_date": spec.start_date or START_DATE,
        "catchup": spec.catchup,
        "max_active_runs": spec.max_active_runs,
        "run_timeout": spec.run_timeout,
        "deadline": spec.deadline
        and {"after": spec.deadline.after, "notify": [_notifier(entry) for entry in spec.deadline.notify]},
        "notify": {
            "on_failure": [_notifier(entry) for entry in spec.notify.on_failure],
            "on_success": [_notifier(entry) for entry in spec.notify.on_success],
        },
    }


def _notifier(entry: models.Notifier) -> dict[str, Any]:
    return {"notifier": entry.notifier, "arguments": entry.model_extra or {}}


def _inputs(template: Template) -> dict[str, dict[str, Any]]:
    planned = {}
    for name, spec in template.inputs.items():
        planned[name] = {"schema": spec.schema, "required": spec.required, "description": spec.description}
        if not spec.required:
            planned[name]["default"] = spec.default
    return planned


def _agents(template: Template) -> dict[str, dict[str, Any]]:
    """The agents that stages use, in the stages' order."""
    names = dict.fromkeys(stage.agent for stage in template.stages.values() if stage.agent is not None)
    return {name: _agent(template.agents[name]) for name in names}


def _agent(agent: Agent) -> dict[str, Any]:
    kept = agent.spec.model_dump(exclude={"output", "output_schema", "retry", "timeout"}, exclude_none=True)
    return {**kept, "output_schema": agent.schema}


class _Tasks:
    """Makes the tasks of one template."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.found = template.dependencies
        self.optional = template.optional_stages
        self.tasks: list[PlannedTask] = []
        self.levels: dict[str, int] = {}

    def plan(self) -> tuple[PlannedTask, ...]:
        """All tasks, each after its upstream ones."""
        for name in self.template.order:
            self._add_stage(self.template.stages[name])
        artifacts = tuple(self._add_artifact(index) for index in range(len(self.template.artifacts)))
        self._add_finish(artifacts)
        return tuple(self.tasks)

    def _add_stage(self, stage: Stage) -> None:
        depends = self.found[stage.name]
        if isinstance(stage.spec, models.MergeStage):
            config = self._merge_config(stage.spec)
            start = self._start(stage.name, depends, any_state=stage.spec.merge.require is not None)
            self._add(stage.name, "merge", stage.name, start, depends, config, stage.spec.description)
        else:
            config = self._agent_config(stage, stage.spec)
            self._add(
                stage.name,
                "agent",
                stage.name,
                self._start(stage.name, depends),
                depends,
                config,
                stage.spec.description,
            )

    def _add_artifact(self, index: int) -> str:
        task_id = f"artifact__{index}" if isinstance(self.template.spec.artifact, list) else "artifact"
        depends = self.found.get(f"artifact.{index}", Dependencies())
        artifact = self.template.artifacts[index]
        self._add(task_id, "artifact", task_id, self._start(task_id, depends), depends, artifact.model_dump(), None)
        return task_id

    def _add_finish(self, artifacts: tuple[str, ...]) -> None:
        depends = self.found.get("output", Dependencies())
        ids = tuple(task.task_id for task in self.tasks if task.kind != "join")
        several = isinstance(self.template.spec.artifact, list)
        config = {
            "output": self.template.spec.output,
            "artifact": list(artifacts) if several else next(iter(artifacts), None),
            "readers": self._readers(),
        }
        start = Start(ids, "all_done")
        self._add(FINISH, "finish", FINISH, start, depends, config, "Checks the run, makes its output and seals it.")

    def _readers(self) -> dict[str, dict[str, str]]:
        """Who depends on each stage, and whether as a merge that copes with its failure."""
        readers: dict[str, dict[str, str]] = {name: {} for name in self.template.stages}
        for owner, depends in self.found.items():
            for name in depends.all:
                copes = name in depends.parts and self._requires_a_number(owner)
                readers[name][owner] = "merge" if copes else "stage"
        return readers

    def _requires_a_number(self, owner: str) -> bool:
        stage = self.template.stages.get(owner)
        return stage is not None and isinstance(stage.spec, models.MergeStage) and stage.spec.merge.require is not None

    def _start(self, task_id: str, depends: Dependencies, *, any_state: bool = False) -> Start:
        """What is waited for but always runs is as good as required."""
        return start_of(
            task_id,
            required=(*depends.required, *(name for name in depends.waiting if name not in self.optional)),
            waiting=tuple(name for name in depends.waiting if name in self.optional),
            parts=depends.parts,
            parts_rule="all_done" if any_state else "none_failed",
        )

    def _add(
        self,
        task_id: str,
        kind: TaskKind,
        stage: str,
        start: Start,
        depends: Dependencies,
        config: dict[str, Any],
        doc: str | None,
    ) -> None:
        """Add a task, after the joins that it needs."""
        for join in start.joins:
            level = self._level(join.upstream, 0)
            self.levels[join.task_id] = level
            self.tasks.append(
                PlannedTask(
                    task_id=join.task_id,
                    kind="join",
                    stage=stage,
                    level=level,
                    upstream=join.upstream,
                    trigger_rule=join.trigger_rule,
                )
            )
        names = self._names_read(kind, stage, config.get("from", ()))
        unsure = self.template.stages if kind == "finish" or config.get("require") else self.optional
        self.levels[task_id] = self._level(start.upstream, 1)
        self.tasks.append(
            PlannedTask(
                task_id=task_id,
                kind=kind,
                stage=stage,
                level=self.levels[task_id],
                upstream=start.upstream,
                trigger_rule=start.trigger_rule,
                reads={name: (name,) for name in names},
                guarded=tuple(name for name in names if name in unsure),
                config=config,
                doc=doc,
            )
        )

    def _names_read(self, kind: TaskKind, stage: str, parts: Iterable[str]) -> list[str]:
        """The stages whose outputs a task looks at, in the template's order."""
        owner = stage if kind in ("agent", "merge") else "output" if kind == "finish" else _artifact_owner(stage)
        read = {reference.name for reference in self.template.reads.get(owner, ())}.union(parts)
        return [name for name in self.template.stages if name in read] if read else []

    def _level(self, upstream: tuple[str, ...], step: int) -> int:
        return max(self.levels[name] for name in upstream) + step if upstream else 0

    def _agent_config(self, stage: Stage, spec: models.AgentStage) -> dict[str, Any]:
        name = stage.agent or ""
        agent = self.template.agents[name].spec
        defaults = self.template.spec.defaults
        retry = spec.retry or agent.retry or defaults.retry or models.Retry()
        prompt, instructions = spec.prompt, None
        if isinstance(agent, models.LlmAgent):
            prompt, instructions = spec.prompt or agent.prompt, agent.instructions
        return {
            "agent": name,
            "prompt": prompt,
            "prompt_reads": "stages" if spec.prompt else "input",
            "instructions": instructions,
            "input": spec.input or {},
            "when": spec.when,
            "accept": spec.accept,
            "retry": dict(vars(retry)),
            "timeout": spec.timeout or agent.timeout or defaults.timeout or DEFAULT_TIMEOUT,
            "airflow": self._airflow(spec),
        }

    def _merge_config(self, spec: models.MergeStage) -> dict[str, Any]:
        merge = spec.merge.model_dump(by_alias=True)
        return {**merge, "when": spec.when, "airflow": self._airflow(spec)}

    def _airflow(self, spec: models.Settings) -> dict[str, Any]:
        """Airflow's own settings, under Airflow's names; only those that are set."""
        defaults = self.template.spec.defaults
        values = (
            ("pool", spec.pool or defaults.pool),
            ("queue", spec.queue or defaults.queue),
            ("priority_weight", defaults.priority if spec.priority is None else spec.priority),
            ("executor_config", defaults.executor_config if spec.executor_config is None else spec.executor_config),
        )
        return {name: value for name, value in values if value is not None}


def _artifact_owner(task_id: str) -> str:
    return f"artifact.{task_id.removeprefix('artifact__')}" if "__" in task_id else "artifact.0"

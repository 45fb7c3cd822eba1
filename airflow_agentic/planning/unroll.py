"""
From the stages of a scope to tasks: loops become rounds, decisions routes and arms, inner pipelines task groups.

A *scope* is a template, or an inner pipeline. Every stage becomes one instance per round of the loops around it; see
:mod:`~airflow_agentic.planning.instances`. A decision is a *route* task, after which stand the *arms*: empty tasks, one
per way that the run may go on. Nothing but arms (and the task that fails the run) stands directly after a route,
because Airflow's branching skips whatever it doesn't choose, for good.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.configs import Configs, agent_config, inputs_config
from airflow_agentic.planning.entries import Entries, copes_with_failure
from airflow_agentic.planning.instances import Instance, Instances, Place
from airflow_agentic.planning.joins import Start
from airflow_agentic.planning.judging import artifact_id, ends_of, judged, judged_task
from airflow_agentic.planning.reading import Reading
from airflow_agentic.planning.virtual import virtualize
from airflow_agentic.planning.ways import arm_name, label, route_config, signatures
from airflow_agentic.template import models
from airflow_agentic.template.flow import Loop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.planning.entries import Entry
    from airflow_agentic.planning.plan import TriggerRule
    from airflow_agentic.planning.reading import Reads
    from airflow_agentic.planning.sheet import Sheet
    from airflow_agentic.template.flow import Flow
    from airflow_agentic.template.template import Agent, Stage, Template

FINISH = "run__finish"


@dataclass
class AgentBook:
    """The agents of a plan: those of inner pipelines may have the names of others."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def key(self, agent: Agent, path: str) -> str:
        """An agent's key; where another one has its name already, ``path`` goes before it, or a number after it."""
        entry = agent_config(agent)
        numbered = (f"{path}{agent.name}_{number}" for number in itertools.count(2))
        keys = itertools.chain((agent.name, f"{path}{agent.name}"), numbered)
        return next(key for key in keys if self.entries.setdefault(key, entry) == entry)


class Scope:
    """
    Plans the tasks of one scope.

    :param path: the stages around it, each with a dot (``clause.``).
    :param rounds: of the loops around it in outer scopes.
    :param root: the task that begins an inner pipeline, whose output are its inputs.
    :param mapped: the mapped task group that it is in.
    :param budget: of the run, whatever the scope's own template says.
    """

    def __init__(
        self,
        template: Template,
        sheet: Sheet,
        agents: AgentBook,
        *,
        prefix: str = "",
        path: str = "",
        rounds: tuple[int, ...] = (),
        root: str | None = None,
        mapped: str | None = None,
        budget: dict[str, Any],
    ) -> None:
        self._template = template
        self._flow: Flow = template.flow
        self._sheet = sheet
        self._agents = agents
        self._path = path
        self._rounds = rounds
        self._root = root
        self._mapped = mapped
        self._budget = budget
        self._prefix = prefix
        self._instances = Instances(self._flow)
        self._reading = Reading(template, self._instances)
        self._entries = Entries(template, sheet, self._instances, root)
        self._configs = Configs(template, lambda name: agents.key(template.agents[name], path), budget)
        self._fail_skips: list[tuple[Instance, list[str]]] = []
        self._fails: list[tuple[str, str]] = []
        self.artifacts: list[str] = []

    def plan(self) -> None:
        """Put all tasks of the scope on the sheet."""
        self._region(None, Place(self._prefix))
        for instance, skips in self._fail_skips:
            skips += self._waiting_for(instance)

    # -- loops -------------------------------------------------------------------------------------------------------

    def _region(self, loop: Loop | None, place: Place) -> None:
        for unit in self._flow.region(loop):
            if isinstance(unit, Loop):
                self._loop(unit, place)
            elif unit in self._template.stages:
                self._stage(self._template.stages[unit], place)
            elif self._root is None:
                self._artifact(unit, place)

    def _loop(self, loop: Loop, place: Place) -> None:
        for number in range(1, loop.max_rounds + 1):
            label = f"{loop.target}, round {number} of {loop.max_rounds}"
            prefix = self._sheet.group(f"{place.prefix}{loop.target}__{number}", label)
            inside = Place(prefix, (*place.rounds, (loop, number)))
            self._region(loop, inside)
            if number < loop.max_rounds:
                self._entries.again[loop, inside] = self._again(loop, inside)
        ends = tuple(task for unit in self._flow.region(loop) for task in self._ends(unit, loop, place))
        task_id = f"{place.prefix}{loop.target}__done"
        self._entries.done[loop, place] = self._sheet.join(task_id, self._path + loop.target, ends, "none_failed")

    def _again(self, loop: Loop, inside: Place) -> str:
        """The task that begins the round after the one at this place."""
        outcome = frozenset((f"again_{loop.target}",))
        arms = [instance.arms[outcome] for instance in self._instances.of(loop.source, inside)]
        if len(arms) == 1:
            return arms[0]
        task_id = f"{inside.prefix}{loop.source}__again_{loop.target}"
        return self._sheet.join(task_id, self._path + loop.source, tuple(arms), "none_failed_min_one_success")

    def _ends(self, unit: str | Loop, loop: Loop, place: Place) -> Iterable[str]:
        """What is done when a part of a loop's body is, in all rounds."""
        if isinstance(unit, Loop):
            for (other, around), task in self._entries.done.items():
                if other is unit and place.holds(around):
                    yield task
            return
        for instance in self._instances.of(unit, place):
            if instance.route is not None:
                yield instance.decided
            elif not self._is_spared(unit):
                yield instance.result

    def _is_spared(self, name: str) -> bool:
        """Whether everything that reads a stage is a merge that copes with its failure, and waits for it."""
        readers = self._flow.dependents[name]
        return bool(readers) and all(
            name in self._flow.found[reader].parts and copes_with_failure(self._template, reader) for reader in readers
        )

    # -- stages ------------------------------------------------------------------------------------------------------

    def _stage(self, stage: Stage, place: Place) -> None:
        task_id = f"{place.prefix}{stage.name}"
        entry = self._entries.of(stage.name, place, task_id)
        first = len(self._sheet.tasks)
        if stage.kind == "pipeline":
            entered, result = self._pipeline(stage, place, entry)
        elif stage.for_each is not None and not (self._mapped is not None and stage.kind == "agent"):
            entered, result = self._fan_out(stage, place, entry)
        else:
            entered = result = self._single(stage, place, entry)
        tasks = tuple(task.task_id for task in self._sheet.tasks[first:] if task.kind != "join")
        instance = Instance(stage=stage.name, place=place, result=result, entry=entered, tasks=tasks, token=entry.token)
        if stage.decides:
            instance = self._decide(stage, instance, entry.start)
        self._instances.add(instance)

    def _single(self, stage: Stage, place: Place, entry: Entry) -> str:
        config = self._configs.work(stage)
        if stage.for_each is not None:
            config["fan_out"] = self._configs.fan_out(stage)
        parts = [part for part in self._template.part_reads.get(stage.name, ()) if part != "routes"]
        return self._task(
            f"{place.prefix}{stage.name}",
            stage,
            place,
            stage.kind,
            entry.start,
            config,
            parts,
            doc=stage.spec.description,
        )

    def _fan_out(self, stage: Stage, place: Place, entry: Entry) -> tuple[str, str]:
        prefix = self._sheet.group(f"{place.prefix}{stage.name}", stage.name)
        start, before = self._begin(stage, place, entry.start)
        items = self._items(stage, place, start, prefix)
        config = {**self._configs.work(stage), "when": None, "items": items}
        parts = [
            part for part in self._template.part_reads.get(stage.name, ()) if part not in ("routes", "when", "for_each")
        ]
        item = self._task(f"{prefix}item", stage, place, "item", Start((items,), "all_success"), config, parts)
        return items, self._collect(stage, place, prefix, items, item, before)

    def _items(self, stage: Stage, place: Place, start: Start, prefix: str) -> str:
        fan_out = self._configs.fan_out(stage)
        config = {key: fan_out[key] for key in ("for_each", "max_items", "max_parallel", "items_per_task")}
        config |= {"works": stage.kind, "when": stage.spec.when}
        parts = ("when", "for_each")
        return self._task(f"{prefix}items", stage, place, "items", start, config, parts, doc=stage.spec.description)

    def _collect(
        self, stage: Stage, place: Place, prefix: str, items: str, item: str, before: tuple[str, ...] | None
    ) -> str:
        """Empty tasks between, because no task may be directly after mapped ones and be told of one failure only."""
        done = self._sheet.join(f"{prefix}done", self._path + stage.name, (item,), "all_done")
        config = {
            "items": items,
            "item": item,
            "tolerate": self._configs.fan_out(stage)["tolerate"],
            "recover": self._configs.values(stage),
        }
        start = Start((*self._begun(stage, items, before), done), "all_success")
        return self._task(f"{prefix}collect", stage, place, "collect", start, config, ("on_error",))

    def _begin(self, stage: Stage, place: Place, start: Start) -> tuple[Start, tuple[str, ...] | None]:
        """
        How the first of a stage's tasks starts, and what its last one follows, too.

        Where the stage's failure is recovered or routed, its last task has to run also after its first one failed,
        but not if that one never ran. None: nobody cares.
        """
        if not stage.recoveries:
            return start, None
        if start.trigger_rule == "all_success":
            return start, start.upstream
        for join in start.joins:
            self._sheet.join(join.task_id, self._path + stage.name, join.upstream, join.trigger_rule)
        task_id = f"{place.prefix}{stage.name}__before"
        before = self._sheet.join(task_id, self._path + stage.name, start.upstream, start.trigger_rule)
        return Start((before,), "all_success"), (before,)

    def _begun(self, stage: Stage, first: str, before: tuple[str, ...] | None) -> tuple[str, ...]:
        """Tasks that succeed when the first of a stage's tasks has succeeded; for one that recovers, or failed."""
        if before is None:
            return (first,)
        return (*before, self._sheet.join(f"{first}__ran", self._path + stage.name, (first,), "one_done"))

    # -- inner pipelines -----------------------------------------------------------------------------------------------

    def _pipeline(self, stage: Stage, place: Place, entry: Entry) -> tuple[str, str]:
        prefix = self._sheet.group(f"{place.prefix}{stage.name}", stage.name)
        start, before = self._begin(stage, place, entry.start)
        if stage.for_each is None:
            return self._inline(stage, place, prefix, start, before, items=None)
        items = self._items(stage, place, start, prefix)
        self._sheet.group(f"{prefix}item", f"each of {stage.name}", mapped=items)
        first = len(self._sheet.tasks)
        each = Start((items,), "all_success")
        _, result = self._inline(stage, place, f"{prefix}item.", each, None if before is None else (), items=items)
        self._sheet.tasks[first:] = virtualize(self._sheet.tasks[first:], f"{prefix}item", self._sheet.tasks[:first])
        return items, self._collect(stage, place, prefix, items, result, before)

    def _inline(
        self,
        stage: Stage,
        place: Place,
        prefix: str,
        start: Start,
        before: tuple[str, ...] | None,
        *,
        items: str | None,
    ) -> tuple[str, str]:
        inner, spec = stage.pipeline, stage.spec
        if inner is None or not isinstance(spec, models.PipelineStage):
            raise TypeError(f"{stage.name} is no pipeline")
        begin, result = f"{prefix}pipeline__start", f"{prefix}pipeline__result"
        config = {
            "input": spec.input or {},
            "inputs": inputs_config(inner.inputs),
            "when": spec.when if items is None else None,
            "max_parallel": None if items is None else self._configs.fan_out(stage)["max_parallel"],
            "items": items,
            "result": result,
        }
        # What a value of `on_error` reads is read where the pipeline begins: inside, names mean something else.
        parts = ("input", "on_error") if items is not None else ("input", "on_error", "when")
        mapped = self._mapped if items is None else prefix.removesuffix(".")
        self._task(begin, stage, place, "start", start, config, parts, mapped=mapped, doc=stage.spec.description)
        scope = Scope(
            inner,
            self._sheet,
            self._agents,
            prefix=prefix,
            path=f"{self._path}{stage.name}.",
            rounds=self._numbers(place),
            root=begin,
            mapped=mapped,
            budget=self._budget,
        )
        scope.plan()
        judged = scope.judged(result)
        ends = ends_of(judged) or (begin,)
        done = self._sheet.join(f"{prefix}pipeline__done", self._path + stage.name, ends, "all_done")
        config = {
            "output": inner.spec.output,
            "judged": judged,
            "recover": self._configs.values(stage),
            "items": items,
        }
        reads, guarded = scope.read_at_end("output")
        self._sheet.task(
            result,
            "result",
            self._path + stage.name,
            Start((*self._begun(stage, begin, before), done), "all_success"),
            inputs=begin,
            mapped=mapped,
            rounds=self._numbers(place),
            reads=reads,
            guarded=guarded,
            config=config,
        )
        return begin, result

    # -- decisions -----------------------------------------------------------------------------------------------------

    def _decide(self, stage: Stage, instance: Instance, start: Start) -> Instance:
        place = instance.place
        task_id = f"{place.prefix}{stage.name}__route"
        routes = [route_config(self._flow, stage, route, place) for route in stage.routes]
        outcomes = {entry["outcome"] for entry in routes} or {"next"}
        errors = [recovery for recovery in stage.recoveries if recovery.to is not None]
        skips: list[str] = []
        arms: dict[str, list[str]] = {}
        config = {
            "decides": instance.result,
            "routes": routes,
            "error": [{"kinds": list(e.kinds), "outcome": f"error_to_{e.to}", "to": e.to} for e in errors] or None,
            "arms": arms,
            "fail_skips": skips,
            "round": place.rounds[-1][1] if place.rounds else None,
            "max_rounds": place.rounds[-1][0].max_rounds if place.rounds else None,
        }
        rule: TriggerRule = "one_done" if errors else "all_success"
        self._task(
            task_id, stage, place, "route", Start((instance.result,), rule), config, ("routes",), own=instance.result
        )
        made = {}
        for names in signatures(self._flow, stage):
            made[names] = self._arm(stage, place, task_id, names)
            for outcome in self._flow.outcomes[stage.name]:
                if outcome in names:
                    arms.setdefault(outcome, []).append(made[names])
        entered = None
        if errors and start.upstream and self._is_waited_for(stage.name):
            entered = f"{place.prefix}{stage.name}__entered"
            self._sheet.join(entered, self._path + stage.name, start.upstream, start.trigger_rule)
        decided = Instance(**{**vars(instance), "route": task_id, "arms": made, "entered": entered})
        if "fail" in outcomes:
            arms["fail"] = [self._fail(stage, place, task_id)]
            self._fail_skips.append((decided, skips))
        return decided

    def _arm(self, stage: Stage, place: Place, route: str, names: frozenset[str]) -> str:
        ordered = [outcome for outcome in self._flow.outcomes[stage.name] if outcome in names]
        labels = {route: text} if (text := label(self._flow, stage, ordered)) else None
        task_id = f"{place.prefix}{stage.name}__{arm_name(self._flow, stage, names)}"
        # The outcomes are for those who can't see the arm's state: see `virtual`.
        return self._sheet.join(
            task_id, self._path + stage.name, (route,), "all_success", labels, route=route, outcomes=ordered
        )

    def _fail(self, stage: Stage, place: Place, route: str) -> str:
        task_id = f"{place.prefix}{stage.name}__fail"
        self._fails.append((task_id, self._path + stage.name))
        return self._task(
            task_id, stage, place, "fail", Start((route,), "all_success"), {"route": route}, (), labels={route: "fail"}
        )

    def _is_waited_for(self, name: str) -> bool:
        found = self._flow.found
        return any(name in (*found[reader].waiting, *found[reader].parts) for reader in self._flow.dependents[name])

    def _waiting_for(self, instance: Instance) -> list[str]:
        """The first tasks of what waits for a stage, or for a loop around it, and the ends of these loops."""
        place = instance.place
        skips = [
            task
            for (loop, around), task in self._entries.done.items()
            if place.round_of(loop) is not None and place.holds(around)
        ]
        bodies = [loop.body for loop in self._flow.loops_of[instance.stage]]
        waiting = dict.fromkeys(self._flow.dependents[instance.stage])
        for body in bodies:
            for member in self._flow.nodes:
                if member in body:
                    waiting.update(dict.fromkeys(name for name in self._flow.dependents[member] if name not in body))
        for name in waiting:
            skips += [other.entry for other in self._instances.of(name, place)]
            if name not in self._template.stages and self._root is None:
                skips.append(artifact_id(self._template, name))
        return list(dict.fromkeys(skips))

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _task(
        self,
        task_id: str,
        stage: Stage,
        place: Place,
        kind: str,
        start: Start,
        config: dict[str, Any],
        parts: Iterable[str],
        *,
        own: str | None = None,
        **more: Any,
    ) -> str:
        """One task of a stage, which reads what some of the stage's keys read; ``own``: and the stage itself."""
        found = [
            reference for part in parts for reference in self._template.part_reads.get(stage.name, {}).get(part, ())
        ]
        names = {reference.name for reference in found}
        reads, guarded = self._reading.of_stage(names, stage, place)
        if own is not None and stage.name in names:
            reads[stage.name] = (own,)
            guarded += (stage.name,) if stage.error_targets else ()
        return self._sheet.task(
            task_id,
            kind,
            self._path + stage.name,
            start,
            mapped=more.pop("mapped", self._mapped),
            rounds=self._numbers(place),
            inputs=self._root,
            reads=reads,
            guarded=guarded,
            feedback=self._reading.feedback(place) if "feedback" in names else (),
            errors=self._reading.errors(stage.name, place) if "error" in names else (),
            config=config,
            **more,
        )

    def _numbers(self, place: Place) -> tuple[int, ...]:
        return (*self._rounds, *(number for _, number in place.rounds))

    # -- the end -------------------------------------------------------------------------------------------------------

    def _artifact(self, owner: str, place: Place) -> None:
        task_id = artifact_id(self._template, owner)
        entry = self._entries.of(owner, place, task_id)
        reads, guarded = self._reading.at_end(owner, Place(self._prefix))
        artifact = self._template.artifacts[int(owner.partition(".")[2])]
        self._sheet.task(
            task_id, "artifact", task_id, entry.start, reads=reads, guarded=guarded, config=artifact.model_dump()
        )
        self.artifacts.append(task_id)

    def read_at_end(self, owner: str) -> Reads:
        """What ``output`` or an artifact reads: of every stage the last execution, if there is one."""
        return self._reading.at_end(owner, Place(self._prefix))

    def judged(self, end: str) -> list[dict[str, Any]]:
        """What the run, or the inner pipeline, answers for; ``end``: the task that makes the output."""
        entries = judged(self._template, self._instances, self._path, end)
        entries += [judged_task(task_id, stage) for task_id, stage in self._fails]
        return entries + [judged_task(task_id, task_id) for task_id in self.artifacts]

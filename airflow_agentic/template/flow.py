"""
The flow graph of a scope: what decisions lead to, which stages loops repeat, what may not have run.

Terms (the meaning behind them is in ``docs/decisions/0010-control-flow.md``):

* a *node* is a stage or an artifact; its edges are in :mod:`~airflow_agentic.template.dependencies`;
* a stage *decides* when it has routes, or an ``on_error`` with ``to``; its possible decisions are *outcomes*;
* a direct dependent is *alive* under an outcome when it is one of the targets or a descendant of one;
* a *loop* is a natural loop: the back edge's target, its source and everything on a path between them, grown by
  other loops that share a stage with it, so that of two loops one holds the other or they share nothing.

Pure: it knows names and edges, no YAML and no Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from airflow_agentic.template.dependencies import order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.template.flow_reasons import Reason
    from airflow_agentic.template.template import Stage, Template


@dataclass(frozen=True)
class Outcome:
    """
    One thing that a decision may lead to.

    :param name: ``next``, ``end``, ``fail``, ``to_publish``, ``again_draft``, ``error_to_editor``.
    :param targets: the nodes at which the run goes on.
    """

    name: str
    targets: tuple[str, ...]

    @property
    def is_error(self) -> bool:
        """Whether the stage itself failed."""
        return self.name.startswith("error_to_")

    @property
    def is_again(self) -> bool:
        """Whether a loop begins its next round."""
        return self.name.startswith("again_")


@dataclass(frozen=True)
class Loop:
    """
    A loop.

    :param source: the stage with the route back.
    :param target: where it goes back to.
    :param route: the route's place in the source's routes, from 0.
    :param max_rounds: executions of the body in all.
    :param body: the stages that are repeated.
    """

    source: str
    target: str
    route: int
    max_rounds: int
    body: frozenset[str]


class Flow:
    """The flow graph of a template, or of an inner pipeline, whose edges hold no cycle."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self.found = template.dependencies
        artifacts = [f"artifact.{index}" for index in range(len(template.artifacts))]
        #: stages in an order in which each follows what it depends on, then artifacts
        self.nodes = [*template.order, *(name for name in artifacts if name in self.found)]
        self.place = {name: index for index, name in enumerate(self.nodes)}

    # -- edges ---------------------------------------------------------------------------------------------------

    @cached_property
    def _below(self) -> dict[str, frozenset[str]]:
        below: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name in reversed(self.nodes):
            for other in self.found[name].all:
                below[other] |= below[name] | {name}
        return {name: frozenset(found) for name, found in below.items()}

    def descendants(self, name: str) -> frozenset[str]:
        """Every node that depends on this one, directly or not."""
        return self._below[name]

    @cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """Node → the nodes that read it, need it or come after it."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name in self.nodes:
            depends = self.found[name]
            for other in (*depends.required, *depends.waiting, *depends.parts):
                found[other].append(name)
        return {name: tuple(others) for name, others in found.items()}

    # -- decisions -----------------------------------------------------------------------------------------------

    @cached_property
    def outcomes(self) -> dict[str, dict[str, Outcome]]:
        """Deciding stage → its outcomes by name, in the order of its routes."""
        return {
            stage.name: {outcome.name: outcome for outcome in self._outcomes_of(stage)}
            for stage in self._template.stages.values()
            if stage.decides
        }

    def _outcomes_of(self, stage: Stage) -> Iterable[Outcome]:
        for route in stage.routes:
            if route.back_to is not None:
                yield Outcome(f"again_{route.back_to}", ())
            yield self.outcome_of(stage, route.to)
        if not stage.routes:
            yield self.outcome_of(stage, ("next",))
        for target in dict.fromkeys(stage.error_targets):
            yield Outcome(f"error_to_{target}", (target,))

    def outcome_of(self, stage: Stage, to: Sequence[str]) -> Outcome:
        """The outcome of going on at what ``to`` or ``exhausted`` says."""
        if set(to) <= {"next", "end", "fail"}:
            only = "fail" if "fail" in to else "next" if "next" in to else "end"
            return Outcome(only, self._next(stage) if only == "next" else ())
        stages = [name for name in to if name not in ("next", "end", "fail")]
        more = self._next(stage) if "next" in to else ()
        shown = "_and_".join([*stages, *(["next"] if "next" in to else [])])
        return Outcome(f"to_{shown}", tuple(dict.fromkeys((*stages, *more))))

    def _next(self, stage: Stage) -> tuple[str, ...]:
        named = {*stage.error_targets, *(name for route in stage.routes for name in route.to)}
        return tuple(name for name in self.dependents[stage.name] if name not in named)

    def alive(self, stage: str, dependent: str) -> frozenset[str]:
        """The outcomes of a deciding stage under which a dependent goes on; none of a stage that doesn't decide."""
        if stage not in self.outcomes:
            return frozenset()
        return frozenset(
            outcome.name
            for outcome in self.outcomes[stage].values()
            if any(dependent == target or dependent in self._below[target] for target in outcome.targets)
        )

    def alive_after_success(self, stage: str, dependent: str) -> frozenset[str]:
        """The same without those of a stage that failed."""
        return frozenset(name for name in self.alive(stage, dependent) if not self.outcomes[stage][name].is_error)

    def naming(self, stage: str, target: str) -> frozenset[str]:
        """The outcomes of a deciding stage that name a target."""
        return frozenset(outcome.name for outcome in self.outcomes[stage].values() if target in outcome.targets)

    # -- loops ---------------------------------------------------------------------------------------------------

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """All loops, outer ones before inner ones."""
        loops = [loop for stage in self._template.stages.values() for loop in self._natural_loops(stage)]
        while True:
            grown = self._grow_once(loops)
            if grown is None:
                return tuple(sorted(loops, key=lambda loop: (-len(loop.body), *self._rank(loop))))
            loops = grown

    def _natural_loops(self, stage: Stage) -> Iterable[Loop]:
        targets: set[str] = set()
        for index, route in enumerate(stage.routes):
            target = route.back_to
            if target is None or target in targets or not self.can_go_back(stage.name, target):
                continue
            targets.add(target)
            between = {name for name in self._below[target] if stage.name in self._below[name]}
            body = frozenset({target, stage.name} | between)
            yield Loop(stage.name, target, index, route.max_rounds, body)

    def can_go_back(self, source: str, target: str) -> bool:
        """Whether the one is the other, or depends on it."""
        return target in self.place and (target == source or source in self._below[target])

    def _rank(self, loop: Loop) -> tuple[int, int]:
        """Smaller is further out: the target that comes first; of one target, the later source."""
        return self.place[loop.target], -self.place[loop.source]

    def _grow_once(self, loops: list[Loop]) -> list[Loop] | None:
        """Loops of which one that shares a stage with another has grown by it; None when none has to."""
        for index, loop in enumerate(loops):
            for other in loops[index + 1 :]:
                if not loop.body & other.body or loop.body <= other.body or other.body <= loop.body:
                    continue
                outer, inner = sorted((loop, other), key=self._rank)
                grown = replace(outer, body=self._closed(outer.body | inner.body))
                return [grown if each is outer else each for each in loops]
        return None

    def _closed(self, body: frozenset[str]) -> frozenset[str]:
        """A set of stages and whatever lies between two of them."""
        below = frozenset().union(*(self._below[name] for name in body))
        between = {name for name in below if name in self._template.stages and self._below[name] & body}
        return body | between

    @cached_property
    def loops_of(self) -> dict[str, tuple[Loop, ...]]:
        """Stage → the loops around it, the outermost first."""
        return {name: tuple(loop for loop in self.loops if name in loop.body) for name in self.nodes}

    def region(self, loop: Loop | None) -> list[str | Loop]:
        """
        What a loop's body (None: the whole scope) consists of: stages, artifacts, and loops directly inside, each
        after what it depends on.

        :raises ValueError: loops wait for each other's end.
        """
        if not self.loops:
            return list(self.nodes)
        names = self.nodes if loop is None else [name for name in self.nodes if name in loop.body]
        depth = 0 if loop is None else self.loops.index(loop) + 1
        inner = [each for each in self.loops[depth:] if each.body <= set(names)]
        outermost: dict[str, Loop] = {}
        for each in inner:
            for name in each.body:
                outermost.setdefault(name, each)
        unit: dict[str, str | Loop] = {name: outermost.get(name, name) for name in names}
        units = list(dict.fromkeys(unit.values()))
        needs: dict[str | Loop, set[str | Loop]] = {each: set() for each in units}
        for name in names:
            needs[unit[name]] |= {unit[other] for other in self.found[name].all if other in unit} - {unit[name]}
        return order_of(units, needs)

    # -- what may not have run -------------------------------------------------------------------------------------

    @cached_property
    def reasons(self) -> dict[str, Reason]:
        """Why nodes may be missing from a run that ends well: not run, or failed; those that never are aren't in it."""
        from airflow_agentic.template.flow_reasons import reasons_of

        return reasons_of(self._template, self)

    @cached_property
    def optional(self) -> frozenset[str]:
        """The stages that a successful run may not have run, or that may have failed in one: they have no output."""
        return frozenset(name for name in self.reasons if name in self._template.stages)

    def ways(self, name: str) -> tuple[str, ...]:
        """The stages through which the flow may reach one that requires nothing and that no decision names."""
        depends = self.found[name]
        return () if depends.required or depends.named_by else (*depends.waiting, *depends.parts)

    def may_block(self, other: str, name: str) -> bool:
        """Whether a stage may decide, in a run that ends well, to go on without one of its dependents."""
        if other not in self.outcomes:
            return False
        alive = self.alive(other, name)
        return any(
            outcome.name not in alive and not outcome.is_again and outcome.name != "fail"
            for outcome in self.outcomes[other].values()
        )

    @cached_property
    def executions(self) -> int:
        """How many executions of stages are planned: each in every round, with those of inner pipelines."""
        total = 0
        for name, stage in self._template.stages.items():
            inner = stage.pipeline
            within = inner.flow.executions if inner is not None and inner.cycle is None else 0
            total += prod(loop.max_rounds for loop in self.loops_of[name]) * (1 + within)
        return total

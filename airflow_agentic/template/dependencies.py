"""
Who depends on whom, read from expressions, ``needs``, ``after`` and ``merge.from``.

A stage *requires* another (bare reads, ``needs``): it must have succeeded. It *waits* for another (guarded reads,
``after``): it must be done or skipped. A merge's *parts* are neither: how many must have succeeded is ``require``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from airflow_agentic.template import models

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.template import Stage, Template


@dataclass(frozen=True)
class Dependencies:
    """What one owner depends on: stages, each in at most one of the three, in the template's order."""

    required: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.required, *self.waiting, *self.parts)


def dependencies(template: Template) -> dict[str, Dependencies]:
    """The dependencies of every stage, and of ``output``, each artifact and each notification, by owner."""
    order = {name: index for index, name in enumerate(template.stages)}
    found = {name: _of_stage(stage, template.reads.get(name, ()), order) for name, stage in template.stages.items()}
    for owner, reads in template.reads.items():
        if owner not in found:
            found[owner] = _of_reads(reads, order)
    return found


def _of_stage(stage: Stage, reads: Sequence[Reference], order: Mapping[str, int]) -> Dependencies:
    spec = stage.spec
    by_reads = _of_reads(reads, order)
    required = _ordered((*by_reads.required, *spec.needs), order)
    parts = spec.merge.from_ if isinstance(spec, models.MergeStage) else ()
    parts = [name for name in dict.fromkeys(parts) if name in order and name not in required]
    waiting = _ordered((*by_reads.waiting, *spec.after), order)
    return Dependencies(
        required, tuple(name for name in waiting if name not in required and name not in parts), tuple(parts)
    )


def _of_reads(reads: Sequence[Reference], order: Mapping[str, int]) -> Dependencies:
    required = {reference.name for reference in reads if not reference.guarded}
    waiting = {reference.name for reference in reads} - required
    return Dependencies(_ordered(required, order), _ordered(waiting, order))


def _ordered(names: Collection[str], order: Mapping[str, int]) -> tuple[str, ...]:
    if not names:
        return ()
    return tuple(sorted({name for name in names if name in order}, key=order.__getitem__))


def find_cycle(found: Mapping[str, Dependencies], names: Iterable[str]) -> list[str] | None:
    """Stages that depend on each other in a circle, the first one again at the end; None when there is none."""
    done: set[str] = set()
    for root in names:
        trail: dict[str, None] = {root: None}
        stack = [(root, iter(found[root].all))]
        while stack:
            name, rest = stack[-1]
            follower = next((other for other in rest if other not in done), None)
            if follower is None:
                done.add(name)
                stack.pop()
                del trail[name]
            elif follower in trail:
                circle = list(trail)
                return [*circle[circle.index(follower) :], follower]
            else:
                trail[follower] = None
                stack.append((follower, iter(found[follower].all)))
    return None


def topological(found: Mapping[str, Dependencies], names: Sequence[str]) -> list[str]:
    """The stages in an order in which each follows what it depends on; the template's order wherever it can be."""
    order = {name: index for index, name in enumerate(names)}
    missing = {name: len(found[name].all) for name in names}
    followers: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for other in found[name].all:
            followers[other].append(name)
    ready = [index for name, index in order.items() if not missing[name]]
    done = []
    while ready:
        done.append(names[heappop(ready)])
        for name in followers[done[-1]]:
            missing[name] -= 1
            if not missing[name]:
                heappush(ready, order[name])
    return done


def optional_stages(template: Template) -> frozenset[str]:
    """The stages that a successful run may not have run. The stages must hold no cycle."""
    optional: set[str] = set()
    for name in template.order:
        spec = template.stages[name].spec
        # A part that the merge also requires is no part of its dependencies.
        merged = spec.merge.from_ if isinstance(spec, models.MergeStage) else ()
        if (
            spec.when is not None
            or optional.intersection(template.dependencies[name].required)
            or (merged and optional.issuperset(merged))
        ):
            optional.add(name)
    return frozenset(optional)

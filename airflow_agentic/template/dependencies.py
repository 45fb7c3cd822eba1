"""
Who depends on whom, read from expressions, ``needs``, ``after`` and ``merge.from``.

A stage *requires* another (bare reads, ``needs``): it must have succeeded. It *waits* for another (guarded reads,
``after``): it must be done or skipped. A merge's *parts* are neither: how many must have succeeded is ``require``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeVar

from airflow_agentic.template import models

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.template import Stage, Template

T = TypeVar("T")


@dataclass(frozen=True)
class Dependencies:
    """
    What one owner depends on: stages, in the template's order.

    Each is in at most one of the first three.

    :param named_by: the stages that name it in their routes, or as where to go on after an error.
    """

    required: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, each once."""
        if not self.named_by:
            return (*self.required, *self.waiting, *self.parts)
        return tuple(dict.fromkeys((*self.required, *self.waiting, *self.parts, *self.named_by)))


def dependencies(template: Template) -> dict[str, Dependencies]:
    """The dependencies of every stage, and of ``output``, each artifact and each notification, by owner."""
    order = {name: index for index, name in enumerate(template.stages)}
    named = _named_by(template)
    found = {
        name: _of_stage(stage, template.reads.get(name, ()), order, tuple(named.get(name, ())))
        for name, stage in template.stages.items()
    }
    for owner, reads in template.reads.items():
        if owner not in found:
            found[owner] = _of_reads(reads, order)
    return found


def _named_by(template: Template) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for stage in template.stages.values():
        if stage.decides:
            for target in dict.fromkeys((*(name for route in stage.routes for name in route.to), *stage.error_targets)):
                named.setdefault(target, []).append(stage.name)
    return named


def _of_stage(
    stage: Stage, reads: Sequence[Reference], order: Mapping[str, int], named_by: tuple[str, ...]
) -> Dependencies:
    spec = stage.spec
    # A route reads its own stage, which is no dependency.
    by_reads = _of_reads([reference for reference in reads if reference.name != stage.name], order)
    required = _ordered((*by_reads.required, *spec.needs), order)
    parts = spec.merge.from_ if isinstance(spec, models.MergeStage) else ()
    parts = [name for name in dict.fromkeys(parts) if name in order and name not in required]
    waiting = _ordered((*by_reads.waiting, *spec.after), order)
    waiting = tuple(name for name in waiting if name not in required and name not in parts)
    return Dependencies(required, waiting, tuple(parts), named_by)


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
    return order_of(names, {name: set(found[name].all) for name in names})


def order_of(names: Sequence[T], needs: Mapping[T, Collection[T]]) -> list[T]:
    """
    Things in an order in which each follows what it needs; their own order wherever it can be.

    :raises ValueError: they need each other in a circle.
    """
    order = {name: index for index, name in enumerate(names)}
    missing = {name: len(needs[name]) for name in names}
    followers: dict[T, list[T]] = {name: [] for name in names}
    for name in names:
        for other in needs[name]:
            followers[other].append(name)
    ready = [index for name, index in order.items() if not missing[name]]
    done = []
    while ready:
        done.append(names[heappop(ready)])
        for name in followers[done[-1]]:
            missing[name] -= 1
            if not missing[name]:
                heappush(ready, order[name])
    if len(done) < len(names):
        raise ValueError("a circle")
    return done

"""
What can't be meant about a flow graph: ways back that lead nowhere, stages that can never run, too many rounds.

Pure, as the graph itself; codes and positions are given in :mod:`airflow_agentic.template.checks.flow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.template.flow import Flow, Loop
    from airflow_agentic.template.source import Loc
    from airflow_agentic.template.template import Route, Template

Kind = Literal["back_to", "same_back_to", "waiting_loops", "torn_loops", "too_many_rounds", "exclusive", "unreachable"]
#: Executions of stages that one run may foresee: every one is a task of Airflow's, or several.
MAX_EXECUTIONS = 1000


@dataclass(frozen=True)
class FlowProblem:
    """
    Something about the graph that can't be meant.

    :param loc: where it stands.
    :param needle: the word to point at there, if there is one.
    """

    kind: Kind
    stage: str
    message: str
    loc: Loc
    hint: str | None = None
    needle: str | None = None


def problems_of(template: Template, flow: Flow) -> tuple[FlowProblem, ...]:
    """All problems of a scope's graph; what waits for others makes sense only once the loops do."""
    search = _Search(template, flow)
    found = [*search.check_back_edges()]
    if not found:
        found = [*search.check_waiting_loops(), *search.check_size(), *search.check_possible()]
    if not found:
        found = [*search.check_torn_loops()]
    return tuple(found)


class _Search:
    def __init__(self, template: Template, flow: Flow) -> None:
        self._template = template
        self._flow = flow
        #: stage → deciding stage → the outcomes under which it may run; filled by the check of what is possible
        self._possible: dict[str, dict[str, frozenset[str]]] = {}

    def check_back_edges(self) -> Iterable[FlowProblem]:
        for stage in self._template.stages.values():
            seen: set[str] = set()
            for route in stage.routes:
                if route.back_to is None or route.back_to not in self._template.stages:
                    continue
                loc = (*route.loc, "back_to")
                if route.back_to in seen:
                    message = f"'{stage.name}' goes back to '{route.back_to}' by more than one route"
                    hint = "join their conditions with `or`; one loop has one bound"
                    yield FlowProblem("same_back_to", stage.name, message, loc, hint)
                elif not self._flow.can_go_back(stage.name, route.back_to):
                    message = f"'{stage.name}' can't go back to '{route.back_to}', which doesn't come before it"
                    hint = "go on with to:, or let the stage depend on it"
                    yield FlowProblem("back_to", stage.name, message, loc, hint)
                elif route.back_to not in self._surely[stage.name]:
                    message = f"'{route.back_to}' need not have run when '{stage.name}' runs"
                    hint = "go back to a stage that always comes before it"
                    yield FlowProblem("back_to", stage.name, message, loc, hint)
                seen.add(route.back_to)

    @cached_property
    def _surely(self) -> dict[str, frozenset[str]]:
        """Stage → the stages that have run whenever it runs, itself included (the dominators of the flow)."""
        ran: dict[str, frozenset[str]] = {}
        reached: dict[str, frozenset[str]] = {}
        for name in self._flow.nodes:
            depends = self._flow.found[name]

            def through(other: str) -> frozenset[str]:
                return ran[other] if other in self._flow.outcomes else reached[other]

            known = [_common(ran[other] for other in depends.named_by)]
            known += [through(other) for other in depends.required]
            known.append(_common(through(other) for other in self._flow.ways(name)))
            reached[name] = frozenset().union(*known)
            certain = (*depends.required, *(other for other in depends.waiting if other not in self._flow.optional))
            ran[name] = reached[name].union({name}, *(ran[other] for other in certain))
        return ran

    def check_waiting_loops(self) -> Iterable[FlowProblem]:
        for loop in (None, *self._flow.loops):
            try:
                self._flow.region(loop)
            except ValueError:
                inner = [each for each in self._flow.loops if loop is None or (each.body < loop.body)]
                shown = " and ".join(f"'{each.target}' to '{each.source}'" for each in inner)
                message = f"the loops {shown} wait for each other's end"
                route = self._route(inner[-1])
                hint = "let one stage of each loop depend only on stages before the other loop, or join the loops"
                yield FlowProblem("waiting_loops", inner[-1].source, message, (*route.loc, "back_to"), hint)

    def check_size(self) -> Iterable[FlowProblem]:
        if self._flow.loops and self._flow.executions > MAX_EXECUTIONS:
            loop = max(self._flow.loops, key=lambda each: (each.max_rounds, -self._flow.place[each.source]))
            message = (
                f"all rounds together are {self._flow.executions} executions of stages, more than {MAX_EXECUTIONS}"
            )
            loc = (*self._route(loop).loc, "max_rounds")
            yield FlowProblem("too_many_rounds", loop.source, message, loc, "lower max_rounds, of inner loops first")

    def check_torn_loops(self) -> Iterable[FlowProblem]:
        """A loop that begins its next round leaves those inside it, so nothing inside may go back any more."""
        for inner in self._flow.loops:
            for outer in self._flow.loops_of[inner.source]:
                if not inner.body < outer.body or outer.source not in inner.body or outer.source == inner.source:
                    continue
                outcomes = self._possible[inner.source].get(outer.source)
                if outcomes is None or f"again_{outer.target}" in outcomes:
                    message = (
                        f"'{inner.source}' may go back to '{inner.target}' although '{outer.source}' has gone back to "
                        f"'{outer.target}' in the same round"
                    )
                    hint = f"let '{inner.source}' require '{outer.source}': needs: {outer.source}"
                    loc = (*self._route(inner).loc, "back_to")
                    yield FlowProblem("torn_loops", inner.source, message, loc, hint)

    def _route(self, loop: Loop) -> Route:
        return self._template.stages[loop.source].routes[loop.route]

    def check_possible(self) -> Iterable[FlowProblem]:
        """Every stage can be reached, and what one requires can run in one run."""
        possible = self._possible
        impossible: set[str] = set()
        for name in self._flow.nodes:
            depends = self._flow.found[name]
            ways = self._flow.ways(name)
            if impossible.intersection(depends.required) or (ways and impossible.issuperset(ways)):
                impossible.add(name)
                possible[name] = {}
                continue
            edges = {
                other: self._allowed(other, name, possible, self._flow.alive_after_success(other, name))
                for other in depends.required
            }
            combined = self._combined(name, edges, possible)
            problem = self._unreachable(name, edges) or self._exclusive(name, edges) or self._closed_off(name, combined)
            if problem is None:
                possible[name] = combined
            else:
                impossible.add(name)
                yield problem

    def _allowed(
        self, other: str, name: str, possible: dict[str, dict[str, frozenset[str]]], alive: frozenset[str]
    ) -> dict[str, frozenset[str]]:
        """Deciding stage → the outcomes under which ``name`` may go on after ``other``; another one: any."""
        allowed = dict(possible[other])
        if other in self._flow.outcomes:
            allowed[other] = alive & allowed.get(other, alive)
        # A loop may decide in one way in one round and in another way in the next.
        left = set(self._flow.loops_of[other]) - set(self._flow.loops_of[name])
        repeated = frozenset().union(*(loop.body for loop in left))
        return {stage: names for stage, names in allowed.items() if stage not in repeated or not names}

    def _unreachable(self, name: str, edges: dict[str, dict[str, frozenset[str]]]) -> FlowProblem | None:
        for other, allowed in edges.items():
            if other in allowed and not allowed[other]:
                message = f"no route of '{other}' leads to '{name}', which depends on it"
                hint = f"name it in a route of '{other}', or let a route go to next"
                return FlowProblem("unreachable", name, message, self._loc(name), hint)
        return None

    def _exclusive(self, name: str, edges: dict[str, dict[str, frozenset[str]]]) -> FlowProblem | None:
        seen: dict[str, tuple[str, frozenset[str]]] = {}
        for other, allowed in edges.items():
            for stage, names in allowed.items():
                before, common = seen.get(stage, (other, names))
                if not common & names:
                    message = f"'{name}' requires '{before}' and '{other}', which never both run"
                    hint = f"after '{stage}' a run takes only one way: read one of them guarded, with default(…)"
                    return FlowProblem("exclusive", name, message, self._loc(name), hint)
                seen[stage] = (other, common & names)
        return None

    def _combined(
        self,
        name: str,
        edges: dict[str, dict[str, frozenset[str]]],
        possible: dict[str, dict[str, frozenset[str]]],
    ) -> dict[str, frozenset[str]]:
        """Under which outcomes a stage may run."""
        combined = _intersection(list(edges.values()))
        ways = [
            self._allowed(other, name, possible, self._flow.alive(other, name))
            for other in self._flow.ways(name)
            if other in possible
        ]
        if ways:
            combined = _intersection([combined, _union(ways)])
        chosen = [
            self._allowed(other, name, possible, self._flow.naming(other, name))
            for other in self._flow.found[name].named_by
            if other in possible
        ]
        return _intersection([combined, _union(chosen)]) if chosen else combined

    def _closed_off(self, name: str, combined: dict[str, frozenset[str]]) -> FlowProblem | None:
        for stage, names in combined.items():
            if not names:
                message = f"'{name}' can never run: no decision of '{stage}' leads to it and to all that it requires"
                return FlowProblem("unreachable", name, message, self._loc(name), "read guarded what may not have run")
        return None

    def _loc(self, name: str) -> Loc:
        stage = self._template.stages.get(name)
        if stage is not None:
            return stage.loc
        return ("artifact", int(name.partition(".")[2])) if len(self._template.artifacts) > 1 else ("artifact",)


def _common(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    found = list(sets)
    return frozenset.intersection(*found) if found else frozenset()


def _intersection(maps: list[dict[str, frozenset[str]]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for each in maps:
        for stage, names in each.items():
            found[stage] = found.get(stage, names) & names
    return found


def _union(maps: list[dict[str, frozenset[str]]]) -> dict[str, frozenset[str]]:
    """What holds in one of several ways: only what all of them say something about is restricted."""
    common = set.intersection(*(set(each) for each in maps))
    return {stage: frozenset().union(*(each[stage] for each in maps)) for stage in maps[0] if stage in common}

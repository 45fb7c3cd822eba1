"""The edges, descendants and loops of a scope, for the reference interpreter (see :mod:`support.interpreter`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_agentic.template.expressions import bare, parse, whole_expression
from airflow_agentic.template.references import analyse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Keys with Jinja text in them, nested; with an expression of which the value is used; with a condition.
TEXTS = ("prompt", "input", "with", "value", "ask", "body", "assignees", "content", "path")
VALUES = ("for_each", "by")
CONDITIONS = ("when", "accept")
SPECIAL = ("next", "end", "fail")


@dataclass(frozen=True)
class Edges:
    """
    What a stage or an artifact depends on, each stage in one of the first three at most.

    :param named_by: the stages whose decisions may choose it.
    :param rescues: those of them that choose it only when they fail.
    :param require: of a merge.
    """

    required: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()
    rescues: tuple[str, ...] = ()
    require: int | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.required, *self.waiting, *self.parts, *self.named_by)

    @property
    def stopping(self) -> tuple[str, ...]:
        """Those whose failure keeps it from running: all but parts of a merge with ``require``, and what names it."""
        return (*self.required, *self.waiting, *(() if self.require else self.parts))


@dataclass(frozen=True)
class Loop:
    """A loop and its body, with what other loops have added to it."""

    source: str
    target: str
    max_rounds: int
    body: frozenset[str]

    def __hash__(self) -> int:
        return hash((self.source, self.target))


class Graph:
    """Of a template, or of an inner pipeline."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.stages: dict[str, dict[str, Any]] = spec["stages"]
        artifacts = listed(spec.get("artifact"))
        self.artifacts = {f"artifact.{index}": artifact for index, artifact in enumerate(artifacts)}
        self.edges = {name: self._edges(name, each) for name, each in (self.stages | self.artifacts).items()}
        self.nodes = [*self._ordered(list(self.stages)), *self.artifacts]
        self.below: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name in reversed(self.nodes):
            for other in self.edges[name].all:
                self.below[other] |= {name} | self.below[name]

    # -- edges ---------------------------------------------------------------------------------------------------------

    def _edges(self, name: str, spec: dict[str, Any]) -> Edges:
        reads = [
            reference for reference in references(spec) if reference.name in self.stages and reference.name != name
        ]
        bare_reads = {reference.name for reference in reads if not reference.guarded}
        merge = spec.get("merge", {})
        required = bare_reads | set(listed(spec.get("needs")))
        parts = set(merge.get("from", ())) - required
        waiting = ({reference.name for reference in reads} | set(listed(spec.get("after")))) - required - parts
        named_by = {other for other in self.stages if name in self.named(other)}
        rescues = {other for other in named_by if name not in routed_to(self.stages[other])}
        found = (tuple(sorted(each)) for each in (required, waiting, parts, named_by, rescues))
        return Edges(*found, merge.get("require"))

    def merged(self, name: str) -> list[str]:
        """The parts of a merge, also those that it requires; none of anything else."""
        return list(self.stages.get(name, {}).get("merge", {}).get("from", ()))

    def named(self, name: str) -> set[str]:
        """The stages that a stage's own ``to``, ``exhausted`` and ``on_error.to`` name."""
        return named(self.stages[name])

    def decides(self, name: str) -> bool:
        """Whether a decision says what runs after it."""
        spec = self.stages.get(name, {})
        return bool(spec.get("routes") or any("to" in entry for entry in listed(spec.get("on_error"))))

    def next_of(self, name: str) -> list[str]:
        """What ``next`` stands for."""
        named = self.named(name)
        return [
            other
            for other in self.nodes
            if other not in named
            and name in (*self.edges[other].required, *self.edges[other].waiting, *self.edges[other].parts)
        ]

    def is_alive(self, name: str, targets: Iterable[str]) -> bool:
        """Whether a direct dependent is one of the targets, or a descendant of one."""
        return any(name == target or name in self.below[target] for target in targets)

    def _ordered(self, names: list[str]) -> list[str]:
        """Each after what it depends on, in the file's order among equals."""
        done: list[str] = []
        while len(done) < len(names):
            done.append(next(name for name in names if name not in done and set(self.edges[name].all) <= set(done)))
        return done

    # -- loops ---------------------------------------------------------------------------------------------------------

    @cached_property
    def loops(self) -> list[Loop]:
        """Outer ones first."""
        loops = [
            Loop(name, route["back_to"], route["max_rounds"], self._between({name, route["back_to"]}))
            for name, spec in self.stages.items()
            for route in spec.get("routes", ())
            if "back_to" in route
        ]
        while pair := next(self._overlapping(loops), None):
            outer, inner = sorted(pair, key=self._rank)
            grown = Loop(outer.source, outer.target, outer.max_rounds, self._between(outer.body | inner.body))
            loops = [grown if each is outer else each for each in loops]
        return sorted(loops, key=lambda loop: (-len(loop.body), self._rank(loop)))

    def _overlapping(self, loops: list[Loop]) -> Iterator[list[Loop]]:
        for index, one in enumerate(loops):
            for other in loops[index + 1 :]:
                if one.body & other.body and not one.body <= other.body and not other.body <= one.body:
                    yield [one, other]

    def _rank(self, loop: Loop) -> tuple[int, int]:
        """The target that comes first is outer; of one target, the later source."""
        return self.nodes.index(loop.target), -self.nodes.index(loop.source)

    def _between(self, names: Iterable[str]) -> frozenset[str]:
        """Some stages and whatever lies on a path from one to another."""
        below = set().union(*(self.below[name] for name in names))
        return frozenset(names) | {name for name in below if name in self.stages and self.below[name] & set(names)}

    def loops_of(self, name: str) -> list[Loop]:
        """The loops around a stage, the outermost first."""
        return [loop for loop in self.loops if name in loop.body]

    def units(self, loop: Loop | None) -> list[str | Loop]:
        """What a body, or the scope, consists of, loops inside as a whole, each after what it depends on."""
        names = [name for name in self.nodes if loop is None or name in loop.body]
        depth = 0 if loop is None else self.loops_of(loop.target).index(loop) + 1
        unit: dict[str, str | Loop] = {}
        for name in names:
            inside = self.loops_of(name)[depth:]
            unit[name] = inside[0] if inside else name
        waits: dict[str | Loop, set[str | Loop]] = {each: set() for each in unit.values()}
        for name in names:
            waits[unit[name]] |= {unit[other] for other in self.edges[name].all if other in unit} - {unit[name]}
        done: list[str | Loop] = []
        while len(done) < len(waits):
            done.append(next(each for each in waits if each not in done and waits[each] <= set(done)))
        return done


def named(spec: dict[str, Any]) -> set[str]:
    """The stages that a stage's decisions may choose by name."""
    return routed_to(spec) | {entry["to"] for entry in listed(spec.get("on_error")) if "to" in entry}


def routed_to(spec: dict[str, Any]) -> set[str]:
    """The stages that a stage's routes name."""
    targets = [listed(route.get("to", route.get("exhausted", "fail"))) for route in spec.get("routes", ())]
    return {target for some in targets for target in some if target not in SPECIAL}


def listed(value: Any) -> list[Any]:
    """One or several, or none."""
    return [] if value is None else value if isinstance(value, list) else [value]


def references(spec: dict[str, Any]) -> list[Any]:
    """Everything that the texts of a stage read."""
    found = [each for key in TEXTS if key in spec for text in strings(spec[key]) for each in analyse(parse(text))[0]]
    for key in (*VALUES, *CONDITIONS):
        if isinstance(spec.get(key), str):
            expression = whole_expression("{{" + bare(spec[key]) + "}}")
            found += analyse(expression, strict=key in VALUES)[0] if expression is not None else ()
    nested = [spec.get("merge"), spec.get("human"), *listed(spec.get("on_error")), *spec.get("routes", ())]
    return found + [each for part in nested if part for each in references(part)]


def strings(value: Any) -> list[str]:
    """All texts in nested data."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []

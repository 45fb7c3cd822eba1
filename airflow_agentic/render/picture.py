"""
What there is to draw of a template: boxes, frames around them, and lines between them; no places and no colours.

The picture is the author's, not the DAG's: a loop is one frame with one line back, a fan-out one stacked box, an inner
pipeline a frame with its stages. Conditions and names in it are data: whoever writes them out has to escape them.

A line that says nothing new is left out: one of two stages of which one reads the other is not drawn where other
lines lead from the one to the other anyway. Routes and errors are always drawn.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow_agentic.render.notes import agent_type, notes_of, one_line
from airflow_agentic.template import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.template.flow import Loop
    from airflow_agentic.template.template import Route, Stage, Template

NodeKind = Literal["llm", "http", "python", "merge", "human", "artifact", "end", "fail"]
FrameKind = Literal["loop", "pipeline"]
EdgeKind = Literal["required", "waiting", "route", "error", "back"]
_TERMINALS: tuple[Literal["end", "fail"], ...] = ("end", "fail")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """
    A node or a frame.

    :param id: the stage's name, with those of the pipelines around it before it (``clause.vote``).
    :param notes: what is worth knowing about it, a line each.
    :param frame: the id of the innermost frame around it.
    :param stacked: it is repeated for the items of a list.
    :param description: its author's words.
    """

    id: str
    title: str
    notes: tuple[str, ...] = ()
    frame: str | None = None
    stacked: bool = False
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class Node(Unit):
    """A stage that is no pipeline, an artifact, or the place where a route ends (``clause.vote/end``)."""

    kind: NodeKind


@dataclass(frozen=True, kw_only=True)
class Frame(Unit):
    """A loop's body, or an inner pipeline; a loop's id is ``target..source``."""

    kind: FrameKind


@dataclass(frozen=True, kw_only=True)
class Edge:
    """
    A line.

    :param source, target: ids of nodes, or of frames of pipelines.
    :param kind: ``required`` and ``waiting``: as the stage's dependencies; ``route``: taken where its label holds;
        ``error``: taken when the source failed; ``back``: from a loop's last stage to its first.
    :param label: texts, a paragraph each.
    :param outcome: what the source's decision is called (``DecisionTrace.outcome``) when this line is taken; null of a
        line that no decision is about.
    :param routes: which of the source's routes, from 0, this line stands for (``DecisionTrace.route``): two that lead
        to the same stage have the same outcome. Empty for a line that no route is about.
    """

    source: str
    target: str
    kind: EdgeKind
    label: tuple[str, ...] = ()
    outcome: str | None = None
    routes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Picture:
    """
    All of it.

    :param nodes: in an order in which each follows what it depends on, within each frame.
    :param frames: outer ones before inner ones.
    """

    title: str
    description: str | None
    nodes: tuple[Node, ...]
    frames: tuple[Frame, ...]
    edges: tuple[Edge, ...]

    @property
    def units(self) -> tuple[Node | Frame, ...]:
        """All frames, and then all nodes."""
        return (*self.frames, *self.nodes)


Part = TypeVar("Part", Node, Frame, Edge)


def to_data(picture: Picture) -> dict[str, Any]:
    """The picture as JSON has it."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(picture)))
    return data


def from_data(data: dict[str, Any]) -> Picture:
    """
    Undo :func:`to_data`; keys that a later version may have added are left out.

    :raises KeyError, TypeError: it is no picture.
    """
    return Picture(
        title=data["title"],
        description=data["description"],
        nodes=tuple(_read(Node, node) for node in data["nodes"]),
        frames=tuple(_read(Frame, frame) for frame in data["frames"]),
        edges=tuple(_read(Edge, edge) for edge in data["edges"]),
    )


def _read(cls: type[Part], data: dict[str, Any]) -> Part:
    known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
    parts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
    return cls(**parts)


def picture_of(template: Template) -> Picture:
    """The picture of a checked template."""
    scope = _Scope(template, "", None)
    return Picture(
        title=template.name,
        description=template.spec.description,
        nodes=tuple(scope.nodes),
        frames=tuple(scope.frames),
        edges=tuple(scope.all_edges),
    )


class _Scope:
    """
    Draws the stages of a template, or of one inner pipeline.

    :param prefix: stands before the ids of everything in it.
    :param frame: the pipeline's own.
    """

    def __init__(self, template: Template, prefix: str, frame: str | None) -> None:
        self.template = template
        self.prefix = prefix
        self.nodes: list[Node] = []
        self.frames: list[Frame] = []
        self.edges: list[Edge] = []
        self.inner_edges: list[Edge] = []
        self.frame = frame
        self._add_loops()
        for name in template.order:
            self._add_stage(template.stages[name])
        self._add_artifacts()
        for name in template.order:
            self._add_routes(template.stages[name])
        self._add_reads()

    @property
    def all_edges(self) -> list[Edge]:
        """Its own, and those of the pipelines in it."""
        return [*self.edges, *self.inner_edges]

    # -- boxes -----------------------------------------------------------------------------------------------------

    def _add_loops(self) -> None:
        for loop in self.template.flow.loops:
            around = [other for other in self.template.flow.loops if loop.body < other.body]
            outer = self._loop_id(around[-1]) if around else self.frame
            title = f"loop from {loop.target} to {loop.source}" if loop.target != loop.source else "loop"
            self.frames.append(Frame(id=self._loop_id(loop), kind="loop", title=title, frame=outer))

    def _loop_id(self, loop: Loop) -> str:
        return f"{self.prefix}{loop.target}..{loop.source}"

    def _around(self, name: str) -> str | None:
        loops = self.template.flow.loops_of[name]
        return self._loop_id(loops[-1]) if loops else self.frame

    def _add_stage(self, stage: Stage) -> None:
        unit = Unit(
            id=self.prefix + stage.name,
            title=stage.name,
            notes=notes_of(stage, self.template),
            frame=self._around(stage.name),
            stacked=stage.for_each is not None,
            description=stage.spec.description,
        )
        if stage.pipeline is None:
            self.nodes.append(Node(**vars(unit), kind=_kind(stage, self.template)))
            return
        self.frames.append(Frame(**vars(unit), kind="pipeline"))
        inner = _Scope(stage.pipeline, f"{self.prefix}{stage.name}.", self.prefix + stage.name)
        self.nodes += inner.nodes
        self.frames += inner.frames
        self.inner_edges += inner.all_edges

    def _add_artifacts(self) -> None:
        for index, artifact in enumerate(self.template.artifacts):
            notes = (artifact.path, *((artifact.asset,) if artifact.asset else ()))
            name = f"{self.prefix}artifact.{index}"
            self.nodes.append(Node(id=name, kind="artifact", title="artifact", notes=notes, frame=self.frame))

    # -- lines -----------------------------------------------------------------------------------------------------

    def _add_routes(self, stage: Stage) -> None:
        for index, route in enumerate(stage.routes):
            condition = _condition(route, index)
            if route.back_to is None:
                self._add_ways(stage, route.to, condition, index)
                continue
            label = (*condition, f"at most {_rounds(route)}")
            self._add("back", stage.name, route.back_to, label, f"again_{route.back_to}", index)
            self._add_ways(stage, route.to, (f"after {_rounds(route)}",), index)
        for recovery in stage.recoveries:
            if recovery.to is not None:
                kinds = ", ".join(recovery.kinds)
                label = (f"on error: {kinds}" if kinds else "on error",)
                self._add("error", stage.name, recovery.to, label, f"error_to_{recovery.to}")

    def _add_ways(self, stage: Stage, to: Sequence[str], label: tuple[str, ...], route: int) -> None:
        flow = self.template.flow
        outcome = flow.outcome_of(stage, to)
        targets = outcome.targets
        for target in targets:
            # What `next` stands for may come after other targets.
            if target in to or not any(target in flow.descendants(other) for other in targets):
                self._add("route", stage.name, target, label, outcome.name, route)
        for terminal in _TERMINALS:
            if terminal in to:
                self._add_terminal(stage, terminal)
                self._add("route", stage.name, f"{stage.name}/{terminal}", label, outcome.name, route)

    def _add_terminal(self, stage: Stage, kind: Literal["end", "fail"]) -> None:
        name = f"{self.prefix}{stage.name}/{kind}"
        if all(node.id != name for node in self.nodes):
            self.nodes.append(Node(id=name, kind=kind, title=kind, frame=self.frame))

    def _add(
        self,
        kind: EdgeKind,
        source: str,
        target: str,
        label: tuple[str, ...],
        outcome: str,
        route: int | None = None,
    ) -> None:
        ends = (self.prefix + source, self.prefix + target)
        edge = Edge(source=ends[0], target=ends[1], kind=kind, label=label, outcome=outcome)
        routes = () if route is None else (route,)
        for index, drawn in enumerate(self.edges):
            if replace(drawn, routes=()) == edge:
                self.edges[index] = replace(drawn, routes=tuple(dict.fromkeys((*drawn.routes, *routes))))
                return
        self.edges.append(replace(edge, routes=routes))

    def _add_reads(self) -> None:
        """The dependencies that no route and no other way shows."""
        shown = {(edge.source, edge.target) for edge in self.edges if edge.kind != "back"}
        reads = [
            (self.prefix + source, self.prefix + target, kind)
            for target in self.template.flow.nodes
            for source, kind in self._reads_of(target)
        ]
        reads = [read for read in reads if read[:2] not in shown]
        # A way that is only taken after a failure is none to leave a line out for.
        ways: dict[str, set[str]] = {}
        for source, target in [
            *(read[:2] for read in reads),
            *((edge.source, edge.target) for edge in self.edges if edge.kind == "route"),
        ]:
            ways.setdefault(source, set()).add(target)
        for source, target, kind in reads:
            if not _leads(ways, ways[source] - {target}, target):
                self.edges.append(Edge(source=source, target=target, kind=kind))

    def _reads_of(self, name: str) -> Iterable[tuple[str, Literal["required", "waiting"]]]:
        depends, stage = self.template.dependencies[name], self.template.stages.get(name)
        for other in depends.required:
            yield other, "required"
        lenient = stage is not None and isinstance(stage.spec, models.MergeStage) and stage.spec.merge.require
        for other in depends.parts:
            yield other, "waiting" if lenient else "required"
        for other in depends.waiting:
            yield other, "waiting"


def _kind(stage: Stage, template: Template) -> NodeKind:
    if isinstance(stage.spec, models.MergeStage):
        return "merge"
    return "human" if isinstance(stage.spec, models.HumanStage) else agent_type(stage, template)


def _condition(route: Route, index: int) -> tuple[str, ...]:
    if route.when is not None:
        return (one_line(route.when),)
    return ("otherwise",) if index else ()


def _rounds(route: Route) -> str:
    return f"{route.max_rounds} rounds" if route.max_rounds != 1 else "1 round"


def _leads(ways: dict[str, set[str]], starts: Iterable[str], target: str) -> bool:
    """Whether one can get from any of the starts to the target."""
    seen: set[str] = set()
    stack = sorted(starts)
    while stack:
        name = stack.pop()
        if name == target:
            return True
        if name not in seen:
            seen.add(name)
            stack += ways.get(name, ())
    return False

"""The path that a run took through the template's picture: what ran, which lines were taken and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_agentic.render.picture import from_data
from airflow_agentic.render.svg import drawn
from airflow_agentic.view.story import NOT_BEGUN
from airflow_agentic.view.words import plural, state_sign, state_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_agentic.render.picture import Edge, Node, Picture
    from airflow_agentic.trace.document import StageSummary, Trace
    from airflow_agentic.view.timeline import Row


@dataclass(frozen=True, kw_only=True)
class Piece:
    """
    A part of the picture.

    :param markup: of ``render``, which escapes what it writes.
    :param row: the key of the timeline's row that tells of it; None for what is no stage of its own.
    """

    markup: str
    taken: bool
    bad: bool = False
    row: str | None = None
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Path:
    """The picture in the order in which it is drawn; :param words: the way in a few lines, for those who can't see."""

    width: float
    height: float
    frames: tuple[Piece, ...]
    lines: tuple[Piece, ...]
    nodes: tuple[Piece, ...]
    labels: tuple[Piece, ...]
    words: tuple[str, ...]


def path_of(trace: Trace, rows: Sequence[Row]) -> Path | None:
    """The path; None where the run left no picture, or one that can't be read."""
    if trace.picture is None:
        return None
    try:
        picture = from_data(trace.picture)
        return _path(trace, picture, rows)
    except (KeyError, TypeError, ValueError, StopIteration, IndexError):
        return None


def _path(trace: Trace, picture: Picture, rows: Sequence[Row]) -> Path:
    walked = _Walked(trace, picture, rows)
    drawing = drawn(walked.annotated())
    edges = list(zip(picture.edges, drawing.lines, drawing.labels, strict=True))
    taken = {edge: walked.times(edge) for edge in picture.edges}
    return Path(
        width=drawing.width,
        height=drawing.height,
        frames=tuple(walked.piece(name, markup) for name, markup in drawing.frames.items()),
        lines=tuple(Piece(markup=line, taken=taken[edge] > 0) for edge, line, _ in edges),
        nodes=tuple(walked.piece(name, markup) for name, markup in drawing.nodes.items()),
        labels=tuple(Piece(markup=label, taken=taken[edge] > 0) for edge, _, label in edges if label),
        words=tuple(_words(edge, number) for edge, number in taken.items() if edge.outcome is not None and number),
    )


def _words(edge: Edge, number: int) -> str:
    way = "back to" if edge.kind == "back" else "to"
    return f"from {edge.source} {way} {edge.target.rpartition('/')[2]}: {plural(number, 'time')}"


class _Walked:
    """What ran of a picture."""

    def __init__(self, trace: Trace, picture: Picture, rows: Sequence[Row]) -> None:
        self._picture = picture
        self._rows: dict[str, str] = {}
        self._stages: dict[str, list[StageSummary]] = {}
        for row in rows:
            for name in _names_of(row.stage, trace):
                self._rows.setdefault(name, row.key)
                self._stages.setdefault(name, []).append(row.stage)
        self._decided = Counter((decision.stage, decision.outcome, decision.route) for decision in trace.decisions)
        self._taken_to = {edge.target for edge in picture.edges if edge.outcome is not None and self._decisions(edge)}
        self._frame_of = {unit.id: unit.frame for unit in picture.units}

    def annotated(self) -> Picture:
        """The picture with how each stage went, and how often each way was taken."""
        return replace(
            self._picture,
            nodes=tuple(replace(node, notes=(*node.notes, *self._note(node))) for node in self._picture.nodes),
            edges=tuple(replace(edge, label=(*edge.label, *self._count(edge))) for edge in self._picture.edges),
        )

    def piece(self, name: str, markup: str) -> Piece:
        """A node or a frame."""
        stages = self._stages.get(name, [])
        bad = bool(stages) and stages[-1].state == "failed"
        words = f"{name}: {state_words(stages[-1].state)}" if stages else name
        return Piece(markup=markup, taken=self.ran(name), bad=bad, row=self._rows.get(name), words=words)

    def ran(self, name: str) -> bool:
        """Whether a stage began, or an end was reached, or something in a frame began."""
        if any(stage.state not in NOT_BEGUN for stage in self._stages.get(name, ())):
            return True
        if name in self._taken_to and "/" in name:
            return True
        return any(self.ran(unit) for unit, frame in self._frame_of.items() if frame == name)

    def times(self, edge: Edge) -> int:
        """How often a line was taken."""
        if edge.outcome is not None:
            return self._decisions(edge)
        return int(self.ran(edge.source) and self.ran(edge.target))

    def _decisions(self, edge: Edge) -> int:
        """Pictures of an earlier version don't tell the routes to one stage apart."""
        return sum(
            number
            for (stage, outcome, route), number in self._decided.items()
            if (stage, outcome) == (edge.source, edge.outcome) and (route in edge.routes or not edge.routes)
        )

    def _count(self, edge: Edge) -> Iterator[str]:
        number = self.times(edge)
        if edge.kind == "back":
            yield f"taken {plural(number, 'time')}" if number else "not taken"
        elif edge.outcome is not None and number > 1:
            yield f"taken {plural(number, 'time')}"

    def _note(self, node: Node) -> Iterator[str]:
        stages = self._stages.get(node.id)
        if not stages:
            return
        last = stages[-1]
        told = [f"{state_sign(last.state)} {_short(last.state)}"]
        began = [stage for stage in stages if stage.state not in NOT_BEGUN]
        if len(began) > 1:
            told.append(plural(len(began), "round"))
        if last.items:
            told.append(_items(last.items))
        yield " · ".join(told)


def _short(state: str) -> str:
    return "not run" if state == "upstream_failed" else state_words(state)


def _items(items: Mapping[str, int]) -> str:
    return f"{items['total'] - items['failed']} of {plural(items['total'], 'item')}"


def _names_of(stage: StageSummary, trace: Trace) -> Iterator[str]:
    """What the picture calls a stage; artifacts are numbered there."""
    yield stage.stage
    if stage.kind == "artifact":
        own = [task.task_id for task in trace.tasks if task.kind == "artifact" and task.map_index < 1]
        path = stage.stage.rpartition(".")[0]
        for number, task_id in enumerate(own):
            if any(task.task_id == task_id and task.stage == stage.stage for task in trace.tasks):
                yield f"{path}.artifact.{number}" if path else f"artifact.{number}"

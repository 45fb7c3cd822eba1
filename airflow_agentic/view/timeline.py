"""The timeline: a row for each stage and round, a bar for each attempt, and what else took time or was decided."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.trace.labels import item_words
from airflow_agentic.view.scale import pressed_scale, true_scale
from airflow_agentic.view.words import clock, duration, moment, state_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from airflow_agentic.trace.document import (
        AnswerTrace,
        AttemptTrace,
        DecisionTrace,
        MergeTrace,
        StageSummary,
        Trace,
    )
    from airflow_agentic.view.scale import Scale, Tick

MarkKind = Literal["queue", "wait", "work", "pause", "person", "merge", "artifact", "decision"]
#: Of a fan-out with more items, only a strip is shown at first.
FOLDED = 12
#: Parts that a strip is made of.
_BINS = 120
_FAILED = ("failed", "killed", "lost")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """
    Something that took time, or happened at one moment (then ``end`` is ``start``).

    :param ref: the id of the attempt, answer, decision, merge or artifact; None for a part of another mark.
    :param words: what it is, for those who can't see it.
    """

    kind: MarkKind
    start: float
    end: float
    state: str = ""
    ref: str | None = None
    words: str = ""
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One line of bars: of a stage in one round, or of one of its items."""

    label: str
    marks: tuple[Mark, ...]
    state: str
    seconds: float
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """A part of a strip: how much of it was at work (of the busiest one), and whether something failed there."""

    start: float
    end: float
    share: float
    failed: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    A stage in one round.

    :param heading: stands above it: the round that begins here.
    :param items: the lanes of its items; empty where it has none.
    :param tasks: ids of all tasks that Airflow has for it.
    """

    stage: StageSummary
    key: str
    lane: Lane
    heading: str | None = None
    items: tuple[Lane, ...] = ()
    strip: tuple[Bin, ...] = ()
    tasks: tuple[str, ...] = ()

    @property
    def folded(self) -> bool:
        """Whether its items are too many to be shown at first."""
        return len(self.items) > FOLDED

    @property
    def failed(self) -> int:
        """How many items failed in the end."""
        return sum(lane.state in _FAILED for lane in self.items)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """
    All of it.

    :param seconds: from the run's beginning to its end, or to the last thing known of it.
    :param pressed: with idle stretches pressed; None where there are none.
    """

    began: str | None
    seconds: float
    rows: tuple[Row, ...]
    true: Scale
    pressed: Scale | None

    @property
    def scale(self) -> Scale:
        """The one that is shown at first."""
        return self.pressed or self.true

    @cached_property
    def ticks(self) -> list[tuple[str, list[Tick]]]:
        """The marks of each scale, by its name."""
        scales = [("true", self.true), *([("pressed", self.pressed)] if self.pressed else [])]
        return [(name, scale.ticks()) for name, scale in scales]


def timeline_of(trace: Trace, now: str | None = None) -> Timeline:
    """
    The timeline of a run.

    :param now: up to when it goes, of a run that hasn't ended; None: up to the last thing known of it.
    """
    clocked = _Clock(trace, now if trace.ended is None else None)
    rows = tuple(_rows(trace, clocked))
    seconds = max([clocked.seconds, *(mark.end for row in rows for mark in row.lane.marks)])
    busy = [
        (mark.start, mark.end)
        for row in rows
        for mark in row.lane.marks
        if mark.kind not in ("person", "pause") and mark.end >= mark.start
    ]
    return Timeline(
        began=clocked.began_text,
        seconds=seconds,
        rows=rows,
        true=true_scale(seconds),
        pressed=pressed_scale(seconds, busy),
    )


@dataclass
class _Clock:
    """Moments as seconds since the run began."""

    trace: Trace
    now: str | None
    began: datetime | None = field(init=False)
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        trace = self.trace
        told = [trace.started, trace.ended, self.now]
        for each in trace.attempts:
            told += [each.started, each.ended]
        for answer in trace.answers:
            told += [answer.asked, answer.answered]
        told += [decision.decided for decision in trace.decisions]
        told += [artifact.written for artifact in trace.artifacts]
        for merge in trace.merges:
            told += [merge.started, merge.ended]
        found = {text: known for text in told if (known := moment(text)) is not None and text is not None}
        self.began_text = min(found, key=lambda text: found[text], default=None)
        self.began = found[self.began_text] if self.began_text else None
        self.seconds = 0.0
        self.seconds = max((self.at(text) or 0.0 for text in found), default=0.0)

    def at(self, text: str | None) -> float | None:
        """Seconds since the beginning; None when that isn't known."""
        found = moment(text)
        return None if found is None or self.began is None else max(0.0, (found - self.began).total_seconds())


def _rows(trace: Trace, clocked: _Clock) -> Iterator[Row]:
    marks = _marks(trace, clocked)
    attempts: dict[str, AttemptTrace] = {attempt.id: attempt for attempt in trace.attempts}
    tasks: dict[Any, dict[str, None]] = defaultdict(dict)
    for task in trace.tasks:
        tasks[task.stage, task.rounds][task.task_id] = None
    rounds: tuple[int, ...] = ()
    for number, stage in enumerate(trace.stages):
        place = (stage.stage, stage.rounds)
        own = [attempts[each] for each in stage.attempts if each in attempts]
        answers = [each for each in trace.answers if (each.stage, each.rounds) == place]
        key = f"row-{number}"
        others = tuple(marks.get(place, ()))
        lane = _lane(stage.name, [*_of_attempts(own, clocked), *_of_answers(answers, clocked), *others], stage.state)
        items = tuple(_items(own, answers, clocked))
        heading = f"Round {'.'.join(map(str, stage.rounds))}" if stage.rounds and stage.rounds != rounds else None
        rounds = stage.rounds
        strip = tuple(_strip(lane.marks)) if len(items) > FOLDED else ()
        yield Row(stage=stage, key=key, lane=lane, heading=heading, items=items, strip=strip, tasks=tuple(tasks[place]))


def _lane(label: str, marks: Iterable[Mark], state: str, key: str = "") -> Lane:
    listed = tuple(sorted(marks, key=lambda mark: (mark.start, mark.end)))
    worked = sum(mark.end - mark.start for mark in listed if mark.kind in ("work", "merge"))
    return Lane(label=label, marks=listed, state=state, seconds=worked, key=key)


def _items(attempts: Sequence[AttemptTrace], answers: Sequence[AnswerTrace], clocked: _Clock) -> Iterator[Lane]:
    """A lane for each item, where there are items (of the stage's own list, or of the pipeline around it)."""
    own: dict[tuple[int, int], list[AttemptTrace]] = defaultdict(list)
    asked: dict[tuple[int, int], list[AnswerTrace]] = defaultdict(list)
    for attempt in attempts:
        own[_place(attempt)].append(attempt)
    for answer in answers:
        asked[_place(answer)].append(answer)
    places = sorted({*own, *asked} - {(-1, -1)})
    if len(places) < 2 and (not places or places[0][1] < 0):
        return
    for index, inner in places:
        name = "item " + ".".join(str(place + 1) for place in (index, inner) if place >= 0)
        mine, questions = own[index, inner], asked[index, inner]
        labels = [*(attempt.label for attempt in mine), *(answer.label for answer in questions)]
        label = next(filter(None, labels), None)
        name = f"{name} ({label})" if label else name
        state = mine[-1].state if mine else "success" if questions[-1].answered else "awaiting_input"
        if mine and mine[-1].recovered_by:
            state = "success"
        yield _lane(name, [*_of_attempts(mine, clocked), *_of_answers(questions, clocked)], state, f"{index}.{inner}")


def _place(each: AttemptTrace | AnswerTrace) -> tuple[int, int]:
    """The item of the pipeline around it, and its own; one task may work on several items."""
    inner = each.item["index"] if each.item and isinstance(each.item.get("index"), int) else -1
    outer = each.map_index if getattr(each, "kind", "agent") != "item" and each.item is None else -1
    return outer, inner


def _of_attempts(attempts: Sequence[AttemptTrace], clocked: _Clock) -> Iterator[Mark]:
    for attempt in attempts:
        started = clocked.at(attempt.started)
        if started is None:
            continue
        ended = clocked.at(attempt.ended)
        end = max(started, clocked.seconds if ended is None else ended)
        begins = min(end, started + attempt.waited)
        if attempt.queued_seconds:
            yield Mark(kind="queue", start=max(0.0, started - attempt.queued_seconds), end=started)
        if begins > started:
            yield Mark(kind="wait", start=started, end=begins)
        if attempt.next_wait:
            yield Mark(kind="pause", start=end, end=end + attempt.next_wait)
        words, whose = attempt_words(attempt), _whose(attempt)
        yield Mark(kind="work", start=begins, end=end, state=attempt.state, ref=attempt.id, words=words, **whose)


def _whose(
    each: AttemptTrace | AnswerTrace | DecisionTrace | MergeTrace,
) -> dict[str, Any]:
    return {"task_id": each.task_id, "map_index": each.map_index, "try_number": each.try_number}


def attempt_words(attempt: AttemptTrace) -> str:
    """An attempt in a line."""
    place = attempt.item.get("index") if attempt.item else None
    item = f", {item_words(place, attempt.label)}" if isinstance(place, int) else ""
    number = f"attempt {attempt.attempt}" if attempt.attempt else f"try {attempt.try_number}"
    rounds = f", round {'.'.join(map(str, attempt.rounds))}" if attempt.rounds else ""
    error = f" ({attempt.error.get('kind')})" if attempt.error else ""
    took = f", {duration(attempt.seconds)}" if attempt.seconds is not None else ""
    began = f", from {clock(attempt.started)}" if attempt.started else ""
    return f"{attempt.stage}{rounds}{item}, {number}: {state_words(attempt.state)}{error}{took}{began}"


def _of_answers(answers: Sequence[AnswerTrace], clocked: _Clock) -> Iterator[Mark]:
    for answer in answers:
        start, end = clocked.at(answer.asked), clocked.at(answer.answered)
        if start is None:
            continue
        how = "nobody answered in time" if answer.timed_out else f"answered: {answer.choice}"
        words = f"{answer.stage}, question to people: {how if answer.answered else 'waits for an answer'}"
        until = max(start, clocked.seconds if end is None else end)
        state = "failed" if answer.error else "success" if answer.answered else "awaiting_input"
        yield Mark(kind="person", start=start, end=until, state=state, ref=answer.id, words=words, **_whose(answer))


def _marks(trace: Trace, clocked: _Clock) -> dict[tuple[str, tuple[int, ...]], list[Mark]]:
    """What isn't an attempt or a question, by stage and rounds."""
    found: dict[tuple[str, tuple[int, ...]], list[Mark]] = defaultdict(list)
    for merge in trace.merges:
        start, end = clocked.at(merge.started), clocked.at(merge.ended)
        if start is not None and end is not None:
            words = f"{merge.stage}, merge: {duration(merge.seconds)}"
            mark = Mark(kind="merge", start=start, end=max(start, end), state="success", words=words, **_whose(merge))
            found[merge.stage, merge.rounds].append(mark)
    for decision in trace.decisions:
        at = clocked.at(decision.decided)
        if at is not None:
            told = {"state": decision.about, "ref": decision.id, "words": decision.words, **_whose(decision)}
            mark = Mark(kind="decision", start=at, end=at, **told)
            found[decision.stage, decision.rounds].append(mark)
    stages = {task.task_id: (task.stage, task.rounds) for task in trace.tasks}
    for artifact in trace.artifacts:
        at = clocked.at(artifact.written)
        if at is not None:
            words = f"artifact written: {artifact.uri}"
            mark = Mark(
                kind="artifact", start=at, end=at, ref=artifact.id, words=words, task_id=artifact.task_id, try_number=1
            )
            found[stages.get(artifact.task_id, ("artifact", ()))].append(mark)
    return found


def _strip(marks: Sequence[Mark]) -> Iterator[Bin]:
    """How many were at work when, in parts of equal length between the first and the last."""
    work = [mark for mark in marks if mark.kind in ("work", "person")]
    if not work:
        return
    first, last = min(mark.start for mark in work), max(mark.end for mark in work)
    size = max((last - first) / _BINS, 1e-6)
    busy, failed = [0.0] * _BINS, [0] * _BINS
    for mark in work:
        low, high = (min(_BINS - 1, max(0, int((at - first) / size))) for at in (mark.start, mark.end))
        for number in range(low, high + 1):
            begins = first + number * size
            busy[number] += max(min(mark.end, begins + size) - max(mark.start, begins), size * 0.05)
        failed[high] += mark.state in _FAILED
    most = max(busy)
    for number, (share, bad) in enumerate(zip(busy, failed, strict=True)):
        if share or bad:
            start = first + number * size
            yield Bin(start=start, end=start + size, share=round(share / most, 3), failed=bad)

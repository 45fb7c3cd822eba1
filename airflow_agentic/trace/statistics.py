"""
What the runs of a pipeline come to, added up.

Pure functions over what Airflow says of each run, and its summary where it left one. All durations are seconds, all
money US dollars. What isn't known is null and counts nowhere: a median is that of the runs that know the figure.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_agentic.trace.summary import RunSummary

#: Airflow's states of a run that has ended.
ENDED = ("success", "failed")


@dataclass(frozen=True, kw_only=True)
class RunPoint:
    """
    One run.

    :param state: Airflow's: ``queued``, ``running``, ``success``, ``failed``.
    :param at: when it was started; of one that wasn't yet, when it was queued, or made.
    :param seconds: from its start to its end; null before.
    :param figures: ``known``; ``none``: it left none; ``unread``: they haven't been read yet; ``unreadable``.
    :param summary: its figures, where they are known.
    """

    run_id: str
    state: str
    at: datetime
    seconds: float | None = None
    figures: Literal["known", "none", "unread", "unreadable"] = "none"
    summary: RunSummary | None = None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """
    A figure of several runs.

    :param p95: the smallest that at least 95 % of them don't exceed.
    :param count: how many runs know it.
    """

    median: float
    p95: float
    total: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Failing:
    """
    How often a stage failed.

    :param runs: in how many runs it failed, handled or not; ``of`` how many whose figures are known.
    :param failed_attempts: of its agents' ``attempts`` in all these.
    """

    stage: str
    runs: int
    of: int
    failed_attempts: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """
    How often a loop went round.

    :param count: how often the loop was entered; ``exhausted`` of these would have gone on, but for its bound.
    """

    target: str
    source: str
    max_rounds: int
    median: float
    count: int
    exhausted: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """
    A pipeline's runs.

    :param active: runs that haven't ended.
    :param success_rate: of those that have; from 0 to 1.
    :param seconds: of runs that have ended.
    :param tokens: input and output together, per run.
    :param cost: per run; a lower bound where ``cost_partly_known``.
    :param failing: the stage that failed in most runs, of several the one with most failed attempts; null when nothing
        failed.
    :param loops: in the order of the pipeline.
    :param people: seconds that people were waited for, per run that asked any.
    :param known, without, unread, unreadable: runs that have ended, by whether their figures are known.
    :param points: all of them, the last one at the end.
    """

    runs: int
    succeeded: int
    failed: int
    active: int
    success_rate: float | None
    seconds: Spread | None
    tokens: Spread | None
    cost: Spread | None
    cost_partly_known: bool
    failing: Failing | None
    loops: tuple[Rounds, ...]
    people: Spread | None
    known: int
    without: int
    unread: int
    unreadable: int
    points: tuple[RunPoint, ...]

    @property
    def last(self) -> RunPoint | None:
        """The run that began last."""
        return self.points[-1] if self.points else None


def statistics_of(runs: Iterable[RunPoint]) -> Statistics:
    """The statistics of some runs, in whatever order they are."""
    points = sorted(runs, key=lambda run: (run.at, run.run_id))
    ended = [run for run in points if run.state in ENDED]
    states = Counter(run.state for run in ended)
    figures = Counter(run.figures for run in ended)
    known = [run.summary for run in ended if run.summary is not None]
    asked = [summary.people.seconds for summary in known if summary.people.asked]
    return Statistics(
        runs=len(points),
        succeeded=states["success"],
        failed=states["failed"],
        active=len(points) - len(ended),
        success_rate=states["success"] / len(ended) if ended else None,
        seconds=spread(run.seconds for run in ended),
        tokens=spread(tokens_of(summary) for summary in known),
        cost=spread(summary.usage.cost_usd for summary in known),
        cost_partly_known=any(summary.usage.partly_known for summary in known),
        failing=failing_of(known),
        loops=rounds_of(known),
        people=spread(asked),
        known=figures["known"],
        without=figures["none"],
        unread=figures["unread"],
        unreadable=figures["unreadable"],
        points=tuple(points),
    )


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are known; null when none is."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    p95 = known[math.ceil(len(known) * 95 / 100) - 1]
    return Spread(median=median(known), p95=p95, total=math.fsum(known), count=len(known))


def tokens_of(summary: RunSummary) -> int | None:
    """Of a run, in and out; null when no agent counted any."""
    counted = (summary.usage.input_tokens, summary.usage.output_tokens)
    return None if counted == (None, None) else sum(tokens or 0 for tokens in counted)


def failing_of(summaries: Sequence[RunSummary]) -> Failing | None:
    """The stage that fails most."""
    runs, attempts, in_vain = Counter[str](), Counter[str](), Counter[str]()
    for summary in summaries:
        for stage in summary.stages:
            runs[stage.stage] += stage.failed
            attempts[stage.stage] += stage.attempts
            in_vain[stage.stage] += stage.failed_attempts
    worst = max(runs, key=lambda stage: (runs[stage], in_vain[stage]), default=None)
    if worst is None or not (runs[worst] or in_vain[worst]):
        return None
    return Failing(
        stage=worst,
        runs=runs[worst],
        of=len(summaries),
        failed_attempts=in_vain[worst],
        attempts=attempts[worst],
    )


def rounds_of(summaries: Iterable[RunSummary]) -> tuple[Rounds, ...]:
    """The loops, in the order in which they are first met."""
    rounds: dict[tuple[str, str], Counter[int]] = {}
    bounds: Counter[tuple[str, str]] = Counter()
    exhausted: Counter[tuple[str, str]] = Counter()
    for summary in summaries:
        for loop in summary.loops:
            key = loop.target, loop.source
            rounds.setdefault(key, Counter()).update(loop.rounds)
            bounds[key] = max(bounds[key], loop.max_rounds)
            exhausted[key] += loop.exhausted
    return tuple(
        Rounds(
            target=target,
            source=source,
            max_rounds=bounds[target, source],
            median=median_of_counts(counts),
            count=counts.total(),
            exhausted=exhausted[target, source],
        )
        for (target, source), counts in rounds.items()
        if counts.total()
    )


def median_of_counts(counts: Mapping[int, int]) -> float:
    """The median of numbers, given how often each of them occurs; at least one does."""
    total = sum(counts.values())
    lower, upper = (_nth(counts, place) for place in ((total - 1) // 2, total // 2))
    return (lower + upper) / 2


def _nth(counts: Mapping[int, int], place: int) -> int:
    """The number at a place, from 0, when all are put in order."""
    for number in sorted(counts):
        place -= counts[number]
        if place < 0:
            return number
    raise IndexError(place)

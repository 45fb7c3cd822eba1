"""The rows of the pipelines page: figures as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from airflow_agentic.view import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_agentic.trace.statistics import Rounds, RunPoint, Spread
    from airflow_agentic.view.pipelines import Pipeline

#: Runs in the little picture of a row, the width of one, and its height.
_BARS, _STEP, _HEIGHT, _LEAST = 30, 4, 26, 3
_EXACT = 10_000
_UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """
    What stands in a cell.

    :param more: smaller, below it.
    :param whole: said at length, for those who point at it.
    """

    text: str = words.NOTHING
    more: tuple[str, ...] = ()
    whole: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One run in the little picture: its place, its colour's name, and what it says."""

    x: int
    y: float
    height: float
    colour: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Last:
    """The last run: its state in words, as a colour and as a sign, when it began, and its trace."""

    state: str
    colour: str
    sign: str
    ago: str
    at: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    A pipeline.

    :param cells: by the columns' keys.
    :param bars: of the last runs, the last one at the right; ``drawn`` says the same in words.
    """

    name: str
    description: str
    is_paused: bool
    href: str
    cells: dict[str, Cell]
    bars: tuple[Bar, ...]
    drawn: str
    last: Last | None


def row_of(pipeline: Pipeline, now: datetime, links: Mapping[str, str]) -> Row:
    """A row; ``links`` are those of the pipeline (``dag``) and its last run (``last``)."""
    points = pipeline.statistics.points[-_BARS:]
    last = pipeline.statistics.last
    return Row(
        name=pipeline.name,
        description=pipeline.description or "",
        is_paused=pipeline.is_paused,
        href=links["dag"],
        cells=_cells(pipeline),
        bars=tuple(_bars(points)),
        drawn=f"The last {len(points)} runs: {_states(points)}",
        last=_last(last, now, links["last"]) if last else None,
    )


def total_of(pipelines: Sequence[Pipeline]) -> dict[str, Cell]:
    """The last row: what can be added up over all pipelines."""
    found = [pipeline.statistics for pipeline in pipelines]
    succeeded, failed = (sum(getattr(each, name) for each in found) for name in ("succeeded", "failed"))
    costs = [each.cost.total for each in found if each.cost]
    tokens = [each.tokens.total for each in found if each.tokens]
    partly = any(each.cost_partly_known for each in found)
    return {
        "runs": Cell(text=words.count(sum(each.runs for each in found))),
        "success": Cell(text=_percent(succeeded, succeeded + failed)),
        "tokens": Cell(text=compact(sum(tokens)), whole=words.count(int(sum(tokens)))) if tokens else Cell(),
        "cost": Cell(text=_dollars(sum(costs), partly)) if costs else Cell(),
    }


def compact(number: float) -> str:
    """A number of at most four digits, or in thousands, millions, …: ``9 999``, ``12.3 k``."""
    if number < _EXACT:
        return words.count(round(number))
    # 999 600 is no thousand thousands, but a million
    size, unit = next((size, unit) for size, unit in _UNITS if number >= size * 0.9995)
    scaled = number / size
    return f"{words.count(round(scaled)) if scaled >= 999.5 else f'{scaled:.3g}'}\u202f{unit}"


def ago(seconds: float) -> str:
    """How long something is past, in one unit."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{words.plural(int(seconds // size), name)} ago"
    return "just now"


def _cells(pipeline: Pipeline) -> dict[str, Cell]:
    own = pipeline.statistics
    return {
        "runs": Cell(text=words.count(own.runs), more=tuple(_told_of_runs(pipeline))),
        "success": Cell(
            text=_percent(own.succeeded, own.succeeded + own.failed),
            more=(f"{own.failed} failed",) if own.failed else (),
        ),
        "time": _time(own.seconds),
        "tokens": _tokens(own.tokens),
        "cost": _cost(own.cost, own.cost_partly_known),
        "failing": _failing(pipeline),
        "rounds": _rounds(own.loops),
        "people": _people(own.people),
    }


def _told_of_runs(pipeline: Pipeline) -> Iterable[str]:
    own = pipeline.statistics
    told = (
        (own.active, "going on"),
        (own.without, "without figures"),
        (own.unreadable, "unreadable"),
        (own.unread, "not read yet"),
    )
    line = ", ".join(f"{words.count(number)} {what}" for number, what in told if number)
    return (line,) if line else ()


def _time(found: Spread | None) -> Cell:
    if found is None:
        return Cell()
    return Cell(text=words.duration(found.median), more=(f"95\u202f%: {words.duration(found.p95)}",))


def _tokens(found: Spread | None) -> Cell:
    if found is None:
        return Cell()
    return Cell(
        text=compact(found.median),
        more=(f"total {compact(found.total)}",),
        whole=f"{words.count(round(found.median))} per run, {words.count(int(found.total))} in {_runs(found.count)}",
    )


def _cost(found: Spread | None, partly: bool) -> Cell:
    if found is None:
        return (
            Cell(text="not known", whole="Some calls of models were made whose price isn't known.")
            if partly
            else Cell()
        )
    return Cell(
        text=_dollars(found.median, partly),
        more=(f"total {_dollars(found.total, partly)}",),
        whole=f"{_runs(found.count)} with a known cost{'; some calls have no known price' if partly else ''}",
    )


def _failing(pipeline: Pipeline) -> Cell:
    found = pipeline.statistics.failing
    if found is None:
        return Cell(text="none") if pipeline.statistics.known else Cell()
    attempts = f"{words.count(found.failed_attempts)} of {words.plural(found.attempts, 'attempt')} failed"
    if not found.runs:
        return Cell(text="none", more=(f"{found.stage}: {attempts}",), whole="Other attempts helped.")
    return Cell(
        text=found.stage,
        more=(f"in {words.count(found.runs)} of {_runs(found.of)}",),
        whole=f"{found.stage} failed in {words.count(found.runs)} of {_runs(found.of)}; {attempts}",
    )


def _rounds(loops: Iterable[Rounds]) -> Cell:
    """Of the first loop at large, of others below it."""
    told = [_told_of_loop(loop) for loop in loops]
    if not told:
        return Cell()
    (text, *more), *others = told
    lines = [*more, *(line for first, name, *rest in others for line in (f"{first} {name}", *rest))]
    return Cell(
        text=text, more=tuple(lines), whole="Rounds at the median, the most that there may be, and of which loop"
    )


def _told_of_loop(loop: Rounds) -> list[str]:
    name = f"{loop.target} … {loop.source}" if loop.source and loop.source != loop.target else loop.target
    told = [f"{loop.median:g} of {loop.max_rounds}", name]
    if loop.exhausted:
        told.append(f"bound\u00a0reached:\u00a0{_percent(loop.exhausted, loop.count)}")
    return told


def _people(found: Spread | None) -> Cell:
    if found is None:
        return Cell()
    return Cell(
        text=words.duration(found.median),
        more=(f"in {_runs(found.count)}",),
        whole=f"{words.duration(found.total)} in all; at most {words.duration(found.p95)} in 95 % of these runs",
    )


def _last(run: RunPoint, now: datetime, href: str) -> Last:
    return Last(
        state=words.state_words(run.state),
        colour=words.state_colour(run.state),
        sign=words.state_sign(run.state),
        ago=ago((now - run.at).total_seconds()),
        at=run.at.astimezone(UTC).isoformat(timespec="seconds"),
        href=href,
    )


def _bars(points: Sequence[RunPoint]) -> Iterable[Bar]:
    """A bar per run, as high as it was long; of those that go on, the least."""
    longest = max((run.seconds or 0.0 for run in points), default=0.0) or 1.0
    for place, run in enumerate(points):
        height = round(_LEAST + (_HEIGHT - _LEAST) * (run.seconds or 0.0) / longest, 1)
        yield Bar(
            x=place * _STEP,
            y=round(_HEIGHT - height, 1),
            height=height,
            colour=words.state_colour(run.state),
            words=f"{words.at(run.at.astimezone(UTC).isoformat())} UTC: {words.state_words(run.state)}"
            + (f", {words.duration(run.seconds)}" if run.seconds is not None else ""),
        )


def _states(points: Iterable[RunPoint]) -> str:
    states = [run.state for run in points]
    told = [f"{states.count(state)} {words.state_words(state)}" for state in dict.fromkeys(states)]
    return ", ".join(told)


def _percent(part: int, whole: int) -> str:
    """A share; 100 % and 0 % are said only of all and none."""
    if not whole:
        return words.NOTHING
    share = 100 * part / whole
    text = f"{share:.0f}"
    if part != whole and text == "100":
        text = ">99"
    elif part and text == "0":
        text = "<1"
    return f"{text}\u202f%"


def _dollars(amount: float, partly: bool) -> str:
    return f"{'≥ ' if partly else ''}{words.dollars(amount)}"


def _runs(number: int) -> str:
    return words.plural(number, "run")

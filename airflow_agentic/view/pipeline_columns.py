"""The columns of the pipelines page, and what its rows are put in order by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_agentic.view.pipelines import Pipeline


@dataclass(frozen=True, kw_only=True)
class Column:
    """
    A column of the table.

    :param value: what rows are put in order by; null where a row has nothing in it.
    :param most_first: how they are, unless an address says otherwise.
    :param is_number: its figures stand below each other.
    :param under: the key of the column in whose cells it has the second line; null for one of its own.
    :param note: smaller, below the title.
    """

    key: str
    title: str
    value: Callable[[Pipeline], Any]
    hint: str
    most_first: bool = True
    is_number: bool = True
    under: str | None = None
    note: str | None = None


def _at(pipeline: Pipeline) -> float | None:
    last = pipeline.statistics.last
    return last.at.timestamp() if last else None


def _median(name: str, figure: str = "median") -> Callable[[Pipeline], Any]:
    def value(pipeline: Pipeline) -> Any:
        found = getattr(pipeline.statistics, name)
        return None if found is None else getattr(found, figure)

    return value


def _share_failing(pipeline: Pipeline) -> float | None:
    found = pipeline.statistics.failing
    return None if found is None else found.runs / found.of


def _share_of_bound(pipeline: Pipeline) -> float | None:
    return max((loop.median / loop.max_rounds for loop in pipeline.statistics.loops), default=None)


COLUMNS = {
    column.key: column
    for column in (
        Column(
            key="name",
            title="Pipeline",
            value=lambda pipeline: pipeline.name.casefold(),
            hint="All DAGs that were made from templates and that you may see",
            most_first=False,
            is_number=False,
        ),
        Column(
            key="runs",
            title="Runs",
            value=lambda pipeline: pipeline.statistics.runs,
            hint="All that began in this time; the last ones as bars, as high as they were long",
            is_number=False,
        ),
        Column(
            key="success",
            title="Success",
            value=lambda pipeline: pipeline.statistics.success_rate,
            hint="Of the runs that have ended",
            most_first=False,
        ),
        Column(
            key="time",
            title="Time",
            value=_median("seconds"),
            note="median",
            hint="Median, from begin to end, waits included",
        ),
        Column(
            key="p95",
            title="95\u202f%",
            value=_median("seconds", "p95"),
            hint="95 % of the runs took no longer",
            under="time",
        ),
        Column(
            key="tokens", title="Tokens", value=_median("tokens"), note="median", hint="Median of a run, in and out"
        ),
        Column(key="tokens_total", title="total", value=_median("tokens", "total"), hint="Of all runs", under="tokens"),
        Column(key="cost", title="Cost", value=_median("cost"), note="median", hint="Median of a run, in US dollars"),
        Column(key="cost_total", title="total", value=_median("cost", "total"), hint="Of all runs", under="cost"),
        Column(
            key="failing",
            title="Fails most",
            value=_share_failing,
            hint="The stage that failed by itself in most runs, handled or not",
            is_number=False,
        ),
        Column(
            key="rounds",
            title="Rounds used",
            value=_share_of_bound,
            note="median",
            hint="Of each loop the median, and how often it stopped only at its bound",
            is_number=False,
        ),
        Column(
            key="people",
            title="Wait for people",
            value=_median("people"),
            note="median",
            hint="Median of the runs that asked any",
        ),
        Column(key="last", title="Last run", value=_at, hint="Leads to its trace", is_number=False),
    )
}

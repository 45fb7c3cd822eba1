"""
The page of all pipelines: one row each, of how its runs went.

It needs no script: the period and the order of the rows stand in its address, and links change them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_agentic.view import words
from airflow_agentic.view.pipeline_columns import COLUMNS
from airflow_agentic.view.pipeline_rows import row_of, total_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_agentic.trace.statistics import Statistics
    from airflow_agentic.view.pipeline_columns import Column

#: Days; the first one unless an address says otherwise.
PERIODS = (7, 30)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """
    A DAG that was made from a template.

    :param statistics: of its runs in the period.
    """

    dag_id: str
    name: str
    description: str | None
    is_paused: bool
    statistics: Statistics


@dataclass(frozen=True, kw_only=True)
class Shown:
    """
    What the page's address asks for.

    :param sort: the key of a column.
    """

    days: int = PERIODS[0]
    sort: str = "name"
    descending: bool = False

    @classmethod
    def of(cls, days: str, sort: str, order: str) -> Self:
        """What an address says; as far as there isn't that, what it would be without a word."""
        column = COLUMNS.get(sort, COLUMNS["name"])
        period = next((period for period in PERIODS if str(period) == days), PERIODS[0])
        descending = {"asc": False, "desc": True}.get(order, column.most_first)
        return cls(days=period, sort=column.key, descending=descending)

    @property
    def query(self) -> str:
        """The address's end that asks for it."""
        order = "desc" if self.descending else "asc"
        return f"?{urlencode({'days': self.days, 'sort': self.sort, 'order': order})}"

    def over(self, days: int) -> str:
        """The same of another period."""
        return replace(self, days=days).query

    def by(self, column: Column) -> str:
        """In another order; by the column that they are in order of already, the other way round."""
        descending = not self.descending if column.key == self.sort else column.most_first
        return replace(self, sort=column.key, descending=descending).query

    def direction(self, column: Column) -> str | None:
        """How the rows are in order of a column, in ARIA's words."""
        if column.key != self.sort:
            return None
        return "descending" if self.descending else "ascending"


def pipelines_page(pipelines: Sequence[Pipeline], shown: Shown, *, now: datetime, assets: str) -> str:
    """
    The page.

    :param assets: the folder of style sheets and scripts, from the page's address on.
    """
    rows = [row_of(pipeline, now, _links(pipeline)) for pipeline in _in_order(pipelines, shown)]
    return str(
        _environment()
        .get_template("pipelines.html.j2")
        .render(
            rows=rows,
            total=total_of(pipelines),
            columns=[column for column in COLUMNS.values() if column.under is None],
            second={column.under: column for column in COLUMNS.values() if column.under is not None},
            shown=shown,
            periods=PERIODS,
            assets=assets,
            unreadable=sum(pipeline.statistics.unreadable for pipeline in pipelines),
            unread=sum(pipeline.statistics.unread for pipeline in pipelines),
            ended=sum(pipeline.statistics.succeeded + pipeline.statistics.failed for pipeline in pipelines),
        )
    )


def _in_order(pipelines: Sequence[Pipeline], shown: Shown) -> list[Pipeline]:
    """As the page's address says; those that have nothing in that column come last, either way."""
    value = COLUMNS[shown.sort].value
    by_name = sorted(pipelines, key=lambda pipeline: (pipeline.name.casefold(), pipeline.dag_id))
    known = [pipeline for pipeline in by_name if value(pipeline) is not None]
    known.sort(key=value, reverse=shown.descending)
    return [*known, *(pipeline for pipeline in by_name if value(pipeline) is None)]


def _links(pipeline: Pipeline) -> dict[str, str]:
    """Airflow's own pages; this one's address ends in ``agentic/pipelines``."""
    dag = f"../dags/{quote(pipeline.dag_id, safe='')}"
    last = pipeline.statistics.last
    run = f"{dag}/runs/{quote(last.run_id, safe='')}/plugin/agentic-trace" if last else ""
    return {"dag": dag, "last": run}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("airflow_agentic.view"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates and code change together: when the process starts again
    )
    globals_: dict[str, Any] = {"plural": words.plural, "count": words.count}
    environment.globals |= globals_
    return environment

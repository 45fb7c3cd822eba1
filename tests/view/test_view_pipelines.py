"""The pipelines page as text: figures in words, the order of the rows, the address, and nothing that isn't escaped."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.records import RUN, at

from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.statistics import RunPoint, statistics_of
from airflow_agentic.trace.summary import LoopCount, PeopleCount, RunSummary, StageCount
from airflow_agentic.view.pipeline_columns import COLUMNS
from airflow_agentic.view.pipeline_rows import ago, compact
from airflow_agentic.view.pipelines import Pipeline, Shown, pipelines_page
from airflow_agentic.view.words import NOTHING

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)


def run(seconds: float | None = 10.0, state: str = "success", *, hours: float = 1, **figures: Any) -> RunPoint:
    """A run; with figures, one that left a summary."""
    summary = RunSummary(run=RUN, try_number=1, at=at(1), state="success", **figures) if figures else None
    return RunPoint(
        run_id=f"run {hours}",
        state=state,
        at=NOW - timedelta(hours=hours),
        seconds=seconds,
        figures="known" if figures else "none",
        summary=summary,
    )


def pipeline(name: str, *runs: RunPoint, **more: Any) -> Pipeline:
    given = {"dag_id": name, "name": name, "description": None, "is_paused": False, **more}
    return Pipeline(**given, statistics=statistics_of(runs))


def page(*pipelines: Pipeline, shown: Shown | None = None) -> str:
    return pipelines_page(pipelines, shown or Shown(), now=NOW, assets="assets/x")


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def names_of(page: str) -> list[str]:
    return re.findall(r'<th scope="row" class="name"><a [^>]*>([^<]*)', page)


def cell(page: str, key: str) -> str:
    [found] = re.findall(rf'<td class="{key}[^"]*"[^>]*>(.*?)</td>', page, re.DOTALL)[:1]
    return text_of(found)


def test_a_row_says_how_the_runs_went() -> None:
    figures = {
        "usage": UsageTrace(calls=3, input_tokens=12_000, output_tokens=345, cost_usd=0.5),
        "stages": (
            StageCount(stage="qa", failed=True, attempts=2, failed_attempts=2),
            StageCount(stage="a", attempts=1),
        ),
        "loops": (LoopCount(target="draft", source="qa", max_rounds=3, rounds={3: 1}, exhausted=1),),
        "people": PeopleCount(asked=1, seconds=7200.0),
    }
    good = {
        "usage": UsageTrace(calls=3),
        "loops": (LoopCount(target="draft", source="qa", max_rounds=3, rounds={1: 2}),),
    }
    found = page(
        pipeline("brief", run(90, "failed", hours=2, **figures), run(30, **good), run(None, "running", hours=0))
    )
    assert cell(found, "runs").endswith("1 going on")
    assert cell(found, "success") == "50 % 1 failed"
    assert cell(found, "time") == "1 min 95 %: 1 min 30 s"
    assert cell(found, "tokens") == "12.3\u202fk total 12.3\u202fk".replace("\u202f", " ")
    assert cell(found, "cost") == "$0.5000 total $0.5000"
    assert cell(found, "failing") == "qa in 1 of 2 runs"
    assert cell(found, "rounds") == "1 of 3 draft … qa bound reached: 33 %"
    assert cell(found, "people") == "2 h in 1 run"
    assert cell(found, "last") == "▸ running just now"
    assert 'href="../dags/brief/runs/run%200/plugin/agentic-trace" target="_top"' in found


def test_what_is_not_known_is_said() -> None:
    found = page(pipeline("brief", run(), run(state="failed")))
    assert cell(found, "runs").endswith("2 without figures")
    assert [cell(found, key) for key in ("tokens", "cost", "failing", "rounds", "people")] == [NOTHING] * 5
    assert cell(page(pipeline("never")), "last") == "none in 7 days"


def test_a_cost_of_which_a_part_is_not_known_is_a_lower_bound() -> None:
    found = page(pipeline("brief", run(usage=UsageTrace(calls=2, cost_usd=1.0, partly_known=True))))
    assert cell(found, "cost") == "≥ $1.00 total ≥ $1.00"
    unknown = page(pipeline("brief", run(usage=UsageTrace(calls=2, partly_known=True))))
    assert cell(unknown, "cost") == "not known"


def test_a_stage_that_only_ever_had_to_try_again_failed_in_no_run() -> None:
    stages = (StageCount(stage="search", attempts=4, failed_attempts=3),)
    assert cell(page(pipeline("brief", run(stages=stages))), "failing") == "none search: 3 of 4 attempts failed"


def test_figures_that_are_still_to_come_are_announced_and_awaited() -> None:
    late = RunPoint(run_id="r", state="success", at=NOW, seconds=1.0, figures="unread")
    found = page(pipeline("brief", late, run()))
    assert "The figures of 1 of 2 runs are still being read" in text_of(found)
    assert '<meta http-equiv="refresh"' in found
    assert '<meta http-equiv="refresh"' not in page(pipeline("brief", run()))


def test_a_store_that_cannot_be_read_is_told() -> None:
    lost = RunPoint(run_id="r", state="success", at=NOW, seconds=1.0, figures="unreadable")
    found = page(pipeline("brief", lost, run()))
    assert "The figures of 1 of 2 runs can't be read" in text_of(found)
    assert cell(found, "runs").endswith("1 without figures, 1 unreadable")


HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"


def test_nothing_is_anything_but_text() -> None:
    stages = (StageCount(stage=HOSTILE, failed=True),)
    loops = (LoopCount(target=HOSTILE, source=HOSTILE, max_rounds=2, rounds={1: 1}, exhausted=1),)
    odd = RunPoint(
        run_id=HOSTILE,
        state=HOSTILE,
        at=NOW,
    )
    found = page(pipeline(HOSTILE, run(stages=stages, loops=loops), odd, description=HOSTILE))
    assert "<img" not in found
    assert 'onerror=alert(1)>"' not in found
    assert "49" not in text_of(found)
    assert " style=" not in found
    assert not re.search(r"<script(?! src=)|\son\w+=\"", found)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", COLUMNS)
def test_rows_are_in_order_and_those_without_a_figure_last(key: str, descending: bool) -> None:
    figures: dict[str, Any] = {
        "usage": UsageTrace(input_tokens=10, cost_usd=1.0),
        "stages": (StageCount(stage="a", attempts=2, failed=False, failed_attempts=1),),
        "loops": (LoopCount(target="a", source="b", max_rounds=4, rounds={1: 1}),),
        "people": PeopleCount(asked=1, seconds=1),
    }
    more = {
        "usage": UsageTrace(input_tokens=30, cost_usd=3.0),
        "stages": (StageCount(stage="a", attempts=2, failed=True),),
        "loops": (LoopCount(target="a", source="b", max_rounds=4, rounds={4: 1}),),
        "people": PeopleCount(asked=1, seconds=9),
    }
    low = pipeline("b", run(5, "failed", hours=5, **figures))
    high = pipeline("c", run(50, hours=1, **more), run(60, hours=2, **more))
    none = pipeline("d")
    found = names_of(page(none, high, low, shown=Shown(sort=key, descending=descending)))
    if key in ("name", "runs"):
        expected = {"name": ["b", "c", "d"], "runs": ["d", "b", "c"]}[key]
        assert found == (expected[::-1] if descending else expected)
        return
    assert found == (["c", "b", "d"] if descending else ["b", "c", "d"])


def test_an_address_says_what_is_shown() -> None:
    shown = Shown.of("30", "cost", "asc")
    assert shown == Shown(days=30, sort="cost", descending=False)
    assert shown.query == "?days=30&sort=cost&order=asc"
    assert shown.over(7) == "?days=7&sort=cost&order=asc"
    assert shown.by(COLUMNS["cost"]) == "?days=30&sort=cost&order=desc"
    assert shown.by(COLUMNS["name"]) == "?days=30&sort=name&order=asc"


@pytest.mark.parametrize("odd", [("", "", ""), ("8", "x", "y"), ("-7", "<b>", "ASC"), ("07", "NAME", "\0")])
def test_an_address_that_says_something_else_says_nothing(odd: tuple[str, str, str]) -> None:
    assert Shown.of(*odd) == Shown()


def test_links_in_the_head_keep_the_period_and_tell_the_order() -> None:
    found = page(pipeline("brief", run()), shown=Shown(days=30, sort="cost", descending=True))
    assert '<a href="?days=7&amp;sort=cost&amp;order=desc">7 days</a>' in found
    assert 'href="?days=30&amp;sort=cost&amp;order=asc"' in found
    assert re.findall(r'class="(\w+)[^"]*" aria-sort="(\w+)"', found) == [("cost", "descending")]


def test_the_last_row_adds_up_all_pipelines() -> None:
    usage = UsageTrace(input_tokens=600, output_tokens=400, cost_usd=1.25)
    found = page(
        pipeline("a", run(usage=usage), run(state="failed")), pipeline("b", run(usage=usage), run(usage=usage))
    )
    foot = text_of(found[found.index("<tfoot>") : found.index("</tfoot>")])
    assert foot == "All 4 75 % 3 000 $3.75"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9999, "9 999"),
        (10_000, "10 k"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_600, "1 M"),
        (12_345_678, "12.3 M"),
        (5_000_000_000, "5 G"),
        (12_345_000_000_000, "12 345 G"),
        (10.4, "10"),
    ],
)
def test_large_numbers_are_short(number: float, text: str) -> None:
    assert compact(number).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7199, "1 hour ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text

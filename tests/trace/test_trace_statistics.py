"""What runs come to, against a computation of the most naive kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import RUN, at

from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.statistics import RunPoint, failing_of, median_of_counts, spread, statistics_of
from airflow_agentic.trace.summary import LoopCount, PeopleCount, RunSummary, StageCount

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
small = st.integers(0, 20)


def summary(**more: Any) -> RunSummary:
    return RunSummary(**{"run": RUN, "try_number": 1, "at": at(1), "state": "success", **more})


summaries = st.builds(
    summary,
    usage=st.builds(
        UsageTrace,
        input_tokens=st.none() | small,
        output_tokens=st.none() | small,
        # exact in binary, so that sums are
        cost_usd=st.none() | small.map(lambda number: number / 8),
        partly_known=st.booleans(),
    ),
    stages=st.lists(
        st.builds(
            StageCount, stage=st.sampled_from("abc"), failed=st.booleans(), attempts=small, failed_attempts=small
        ),
        unique_by=lambda stage: stage.stage,
        max_size=3,
    ).map(tuple),
    loops=st.lists(
        st.builds(
            LoopCount,
            target=st.sampled_from("ab"),
            source=st.sampled_from("yz"),
            max_rounds=st.integers(1, 9),
            rounds=st.dictionaries(st.integers(1, 9), st.integers(1, 5), min_size=1, max_size=3),
            exhausted=small,
        ),
        unique_by=lambda loop: (loop.target, loop.source),
        max_size=2,
    ).map(tuple),
    people=st.builds(PeopleCount, asked=st.integers(0, 2), seconds=small.map(float)),
)


@st.composite
def runs(draw: Any) -> RunPoint:
    state = draw(st.sampled_from(["queued", "running", "success", "failed"]))
    ended = state in ("success", "failed")
    figures = draw(st.sampled_from(["known", "none", "unread", "unreadable"])) if ended else "none"
    return RunPoint(
        run_id=draw(st.text(max_size=3)),
        state=state,
        at=BEGIN + timedelta(seconds=draw(small)),
        seconds=draw(st.none() | small.map(float)) if ended else None,
        figures=figures,
        summary=draw(summaries) if figures == "known" else None,
    )


def middle(values: list[Any]) -> Any:
    """The median of numbers, by sorting them."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (Fraction(ordered[half - 1]) + Fraction(ordered[half])) / 2


def check_spread(found: Any, values: list[Any]) -> None:
    if not values:
        assert found is None
        return
    enough = [value for value in values if sum(other <= value for other in values) * 100 >= 95 * len(values)]
    assert (found.median, found.p95, found.total, found.count) == (
        *(middle(values), min(enough), sum(values), len(values)),
    )


@given(st.lists(runs(), max_size=30))
def test_the_statistics_are_those_of_a_naive_computation(given_runs: list[RunPoint]) -> None:
    found = statistics_of(given_runs)
    ended = [run for run in given_runs if run.state in ("success", "failed")]
    known = [run.summary for run in ended if run.summary]
    assert (found.runs, found.active) == (len(given_runs), len(given_runs) - len(ended))
    assert found.succeeded == len([run for run in given_runs if run.state == "success"])
    assert found.failed == len([run for run in given_runs if run.state == "failed"])
    assert found.success_rate == (found.succeeded / len(ended) if ended else None)
    assert found.known == len(known)
    assert found.known + found.without + found.unread + found.unreadable == len(ended)
    check_spread(found.seconds, [run.seconds for run in ended if run.seconds is not None])
    tokens = [
        (each.usage.input_tokens or 0) + (each.usage.output_tokens or 0)
        for each in known
        if each.usage.input_tokens is not None or each.usage.output_tokens is not None
    ]
    check_spread(found.tokens, tokens)
    check_spread(found.cost, [each.usage.cost_usd for each in known if each.usage.cost_usd is not None])
    assert found.cost_partly_known == bool([each for each in known if each.usage.partly_known])
    check_spread(found.people, [each.people.seconds for each in known if each.people.asked > 0])
    assert sorted(map(id, found.points)) == sorted(map(id, given_runs))
    assert [run.at for run in found.points] == sorted(run.at for run in given_runs)


@given(st.lists(summaries, max_size=12))
def test_the_stage_that_fails_most_fails_in_no_fewer_runs_than_any_other(known: list[RunSummary]) -> None:
    found = failing_of(known)
    rows = [(stage.stage, stage) for each in known for stage in each.stages]
    ranks = {
        name: (
            len([1 for own, stage in rows if own == name and stage.failed]),
            sum(stage.failed_attempts for own, stage in rows if own == name),
        )
        for name, _ in rows
    }
    if found is None:
        assert set(ranks.values()) <= {(0, 0)}
        return
    assert (found.runs, found.failed_attempts) == ranks[found.stage] == max(ranks.values())
    assert found.of == len(known)
    assert found.attempts == sum(stage.attempts for own, stage in rows if own == found.stage)


@given(st.lists(runs(), max_size=20))
def test_loops_are_those_of_all_runs_written_out(given_runs: list[RunPoint]) -> None:
    known = [run.summary for run in sorted(given_runs, key=lambda run: (run.at, run.run_id)) if run.summary]
    loops = [loop for each in known for loop in each.loops]
    for found in statistics_of(given_runs).loops:
        own = [loop for loop in loops if (loop.target, loop.source) == (found.target, found.source)]
        written_out = [number for loop in own for number, times in loop.rounds.items() for _ in range(times)]
        assert (found.median, found.count) == (middle(written_out), len(written_out))
        assert found.max_rounds == max(loop.max_rounds for loop in own)
        assert found.exhausted == sum(loop.exhausted for loop in own)
    names = list(dict.fromkeys((loop.target, loop.source) for loop in loops))
    assert [(found.target, found.source) for found in statistics_of(given_runs).loops] == names


@given(st.dictionaries(st.integers(-5, 9), st.integers(0, 6)).filter(lambda counts: any(counts.values())))
def test_a_median_of_counts_is_that_of_the_numbers(counts: dict[int, int]) -> None:
    assert median_of_counts(counts) == middle([number for number, times in counts.items() for _ in range(times)])


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)])
def test_the_95th_percentile_is_one_of_the_values(count: int, p95: int) -> None:
    found = spread(range(1, count + 1))
    assert found is not None
    assert found.p95 == p95


def test_nothing_is_nothing() -> None:
    found = statistics_of([])
    assert (found.success_rate, found.seconds, found.failing, found.loops, found.last) == (None, None, None, (), None)

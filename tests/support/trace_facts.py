"""
Every fact of a trace, compared with sources that know nothing of records.

What agents did says their own log (:mod:`support.telling_agents`): when each was called, with what, how long it took,
what it gave. What should have run and been decided says the reference interpreter, which has no Airflow, no records and
no planner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.agreement import STAGE_TASKS, expected, uncertain
from support.telling_agents import Call, calls_in, questions_in

from airflow_agentic.template.expressions import to_text

if TYPE_CHECKING:
    from pathlib import Path

    from support.agreement import Key, Seen

    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.document import AttemptTrace, TaskTrace, Trace

#: Seconds between a clock's reading here and there.
NEAR = 0.05
#: Seconds that an attempt may take beside its agent's own work, on a busy machine.
BESIDE = 2.0


@dataclass(frozen=True, kw_only=True)
class Ran:
    """
    A run of a generated template, as others than its trace know it.

    :param log: the folder of its agents' log.
    :param began, ended: between these times.
    """

    spec: dict[str, Any]
    plan: Plan
    log: Path
    began: datetime
    ended: datetime


def compare(ran: Ran, trace: Trace) -> None:
    """All facts."""
    assert trace.problems == ()
    assert trace.complete
    assert trace.sealed is not None
    told = attempts_by_calls(trace, calls_in(ran.log))
    compare_attempts(trace, told)
    compare_times(trace, told, ran)
    compare_answers(trace, ran.log)
    compare_artifacts(trace)
    seen, outcome = expected(ran.spec, {})
    unsure = uncertain(ran.spec, outcome.executions)
    if not unsure:
        compare_run(trace, seen)
        compare_decisions(trace, seen)
        compare_items(trace, seen)
    compare_skips(trace)
    assert [task.task_id for task in trace.tasks if task.map_index <= 0] == [task.task_id for task in ran.plan.tasks]


# -- attempts: what the agents were asked, and gave ------------------------------------------------------------------


def attempts_by_calls(trace: Trace, calls: list[Call]) -> list[tuple[Call, AttemptTrace]]:
    """Each call of an agent, with the one attempt that tells of it: it has its question, and went on meanwhile."""
    left = list(trace.attempts)
    pairs = []
    for call in sorted(calls, key=lambda call: call.end):
        fitting = [attempt for attempt in left if _tells_of(attempt, call)]
        assert fitting, f"no attempt tells of {call}"
        attempt = min(fitting, key=lambda attempt: str(attempt.ended))
        left.remove(attempt)
        pairs.append((call, attempt))
    assert left == [], "no agent was asked for these"
    return pairs


def _tells_of(attempt: AttemptTrace, call: Call) -> bool:
    return (
        (attempt.stage, attempt.agent) == (call.given["who"], call.agent)
        and attempt.sent["input"] == call.given
        and _time(attempt.started) <= call.began
        and call.end <= _time(attempt.ended)
    )


def compare_attempts(trace: Trace, told: list[tuple[Call, AttemptTrace]]) -> None:
    for call, attempt in told:
        assert attempt.seconds is not None
        assert call.seconds is not None
        assert call.seconds - 1e-3 <= attempt.seconds <= call.seconds + BESIDE
        assert attempt.seconds <= (_time(attempt.ended) - _time(attempt.started)).total_seconds() + NEAR
        if attempt.state == "success":
            assert (call.kind, call.output) == (None, attempt.output)
        else:
            kind = call.kind or "not_accepted"
            assert attempt.error is not None
            assert (attempt.error["kind"], attempt.output) == (kind, None)
    compare_order(trace, told)
    compare_counts(trace, told)
    compare_errors(trace, told)


def compare_order(trace: Trace, told: list[tuple[Call, AttemptTrace]]) -> None:
    """Of any two calls of which one ended before the other began, the trace has the attempts in that order."""
    place = {attempt.id: number for number, attempt in enumerate(trace.attempts)}
    for one, first in told:
        for other, second in told:
            if one.end < other.began and _time(first.ended) <= _time(second.started):
                assert place[first.id] < place[second.id]


def compare_counts(trace: Trace, told: list[tuple[Call, AttemptTrace]]) -> None:
    assert trace.usage.calls == len(told)
    called = Counter(call.given["who"] for call, _ in told)
    tried: Counter[str] = Counter()
    spent: defaultdict[str, float] = defaultdict(float)
    for row in trace.stages:
        tried.update({row.stage: len(row.attempts)})
        spent[row.stage] += row.seconds if row.kind == "agent" else 0.0
        assert row.usage.calls == len(row.attempts)
    assert +tried == called
    for who in called:
        worked = sum(call.seconds or 0.0 for call, _ in told if call.given["who"] == who)
        assert worked - 1e-3 * called[who] <= spent[who] <= worked + BESIDE * called[who]


def compare_times(trace: Trace, told: list[tuple[Call, AttemptTrace]], ran: Ran) -> None:
    """How long the run took, each stage of it, and each of its tasks' tries."""
    first = min((call.began for call, _ in told), default=ran.ended)
    last = max((call.end for call, _ in told), default=ran.began)
    assert ran.began <= _time(trace.started) <= first
    assert last <= _time(trace.ended) <= ran.ended
    assert trace.seconds == pytest.approx((_time(trace.ended) - _time(trace.started)).total_seconds())
    rows = {(row.stage, row.rounds): row for row in trace.stages}
    for call, attempt in told:
        row = rows[attempt.stage, attempt.rounds]
        assert _time(row.started) <= call.began
        assert call.end <= _time(row.ended)
    tries = {
        (task.task_id, task.map_index, each.number): each for task in trace.tasks for each in task.tries if each.started
    }
    for call, attempt in told:
        each = tries.get((attempt.task_id, attempt.map_index, attempt.try_number))
        if each is not None:  # in this process, tries have no times
            assert _time(each.started) <= call.began
            assert call.end <= _time(each.ended)


def compare_errors(trace: Trace, told: list[tuple[Call, AttemptTrace]]) -> None:
    """Each call that failed is an entry of the error log; that it was asked again is told of those that were."""
    entries = {error.ref: error for error in trace.errors if error.what == "attempt"}
    failed = {attempt.id: (call, attempt) for call, attempt in told if attempt.state != "success"}
    assert entries.keys() == failed.keys()
    for ref, (call, attempt) in failed.items():
        assert entries[ref].kind == (call.kind or "not_accepted")
        later = [other for _, other in told if _same_work(attempt, other) and _is_after(other, attempt)]
        again = [other for other in later if other.agent == attempt.agent]
        assert (entries[ref].then == "retried") == (attempt.state == "retrying"), entries[ref]
        if attempt.state == "retrying":
            assert again
        if entries[ref].then == "recovered by agent":
            assert any(other.state == "success" for other in later)
    assert [error for error in trace.errors if error.what == "run"] == [] or trace.state == "failed"


def _same_work(one: AttemptTrace, other: AttemptTrace) -> bool:
    item, same = one.item, one.task_id == other.task_id and one.map_index == other.map_index
    return same and (item and item["index"]) == (other.item and other.item["index"])


def _is_after(one: AttemptTrace, other: AttemptTrace) -> bool:
    return (one.try_number, one.attempt or 0) > (other.try_number, other.attempt or 0)


# -- people, artifacts -------------------------------------------------------------------------------------------------


def compare_answers(trace: Trace, log: Path) -> None:
    asked = sorted((each.subject, each.answer and each.answer[0], each.at) for each in questions_in(log))
    told = sorted(
        (answer.subject, None if answer.timed_out else answer.choice, answer.asked) for answer in trace.answers
    )
    assert [entry[:2] for entry in asked] == [entry[:2] for entry in told]
    for answer in trace.answers:
        assert (answer.by is None) == answer.timed_out
        assert answer.answered is not None
        assert answer.seconds == pytest.approx((_time(answer.answered) - _time(answer.asked)).total_seconds())


def compare_artifacts(trace: Trace) -> None:
    """What a passage says that only one attempt's value went into is that value."""
    attempts = {attempt.id: attempt for attempt in trace.attempts}
    for artifact in trace.artifacts:
        assert artifact.content is not None
        assert len(artifact.content.encode()) == artifact.bytes
        for passage in artifact.passages:
            [*others, source] = passage.sources
            path = ".".join((source["name"], *source["path"]))
            if others or passage.expression.strip() != path or not source.get("attempt"):
                continue
            value = attempts[source["attempt"]].output
            for key in source["path"]:
                value = value[key]
            assert artifact.content[passage.start : passage.end] == to_text(value)


# -- what should have happened -----------------------------------------------------------------------------------------


def compare_run(trace: Trace, seen: Seen) -> None:
    assert trace.state == seen.state
    assert _plain(trace.output) == seen.output
    assert sorted(filter(None, (each.content for each in trace.artifacts))) == sorted(seen.artifacts)
    states = {_key(task): task.state for task in trace.tasks if _stands_for_a_stage(task)}
    done = {"ran": "success", "failed": "failed"}
    for key, state in seen.states.items():
        if states.get(key) == "upstream_failed":  # its list failed, in another task
            continue
        assert states[key] == done[state], key
    for key, state in states.items():
        if key not in seen.states and not key[0].startswith("artifact"):
            assert state in ("skipped", "upstream_failed"), key
    rows = {(row.stage, row.rounds): row for row in trace.stages}
    for (path, rounds, item), state in seen.states.items():
        if item is None and not path.startswith("artifact"):
            assert rows[path, rounds].state == done[state]


def compare_decisions(trace: Trace, seen: Seen) -> None:
    found = {}
    for decision in trace.decisions:
        if decision.about == "when" or decision.error is not None:
            continue
        held = [index for index, condition in enumerate(decision.conditions) if condition.held]
        item = decision.map_index if decision.map_index >= 0 else None
        found[decision.stage, decision.rounds, item] = (held[0] if held else None, decision.feedback or {})
        assert all(
            condition.words.endswith((": true", " was true"))
            for condition in decision.conditions
            if condition.held and condition.when
        )
        assert all(
            condition.words.endswith((": false", " was false"))
            for condition in decision.conditions
            if condition.held is False
        )
    assert found == seen.decisions


def compare_items(trace: Trace, seen: Seen) -> None:
    """How many items there were, and how many failed, as the output of each fan-out says."""
    rows = {(row.stage, row.rounds): row for row in trace.stages}
    for (path, rounds, item), output in seen.outputs.items():
        is_fan_out = isinstance(output, dict) and {"total", "succeeded", "failed"} <= output.keys()
        if not is_fan_out or item is not None:
            continue
        items = rows[path, rounds].items
        counted = (items["total"], items["failed"]) if items else (0, 0)
        if rows[path, rounds].kind != "human":
            assert counted == (output["total"], output["failed"]), (path, rounds)


def compare_skips(trace: Trace) -> None:
    """Where nothing failed and no list was empty, it was a decision that skipped what was skipped."""
    decisions = {decision.id for decision in trace.decisions}
    skipped = [task for task in trace.tasks if task.state == "skipped" and task.kind != "item"]
    assert all(task.skipped_by is None or task.skipped_by in decisions for task in skipped)
    lists = [task for task in trace.tasks if task.map_index < 0 and task.kind == "item" and task.state == "skipped"]
    if not lists and not any(task.state in ("failed", "upstream_failed") for task in trace.tasks):
        assert all(task.skipped_by for task in skipped)


def _stands_for_a_stage(task: TaskTrace) -> bool:
    inside = task.kind == "result" and task.map_index >= 0 and ".item." in f".{task.task_id}"
    return task.kind in STAGE_TASKS and not inside


def _key(task: TaskTrace) -> Key:
    item = task.map_index if task.map_index >= 0 else None
    if task.kind == "artifact":
        return f"artifact.{task.task_id.removeprefix('artifact').removeprefix('__') or 0}", task.rounds, item
    return task.stage, task.rounds, item


def _plain(value: Any) -> Any:
    """Without the words of error messages, which the language doesn't fix."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if key != "message"}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _time(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)

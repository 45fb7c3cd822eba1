"""
The attempts of a run, from their records, and from Airflow's tries those that left none.

An attempt of which nothing is recorded was either *lost* (its process was killed before it could tell) or is going on.
Most tries without a record are neither: a task that only gathers or joins leaves none when it succeeds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.document import AttemptTrace
from airflow_agentic.trace.facts import seconds_between
from airflow_agentic.trace.labels import label_of
from airflow_agentic.trace.record import AttemptRecord, FailureRecord
from airflow_agentic.trace.source import id_of, key_of, place
from airflow_agentic.trace.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_agentic.trace.airflow import TryFacts
    from airflow_agentic.trace.source import Place, Source, TryKey

#: Airflow's states of a try that ended badly; of an earlier one, it keeps only that it failed.
_ENDED_BADLY = ("failed", "up_for_retry")
#: Kinds of tasks that ask agents.
_ASKING = ("agent", "item")
_NO_RECORD = (
    "It left no record: its process was killed, or never got to its work. Airflow's log of the try may tell more."
)
_NO_END = (
    "Its process was killed: there is no record of what it was at work on then, only of what it had done before. "
    "Airflow's log of the try may tell more."
)


def attempts_of(source: Source) -> tuple[AttemptTrace, ...]:
    """All attempts, in the order in which they began."""
    recorded = _recovered(source, _first_queued(source, _recorded(source)))
    found = [*recorded, *_unrecorded(source)]
    return tuple(sorted(found, key=lambda attempt: (attempt.started or "9999", attempt.id)))


def is_lost(source: Source, key: TryKey) -> bool:
    """Whether a try ran, ended badly, and left no word of why: no record, or only of what it had done until then."""
    each = source.tries[key]
    if each.state not in _ENDED_BADLY or each.started is None or each.reason is not None:
        return False
    return key not in source.explained


def lives_of(attempts: Iterable[AttemptTrace]) -> Iterator[list[AttemptTrace]]:
    """
    The recorded attempts that belong together, in their order: those for one value since its task was last cleared.

    Numbers go on within one life and begin anew with the next; an attempt that was killed is repeated.
    """
    places: dict[Place, list[AttemptTrace]] = {}
    for attempt in attempts:
        if attempt.attempt is not None:
            places.setdefault(place_of(attempt), []).append(attempt)
    for found in places.values():
        life: list[AttemptTrace] = []
        for attempt in sorted(found, key=lambda attempt: (attempt.try_number, attempt.attempt)):
            if life and _is_new_life(life[-1], attempt):
                yield life
                life = []
            life.append(attempt)
        yield life


def place_of(attempt: AttemptTrace) -> Place:
    """What an attempt is about."""
    item = attempt.item["index"] if attempt.item else None
    return place(attempt.kind, attempt.stage, attempt.rounds, attempt.map_index, item)


def _is_new_life(last: AttemptTrace, attempt: AttemptTrace) -> bool:
    repeated = last.state == "killed" and attempt.attempt == last.attempt
    return (attempt.attempt or 0) <= (last.attempt or 0) and not repeated


def _recorded(source: Source) -> list[AttemptTrace]:
    return [_recorded_one(source, path, record) for path, record in source.of(AttemptRecord)]


def _recorded_one(source: Source, path: str, record: AttemptRecord) -> AttemptTrace:
    details = (record.error or {}).get("details") or {}
    return AttemptTrace(
        id=id_of("attempt", path),
        record=path,
        stage=record.stage,
        task_id=record.task_id,
        kind=source.kind(record.task_id),
        map_index=record.map_index,
        try_number=record.try_number,
        attempt=record.attempt,
        rounds=source.rounds(record.task_id),
        item=record.item,
        label=label_of(record.item),
        agent=record.agent.get("name"),
        agent_type=record.agent.get("type"),
        state=record.state,
        started=record.started,
        ended=record.ended,
        queued_seconds=None,
        waited=record.waited,
        seconds=record.seconds,
        sent=record.input,
        output=record.output,
        error=record.error,
        next_wait=record.next_wait,
        model=record.model or details.get("model"),
        usage=usage_of(record),
        tool_calls=tuple(record.tool_calls or details.get("tool_calls") or ()),
        replayed=record.replayed,
        cached=record.cached,
        window=record.window,
        span=record.span,
    )


def _first_queued(source: Source, attempts: list[AttemptTrace]) -> list[AttemptTrace]:
    """How long a try was queued is told once, with its first attempt."""
    seen: set[TryKey] = set()
    found = []
    for attempt in attempts:
        key = (attempt.task_id, attempt.map_index, attempt.try_number)
        first = key not in seen and key in source.tries
        found.append(replace(attempt, queued_seconds=queue_seconds(source.tries[key])) if first else attempt)
        seen.add(key)
    return found


def queue_seconds(each: TryFacts) -> float | None:
    """Between Airflow's queueing of a try and its start."""
    if each.queued is None or each.started is None:
        return None
    return max(0.0, seconds_between(each.queued, each.started))


def _recovered(source: Source, attempts: list[AttemptTrace]) -> list[AttemptTrace]:
    """What helped after the last attempts of agents that had given up."""
    helped: dict[str, str] = {}
    by_value = values_stood_in(source)
    until: dict[Place, float] = {}
    for life in reversed(list(lives_of(attempts))):
        last, where = life[-1], place_of(life[-1])
        tries = [number for number in by_value.get(where, ()) if last.try_number <= number < until.get(where, math.inf)]
        until[where] = life[0].try_number
        by = "agent" if last.state == "success" else "value" if tries else None
        if by is not None:
            helped.update({attempt.id: by for attempt in life if attempt.state == "failed"})
    return [replace(attempt, recovered_by=helped.get(attempt.id)) for attempt in attempts]


def values_stood_in(source: Source) -> dict[Place, list[int]]:
    """The places where a fixed value stood in, and the tries in which it did."""
    found: dict[Place, list[int]] = {}
    for _, record in source.of(FailureRecord):
        if record.recovered:
            found.setdefault(source.place(record), []).append(record.try_number)
    return found


def _unrecorded(source: Source) -> Iterator[AttemptTrace]:
    for key, each in source.tries.items():
        if is_lost(source, key):
            yield _lost(source, key, each)
        elif each.state == "running" and source.kind(key[0]) in _ASKING:
            yield _blank(source, key, each, "running")


def _lost(source: Source, key: TryKey, each: TryFacts) -> AttemptTrace:
    message, since = _NO_RECORD, None
    if key in source.recorded:
        message = _NO_END
        ends = [record.ended for _, record in source.of(AttemptRecord) if key_of(record) == key]
        since = max(ends, default=None)
    error: dict[str, Any] = {"kind": "lost", "message": message, "reply": None, "details": {}}
    lost = replace(_blank(source, key, each, "lost"), error=error)
    if since is None:
        return lost
    # what it did before that is told in its attempts
    seconds = max(0.0, seconds_between(since, each.ended)) if each.ended else None
    return replace(lost, started=since, seconds=seconds)


def _blank(source: Source, key: TryKey, each: TryFacts, state: str) -> AttemptTrace:
    """A try of which only Airflow knows."""
    task_id, map_index, number = key
    planned = source.planned.get(task_id)
    seconds = seconds_between(each.started, each.ended) if each.started and each.ended else None
    has_told = key in source.recorded
    return AttemptTrace(
        id=f"attempt-{task_id}.{map_index}.{number}.{state}",
        record=None,
        stage=planned.stage if planned else task_id,
        task_id=task_id,
        kind=source.kind(task_id),
        map_index=map_index,
        try_number=number,
        attempt=None,
        rounds=source.rounds(task_id),
        item=None,
        agent=planned.agent if planned else None,
        agent_type=None,
        state="lost" if state == "lost" else "running",
        started=each.started,
        ended=each.ended,
        queued_seconds=None if has_told else queue_seconds(each),
        waited=0.0,
        seconds=seconds,
    )

"""
A run's trace, put together: what happened, in one document, from its records and from what Airflow knows.

Works on a run that is still going, was killed, or is long gone from Airflow: as far as there is something that tells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.answers import answers_of, merges_of
from airflow_agentic.trace.artifacts import artifacts_of
from airflow_agentic.trace.attempts import attempts_of
from airflow_agentic.trace.decisions import decisions_of
from airflow_agentic.trace.document import TRACE_FORMAT, RunState, Trace
from airflow_agentic.trace.error_log import RunOfErrors, errors_of
from airflow_agentic.trace.facts import began, ended, seconds_between
from airflow_agentic.trace.material import Material, material_of
from airflow_agentic.trace.origins import Origins
from airflow_agentic.trace.record import BeginRecord
from airflow_agentic.trace.source import Source
from airflow_agentic.trace.stages import stages_of
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.tasks import tasks_of
from airflow_agentic.trace.usage import total

if TYPE_CHECKING:
    from airflow_agentic.trace.airflow import RunFacts

#: What records raise that have the right shape and odd contents.
_ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
#: Airflow's states of a run, in the trace's words.
_STATES: dict[str, RunState] = {"queued": "queued", "running": "running", "success": "success", "failed": "failed"}


def assembled(dag_id: str, run_id: str, facts: RunFacts | None = None, store: TraceStore | None = None) -> Trace:
    """
    The trace of a run.

    :param facts: what Airflow knows of it; without them, what left no record isn't told.
    :param store: None for the one of ``[agentic] trace_url``.
    :raises TraceError: the run left no records and Airflow doesn't know it, or the store can't be listed.
    """
    store = store or TraceStore()
    material = material_of(store, dag_id, run_id)
    if facts is None and not material.records and not material.manifests:
        raise TraceError(
            "\n".join((f"There are no records of the run {run_id!r} of {dag_id!r} in {store.url}.", *material.problems))
        )
    return trace_of(dag_id, run_id, Source(material, facts))


def trace_of(dag_id: str, run_id: str, source: Source) -> Trace:
    """
    The trace of what is known of a run.

    A record that has the right shape and nevertheless can't be told (somebody changed it) is left out, as a problem.

    :raises TraceError: nothing can be told.
    """
    try:
        return _told(dag_id, run_id, source)
    except _ODD:
        sound = _without_odd(dag_id, run_id, source)
    try:
        return _told(dag_id, run_id, sound)
    except _ODD as error:
        raise TraceError(
            f"What the run {run_id!r} of {dag_id!r} left doesn't fit together, so that it can't be told: {error!r}"
        ) from error


def _without_odd(dag_id: str, run_id: str, source: Source) -> Source:
    """Without the records that can't even be told alone."""
    material = source.material
    odd: dict[str, Exception] = {}
    for path, record in material.records.items():
        alone = replace(material, records={path: record}, manifests=(), sealed=False)
        try:
            _told(dag_id, run_id, replace(source, material=alone))
        except _ODD as error:
            odd[path] = error
    problems = [f"The record {path} can't be told: {error!r}" for path, error in odd.items()]
    records = {path: record for path, record in material.records.items() if path not in odd}
    return replace(source, material=replace(material, records=records, problems=(*material.problems, *problems)))


def _told(dag_id: str, run_id: str, source: Source) -> Trace:
    material, facts, begin = source.material, source.facts, source.material.begin
    attempts, answers, merges = attempts_of(source), answers_of(source), merges_of(source)
    decisions = decisions_of(source)
    tasks = tasks_of(source, decisions)
    artifacts, unread = artifacts_of(source, Origins(source, attempts, answers, merges))
    state, error = _state(source), source.manifest.error if source.manifest else None
    queued, started, finished = _times(source, state)
    log = RunOfErrors(
        source=source,
        state=state,
        error=error,
        ended=finished,
        attempts=attempts,
        answers=answers,
        decisions=decisions,
    )
    return Trace(
        format=TRACE_FORMAT,
        dag_id=dag_id,
        run_id=run_id,
        template_digest=material.digest,
        state=state,
        sealed=_sealed(material),
        error=error,
        inputs=begin.inputs if begin else None,
        output=source.manifest.output if source.manifest else None,
        triggered=_triggered(source, begin),
        queued=queued,
        started=started,
        ended=finished,
        seconds=seconds_between(started, finished) if started and finished else None,
        usage=total(attempt.usage for attempt in attempts),
        budget=begin.budget if begin else None,
        stages=stages_of(source, tasks, attempts, answers),
        tasks=tasks,
        attempts=attempts,
        decisions=decisions,
        answers=answers,
        merges=merges,
        errors=errors_of(log),
        artifacts=artifacts,
        picture=begin.picture if begin else None,
        template=material.template,
        complete=facts is not None,
        problems=(*material.problems, *unread),
    )


def _state(source: Source) -> RunState:
    if source.facts is not None:
        return _STATES.get(source.facts.state, "running")
    return source.manifest.state if source.manifest else "running"


def _sealed(material: Material) -> dict[str, Any] | None:
    if not material.sealed:
        return None
    manifest = material.manifests[-1]
    return {"at": manifest.sealed, "try_number": manifest.try_number}


def _triggered(source: Source, begin: BeginRecord | None) -> dict[str, Any]:
    """What the run's first task recorded, and what Airflow tells beside."""
    told = dict(begin.triggered) if begin else {}
    facts = source.facts
    if facts is None:
        return told
    known = {"type": facts.type, "by": facts.by, "logical_date": facts.logical_date, "run_after": facts.run_after}
    return {**told, **{key: value for key, value in known.items() if value is not None or key not in told}}


def _times(source: Source, state: RunState) -> tuple[str | None, str | None, str | None]:
    """When it was queued, started and ended."""
    if source.facts is not None:
        return source.facts.queued, source.facts.started, source.facts.ended
    records = source.material.records.values()
    started = min((began(record) for record in records), default=None)
    last = max((ended(record) for record in records if not isinstance(record, BeginRecord)), default=None)
    if source.manifest is not None:
        last = source.manifest.sealed
    return None, started, last if state != "running" else None

"""
A run's trace, put together from its records alone: what ran, how often, how long, at what cost, and why it failed.

Works on a run that is still going, was killed, or is long gone from Airflow: as far as the records tell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.manifest import Manifest, manifest_from_data
from airflow_agentic.trace.record import (
    AnswerRecord,
    ArtifactRecord,
    AttemptRecord,
    DecisionRecord,
    FailureRecord,
    MergeRecord,
)
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_agentic.trace.manifest import TaskState
    from airflow_agentic.trace.record import Record


@dataclass(frozen=True, kw_only=True)
class StageTrace:
    """
    One stage of a run.

    :param kind: ``agent``, ``merge``, ``human`` or ``artifact``.
    :param agent: the agent's name, null for other kinds.
    :param state: of the stage's last attempt, or Airflow's once the run is sealed (``skipped`` among them).
    :param attempts: since the task was last cleared; 0 when the stage didn't run.
    :param seconds: of work in these attempts.
    :param waited: seconds between these attempts.
    :param tokens: ``input`` and ``output`` of these attempts, null when the agent counts none.
    :param cost_usd: of these attempts, null when unknown.
    :param error: ``kind`` and ``message`` of the last failure, null when the stage succeeded.
    """

    stage: str
    task_id: str
    kind: str
    agent: str | None
    state: str
    attempts: int
    seconds: float
    waited: float
    model: str | None
    tokens: dict[str, int] | None
    cost_usd: float | None
    error: dict[str, str] | None
    started: str | None
    ended: str | None


@dataclass(frozen=True, kw_only=True)
class RunTrace:
    """
    One run.

    :param state: ``success`` or ``failed`` once the run is sealed, else ``running`` (a run that was killed leaves
        nothing that would tell).
    :param seconds: from the first record's start to the last one's end.
    :param tokens, cost_usd: of all attempts, also those before a task was cleared.
    :param artifacts: each with ``uri``, ``bytes``, ``sha256`` and ``asset``.
    """

    dag_id: str
    run_id: str
    template_digest: str
    state: str
    error: str | None
    output: Any
    started: str | None
    ended: str | None
    seconds: float | None
    tokens: dict[str, int] | None
    cost_usd: float | None
    stages: tuple[StageTrace, ...]
    artifacts: tuple[dict[str, Any], ...]

    def to_data(self) -> dict[str, Any]:
        """The trace as JSON-able data."""
        return asdict(self)


def assemble(dag_id: str, run_id: str, store: TraceStore | None = None) -> RunTrace:
    """
    The trace of a run.

    :param store: None for the one of ``[agentic] trace_url``.
    :raises TraceError: the run left no records, or one of them is unreadable.
    """
    store = store or TraceStore()
    records = store.records(dag_id, run_id)
    data = store.manifest(dag_id, run_id)
    manifest = manifest_from_data(data) if data else None
    if manifest is None and not records:
        raise TraceError(f"There are no records of the run {run_id!r} of {dag_id!r} in {store.url}.")
    return _trace(dag_id, run_id, records, manifest, store)


def _trace(
    dag_id: str, run_id: str, records: dict[str, Record], manifest: Manifest | None, store: TraceStore
) -> RunTrace:
    sealed = manifest if manifest is not None and _covers(manifest, records) else None
    attempts = [record for record in records.values() if isinstance(record, AttemptRecord)]
    stages = _stages(records.values(), sealed)
    started = min((stage.started for stage in stages if stage.started), default=None)
    ended = max((stage.ended for stage in stages if stage.ended), default=None)
    return RunTrace(
        dag_id=dag_id,
        run_id=run_id,
        template_digest=_digest(records.values(), manifest),
        state=sealed.state if sealed else "running",
        error=sealed.error if sealed else None,
        output=store.unpack(sealed.output, dag_id, run_id) if sealed else None,
        started=started,
        ended=ended,
        seconds=_between(started, ended),
        tokens=_tokens(attempts),
        cost_usd=_cost(attempts),
        stages=stages,
        artifacts=_artifacts(records.values()),
    )


def _covers(manifest: Manifest, records: Iterable[str]) -> bool:
    """A task that was cleared after the run was sealed leaves records that the manifest doesn't know."""
    folder = layout.run_folder(manifest.run.dag_id, manifest.run.run_id)
    known = {f"{folder}/{entry['path']}" for entry in manifest.records}
    return all(path in known for path in records)


def _digest(records: Iterable[Record], manifest: Manifest | None) -> str:
    if manifest is not None:
        return manifest.run.template_digest
    return [record.run.template_digest for record in records][-1]


def _stages(records: Iterable[Record], sealed: Manifest | None) -> tuple[StageTrace, ...]:
    """In the plan's order once the run is sealed, else in the order in which the stages began."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=_began):
        found.setdefault(record.task_id, []).append(record)
    if sealed is None:
        return tuple(_stage(own, None) for own in found.values())
    shown = [task for task in sealed.tasks if task.kind not in ("join", "finish")]
    return tuple(_stage(found.get(task.task_id, []), task) for task in shown)


def _stage(records: Sequence[Record], task: TaskState | None) -> StageTrace:
    last = records[-1] if records else None
    life = _last_life([record for record in records if isinstance(record, AttemptRecord)])
    state = task.state or "missing" if task else _state(last)
    newest = life[-1] if life else None
    return StageTrace(
        stage=task.stage if task else getattr(last, "stage", last.task_id if last else ""),
        task_id=task.task_id if task else last.task_id if last else "",
        kind=task.kind if task else _kind(last),
        agent=task.agent if task else newest.agent.get("name") if newest else None,
        state=state,
        attempts=len(life) or int(isinstance(last, MergeRecord | AnswerRecord | ArtifactRecord)),
        seconds=last.seconds if isinstance(last, MergeRecord) else sum(record.seconds for record in life),
        waited=sum(record.next_wait or 0.0 for record in life),
        model=next((record.model for record in reversed(life) if record.model), None),
        tokens=_tokens(life),
        cost_usd=_cost(life),
        error=None if state in ("success", "skipped") else _error(last),
        started=_began(life[0] if life else last) if last else None,
        ended=_ended(last) if last else None,
    )


def _last_life(attempts: Sequence[AttemptRecord]) -> list[AttemptRecord]:
    """The attempts since the task was last cleared, of all items in a fan-out, in the order in which they began."""
    found: dict[tuple[int, int], list[AttemptRecord]] = {}
    for record in sorted(attempts, key=lambda record: (record.try_number, record.attempt)):
        index = record.item["index"] if record.item else -1
        life = found.setdefault((record.map_index, index), [])
        if life and _is_new_life(life[-1], record):
            life.clear()
        life.append(record)
    return sorted((record for life in found.values() for record in life), key=_began)


def _is_new_life(last: AttemptRecord, record: AttemptRecord) -> bool:
    """Numbers go on within one life and begin anew with the next; an attempt that was killed is repeated."""
    repeated = last.state == "killed" and record.attempt == last.attempt
    return record.attempt <= last.attempt and not repeated


def _state(record: Record | None) -> str:
    match record:
        case AttemptRecord():
            return record.state
        case FailureRecord():
            return "success" if record.recovered else "failed"
        case DecisionRecord():
            return "failed" if record.error else "success"
        case _:
            return "success"


def _kind(record: Record | None) -> str:
    match record:
        case MergeRecord():
            return "merge"
        case AnswerRecord():
            return "human"
        case DecisionRecord():
            return "route"
        case ArtifactRecord():
            return "artifact"
        case _:
            return "agent"


def _error(record: Record | None) -> dict[str, str] | None:
    match record:
        case AttemptRecord(error=dict(error)):
            return {"kind": str(error.get("kind")), "message": str(error.get("message"))}
        case FailureRecord(error=error):
            return {"kind": error["type"], "message": error["message"]}
        case _:
            return None


def _began(record: Record) -> str:
    match record:
        case AttemptRecord() | MergeRecord():
            return record.started
        case AnswerRecord():
            return record.asked
        case DecisionRecord():
            return record.decided
        case ArtifactRecord():
            return record.written
        case FailureRecord():
            return record.at


def _ended(record: Record) -> str:
    match record:
        case AttemptRecord() | MergeRecord():
            return record.ended
        case AnswerRecord():
            return record.answered
        case _:
            return _began(record)


def _between(started: str | None, ended: str | None) -> float | None:
    if started is None or ended is None:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _tokens(attempts: Iterable[AttemptRecord]) -> dict[str, int] | None:
    counted = [record.tokens for record in attempts if record.tokens]
    total = {side: sum(tokens.get(side) or 0 for tokens in counted) for side in ("input", "output")}
    return total if any(value is not None for tokens in counted for value in tokens.values()) else None


def _cost(attempts: Iterable[AttemptRecord]) -> float | None:
    known = [record.cost_usd for record in attempts if record.cost_usd is not None]
    return sum(known) if known else None


def _artifacts(records: Iterable[Record]) -> tuple[dict[str, Any], ...]:
    """The last one that each task wrote."""
    written = sorted((record for record in records if isinstance(record, ArtifactRecord)), key=_began)
    last = {record.task_id: record for record in written}
    return tuple(
        {"task_id": task_id, "uri": record.uri, "bytes": record.bytes, "sha256": record.sha256, "asset": record.asset}
        for task_id, record in last.items()
    )

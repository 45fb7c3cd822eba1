"""
A run's trace, put together from its records alone: what ran, how often, how long, at what cost, and why it failed.

Works on a run that is still going, was killed, or is long gone from Airflow: as far as the records tell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.facts import began, cost_of, seconds_between, tokens_of
from airflow_agentic.trace.manifest import Manifest, manifest_from_data
from airflow_agentic.trace.record import ArtifactRecord, AttemptRecord, DecisionRecord
from airflow_agentic.trace.stages import StageTrace, stages_of
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.trace.record import Record


@dataclass(frozen=True, kw_only=True)
class RunTrace:
    """
    One run.

    :param state: ``success`` or ``failed`` once the run is sealed, else ``running`` (a run that was killed leaves
        nothing that would tell).
    :param seconds: from the first record's start to the last one's end.
    :param tokens, cost_usd: of all attempts, also those before a task was cleared.
    :param artifacts: each with ``uri``, ``bytes``, ``sha256`` and ``asset``.
    :param decisions: in the order in which they were made, each with ``stage``, ``map_index`` (-1 outside of a
        pipeline that was repeated for a list), ``round`` and ``max_rounds`` (null outside of loops) and ``shown``, what
        was decided in words.
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
    decisions: tuple[dict[str, Any], ...] = ()

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
    stages = stages_of(records.values(), sealed)
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
        seconds=seconds_between(started, ended) if started and ended else None,
        tokens=tokens_of(attempts),
        cost_usd=cost_of(attempts),
        stages=stages,
        artifacts=_artifacts(records.values()),
        decisions=_decisions(records.values()),
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


def _artifacts(records: Iterable[Record]) -> tuple[dict[str, Any], ...]:
    """The last one that each task wrote."""
    written = sorted((record for record in records if isinstance(record, ArtifactRecord)), key=began)
    last = {record.task_id: record for record in written}
    return tuple(
        {"task_id": task_id, "uri": record.uri, "bytes": record.bytes, "sha256": record.sha256, "asset": record.asset}
        for task_id, record in last.items()
    )


def _decisions(records: Iterable[Record]) -> tuple[dict[str, Any], ...]:
    """The last one that each task made."""
    made = sorted((record for record in records if isinstance(record, DecisionRecord)), key=began)
    last = {(record.task_id, record.map_index): record for record in made}
    keys = ("stage", "map_index", "round", "max_rounds", "shown")
    return tuple({key: getattr(record, key) for key in keys} for record in made if record in last.values())

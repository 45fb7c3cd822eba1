"""A run's folder with a file of every kind, sealed twice: it was cleared and ran again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from support.records import RUN, answer, artifact, at, attempt, decision, failed_attempt, failure, merge

from airflow_agentic.trace import layout
from airflow_agentic.trace.manifest import Manifest, TaskState, inventory
from airflow_agentic.trace.record import BeginRecord, WaitRecord
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.summary import RunSummary

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Tea is a drink.\nIt is made of leaves.\n"
TEMPLATE = "version: 1\nstages: {}\n"


@dataclass(frozen=True, kw_only=True)
class SealedRun:
    """
    Where it is.

    :param folder: of its files.
    :param artifact: the file that it wrote.
    :param seals: of its two manifests.
    """

    store: TraceStore
    folder: Path
    artifact: Path
    seals: tuple[str, str]

    @property
    def files(self) -> list[str]:
        """The paths of all files below the folder, sorted."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def seal(store: TraceStore, number: int = 1, **more: Any) -> str:
    """Seal the run as it is; the seal."""
    given: dict[str, Any] = {"state": "success", "error": None, "output": {"text": TEXT}, **more}
    tasks = (TaskState(task_id="draft", stage="draft", kind="agent", state="success", agent="writer"),)
    manifest = Manifest(
        run=RUN, try_number=number, sealed=at(40 + number), tasks=tasks, records=inventory(store, RUN), **given
    )
    return store.write_manifest(RUN, number, manifest.to_data())


def _summarized(store: TraceStore, number: int, state: Any) -> None:
    store.write_summary(RunSummary(run=RUN, try_number=number, at=at(40), state=state))


def sealed_run(place: Path) -> SealedRun:
    """Make one in a folder."""
    store = TraceStore(str(place / "trace"))
    written = place / "artifacts" / "tea.md"
    written.parent.mkdir(parents=True)
    written.write_text(TEXT)
    store.write_template(RUN, TEMPLATE)
    store.begin(_begin())
    store.write(_wait())
    store.write(failed_attempt(number=1, wait=60.0))
    store.write(attempt(number=2, try_number=2, second=2, output={"text": "long " * 20_000}))
    store.write(merge(second=4))
    store.write(decision(second=5))
    store.write(answer(second=6))
    store.write(failure("late", second=8))
    _summarized(store, 1, "failed")
    first = seal(store, 1, state="failed", error="late: it broke", output=None)
    store.write(attempt("late", try_number=2, second=10, output="done"))
    store.write(artifact_record(written))
    _summarized(store, 2, "success")
    second = seal(store, 2)
    folder = place / "trace" / layout.run_folder(RUN.dag_id, RUN.run_id)
    return SealedRun(store=store, folder=folder, artifact=written, seals=(first, second))


def _begin() -> BeginRecord:
    return BeginRecord(
        run=RUN,
        task_id="draft",
        try_number=1,
        at=at(0),
        inputs={"topic": "tea"},
        triggered={"type": "manual", "by": "ada", "logical_date": None, "run_after": at(0)},
        budget=None,
        outline=(),
        picture=None,
    )


def _wait() -> WaitRecord:
    return WaitRecord(
        run=RUN,
        stage="draft",
        task_id="draft",
        map_index=-1,
        try_number=1,
        at=at(1),
        attempt=1,
        why="unavailable",
        reason="no answer",
        until=at(2),
    )


def artifact_record(written: Path) -> Any:
    data = written.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return replace(artifact(second=12), uri=written.as_uri(), bytes=len(data), sha256=digest)

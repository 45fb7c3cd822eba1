"""
The manifest: what seals a run.

The run's last task writes it when everything else is there: the digest of every record, the state of every task,
and how the run ended. A record that was changed, added or lost afterwards no longer agrees with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.record import RECORD_FORMAT, RunKey
from airflow_agentic.trace.values import digest_of

if TYPE_CHECKING:
    from airflow_agentic.trace.store import TraceStore


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """
    One task of the run when it was sealed.

    :param state: Airflow's name for it; null when the task instance wasn't there.
    :param agent: the name of a stage's agent, null for other kinds.
    :param rounds: of the loops that it is in, the outermost first; empty outside of loops.
    :param instances: of a task that was repeated for a list, how many are in each state; ``state`` is the worst.
    """

    task_id: str
    stage: str
    kind: str
    state: str | None
    agent: str | None = None
    rounds: tuple[int, ...] = ()
    instances: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """
    How a run ended, and what it left.

    :param sealed: ISO 8601 in UTC.
    :param error: why the run failed, null when it succeeded.
    :param output: the run's result, null when it failed.
    :param tasks: in the plan's order.
    :param records: every other file of the run: ``path`` (below the run's folder), ``sha256``, ``bytes``; sorted.
    """

    run: RunKey
    try_number: int
    sealed: str
    state: Literal["success", "failed"]
    error: str | None
    output: Any
    tasks: tuple[TaskState, ...]
    records: tuple[dict[str, Any], ...] = field(default=())

    def to_data(self) -> dict[str, Any]:
        """The manifest as JSON-able data."""
        return {"format": RECORD_FORMAT, "kind": "manifest", **asdict(self)}


def manifest_from_data(data: dict[str, Any]) -> Manifest:
    """
    Read a manifest back.

    :raises TraceError: it is none, or of another format.
    """
    if data.get("format") != RECORD_FORMAT or data.get("kind") != "manifest":
        raise TraceError(f"This is not a manifest of format {RECORD_FORMAT}.")
    try:
        known = {key: data[key] for key in Manifest.__dataclass_fields__}
        known["tasks"] = tuple(TaskState(**{**task, "rounds": tuple(task["rounds"])}) for task in data["tasks"])
        return Manifest(**{**known, "run": RunKey(**data["run"]), "records": tuple(data["records"])})
    except (KeyError, TypeError) as error:
        raise TraceError(f"This is not a whole manifest: {error}.") from None


def inventory(store: TraceStore, run: RunKey) -> tuple[dict[str, Any], ...]:
    """
    Every file that the run has left so far, former manifests too, with its digest; large values are named by theirs.

    :raises TraceError: one of them can't be read.
    """
    folder = layout.run_folder(run.dag_id, run.run_id)
    files = store.files(run.dag_id, run.run_id)
    whole = [path for path in files if layout.folder_of(path) != "values"]
    entries = []
    for path, data in store.read_many(whole).items():
        if isinstance(data, TraceError):
            raise data
        entries.append(_entry(path.removeprefix(f"{folder}/"), digest_of(data), len(data)))
    for path, size in files.items():
        if layout.folder_of(path) == "values":
            digest = path.rpartition("/")[2].removesuffix(".json")
            entries.append(_entry(path.removeprefix(f"{folder}/"), digest, size))
    return tuple(sorted(entries, key=lambda entry: str(entry["path"])))


def _entry(path: str, digest: str, size: int) -> dict[str, Any]:
    return {"path": path, "sha256": digest, "bytes": size}

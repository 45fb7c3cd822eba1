"""
What a trace is put together from: a run's material, what Airflow knows, and the outline of what was planned.

Each part of the trace is built by a module of its own from one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_agentic.trace import layout
from airflow_agentic.trace.facts import began, kind_of
from airflow_agentic.trace.outline import Outlined, from_states, outlined
from airflow_agentic.trace.record import ArtifactRecord, AttemptRecord, BeginRecord, FailureRecord
from airflow_agentic.trace.written import written_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_agentic.trace.airflow import InstanceFacts, RunFacts, TryFacts
    from airflow_agentic.trace.manifest import Manifest
    from airflow_agentic.trace.material import Material
    from airflow_agentic.trace.record import AnswerRecord, Record

    Kind = TypeVar("Kind", bound=Record)
    #: Task id, map index, and the number of the try.
    TryKey = tuple[str, int, int]
    #: Stage, rounds, the map index of the pipeline around it (-1: none is repeated), and the item's place in the list.
    Place = tuple[str, tuple[int, ...], int, int | None]

FINISH = "finish"
#: Kinds of tasks that are repeated, or gather what was, for the stage's own list.
_REPEATED = ("item", "items", "collect")


@dataclass(frozen=True)
class Source:
    """
    One run.

    :param facts: null where Airflow wasn't asked.
    :param read_artifact: gives the content behind an artifact's record; raises OSError, ValueError or ImportError.
    """

    material: Material
    facts: RunFacts | None
    read_artifact: Callable[[ArtifactRecord], bytes] = written_content

    @cached_property
    def manifest(self) -> Manifest | None:
        """The one that covers all records."""
        return self.material.manifests[-1] if self.material.sealed else None

    @cached_property
    def planned(self) -> dict[str, Outlined]:
        """
        The planned tasks by their ids, in the plan's order.

        Without a begin record, those that the last manifest names; without that, those that have left records, in the
        order in which they began.
        """
        begin = self.material.begin
        if begin is not None:
            found: tuple[Outlined, ...] = tuple(outlined(entry) for entry in begin.outline)
        elif self.material.manifests:
            found = from_states(self.material.manifests[-1].tasks)
        else:
            found = ()
        planned = {task.task_id: task for task in found}
        for record in sorted(self.material.records.values(), key=began):
            if not isinstance(record, BeginRecord):
                planned.setdefault(record.task_id, _unplanned(record))
        return planned

    @cached_property
    def instances(self) -> dict[tuple[str, int], InstanceFacts]:
        """Airflow's task instances."""
        found = self.facts.instances if self.facts is not None else ()
        return {(instance.task_id, instance.map_index): instance for instance in found}

    @cached_property
    def tries(self) -> dict[TryKey, TryFacts]:
        """Airflow's tries."""
        return {
            (task_id, map_index, each.number): each
            for (task_id, map_index), instance in self.instances.items()
            for each in instance.tries
        }

    @cached_property
    def recorded(self) -> frozenset[TryKey]:
        """The tries that have left a record, or a manifest."""
        keys = {key_of(record) for record in self.material.records.values() if not isinstance(record, BeginRecord)}
        last = [task.task_id for task in self.planned.values() if task.kind == FINISH]
        return frozenset(keys | {(last[-1], -1, each.try_number) for each in self.material.manifests if last})

    @cached_property
    def explained(self) -> frozenset[TryKey]:
        """The tries of which a record, or a manifest, says how they ended: not only how some of their work went."""
        records = self.material.records.values()
        told = {key_of(record) for record in records if _tells_an_end(record)}
        worked = {key_of(record) for record in records if isinstance(record, AttemptRecord)}
        return frozenset(told | (self.recorded - worked))

    def of(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """The records of a kind with their paths, in the order in which they began."""
        found = [(path, record) for path, record in self.material.records.items() if isinstance(record, kind)]
        return sorted(found, key=lambda entry: (began(entry[1]), entry[0]))

    def rounds(self, task_id: str) -> tuple[int, ...]:
        """Of the loops around a task, the outermost first."""
        return self.planned[task_id].rounds if task_id in self.planned else ()

    def place(self, record: FailureRecord | AnswerRecord) -> Place:
        """What a record is about; people are asked in a task of their own for each item."""
        kind, item = self.kind(record.task_id), record.item
        if isinstance(item, dict):
            item = item["index"]
        if item is None and kind == "item":
            item = record.map_index
        return place(kind, record.stage, self.rounds(record.task_id), record.map_index, item)

    def kind(self, task_id: str) -> str:
        """Of a task, as in the plan."""
        return self.planned[task_id].kind if task_id in self.planned else "agent"


def place(kind: str, stage: str, rounds: tuple[int, ...], map_index: int, item: int | None) -> Place:
    """What a task instance, or one item of it, works on: a stage in one round, or an item of it."""
    return stage, rounds, -1 if kind in _REPEATED else map_index, item


def key_of(record: Any) -> TryKey:
    """The try that wrote a record."""
    return record.task_id, getattr(record, "map_index", -1), record.try_number


def id_of(what: str, path: str) -> str:
    """The id in the trace of what a record tells."""
    return f"{what}-{layout.stem_of(path)}"


def _tells_an_end(record: Record) -> bool:
    """What of one item, or of an attempt that another one follows, isn't the end of a try that ended badly."""
    if isinstance(record, AttemptRecord):
        return record.state == "killed" or (record.state == "failed" and record.item is None)
    return not isinstance(record, BeginRecord) and not (isinstance(record, FailureRecord) and record.recovered)


def _unplanned(record: Record) -> Outlined:
    """A task that only its records tell of."""
    stage = record.task_id if isinstance(record, (ArtifactRecord, BeginRecord)) else record.stage
    return Outlined(task_id=record.task_id, kind=kind_of(record), stage=stage)

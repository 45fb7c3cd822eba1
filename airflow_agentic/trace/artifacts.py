"""
The artifacts of a run: what they say, and where each passage is from.

The record says which attempt's record a passage's value was read from; here it becomes the attempt in this document,
and where a value was put together by the stage itself (a fan-out, a merge), what that had it from.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.document import ArtifactTrace, PassageTrace
from airflow_agentic.trace.record import ArtifactRecord
from airflow_agentic.trace.source import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.trace.document import AnswerTrace, AttemptTrace, MergeTrace
    from airflow_agentic.trace.source import Source


class Origins:
    """Finds the attempt, the answer and the parts behind what an artifact read."""

    def __init__(
        self,
        source: Source,
        attempts: Sequence[AttemptTrace],
        answers: Sequence[AnswerTrace],
        merges: Sequence[MergeTrace],
    ) -> None:
        self._source = source
        self._attempts = attempts
        self._answers = answers
        self._merges = merges
        told: list[AttemptTrace | AnswerTrace] = [*attempts, *answers]
        self._by_record = {each.record: each for each in told if each.record is not None}

    def of(self, told: dict[str, Any], items: dict[str, list[dict[str, Any]]], written: str) -> dict[str, Any]:
        """
        A passage's source, with all that is known of it.

        :param told: as the record has it.
        :param items: task id of a fan-out → where the output of each item is from.
        :param written: when the artifact was.
        """
        known: dict[str, Any] = {"name": told["name"], "path": list(told["path"])}
        task_id = told.get("task_id")
        if task_id is None:
            return known
        planned = self._source.planned.get(task_id)
        known |= {
            "stage": planned.stage if planned else told["name"],
            "task_id": task_id,
            "kind": planned.kind if planned else None,
            "rounds": list(self._source.rounds(task_id)),
            "item": told.get("item"),
            **self._behind(told.get("record")),
        }
        if task_id in items:
            return {**known, "parts": [self._item(known, entry) for entry in items[task_id]]}
        return {**known, "parts": list(self._merged(task_id, written))}

    def _behind(self, path: str | None) -> dict[str, Any]:
        """The attempt or the answer that a record tells of."""
        found = self._by_record.get("/".join(path.split("/")[2:])) if path else None
        is_answer = found is not None and not hasattr(found, "agent")
        return {
            "attempt": found.id if found is not None and not is_answer else None,
            "answer": found.id if found is not None and is_answer else None,
            "agent": getattr(found, "agent", None),
            "model": getattr(found, "model", None),
            "recovered": getattr(found, "recovered_by", None),
        }

    def _item(self, known: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
        behind = self._behind(entry.get("record"))
        recovered = entry.get("recovered") or behind["recovered"]
        kept = {key: known[key] for key in ("name", "path", "stage", "task_id", "kind", "rounds")}
        return {**kept, "item": entry["index"], **behind, "recovered": recovered}

    def _merged(self, task_id: str, written: str) -> Iterator[dict[str, Any]]:
        """The last outputs before the merge of the stages that it used."""
        own = [merge for merge in self._merges if merge.task_id == task_id and merge.ended <= written]
        if not own:
            return
        merge = own[-1]
        path = merge.stage.rpartition(".")[0]
        for name in merge.used:
            stage = f"{path}.{name}" if path else name
            found = self._last(stage, merge)
            yield {
                "name": name,
                "path": [],
                "stage": stage,
                "task_id": found.task_id if found else None,
                "kind": self._source.kind(found.task_id) if found else None,
                "rounds": list(found.rounds) if found else [],
                "item": None,
                **self._behind(f"//{found.record}" if found and found.record else None),
            }

    def _last(self, stage: str, merge: MergeTrace) -> AttemptTrace | AnswerTrace | None:
        attempts = [each for each in self._attempts if each.stage == stage and each.state == "success"]
        told: list[tuple[str, AttemptTrace | AnswerTrace]] = [(each.ended or "", each) for each in attempts]
        told += [(each.answered or "", each) for each in self._answers if each.stage == stage]
        before = [each for at, each in told if at <= merge.started and each.map_index in (merge.map_index, -1)]
        return before[-1] if before and before[-1].item is None else None


def artifacts_of(source: Source, origins: Origins) -> tuple[tuple[ArtifactTrace, ...], list[str]]:
    """The last artifact of each task that writes one, and what couldn't be read."""
    last = {record.task_id: (path, record) for path, record in source.of(ArtifactRecord)}
    found = [_artifact(path, record, origins, _content(record, source)) for path, record in last.values()]
    return tuple(found), [artifact.problem for artifact in found if artifact.problem is not None]


def _artifact(
    path: str, record: ArtifactRecord, origins: Origins, read: tuple[str | None, str | None]
) -> ArtifactTrace:
    content, problem = read
    passages = tuple(
        PassageTrace(
            start=passage.start,
            end=passage.end,
            expression=passage.expression,
            sources=tuple(origins.of(told, record.items, record.written) for told in passage.sources),
        )
        for passage in record.passages
    )
    return ArtifactTrace(
        id=id_of("artifact", path),
        record=path,
        task_id=record.task_id,
        uri=record.uri,
        bytes=record.bytes,
        sha256=record.sha256,
        asset=record.asset,
        written=record.written,
        passages=passages,
        content=content,
        problem=problem,
    )


def _content(record: ArtifactRecord, source: Source) -> tuple[str | None, str | None]:
    """The artifact as it is now, if it is the one that was written; else why not."""
    try:
        data = source.read_artifact(record)
    except (OSError, ValueError, ImportError) as error:
        return None, f"The artifact {record.uri} can't be read: {error}"
    if hashlib.sha256(data).hexdigest() != record.sha256:
        return None, f"The artifact {record.uri} isn't the one that this run wrote: its digest is another one."
    return data.decode("utf-8", "replace"), None

"""
Where what an artifact says is from: the attempt or the answer behind each value that was inserted into it.

The artifact's record names the task whose output was read. What that task put together itself is followed to those
that it has it from: the items of a fan-out, the stages that a merge used, the inner stages that a pipeline's output
reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.document import AnswerTrace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.trace.document import AttemptTrace, MergeTrace
    from airflow_agentic.trace.record import ArtifactRecord
    from airflow_agentic.trace.source import Source

    Part = dict[str, Any]

#: As many parts stand with the source itself.
FEW = 20


class Origins:
    """Finds the attempts and answers behind what artifacts read."""

    def __init__(
        self,
        source: Source,
        attempts: Sequence[AttemptTrace],
        answers: Sequence[AnswerTrace],
        merges: Sequence[MergeTrace],
    ) -> None:
        self._source = source
        self._merges = merges
        given: list[AttemptTrace | AnswerTrace] = [attempt for attempt in attempts if attempt.state == "success"]
        given += [answer for answer in answers if answer.answered is not None and answer.error is None]
        told: list[AttemptTrace | AnswerTrace] = [*attempts, *answers]
        self._by_record = {each.record: each for each in told if each.record is not None}
        self._by_id = {each.id: each for each in told}
        #: what gave outputs, by stage and by task, in order of time
        self._of_stage: dict[str, list[AttemptTrace | AnswerTrace]] = {}
        self._of_task: dict[str, list[AttemptTrace | AnswerTrace]] = {}
        for each in sorted(given, key=_given_at):
            self._of_stage.setdefault(each.stage, []).append(each)
            self._of_task.setdefault(each.task_id, []).append(each)

    def of_artifact(self, record: ArtifactRecord) -> OfArtifact:
        """Those of one artifact."""
        return OfArtifact(self, record)

    def known(self, name: str, path: Sequence[str], task_id: str) -> Part:
        """What is known of a source without its record."""
        planned = self._source.planned.get(task_id)
        return {
            "name": name,
            "path": list(path),
            "stage": planned.stage if planned else name,
            "task_id": task_id,
            "kind": planned.kind if planned else None,
            "rounds": list(self._source.rounds(task_id)),
        }

    def behind(self, path: str | None) -> Part:
        """The attempt or the answer that a record tells of, by the record's path."""
        return _told(self._by_record.get("/".join(path.split("/")[2:])) if path else None)

    def of_items(self, known: Part, items: Sequence[dict[str, Any]], until: str) -> Iterator[Part]:
        """Where the output of each item of a fan-out is from."""
        result = self._result_of(known)
        for entry in items:
            if result is not None:
                parts = list(self.of_pipeline(result, _inside(known["path"]), entry["index"], until))
                yield from ({**part, "item": entry["index"]} for part in parts)
                continue
            behind = self.behind(entry.get("record"))
            recovered = entry.get("recovered") or behind["recovered"]
            yield {**known, "item": entry["index"], **behind, "recovered": recovered}

    def of_merge(self, task_id: str, map_index: int, until: str) -> Iterator[Part]:
        """The last outputs before the merge of the stages that it used."""
        own = [
            merge
            for merge in self._merges
            if merge.task_id == task_id and merge.map_index == map_index and merge.ended <= until
        ]
        if not own:
            return
        merge = own[-1]
        path = merge.stage.rpartition(".")[0]
        for name in merge.used:
            stage = f"{path}.{name}" if path else name
            found = _last(self._of_stage.get(stage, ()), merge.map_index, merge.started)
            if found is None or found.item is not None:
                known: Part = {"name": name, "path": [], "stage": stage, "task_id": None, "kind": None, "rounds": []}
                yield {**known, "item": None, **_told(None)}
            else:
                yield {**self.known(name, (), found.task_id), "item": None, **_told(found)}

    def of_pipeline(self, task_id: str, path: Sequence[str], map_index: int, until: str) -> Iterator[Part]:
        """
        The inner stages that a pipeline's output, or one key of it, reads.

        :param path: into the output.
        :param map_index: of the one of several pipelines, or -1.
        """
        planned = self._source.planned.get(task_id)
        told = planned.output if planned else {}
        keys = [key for key in told if not path or key == path[0]]
        reads = {name: task_ids for key in keys for name, task_ids in told[key]}
        for name, task_ids in reads.items():
            found = [part for each in task_ids if (part := self._given_by(name, each, map_index, until))]
            if found:
                yield from max(found, key=lambda entry: entry[0])[1]

    def _given_by(self, name: str, task_id: str, map_index: int, until: str) -> tuple[str, list[Part]] | None:
        """When an inner task gave its output, and where that is from; nothing of one that gave none."""
        kind = self._source.kind(task_id)
        if kind == "merge":
            ended = [m.ended for m in self._merges if (m.task_id, m.map_index) == (task_id, map_index)]
            before = [at for at in ended if at <= until]
            return (before[-1], list(self.of_merge(task_id, map_index, until))) if before else None
        if kind == "result":
            parts = list(self.of_pipeline(task_id, (), map_index, until))
            return (self._latest(parts), parts) if parts else None
        task_id = self._item_of(task_id) if kind == "collect" else task_id
        own = [each for each in self._of_task.get(task_id, ()) if _given_at(each) <= until]
        if kind != "collect":
            own = [each for each in own if each.map_index in (map_index, -1)]
        if not own:
            return None
        known = self.known(name, (), task_id)
        last = {each.item["index"] if each.item else None: each for each in own}
        parts = [{**known, "item": index, **_told(each)} for index, each in last.items()]
        return _given_at(own[-1]), parts

    def _latest(self, parts: Sequence[Part]) -> str:
        ids = [part["attempt"] or part["answer"] for part in parts]
        return max((_given_at(self._by_id[name]) for name in ids if name in self._by_id), default="")

    def _item_of(self, collect: str) -> str:
        """The mapped task whose outputs a task collects."""
        own = self._source.planned[collect]
        same = (task for task in self._source.planned.values() if (task.stage, task.rounds) == (own.stage, own.rounds))
        return next((task.task_id for task in same if task.kind == "item"), collect)

    def _result_of(self, known: Part) -> str | None:
        """The task that gives the outputs of the inner pipelines whose outputs a task collects."""
        place = (known["stage"], tuple(known["rounds"]))
        same = (task for task in self._source.planned.values() if (task.stage, task.rounds) == place)
        return next((task.task_id for task in same if task.kind == "result"), None)


class OfArtifact:
    """
    The sources of one artifact's passages.

    What many passages share (the thousand items of a list) is kept once, in ``parts``.
    """

    def __init__(self, origins: Origins, record: ArtifactRecord) -> None:
        self._origins = origins
        self._record = record
        self._parts: dict[str, list[Part]] = {}
        #: under a name, what the sources with that name in ``parts_of`` have their values from
        self.parts: dict[str, tuple[Part, ...]] = {}

    def source(self, told: dict[str, Any]) -> Part:
        """A passage's source, as its record has it, with all that is known of it."""
        task_id = told.get("task_id")
        if task_id is None:
            return {"name": told["name"], "path": list(told["path"])}
        known = self._origins.known(told["name"], told["path"], task_id)
        behind = self._origins.behind(told.get("record"))
        behind["recovered"] = told.get("recovered") or behind["recovered"]
        found = {**known, "item": told.get("item"), **behind, "parts_of": None}
        name = f"{task_id}:{'.'.join(known['path'])}"
        if name not in self._parts:
            self._parts[name] = list(self._found(known))
        parts = self._parts[name]
        if len(parts) <= FEW:
            return {**found, "parts": parts}
        self.parts.setdefault(name, tuple(parts))
        return {**found, "parts": [], "parts_of": name}

    def _found(self, known: Part) -> Iterator[Part]:
        task_id, until = known["task_id"], self._record.written
        if task_id in self._record.items:
            yield from self._origins.of_items(known, self._record.items[task_id], until)
        elif known["kind"] == "merge":
            yield from self._origins.of_merge(task_id, -1, until)
        elif known["kind"] == "result":
            yield from self._origins.of_pipeline(task_id, known["path"], -1, until)


def _told(found: AttemptTrace | AnswerTrace | None) -> Part:
    is_answer = isinstance(found, AnswerTrace)
    return {
        "attempt": found.id if found is not None and not is_answer else None,
        "answer": found.id if found is not None and is_answer else None,
        "label": getattr(found, "label", None),
        "agent": getattr(found, "agent", None),
        "model": getattr(found, "model", None),
        "recovered": getattr(found, "recovered_by", None),
    }


def _given_at(each: AttemptTrace | AnswerTrace) -> str:
    return (each.answered if isinstance(each, AnswerTrace) else each.ended) or ""


def _last(given: Sequence[AttemptTrace | AnswerTrace], map_index: int, until: str) -> AttemptTrace | AnswerTrace | None:
    before = [each for each in given if _given_at(each) <= until and each.map_index in (map_index, -1)]
    return before[-1] if before else None


def _inside(path: Sequence[str]) -> list[str]:
    """Of a path into a fan-out's output, what is left of it in the output of one item."""
    match list(path):
        case ["outputs", _, *inner] | ["results", _, "output", *inner]:
            return inner
    return []

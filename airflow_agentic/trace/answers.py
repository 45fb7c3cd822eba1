"""What people were asked and answered in a run, and its merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.document import AnswerTrace, MergeTrace
from airflow_agentic.trace.facts import seconds_between
from airflow_agentic.trace.labels import label_of
from airflow_agentic.trace.record import AnswerRecord, MergeRecord
from airflow_agentic.trace.source import id_of

if TYPE_CHECKING:
    from airflow_agentic.trace.airflow import InstanceFacts
    from airflow_agentic.trace.source import Source


def answers_of(source: Source) -> tuple[AnswerTrace, ...]:
    """All questions to people, those that still wait for an answer too."""
    answered = [_answered(source, path, record) for path, record in source.of(AnswerRecord)]
    waiting = [
        _waiting(source, instance, instance.question)
        for instance in source.instances.values()
        if instance.question is not None
    ]
    return tuple(sorted([*answered, *waiting], key=lambda answer: (answer.asked, answer.id)))


def merges_of(source: Source) -> tuple[MergeTrace, ...]:
    """All merges."""
    return tuple(_merge(source, path, record) for path, record in source.of(MergeRecord))


def _answered(source: Source, path: str, record: AnswerRecord) -> AnswerTrace:
    return AnswerTrace(
        id=id_of("answer", path),
        record=path,
        stage=record.stage,
        task_id=record.task_id,
        map_index=record.map_index,
        try_number=record.try_number,
        rounds=source.rounds(record.task_id),
        item=record.item,
        label=label_of(record.item),
        subject=record.subject,
        body=record.body,
        options=record.options,
        assignees=record.assignees,
        asked=record.asked,
        answered=record.answered,
        seconds=seconds_between(record.asked, record.answered),
        by=record.by,
        choice=record.choice,
        fields=record.fields,
        timed_out=record.timed_out,
        error=record.error,
    )


def _waiting(source: Source, instance: InstanceFacts, question: dict[str, Any]) -> AnswerTrace:
    number = instance.tries[-1].number if instance.tries else 1
    planned = source.planned.get(instance.task_id)
    return AnswerTrace(
        id=f"answer-{instance.task_id}.{instance.map_index}.{number}.waiting",
        record=None,
        stage=planned.stage if planned else instance.task_id,
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=number,
        rounds=source.rounds(instance.task_id),
        item={"index": instance.map_index, "value": None} if source.kind(instance.task_id) == "item" else None,
        subject=question["subject"],
        body=question["body"],
        options=tuple(question["options"]),
        assignees=tuple(question["assignees"]),
        asked=question["asked"],
        answered=None,
        seconds=None,
        by=None,
        choice=None,
        fields={},
        timed_out=False,
    )


def _merge(source: Source, path: str, record: MergeRecord) -> MergeTrace:
    return MergeTrace(
        id=id_of("merge", path),
        record=path,
        stage=record.stage,
        task_id=record.task_id,
        map_index=record.map_index,
        try_number=record.try_number,
        rounds=source.rounds(record.task_id),
        how=record.how,
        used=record.used,
        missing=record.missing,
        started=record.started,
        ended=record.ended,
        seconds=record.seconds,
    )

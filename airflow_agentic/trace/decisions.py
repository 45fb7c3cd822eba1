"""The decisions of a run, with what their conditions saw, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.trace.document import ConditionTrace, DecisionTrace
from airflow_agentic.trace.record import DecisionRecord
from airflow_agentic.trace.source import id_of
from airflow_agentic.trace.stage_names import name_of
from airflow_agentic.trace.words import condition_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.trace.source import Source

#: The outcome of a stage whose own condition doesn't hold.
SKIP = "skip"
_BACK, _ROUND = "back to ", " for round "
_SPECIAL = {"next": "go on", "end": "end here", "fail": "fail"}


def decisions_of(source: Source) -> tuple[DecisionTrace, ...]:
    """All decisions, in the order in which they were made."""
    return tuple(_decision(source, path, record) for path, record in source.of(DecisionRecord))


def _decision(source: Source, path: str, record: DecisionRecord) -> DecisionTrace:
    conditions = tuple(_condition(entry) for entry in record.conditions)
    rounds = source.rounds(record.task_id)
    about: Literal["route", "when"] = "when" if record.outcome == SKIP else "route"
    name = name_of(record.stage, rounds, record.map_index)
    return DecisionTrace(
        id=id_of("decision", path),
        record=path,
        stage=record.stage,
        task_id=record.task_id,
        map_index=record.map_index,
        try_number=record.try_number,
        rounds=rounds,
        about=about,
        decided=record.decided,
        conditions=conditions,
        outcome=record.outcome,
        shown=record.shown,
        words=f"{name} {_words(record, conditions)}",
        round=record.round,
        max_rounds=record.max_rounds,
        feedback=record.feedback,
        failure=record.failure,
        error=record.error,
        route=record.route,
    )


def _condition(entry: dict[str, Any]) -> ConditionTrace:
    values = tuple(dict(value) for value in entry.get("values") or ())
    return ConditionTrace(
        when=entry.get("when"),
        outcome=str(entry.get("outcome")),
        held=entry.get("held"),
        values=values,
        words=condition_words(entry.get("when"), entry.get("held"), values),
    )


def _words(record: DecisionRecord, conditions: Sequence[ConditionTrace]) -> str:
    if record.error is not None:
        return f"could not decide where to go on: {record.error}"
    if record.outcome == SKIP:
        return f"was left out: {conditions[0].words}." if conditions else "was left out."
    if record.failure is not None:
        return f"failed ({record.failure.get('kind')}); the run went on with {record.shown}."
    tried = [condition.words for condition in conditions if condition.held is not None and condition.when is not None]
    because = f", because {'; '.join(tried)}" if tried else ""
    return f"decided: {_shown(record)}{because}."


def _of_which_loop(record: DecisionRecord, told: str) -> str:
    """The round of a decision is the innermost loop's; what goes back may be a loop around that one."""
    own = f"for round {(record.round or 0) + 1} of {record.max_rounds}"
    return " of the loop around it" if _ROUND in told and not told.endswith(own) else ""


def _shown(record: DecisionRecord) -> str:
    told = str(record.shown)
    if told.startswith(_BACK):
        return f"go {told}{_of_which_loop(record, told)}"
    name, _, more = told.partition(" ")
    return f"{_SPECIAL.get(name, f'go on with {name}')} {more}".rstrip()

"""
The error log of a run: everything that went wrong, in order of time, and what became of it.

Each failure is told once, where it happened: what failed only because of it (tasks that couldn't run, a route that had
no way for it) is no entry of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.attempts import lives_of, place_of, values_stood_in
from airflow_agentic.trace.document import ErrorTrace
from airflow_agentic.trace.record import FailureRecord
from airflow_agentic.trace.source import key_of
from airflow_agentic.trace.stage_names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.trace.document import AnswerTrace, AttemptTrace, DecisionTrace, RunState
    from airflow_agentic.trace.source import Place, Source

#: Failures that are told elsewhere already: of what could not run, and of routes that had no way for a failure.
_TOLD_ELSEWHERE = ("NotRunError", "UnhandledError")
#: What the task that ends a run by a decision raises.
_DECIDED = "DecidedFailure"
_RUN_FAILED = "run failed"
#: Before the name of the agent that was asked next, and failed as well.
STAND_IN_ASKED = "stand-in asked: "


@dataclass(kw_only=True)
class RunOfErrors:
    """
    What the log is made from.

    :param error: why the run failed.
    :param ended: when.
    """

    source: Source
    state: RunState
    error: str | None
    ended: str | None
    attempts: Sequence[AttemptTrace]
    answers: Sequence[AnswerTrace]
    decisions: Sequence[DecisionTrace]

    @cached_property
    def stood_in(self) -> frozenset[Place]:
        """Where fixed values stood in."""
        return frozenset(values_stood_in(self.source))


def errors_of(run: RunOfErrors) -> tuple[ErrorTrace, ...]:
    """The log."""
    entries = [*_of_attempts(run), *_of_answers(run), *_of_tasks(run), *_of_run(run)]
    return tuple(sorted(entries, key=lambda entry: (entry.what == "run", entry.at)))


def _of_attempts(run: RunOfErrors) -> Iterator[ErrorTrace]:
    again, stand_ins = _made_again(run), _stand_ins(run)
    for attempt in run.attempts:
        if attempt.error is None and attempt.state != "killed":
            continue
        error = attempt.error or {"kind": "killed", "message": "The process was told to stop."}
        then = _then_of_attempt(run, attempt, attempt.id in again, stand_ins.get(attempt.id))
        item = attempt.item["index"] if attempt.item else None
        yield _entry(
            at=attempt.ended or attempt.started or "",
            place=(attempt.stage, attempt.task_id, attempt.map_index, attempt.rounds),
            item=item,
            kind=str(error.get("kind")),
            message=str(error.get("message")),
            what="attempt",
            ref=attempt.id,
            then=then,
            agent=attempt.agent,
            label=attempt.label,
            who=f"attempt {attempt.attempt}" if attempt.attempt else f"try {attempt.try_number}",
        )


def _made_again(run: RunOfErrors) -> set[str]:
    """The attempts after which their agent, or their task, had another chance."""
    found = {attempt.id for life in lives_of(run.attempts) for attempt in life[:-1] if attempt.state != "failed"}
    last = {(task_id, map_index): number for task_id, map_index, number in sorted(run.source.tries)}
    for attempt in run.attempts:
        if (
            attempt.state in ("lost", "killed")
            and last.get((attempt.task_id, attempt.map_index), 0) > attempt.try_number
        ):
            found.add(attempt.id)
    return found


def _stand_ins(run: RunOfErrors) -> dict[str, str]:
    """After the last attempt of an agent that gave up, the agent that was asked in its place."""
    return {
        attempt.id: following.agent
        for life in lives_of(run.attempts)
        for attempt, following in pairwise(life)
        if attempt.state == "failed" and following.agent not in (None, attempt.agent)
    }


def _then_of_attempt(run: RunOfErrors, attempt: AttemptTrace, made_again: bool, stand_in: str | None) -> str:
    if stand_in is not None and attempt.recovered_by != "agent":
        return f"{STAND_IN_ASKED}{stand_in}"
    if attempt.recovered_by is not None:
        return f"recovered by {attempt.recovered_by}"
    if made_again or (attempt.state in ("retrying", "killed", "lost") and run.state == "running"):
        return "retried"
    return _then(run, place_of(attempt), attempt.item is not None)


def _of_answers(run: RunOfErrors) -> Iterator[ErrorTrace]:
    for answer in run.answers:
        if answer.error is None:
            continue
        item = answer.item["index"] if answer.item else None
        where = (answer.stage, answer.rounds, -1 if answer.item else answer.map_index, item)
        yield _entry(
            at=answer.answered or answer.asked,
            place=(answer.stage, answer.task_id, answer.map_index, answer.rounds),
            item=item,
            kind=answer.error["kind"],
            message=answer.error["message"],
            what="task",
            ref=answer.id,
            label=answer.label,
            then=_then(run, where, answer.item is not None),
        )


def _of_tasks(run: RunOfErrors) -> Iterator[ErrorTrace]:
    """Failures outside of attempts; one behind which a value stood in is told with what failed before it."""
    told = {place_of(attempt) for attempt in run.attempts if attempt.recovered_by == "value"}
    asked = {(answer.task_id, answer.map_index, answer.try_number) for answer in run.answers if answer.error}
    labels = {place_of(attempt): attempt.label for attempt in run.attempts}
    tries: dict[tuple[str, int], int] = {}
    for task_id, map_index, number in run.source.recorded | run.source.tries.keys():
        tries[task_id, map_index] = max(number, tries.get((task_id, map_index), 0))
    for _, record in run.source.of(FailureRecord):
        where = run.source.place(record)
        if record.error["type"] in _TOLD_ELSEWHERE or key_of(record) in asked or (record.recovered and where in told):
            continue
        if record.recovered:
            then = "recovered by value"
        elif tries[record.task_id, record.map_index] > record.try_number:
            then = "retried"
        else:
            then = _RUN_FAILED if _ends_the_run(run, record) else _then(run, where, where[3] is not None)
        yield _entry(
            at=record.at,
            place=(record.stage, record.task_id, record.map_index, run.source.rounds(record.task_id)),
            item=where[3],
            kind=record.error.get("kind") or "failed",
            message=record.error["message"],
            what="task",
            ref=None,
            then=then,
            label=labels.get(where),
        )


def _ends_the_run(run: RunOfErrors, record: FailureRecord) -> bool:
    return record.error["type"] == _DECIDED and "." not in record.stage and run.state == "failed"


def _of_run(run: RunOfErrors) -> Iterator[ErrorTrace]:
    if run.state != "failed":
        return
    message = run.error or "Airflow ended it before its last task could say why; the tasks' logs may tell."
    yield ErrorTrace(
        at=run.ended or "",
        stage="",
        task_id="",
        map_index=-1,
        rounds=(),
        item=None,
        kind="failed",
        message=message,
        what="run",
        ref=None,
        then=_RUN_FAILED,
        words=message if message.startswith("The run failed") else f"The run failed: {message}",
    )


def _then(run: RunOfErrors, where: Place, is_item: bool) -> str:
    """
    What became of a failure that its own task had no answer to: who handled it, of the stage and those around it.

    :param is_item: of a fan-out, whose stage goes on without it.
    """
    if is_item:
        return "item failed"
    stage, rounds, map_index, _ = where
    routed = _routed(run, stage, rounds, map_index)
    if routed is not None:
        return routed
    while "." in stage:
        stage = stage.rpartition(".")[0]
        if any(place[0] == stage and place[2] in (map_index, -1) for place in run.stood_in):
            return "recovered by value"
        if map_index < 0 and (routed := _routed(run, stage, rounds, map_index)):
            return routed
    if map_index >= 0:
        return "item failed"
    return _RUN_FAILED if run.state == "failed" else "stage failed"


def _routed(run: RunOfErrors, stage: str, rounds: tuple[int, ...], map_index: int) -> str | None:
    """Whether a decision says where the run went on after the failure."""
    for decision in run.decisions:
        same = (decision.stage, decision.map_index) == (stage, map_index) and decision.rounds == rounds[
            : len(decision.rounds)
        ]
        if same and decision.failure is not None and decision.error is None:
            return "escalated" if _leads_to_people(run, decision) else "routed"
    return None


def _leads_to_people(run: RunOfErrors, decision: DecisionTrace) -> bool:
    path = decision.stage.rpartition(".")[0]
    target = f"{path}.{decision.shown}" if path else decision.shown
    own = [task for task in run.source.planned.values() if task.stage == target]
    return any(task.kind == "human" or (task.kind == "item" and task.agent is None) for task in own)


def _entry(*, place: tuple[str, str, int, tuple[int, ...]], who: str | None = None, **told: Any) -> ErrorTrace:
    stage, task_id, map_index, rounds = place
    name = name_of(stage, rounds, map_index if told["item"] is None else -1, told["item"], told["label"])
    by = f" by {told['agent']}" if told.get("agent") else ""
    words = f"{name}{f', {who}{by}' if who else ''} failed ({told['kind']}): {told['message']} → {told['then']}."
    return ErrorTrace(stage=stage, task_id=task_id, map_index=map_index, rounds=rounds, words=words, **told)

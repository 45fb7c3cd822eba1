"""
The assembled trace of a run: everything that happened, in one document.

It is put together from the run's records and from Airflow's own task instances and their history, so that a try that
left no record (its process was killed) is there as well. It is plain data: :func:`to_data` and :func:`from_data` go to
JSON and back; its JSON Schema is published beside this file (``trace.schema.json``).

All times are ISO 8601 in UTC, all durations seconds, all money US dollars. Values (inputs, outputs, replies) are whole,
as they were recorded, with secrets masked. Ids are unique in the document and harmless in a URL and in HTML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Goes up when a reader of the former format would misread the document.
TRACE_FORMAT = 1

RunState = Literal["queued", "running", "success", "failed"]
AttemptState = Literal["success", "failed", "retrying", "killed", "running", "lost"]


@dataclass(frozen=True, kw_only=True)
class UsageTrace:
    """
    What something used.

    :param calls: requests to models, APIs and callables that were made, as far as they were counted: of an attempt that
        failed without telling, one. Answers that were kept or cached aren't counted.
    :param input_tokens, output_tokens: null when no agent counted any.
    :param cost_usd: null when no price is known.
    :param partly_known: some of the calls' prices aren't known, so that the cost is a lower bound.
    """

    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    partly_known: bool = False


@dataclass(frozen=True, kw_only=True)
class TryTrace:
    """
    One of Airflow's tries of a task instance.

    :param number: from 1, over the whole life of the task instance, clears included.
    :param state: Airflow's name for it.
    :param queued, started, ended: null where it never came to that.
    :param queue_seconds: between being queued and started; null when unknown.
    :param reason: why another try followed, or what else Airflow stored about the end of this one.
    :param wait_until: when the next try might begin, where an attempt's wait was handed over to Airflow.
    :param lost: it ran and left no record of how it ended: its process was killed.
    """

    number: int
    state: str | None
    queued: str | None = None
    started: str | None = None
    ended: str | None = None
    queue_seconds: float | None = None
    hostname: str | None = None
    reason: str | None = None
    wait_until: str | None = None
    lost: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskTrace:
    """
    One task instance.

    :param kind: as in the plan: agent, merge, human, items, item, collect, start, result, route, fail, join, artifact,
        finish.
    :param map_index: -1 where it isn't mapped.
    :param state: Airflow's, now; null before it has one. Without Airflow, as far as the records tell.
    :param skipped_by: id of the decision because of which it was skipped, where one is known: a route's, or its own
        stage's whose condition didn't hold.
    """

    task_id: str
    map_index: int
    stage: str
    kind: str
    rounds: tuple[int, ...] = ()
    state: str | None = None
    tries: tuple[TryTrace, ...] = ()
    skipped_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptTrace:
    """
    One attempt of one agent (of one item), or what a try that was killed had been at work on without a record.

    :param record: the path of its record below the run's folder; null for one that was lost, or goes on.
    :param kind: of its task: ``agent``, ``item``; a lost one may be of any kind.
    :param attempt: its number; null for one that was lost, or goes on.
    :param rounds: of the loops around its stage, the outermost first.
    :param queued_seconds: between Airflow's queueing of its try and the try's start; only of a try's first attempt.
    :param waited: seconds for a connection's limits or the budget, before its first request.
    :param seconds: of work.
    :param next_wait: seconds until the next attempt.
    :param sent: what went out to the agent.
    :param recovered_by: ``agent`` or ``value``, when something else helped after this, its agent's last, attempt.
    :param cached: null, or where the answer is from: ``run`` and ``record`` of another run, ``stored``.
    :param window: null, or what was left out or summed up to fit the model's window.
    :param span: null, or its OpenTelemetry span: ``trace_id`` and ``span_id``, in hex.
    :param label: what people know its item by, where the item has a short text; else null.
    """

    id: str
    record: str | None
    stage: str
    task_id: str
    kind: str
    map_index: int
    try_number: int
    attempt: int | None
    rounds: tuple[int, ...]
    item: dict[str, Any] | None
    agent: str | None
    agent_type: str | None
    state: AttemptState
    started: str | None
    ended: str | None
    queued_seconds: float | None
    waited: float
    seconds: float | None
    sent: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    next_wait: float | None = None
    model: str | None = None
    usage: UsageTrace = field(default_factory=UsageTrace)
    tool_calls: tuple[dict[str, Any], ...] = ()
    replayed: int = 0
    cached: dict[str, Any] | None = None
    window: dict[str, Any] | None = None
    recovered_by: str | None = None
    span: dict[str, str] | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConditionTrace:
    """
    One condition of a decision.

    :param words: what it was, in words: ``qa.score >= inputs.min_score was 0.71 >= 0.8: false``.
    :param held: null when an earlier one held, so that it wasn't tried.
    """

    when: str | None
    outcome: str
    held: bool | None
    values: tuple[dict[str, Any], ...]
    words: str


@dataclass(frozen=True, kw_only=True)
class DecisionTrace:
    """
    One decision.

    :param about: ``route``: where the run goes on after a stage; ``when``: that a stage is left out, because its own
        condition doesn't hold.
    :param conditions: in the order in which they were tried.
    :param outcome: its name: lines of the picture that have it, and are of this route, were taken; null when nothing
        could be decided.
    :param shown: the outcome for people.
    :param words: all of it in a sentence or two.
    :param round, max_rounds: of the innermost loop, null outside.
    :param feedback: what went back to the next round.
    :param failure: ``stage``, ``kind``, ``message`` of the failure that was decided about.
    :param route: the place in the template's list, from 0, of the route that was taken; null where none was.
    """

    id: str
    record: str
    stage: str
    task_id: str
    map_index: int
    try_number: int
    rounds: tuple[int, ...]
    about: Literal["route", "when"]
    decided: str
    conditions: tuple[ConditionTrace, ...]
    outcome: str | None
    shown: str | None
    words: str
    round: int | None
    max_rounds: int | None
    feedback: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    error: str | None = None
    route: int | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerTrace:
    """
    One question to people, answered or not (then ``answered`` is null while it waits).

    :param asked: when the question was there to be answered.
    :param label: see :class:`AttemptTrace`.
    """

    id: str
    record: str | None
    stage: str
    task_id: str
    map_index: int
    try_number: int
    rounds: tuple[int, ...]
    item: dict[str, Any] | None
    subject: str
    body: str | None
    options: tuple[str, ...]
    assignees: tuple[str, ...]
    asked: str
    answered: str | None
    seconds: float | None
    by: dict[str, str] | None
    choice: str | None
    fields: dict[str, Any]
    timed_out: bool
    error: dict[str, str] | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class MergeTrace:
    """One merge."""

    id: str
    record: str
    stage: str
    task_id: str
    map_index: int
    try_number: int
    rounds: tuple[int, ...]
    how: str
    used: tuple[str, ...]
    missing: tuple[dict[str, Any], ...]
    started: str
    ended: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ErrorTrace:
    """
    One entry of the error log, in order of time.

    :param kind: the language's word, or ``failed``, ``lost``.
    :param what: ``attempt``, ``task`` or ``run``.
    :param ref: id of the attempt, the answer or the decision that it is told in; null for others.
    :param item: its place in the list, from 0, where it is one item's.
    :param then: what became of it: ``retried``, ``recovered by agent`` (or ``value``), ``stand-in asked: NAME`` (an
        agent that failed as well), ``routed``, ``escalated`` (routed to people), ``item failed``, ``stage failed``,
        ``run failed``.
    :param words: in a sentence.
    :param agent: whose attempt it was; null of what is no attempt.
    :param label: of its item, see :class:`AttemptTrace`.
    """

    at: str
    stage: str
    task_id: str
    map_index: int
    rounds: tuple[int, ...]
    item: int | None
    kind: str
    message: str
    what: Literal["attempt", "task", "run"]
    ref: str | None
    then: str
    words: str
    agent: str | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class PassageTrace:
    """
    A part of an artifact that a value was inserted into.

    :param start, end: offsets in characters into the artifact's content.
    :param sources: one per value read: ``name``, ``path``, and for a stage ``stage``, ``task_id``, ``kind``,
        ``rounds``, ``item``, ``label`` (of the item), ``attempt`` and ``answer`` (ids in this document, null when
        unknown or none), ``agent``, ``model``, ``recovered`` (see :class:`AttemptTrace`; ``value`` where a fixed value
        stood in) and ``parts``: where the stage itself has it from, each with these keys but ``parts``: the items of a
        fan-out, the stages that a merge used, those inside of a pipeline that its output reads. Where they are many,
        ``parts`` is empty and ``parts_of`` (else null) is the name under which the artifact has them.
    """

    start: int
    end: int
    expression: str
    sources: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class ArtifactTrace:
    """
    One artifact.

    :param parts: what several sources have their values from, under the name that their ``parts_of`` says.
    :param content: its text; null when it can't be read any more, or isn't the one that was written.
    :param problem: why there is no content.
    """

    id: str
    record: str
    task_id: str
    uri: str
    bytes: int
    sha256: str
    asset: str | None
    written: str
    passages: tuple[PassageTrace, ...]
    parts: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    content: str | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageSummary:
    """
    One stage in one round, as a person reads of it.

    :param name: with the round, where there may be several.
    :param kind: ``agent``, ``merge``, ``human``, ``pipeline`` or ``artifact``.
    :param state: Airflow's state of its last task, or ``planned`` when it hasn't begun; ``running`` while any of its
        tasks is at work, ``awaiting_input`` while nothing but people is waited for.
    :param queued: how long its tasks were queued, one after the other; of those that work side by side on the items
        of a list, the longest that one of them was.
    :param waited, seconds: added up over its attempts (of people: ``waited`` for their answers).
    :param tries: of its agents' attempts; how often people were asked; 1 for other kinds once they ran.
    :param items: of a fan-out, ``total``, ``failed``, and ``recovered``: those that something else than their agent
        helped; null elsewhere.
    :param attempts: ids, in order.
    """

    stage: str
    name: str
    kind: str
    agent: str | None
    rounds: tuple[int, ...]
    state: str
    started: str | None
    ended: str | None
    queued: float
    waited: float
    seconds: float
    usage: UsageTrace
    items: dict[str, int] | None
    attempts: tuple[str, ...]
    tries: int
    model: str | None
    error: dict[str, str] | None
    skipped_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """
    One run.

    :param state: Airflow's; of a run that Airflow doesn't know (any more), the manifest's; without one, ``running``.
    :param sealed: null, or of the manifest that covers all records: ``at``, ``try_number``.
    :param error: why it failed, as its last task says.
    :param inputs: as the run's first task recorded them, secrets masked; null before.
    :param triggered: ``type`` (manual, scheduled, …), ``by`` (a user, where known), ``logical_date``, ``run_after``,
        ``interval_start``, ``interval_end``, ``assets``, as far as they are known.
    :param queued, started, ended: Airflow's; without it, from the first record's time to the last one's.
    :param usage: of all attempts, also those before a task was cleared; what stages used is in their own.
    :param budget: what it might spend: ``calls``, ``tokens``, ``cost_usd``, those that are bounded; null for none.
    :param stages: in the plan's order: a row for each round that was begun, and at least one.
    :param tasks: in the plan's order, one per instance.
    :param attempts: in the order in which they began, as are decisions, answers and merges.
    :param picture: of the template, see :func:`airflow_agentic.render.picture.from_data`; null when unknown.
    :param template: its text; null when unknown.
    :param complete: whether Airflow's task instances went into it; without them, lost tries and queues are missing.
    :param problems: what couldn't be read, in words.
    """

    format: int
    dag_id: str
    run_id: str
    template_digest: str | None
    state: RunState
    sealed: dict[str, Any] | None
    error: str | None
    inputs: dict[str, Any] | None
    output: Any
    triggered: dict[str, Any]
    queued: str | None
    started: str | None
    ended: str | None
    seconds: float | None
    usage: UsageTrace
    budget: dict[str, Any] | None
    stages: tuple[StageSummary, ...]
    tasks: tuple[TaskTrace, ...]
    attempts: tuple[AttemptTrace, ...]
    decisions: tuple[DecisionTrace, ...]
    answers: tuple[AnswerTrace, ...]
    merges: tuple[MergeTrace, ...]
    errors: tuple[ErrorTrace, ...]
    artifacts: tuple[ArtifactTrace, ...]
    picture: dict[str, Any] | None = None
    template: str | None = None
    complete: bool = True
    problems: tuple[str, ...] = ()


@cache
def _adapter() -> TypeAdapter[Trace]:
    from pydantic import TypeAdapter

    return TypeAdapter(Trace)


def to_data(trace: Trace) -> dict[str, Any]:
    """The trace as JSON-able data."""
    data: dict[str, Any] = _adapter().dump_python(trace, mode="json")
    return data


def from_data(data: dict[str, Any]) -> Trace:
    """
    Read a trace back.

    :raises TraceError: it is none of this format.
    """
    from pydantic import ValidationError

    from airflow_agentic.errors import TraceError

    if data.get("format") != TRACE_FORMAT:
        raise TraceError(f"This is not a trace of format {TRACE_FORMAT}.")
    try:
        return _adapter().validate_python(data)
    except ValidationError as error:
        raise TraceError(f"This is not a whole trace: {error}") from None

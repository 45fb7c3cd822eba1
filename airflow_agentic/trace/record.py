"""
What a run leaves behind: one JSON record of how it began, one per attempt, merge, decision, answer, artifact, failure
and wait, and a manifest that seals them.

A record is written once, by one writer, and never changed: no locks, nothing lost to a retry (Airflow clears a
task's XComs when it runs again), and readable without Airflow. The layout under the trace store's URL::

    <dag_id>/<run_id>/begin/<digest of the template>.json
    <dag_id>/<run_id>/attempts/<task_id>.<map_index>.<try_number>.<attempt>[.<index of the item>].json
    <dag_id>/<run_id>/merges/<task_id>.<map_index>.<try_number>.json
    <dag_id>/<run_id>/decisions/<task_id>.<map_index>.<try_number>.json
    <dag_id>/<run_id>/answers/<task_id>.<map_index>.<try_number>.json
    <dag_id>/<run_id>/artifacts/<task_id>.<try_number>.json
    <dag_id>/<run_id>/failures/<task_id>.<map_index>.<try_number>[.<index of the item>].json
    <dag_id>/<run_id>/waits/<task_id>.<map_index>.<try_number>.json
    <dag_id>/<run_id>/values/<sha256>.json
    <dag_id>/<run_id>/template/<digest>.yaml
    <dag_id>/<run_id>/summary.<try_number>.json
    <dag_id>/<run_id>/manifest.<try_number>.json

Ids are quoted as URLs quote them, so that no id can leave its folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RECORD_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """Which run a record belongs to, and which template made it."""

    dag_id: str
    run_id: str
    template_digest: str


@dataclass(frozen=True, kw_only=True)
class BeginRecord:
    """
    How a run began, and what was going to happen in it.

    It is written by the first task of the plan that waits for none, before its own work; so there is one of each
    template that the run was made from: a run that was cleared may go on with a newer one.

    :param at: ISO 8601 in UTC.
    :param inputs: of the run, defaults filled in, without secrets.
    :param triggered: ``type`` (Airflow's: ``manual``, ``scheduled``, ``backfill``, ``asset_triggered``, …), ``by`` (the
        user's name, where Airflow tells it), ``logical_date``, ``run_after``, ``interval_start``, ``interval_end``.
    :param budget: ``calls``, ``tokens``, ``cost_usd``, those that are bounded; null for none.
    :param outline: every planned task in the plan's order, see :mod:`airflow_agentic.trace.outline`.
    :param picture: of the template, as :func:`airflow_agentic.render.picture.to_data` gives it.
    """

    run: RunKey
    task_id: str
    try_number: int
    at: str
    inputs: dict[str, Any]
    triggered: dict[str, Any]
    budget: dict[str, Any] | None
    outline: tuple[dict[str, Any], ...]
    picture: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """
    One attempt of one agent (of one item).

    :param attempt: from 1, counted over all Airflow tries of the task instance since it was last cleared, and over
        stand-ins; in a fan-out, of one item. An attempt that was killed is repeated under its number by the next try.
    :param try_number: Airflow's, from 1.
    :param round: of the innermost loop, from 1.
    :param item: ``{"index": …, "value": …}`` in a fan-out, else null.
    :param state: ``success``, ``failed`` (no further attempt), ``retrying``, or ``killed`` (the process was told to
        stop while the attempt was going on).
    :param started, ended: ISO 8601 in UTC.
    :param seconds: of work, by a monotonic clock.
    :param input: exactly as sent, without credentials.
    :param output: exactly as accepted; null unless the state is ``success``.
    :param model, tokens, cost_usd: as far as the agent knows them; ``tokens`` has ``input`` and ``output``.
    :param error: null, or ``kind``, ``message``, ``reply``, ``details``.
    :param next_wait: seconds until the next attempt, when there is one.
    :param waited: seconds that it waited for a connection's limits, and for what other calls had reserved of the run's
        budget, before its requests; not part of ``seconds``.
    :param tool_calls: in order; ``replayed`` in those whose result was kept from before the process died.
    :param requests: to the agent, tool turns included; null where it isn't known.
    :param replayed: calls of a model that weren't made again, because their answers had been kept. What they cost is
        in this record, too, unless an attempt before it has told.
    :param cached: null, or where the answer is from although nobody was asked: the ``run`` (``dag_id``, ``run_id``)
        that it was paid for in, the path of its ``record``, when it was ``stored`` (ISO 8601 in UTC), and its ``key``.
    :param window: null, or what was left out or summed up so that the request fits the agent's window:
        ``max_tokens``, ``overflow``, ``counted_by`` (``provider`` or ``estimate``), ``tokens_before``, ``tokens``,
        ``cuts`` (each with ``path``, ``unit``, ``left_out``, ``of``, ``summed_up``), and ``summaries`` (the calls for
        them, each with ``path``, ``prompt``, ``answer``, ``model``, ``tokens``, ``cost_usd``).
    :param span: null, or the OpenTelemetry span of the attempt: ``trace_id`` and ``span_id``, in hex.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    attempt: int
    round: int
    item: dict[str, Any] | None
    agent: dict[str, str]
    state: Literal["success", "failed", "retrying", "killed"]
    started: str
    ended: str
    seconds: float
    input: Any
    output: Any = None
    model: str | None = None
    tokens: dict[str, int | None] | None = None
    cost_usd: float | None = None
    error: dict[str, Any] | None = None
    next_wait: float | None = None
    waited: float = 0.0
    tool_calls: tuple[dict[str, Any], ...] = ()
    requests: int | None = None
    replayed: int = 0
    cached: dict[str, Any] | None = None
    cache_key: str | None = None
    window: dict[str, Any] | None = None
    span: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """
    Where a part of an artifact is from.

    :param start, end: offsets in characters into the artifact's content; equal for a value that printed nothing.
    :param expression: the template's expression that inserted it.
    :param sources: one per value read: ``name`` (of a stage, ``inputs`` or ``run``), ``path`` (of the value in it),
        and for a stage its ``task_id``, ``round``, ``item``, ``attempt``, ``record`` and, where something else than
        its agent helped, ``recovered``.
    """

    start: int
    end: int
    expression: str
    sources: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class ArtifactRecord:
    """
    One artifact, as it was written: where, how large, its digest (SHA-256, hex), and its provenance.

    :param items: task id of a stage with ``for_each`` that was read → where the output of each item is from:
        ``index``, ``attempt``, ``record``, ``recovered``.
    """

    run: RunKey
    task_id: str
    try_number: int
    uri: str
    bytes: int
    sha256: str
    asset: str | None
    written: str
    passages: tuple[Passage, ...] = ()
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MergeRecord:
    """
    One merge of several stages' outputs, as it went.

    :param how: one of the language's seven ways.
    :param used: the stages whose outputs were merged, in the template's order.
    :param missing: the other stages of the template's list, each with ``from`` and the ``state`` it was in.
    :param seconds: of work, by a monotonic clock.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    how: str
    used: tuple[str, ...]
    missing: tuple[dict[str, Any], ...]
    started: str
    ended: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DecisionRecord:
    """
    One decision about where the run goes next, or that a stage is left out because its own condition doesn't hold.

    :param conditions: of the routes in order, each with ``when`` (its text; null: always), ``outcome``, ``held``
        (null: an earlier one held, so it wasn't tried) and ``values`` (of every path it read: ``path`` and, unless it
        was undefined, ``value``).
    :param outcome: what was chosen; ``skip`` of a stage that is left out; null when the deciding failed.
    :param route: its index in the template's list, from 0; null for a failure that was routed.
    :param shown: the choice in words.
    :param round, max_rounds: of the innermost loop; null outside of loops.
    :param feedback: what goes back to the next round; null when nothing does.
    :param failure: ``stage``, ``kind`` and ``message`` of the failure that was decided about; null when the stage
        succeeded.
    :param error: why nothing could be decided, else null.
    :param decided: ISO 8601 in UTC.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    conditions: tuple[dict[str, Any], ...]
    outcome: str | None
    route: int | None
    shown: str | None
    round: int | None
    max_rounds: int | None
    decided: str
    feedback: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """
    One question to people, and what became of it.

    :param round: of the innermost loop, from 1.
    :param item: ``{"index": …, "value": …}`` in a fan-out, else null.
    :param body: Markdown; null for none.
    :param assignees: ids of the users who may answer; empty for everybody.
    :param asked, answered: ISO 8601 in UTC; of a question that nobody answered, when the time was up.
    :param by: who answered, ``id`` and ``name`` as Airflow knows them; null when nobody did.
    :param choice: the option; null when there was none to go on with.
    :param fields: name → value, defaults included.
    :param timed_out: nobody answered in time.
    :param error: null, or ``kind`` and ``message``.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    round: int
    item: dict[str, Any] | None
    subject: str
    body: str | None
    options: tuple[str, ...]
    assignees: tuple[str, ...]
    asked: str
    answered: str
    by: dict[str, str] | None
    choice: str | None
    fields: dict[str, Any]
    timed_out: bool
    error: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class FailureRecord:
    """
    A task that failed outside of an attempt: an expression, a configuration, a merge short of parts.

    :param error: ``type`` (of the exception), ``message``, and ``kind`` where the language has a word for it.
    :param recovered: whether a fixed value stood in, so that the task succeeded nevertheless.
    :param item: the place in the list of the one item that failed, from 0; null when it isn't about one item.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    at: str
    error: dict[str, str]
    recovered: bool = False
    item: int | None = None


@dataclass(frozen=True, kw_only=True)
class WaitRecord:
    """
    A try that ended because the next attempt has to wait longer than a worker's slot should be held.

    :param attempt: that failed, from 1; 0: a limit was reached, and none was made.
    :param why: the language's word for it.
    :param until: when Airflow may make the next try: ISO 8601 in UTC.
    """

    run: RunKey
    stage: str
    task_id: str
    map_index: int
    try_number: int
    at: str
    attempt: int
    why: str
    reason: str
    until: str


Record = (
    BeginRecord
    | AttemptRecord
    | MergeRecord
    | DecisionRecord
    | AnswerRecord
    | ArtifactRecord
    | FailureRecord
    | WaitRecord
)

#: what a record says it is → its class
KINDS: dict[str, type[Record]] = {
    "begin": BeginRecord,
    "attempt": AttemptRecord,
    "merge": MergeRecord,
    "decision": DecisionRecord,
    "answer": AnswerRecord,
    "artifact": ArtifactRecord,
    "failure": FailureRecord,
    "wait": WaitRecord,
}


def to_data(record: Record) -> dict[str, Any]:
    """The record as JSON-able data, with its format and kind."""
    kind = next(name for name, cls in KINDS.items() if isinstance(record, cls))
    return {"format": RECORD_FORMAT, "kind": kind, **asdict(record)}


def from_data(data: dict[str, Any]) -> Record:
    """
    Read a record back; keys that a later version may have added are left out.

    :raises ValueError: it is no record, or of another format.
    """
    cls = KINDS.get(data.get("kind", ""))
    if data.get("format") != RECORD_FORMAT or cls is None:
        raise ValueError(f"not a record of format {RECORD_FORMAT}")
    try:
        return _whole(cls, data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole record: {error}") from None


def _whole(cls: type[Record], data: dict[str, Any]) -> Record:
    known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
    for key in ("tool_calls", "used", "missing", "options", "assignees", "conditions", "outline"):
        if key in known:
            known[key] = tuple(known[key])
    if "passages" in known:
        known["passages"] = tuple(_passage(passage) for passage in known["passages"])
    return cls(**{**known, "run": RunKey(**known["run"])})


def _passage(data: dict[str, Any]) -> Passage:
    return Passage(**{**data, "sources": tuple(data["sources"])})

"""
Counts and times of runs, through Airflow's own metrics (``[metrics]``: StatsD, DogStatsD or OpenTelemetry).

Plain StatsD knows no tags, so what has to be told apart there (how an attempt ended, why) is part of the name: it is
one of the language's words, of which there are few. What names a template's parts is a tag. No name and no tag is
made from what agents or people wrote: a model's name is what a provider says, and only an agent of type ``llm`` has
it as a tag, shortened to what a name looks like.

``docs/telemetry.md`` shows the table (a test compares the two).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.telemetry.conventions import KINDS, error_type
from airflow_agentic.trace.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.trace.record import (
        AttemptRecord,
        DecisionRecord,
        Record,
    )

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """
    One metric.

    :param name: after Airflow's prefix; a last part in braces is one of the language's words.
    :param type: a time is in milliseconds.
    :param tags: beside ``dag_id`` and ``stage``.
    """

    name: str
    type: Literal["counter", "timer"]
    meaning: str
    tags: tuple[str, ...] = ()


_AGENT = ("agent", "model")
METRICS: tuple[Metric, ...] = (
    Metric(
        name="agentic.attempts.{state}",
        type="counter",
        meaning="Attempts that ended: `success`, `failed`, `retrying` or `killed`.",
        tags=_AGENT,
    ),
    Metric(name="agentic.errors.{kind}", type="counter", meaning="Attempts that failed, by their kind.", tags=_AGENT),
    Metric(name="agentic.work", type="timer", meaning="Work of an attempt, without waits for limits.", tags=_AGENT),
    Metric(name="agentic.limit_wait", type="timer", meaning="Wait of an attempt for limits, if any.", tags=_AGENT),
    Metric(name="agentic.retry_wait", type="timer", meaning="Wait between two attempts.", tags=_AGENT),
    Metric(name="agentic.calls", type="counter", meaning="Requests to agents.", tags=_AGENT),
    Metric(name="agentic.tool_calls", type="counter", meaning="Calls of tools by models.", tags=_AGENT),
    Metric(name="agentic.tokens.input", type="counter", meaning="Tokens of requests.", tags=_AGENT),
    Metric(name="agentic.tokens.output", type="counter", meaning="Tokens of answers.", tags=_AGENT),
    Metric(
        name="agentic.cost_microusd",
        type="counter",
        meaning="What it cost in millionths of a US dollar, where it is known.",
        tags=_AGENT,
    ),
    Metric(name="agentic.cache.hits", type="counter", meaning="Answers that were used again.", tags=_AGENT),
    Metric(name="agentic.cache.misses", type="counter", meaning="Answers that weren't there yet.", tags=_AGENT),
    Metric(
        name="agentic.waits.{kind}",
        type="counter",
        meaning="Waits that Airflow took over, by the kind of error that they are for.",
    ),
    Metric(name="agentic.decisions", type="counter", meaning="Decisions.", tags=("outcome",)),
    Metric(name="agentic.rounds", type="counter", meaning="Decisions to go back: rounds after the first."),
    Metric(name="agentic.recoveries", type="counter", meaning="Failures that a fixed value stood in for."),
    Metric(name="agentic.failures", type="counter", meaning="Tasks that failed outside of an attempt."),
    Metric(name="agentic.answers", type="counter", meaning="Questions that people answered."),
    Metric(name="agentic.answers_timed_out", type="counter", meaning="Questions that nobody answered in time."),
    Metric(name="agentic.merges", type="counter", meaning="Merges.", tags=("how",)),
    Metric(name="agentic.artifacts", type="counter", meaning="Artifacts that were written."),
)
_TYPES = {metric.name: metric.type for metric in METRICS}

#: The words that a last part of a name may be.
WORDS = KINDS | {"success", "retrying"}
OTHER = "other"

_NO_NAME = re.compile(r"[^A-Za-z0-9_.:/@-]+")
_LONGEST_TAG = 64
#: What takes a decision back to an earlier stage is called so, and the stage's name.
_BACK = "again_"

#: the metric's name, the word at its end, how many (or how many seconds), and tags beside the usual ones
_Told = tuple[str, str, float, dict[str, str]]


def told(record: Record) -> None:
    """Count what a record tells. A failure to do so is no failure of the task."""
    try:
        from airflow.sdk.observability import stats

        usual = {"dag_id": record.run.dag_id, "stage": _tag(getattr(record, "stage", ""))}
        for name, word, amount, tags in _counts(record):
            full = name.partition("{")[0] + word
            all_tags = {key: value for key, value in {**usual, **tags}.items() if value}
            if _TYPES[name] == "counter":
                stats.incr(full, round(amount), tags=all_tags)
            else:
                stats.timing(full, amount * 1000.0, tags=all_tags)
    except Exception:
        log.warning("The metrics of a record could not be told.", exc_info=True)


def _counts(record: Record) -> Iterator[_Told]:
    from airflow_agentic.trace import record as records

    match record:
        case records.AttemptRecord():
            yield from _of_attempt(record)
        case records.DecisionRecord():
            yield from _of_decision(record)
        case records.WaitRecord():
            yield "agentic.waits.{kind}", _word(record.why), 1, {}
        case records.FailureRecord():
            yield "agentic.recoveries" if record.recovered else "agentic.failures", "", 1, {}
        case records.AnswerRecord():
            yield "agentic.answers_timed_out" if record.timed_out else "agentic.answers", "", 1, {}
        case records.MergeRecord():
            yield "agentic.merges", "", 1, {"how": _tag(record.how)}
        case records.ArtifactRecord():
            yield "agentic.artifacts", "", 1, {}


def _of_attempt(record: AttemptRecord) -> Iterator[_Told]:
    usage, details = usage_of(record), (record.error or {}).get("details") or {}
    calls = record.tool_calls or details.get("tool_calls") or ()
    tags = {"agent": _tag(record.agent.get("name"))}
    if record.agent.get("type") == "llm":
        tags["model"] = _tag(record.model or details.get("model"))
    yield "agentic.attempts.{state}", _word(record.state), 1, tags
    if record.error is not None:
        yield "agentic.errors.{kind}", _word(error_type(record)), 1, tags
    yield "agentic.work", "", record.seconds, tags
    if record.waited:
        yield "agentic.limit_wait", "", record.waited, tags
    if record.next_wait is not None:
        yield "agentic.retry_wait", "", record.next_wait, tags
    if record.cached is not None:
        yield "agentic.cache.hits", "", 1, tags
    elif record.cache_key is not None and record.state == "success":
        yield "agentic.cache.misses", "", 1, tags
    amounts = {
        "agentic.calls": usage.calls,
        "agentic.tool_calls": len(calls),
        "agentic.tokens.input": usage.input_tokens,
        "agentic.tokens.output": usage.output_tokens,
        "agentic.cost_microusd": None if usage.cost_usd is None else usage.cost_usd * 1e6,
    }
    for name, amount in amounts.items():
        if amount:
            yield name, "", amount, tags


def _of_decision(record: DecisionRecord) -> Iterator[_Told]:
    yield "agentic.decisions", "", 1, {"outcome": _tag(record.outcome)}
    if (record.outcome or "").startswith(_BACK):
        yield "agentic.rounds", "", 1, {}


def _word(text: str | None) -> str:
    return text if text in WORDS else OTHER


def _tag(text: Any) -> str:
    """What a backend takes for a tag's value; nothing for nothing."""
    return _NO_NAME.sub("_", str(text or ""))[:_LONGEST_TAG]

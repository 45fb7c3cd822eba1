"""A run in a sentence or two, and who or what began it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_agentic.view.words import count, duration, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.trace.document import Trace

#: What became of failed attempts, of one and of several.
_BECAME = {
    "retried": ("was tried again", "were tried again"),
    "recovered by agent": ("was made good by another agent", "were made good by another agent"),
    "recovered by value": ("was made good by a fixed value", "were made good by a fixed value"),
    "stand-in asked": ("was passed on to a stand-in", "were passed on to a stand-in"),
    "routed": ("sent the run another way", "sent the run another way"),
    "escalated": ("was put to people", "were put to people"),
    "item failed": ("cost its item", "cost their items"),
    "stage failed": ("cost its stage", "cost their stages"),
    "run failed": ("made the run fail", "made the run fail"),
}
FAILED = ("failed", "retrying", "killed", "lost")
#: States of a stage that never worked, or hasn't yet.
NOT_BEGUN = ("planned", "scheduled", "queued", "skipped", "upstream_failed", "removed")
_ENDED = ("success", "failed")
_ASKS = "awaiting_input"
_BY_HAND = "manual"
#: Why Airflow began a run.
_CAUSES = {
    "scheduled": "the schedule",
    "backfill": "a backfill",
    "asset_triggered": "an asset that was updated",
    "asset": "an asset that was updated",
}


def failures(trace: Trace) -> int:
    """Attempts that failed."""
    return sum(attempt.state in FAILED for attempt in trace.attempts)


def tried_again(trace: Trace) -> int:
    """Of these, after how many another one followed."""
    return sum(error.what == "attempt" and error.then == "retried" for error in trace.errors)


def who_began(trace: Trace) -> tuple[str, str]:
    """Who, and how where that says more."""
    kind, by = str(trace.triggered.get("type") or ""), trace.triggered.get("by")
    if kind in _CAUSES:
        return _CAUSES[kind], f"for {by}" if by else ""
    how = "by hand" if kind == _BY_HAND else kind.replace("_", " ")
    return (str(by), how) if by else (how or "not known", "")


def story(trace: Trace) -> str:
    """What happened, in short."""
    return " ".join(_sentences(trace))


def _sentences(trace: Trace) -> Iterator[str]:
    yield f"{_run(trace)}: {', '.join(_stages(trace))}."
    failed = failures(trace)
    if failed:
        became = Counter(error.then.partition(":")[0] for error in trace.errors if error.what == "attempt")
        told = ", ".join(f"{count(number)} {_became(then, number)}" for then, number in became.items())
        yield f"{plural(failed, 'attempt')} failed{f': {told}' if told else ''}."
    for stage in trace.stages:
        if stage.items and stage.items["failed"]:
            yield f"Of {stage.name}, {count(stage.items['failed'])} of {plural(stage.items['total'], 'item')} failed."
    answered = [answer for answer in trace.answers if answer.answered and not answer.timed_out]
    waiting = [answer for answer in trace.answers if not answer.answered]
    if answered:
        waited = sum(answer.seconds or 0.0 for answer in answered)
        yield f"People answered {plural(len(answered), 'question')} after {duration(waited)} in all."
    if waiting:
        yield f"{plural(len(waiting), 'question waits', 'questions wait')} for an answer."
    if trace.artifacts:
        yield f"{plural(len(trace.artifacts), 'artifact')} {'was' if len(trace.artifacts) == 1 else 'were'} written."


def _became(then: str, number: int) -> str:
    one, many = _BECAME.get(then, (then, then))
    return one if number == 1 else many


def _run(trace: Trace) -> str:
    took = f" after {duration(trace.seconds)}" if trace.seconds is not None and trace.ended else ""
    words = {"success": "The run succeeded", "failed": "The run failed", "queued": "The run waits to begin"}
    return f"{words.get(trace.state, 'The run goes on')}{took}"


def _stages(trace: Trace) -> Iterator[str]:
    began = {stage.stage for stage in trace.stages if stage.state not in NOT_BEGUN}
    at_work = {stage.stage for stage in trace.stages if stage.stage in began and stage.state not in (*_ENDED, _ASKS)}
    done = began - at_work - {stage.stage for stage in trace.stages if stage.state == _ASKS}
    yield f"{plural(len(done), 'stage')} ran" if trace.ended or done else "no stage has ended"
    if at_work:
        yield f"{plural(len(at_work), 'stage is', 'stages are')} at work"
    rounds = max((sum(other.stage == stage for other in trace.stages) for stage in began), default=1)
    if rounds > 1:
        yield f"in up to {rounds} rounds"
    skipped = {stage.stage for stage in trace.stages if stage.state == "skipped"} - began
    if skipped:
        yield f"{plural(len(skipped), 'stage')} {'was' if len(skipped) == 1 else 'were'} left out"
    unreached = {stage.stage for stage in trace.stages if stage.state == "upstream_failed"} - began
    if unreached:
        yield f"{plural(len(unreached), 'stage')} could not run because of a failure"

"""
What a run did, step by step, in a form in which two runs can be compared.

A step is one execution of a stage, of one item and in one round: what it was given and gave, what was decided after
it, what people answered, what was merged. Times, ids and places of files are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.stage_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.trace.document import AnswerTrace, AttemptTrace, DecisionTrace, MergeTrace, Trace

    #: What, stage, rounds, map index of the pipeline around it, and the item's place.
    StepKey = tuple[str, str, tuple[int, ...], int, int | None]


#: What agents of a stage with ``on_error: {value: …}`` end in when they fail: the stage itself succeeds.
_STOOD_IN = "failed, and a fixed value stood in"


@dataclass(kw_only=True)
class Step:
    """
    One step.

    :param what: ``work``, ``decision``, ``answer`` or ``merge``.
    :param words: what it came to, in a sentence without a full stop; for one that only one of two runs did.
    :param facts: what of it is compared, by aspect, in the order in which it is told.
    """

    what: str
    stage: str
    name: str
    began: str
    words: str
    facts: dict[str, Any] = field(default_factory=dict)


def steps_of(trace: Trace) -> dict[StepKey, Step]:
    """All steps of a run, in the order in which they began."""
    found: dict[StepKey, Step] = {}
    work: dict[StepKey, list[AttemptTrace]] = {}
    for attempt in trace.attempts:
        if attempt.agent is not None:
            work.setdefault(_key("work", attempt, attempt.item), []).append(attempt)
    found.update({key: _work(attempts) for key, attempts in work.items()})
    # of those before a task was cleared, only the last counts: it is what the run went on with
    found.update({_key("decision", each): _decision(each) for each in trace.decisions})
    found.update({_key("answer", each, each.item): _answer(each) for each in trace.answers})
    found.update({_key("merge", each): _merge(each) for each in trace.merges})
    return _in_order(found)


def _in_order(steps: Mapping[StepKey, Step]) -> dict[StepKey, Step]:
    """By time; those of the items of one list beside each other, by their places: which is first there is chance."""
    began: dict[tuple[str, str, tuple[int, ...]], str] = {}
    for (what, stage, rounds, _, _), step in steps.items():
        group = what, stage, rounds
        began[group] = min(step.began, began.get(group, step.began))

    def order(key: StepKey) -> tuple[Any, ...]:
        what, stage, rounds, map_index, item = key
        group = what, stage, rounds
        return began[group], group, map_index, -1 if item is None else item

    return {key: steps[key] for key in sorted(steps, key=order)}


def _key(what: str, told: Any, item: dict[str, Any] | None = None) -> StepKey:
    """In fan-outs a task works on several items, and which of them depends on how many there are: the item counts."""
    return what, told.stage, told.rounds, -1 if item else told.map_index, item["index"] if item else None


def _name(told: Any, item: dict[str, Any] | None = None) -> str:
    return name_of(told.stage, told.rounds, told.map_index, item["index"] if item else None)


def _work(attempts: list[AttemptTrace]) -> Step:
    first, last = attempts[0], attempts[-1]
    stood_in = last.recovered_by == "value"
    state = _STOOD_IN if stood_in else last.state
    return Step(
        what="work",
        stage=first.stage,
        name=_name(first, first.item),
        began=first.started or "",
        words=f"{_name(first, first.item)} was worked on by {last.agent} ({state})",
        facts={
            "input": first.sent,
            "agent": last.agent,
            "model": last.model,
            "state": state,
            "errors": [_error(attempt) for attempt in attempts if attempt.error],
            "attempts": len(attempts),
            "tool calls": [_tool_call(call) for call in last.tool_calls],
            "cached": last.cached is not None,
            # an attempt that failed has none; what its stage has then is in the template
            **({} if stood_in else {"output": last.output}),
        },
    )


def _error(attempt: AttemptTrace) -> dict[str, Any]:
    return {key: (attempt.error or {}).get(key) for key in ("kind", "message")}


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    return {key: call[key] for key in ("tool", "arguments", "result", "error") if key in call}


def _decision(told: DecisionTrace) -> Step:
    return Step(
        what="decision",
        stage=told.stage,
        name=_name(told),
        began=told.decided,
        words=told.words.rstrip("."),
        facts={
            "outcome": told.shown,
            "conditions": [condition.words for condition in told.conditions],
            "feedback": told.feedback,
            "failure": told.failure,
            "error": told.error,
        },
    )


def _answer(told: AnswerTrace) -> Step:
    name = _name(told, told.item)
    who = (told.by or {}).get("name") or ("nobody in time" if told.timed_out else "nobody")
    return Step(
        what="answer",
        stage=told.stage,
        name=name,
        began=told.asked,
        words=f"{name} was answered {told.choice!r} by {who}",
        facts={
            "question": {"subject": told.subject, "body": told.body, "options": list(told.options)},
            "answer": told.choice,
            "fields": told.fields,
            "by": who,
        },
    )


def _merge(told: MergeTrace) -> Step:
    return Step(
        what="merge",
        stage=told.stage,
        name=_name(told),
        began=told.started,
        words=f"{_name(told)} merged {', '.join(told.used) or 'nothing'}",
        facts={"how": told.how, "used": list(told.used), "missing": list(told.missing)},
    )

"""
The summary of a run: the few figures of it that are added up over many runs.

The run's last task writes it once, just before the manifest that seals it. A trace is made from all records of a run;
a page about a month of runs can't read all of theirs, but one small file of each. Nothing in it is new: everything is
counted from the records that lie beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.record import RunKey

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Goes up when a reader of the former format would misread a summary.
SUMMARY_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCount:
    """
    What one stage did, in all rounds and for all items.

    :param failed: it failed by itself, in any round or pipeline; also when something else handled that.
    :param attempts: that its agents made; ``failed_attempts`` of these failed or were stopped, retried or not.
    """

    stage: str
    failed: bool = False
    attempts: int = 0
    failed_attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopCount:
    """
    How often a loop went round.

    :param target: the stage that it goes back to, with the pipelines around it before it.
    :param source: the stage that decides whether it does.
    :param max_rounds: its bound.
    :param rounds: number of rounds → how often the loop ended after so many: once per run, or once per round of a loop
        around it, or per item of a list.
    :param exhausted: how often it would have gone on, but for the bound.
    """

    target: str
    source: str
    max_rounds: int
    rounds: dict[int, int]
    exhausted: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PeopleCount:
    """
    How people were asked.

    :param asked: questions; ``timed_out`` of these weren't answered in time.
    :param seconds: from the questions to their answers, added up.
    """

    asked: int = 0
    timed_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """
    The figures of a run.

    :param try_number: of the run's last task; a run that was cleared has a summary of each.
    :param at: when it was written, ISO 8601 in UTC.
    :param usage: of all attempts, as in the trace.
    :param stages: those that an attempt was made for or that failed, in the plan's order.
    :param loops: those that were entered, in the plan's order.
    """

    run: RunKey
    try_number: int
    at: str
    state: Literal["success", "failed"]
    usage: UsageTrace = field(default_factory=UsageTrace)
    stages: tuple[StageCount, ...] = ()
    loops: tuple[LoopCount, ...] = ()
    people: PeopleCount = field(default_factory=PeopleCount)

    def to_data(self) -> dict[str, Any]:
        """The summary as JSON-able data."""
        data = {"format": SUMMARY_FORMAT, "kind": "summary", **asdict(self)}
        for loop in data["loops"]:
            loop["rounds"] = {str(number): count for number, count in sorted(loop["rounds"].items())}
        return data


def summary_from_data(data: Any) -> RunSummary:
    """
    Read a summary back; keys that a later version may have added are left out.

    :raises TraceError: it is none, or of another format.
    """
    if not isinstance(data, dict) or data.get("format") != SUMMARY_FORMAT or data.get("kind") != "summary":
        raise TraceError(f"This is not a summary of format {SUMMARY_FORMAT}.")
    try:
        return RunSummary(
            run=_made(RunKey, data["run"]),
            try_number=data["try_number"],
            at=data["at"],
            state=data["state"],
            usage=_made(UsageTrace, data["usage"]),
            stages=tuple(_made(StageCount, stage) for stage in data["stages"]),
            loops=tuple(_made(LoopCount, {**loop, "rounds": _rounds(loop["rounds"])}) for loop in data["loops"]),
            people=_made(PeopleCount, data["people"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"This is not a whole summary: {error}.") from None


def summary_of_bytes(data: bytes) -> RunSummary:
    """
    Read a summary's file.

    :raises TraceError: it is none.
    """
    try:
        return summary_from_data(json.loads(data))
    except ValueError as error:
        raise TraceError(f"This is not a summary: {error}.") from None


def _rounds(data: Mapping[str, int]) -> dict[int, int]:
    return {int(number): count for number, count in data.items()}


def _made(cls: Any, data: Mapping[str, Any]) -> Any:
    return cls(**{key: data[key] for key in cls.__dataclass_fields__ if key in data})

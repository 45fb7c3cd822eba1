"""
The agents of generated templates, keeping a log of their own: what a trace says is compared with it.

They give what :mod:`support.flow_agents` gives, but some of their calls fail once before. The log knows nothing of
records, stages or Airflow: an agent writes down when it was called, with what, and what it gave back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from support import flow_agents

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of how many different questions one fails the first time that it is asked.
_FLAKY = 4


@dataclass(kw_only=True)
class Call:
    """
    One call.

    :param given: as it was called.
    :param seconds: it took, by a monotonic clock.
    :param kind: of the error that it ended with; null when it gave an output.
    """

    agent: str
    given: dict[str, Any]
    began: datetime
    ended: datetime
    seconds: float
    output: Any = None
    kind: str | None = None


@dataclass(kw_only=True)
class Asked:
    """One question to people: what was asked, and what was answered (null: nothing)."""

    subject: str
    answer: tuple[str, dict[str, Any]] | None
    at: datetime


calls: list[Call] = []
questions: list[Asked] = []
_once: set[str] = set()


def forget() -> None:
    """Begin a new log."""
    calls.clear()
    questions.clear()
    _once.clear()


def work(who: str, script: list[Any], saw: Any = None) -> dict[str, Any]:
    """An agent."""
    output: dict[str, Any] = _told("work", flow_agents.work, who=who, script=script, saw=saw)
    return output


def lists(who: str, script: list[Any], saw: Any = None) -> list[str]:
    """An agent whose whole output is a list."""
    output: list[str] = _told("lists", flow_agents.lists, who=who, script=script, saw=saw)
    return output


def stand_in(who: str, script: list[Any], saw: Any = None) -> dict[str, Any]:
    """Another agent with the same output."""
    output: dict[str, Any] = _told("stand_in", flow_agents.stand_in, who=who, script=script, saw=saw)
    return output


def respond(asked: Any) -> tuple[str, dict[str, Any]] | None:
    """What a person answers."""
    found = flow_agents.answer(asked.subject)
    answer = None if found is None else (found[0], {"note": found[1]})
    questions.append(Asked(subject=asked.subject, answer=answer, at=datetime.now(UTC)))
    return answer


def _told(agent: str, does: Callable[..., Any], **given: Any) -> Any:
    from airflow_agentic.errors import AttemptError

    began, clock = datetime.now(UTC), time.monotonic()
    output, kind = None, None
    try:
        _fail_once(agent, given)
        output = does(given["script"], given["saw"])
    except AttemptError as error:
        kind = error.kind
        raise
    finally:
        call = Call(
            agent=agent,
            given={key: value for key, value in given.items() if value is not None},
            began=began,
            ended=datetime.now(UTC),
            seconds=time.monotonic() - clock,
            output=output,
            kind=kind,
        )
        calls.append(call)
    return output


def _fail_once(agent: str, given: dict[str, Any]) -> None:
    from airflow_agentic.errors import RetryableError

    question = flow_agents.digest([agent, given])
    if int(question, 16) % _FLAKY == 0 and question not in _once:
        _once.add(question)
        raise RetryableError("as scripted, once", kind="unavailable")


def telling(spec: dict[str, Any]) -> dict[str, Any]:
    """A generated template with these agents: each stage says who it is, and agents may be asked twice."""
    agents = {name: {"type": "python", "callable": f"support.telling_agents:{name}"} for name in spec["agents"]}
    retry = {"attempts": 2, "wait": "1ms", "jitter": False}
    return {**spec, "defaults": {"retry": retry}, "agents": agents, "stages": _named(spec["stages"], "")}


def _named(stages: dict[str, Any], path: str) -> dict[str, Any]:
    found = {}
    for name, stage in stages.items():
        who = f"{path}{name}"
        if "agent" in stage:
            stage = {**stage, "input": {"who": who, **stage["input"]}}
        if "pipeline" in stage:
            inner = {**stage["pipeline"], "stages": _named(stage["pipeline"]["stages"], f"{who}.")}
            stage = {**stage, "pipeline": inner}
        found[name] = stage
    return found

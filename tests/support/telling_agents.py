"""
Agents that keep a log of their own: what a trace says is compared with it.

The log is a file and knows nothing of records, stages or Airflow: an agent writes down when it was called, with what,
and what it gave back; of one whose process was killed, there is only that it was called.

``work``, ``lists`` and ``stand_in`` are the agents of generated templates: they give what :mod:`support.flow_agents`
gives, but some of their calls fail once before. ``play`` does what its input says.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import flow_agents

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of how many different questions one fails the first time that it is asked.
_FLAKY = 4
#: Milliseconds of work; how many they are, the question says.
_LONGEST = 40
_QUESTIONS = "questions"
_CALLS = "calls"


@dataclass(kw_only=True)
class Call:
    """
    One call.

    :param given: as it was called.
    :param ended: null when its process was killed.
    :param seconds: it took, by a monotonic clock.
    :param kind: of the error that it ended with; null when it gave an output.
    """

    agent: str
    given: dict[str, Any]
    began: datetime
    ended: datetime | None = None
    seconds: float | None = None
    output: Any = None
    kind: str | None = None

    @property
    def end(self) -> datetime:
        """When it ended, of one that did."""
        if self.ended is None:
            raise ValueError(f"it never ended: {self}")
        return self.ended


@dataclass(kw_only=True)
class Asked:
    """One question to people: what was asked, and what was answered (null: nothing)."""

    subject: str
    answer: tuple[str, dict[str, Any]] | None
    at: datetime


def calls_in(log: Path) -> list[Call]:
    """The log, in the order in which the calls began."""
    found: dict[str, Call] = {}
    for line in _lines(log / _CALLS):
        at = datetime.fromisoformat(line.pop("at"))
        key = line.pop("call")
        if "given" in line:
            found[key] = Call(began=at, **line)
        else:
            call = found[key]
            call.ended, call.seconds, call.output, call.kind = at, line["seconds"], line["output"], line["kind"]
    return sorted(found.values(), key=lambda call: call.began)


def questions_in(log: Path) -> list[Asked]:
    """What people were asked."""
    found = []
    for line in _lines(log / _QUESTIONS):
        answer = None if line["answer"] is None else (line["answer"][0], line["answer"][1])
        found.append(Asked(subject=line["subject"], answer=answer, at=datetime.fromisoformat(line["at"])))
    return found


def work(who: str, log: str, script: list[Any], saw: Any = None) -> dict[str, Any]:
    """An agent."""
    output: dict[str, Any] = _scripted("work", flow_agents.work, who=who, log=log, script=script, saw=saw)
    return output


def lists(who: str, log: str, script: list[Any], saw: Any = None) -> list[str]:
    """An agent whose whole output is a list."""
    output: list[str] = _scripted("lists", flow_agents.lists, who=who, log=log, script=script, saw=saw)
    return output


def stand_in(who: str, log: str, script: list[Any], saw: Any = None) -> dict[str, Any]:
    """Another agent with the same output."""
    output: dict[str, Any] = _scripted("stand_in", flow_agents.stand_in, who=who, log=log, script=script, saw=saw)
    return output


def play(who: str, log: str, output: Any = None, then: list[Any] | None = None, saw: Any = None) -> Any:
    """
    Give an output, or what stands for this call of this stage.

    :param then: for the first calls, what happens instead: ``killed`` of the process, the kind of an error, or
        ``[kind, seconds until it may be asked again]``; null for nothing.
    """
    given = {"who": who, "log": log, "output": output, "then": then, "saw": saw}

    def do() -> Any:
        from airflow_agentic.errors import FinalError, RetryableError

        number = sum(call.given == _told(given) for call in calls_in(Path(log)))
        event = (then or [])[number - 1 : number]
        match event:
            case ["killed"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case [[kind, seconds]]:
                raise RetryableError("as told", kind=kind, retry_after=seconds)
            case ["rejected"]:
                raise FinalError("as told", kind="rejected")
            case [str(kind)]:
                raise RetryableError("as told", kind=kind)  # type: ignore[arg-type]
        return output

    return _logged("play", given, do)


def respond_into(log: Path) -> Callable[[Any], tuple[str, dict[str, Any]] | None]:
    """What a person answers who writes down what was asked."""

    def respond(asked: Any) -> tuple[str, dict[str, Any]] | None:
        found = flow_agents.answer(asked.subject)
        answer = None if found is None else (found[0], {"note": found[1]})
        _write(log / _QUESTIONS, {"subject": asked.subject, "answer": answer, "at": datetime.now(UTC).isoformat()})
        return answer

    return respond


def telling(spec: dict[str, Any], log: Path) -> dict[str, Any]:
    """A generated template with these agents: each stage says who it is, and agents may be asked twice."""
    agents = {name: {"type": "python", "callable": f"support.telling_agents:{name}"} for name in spec["agents"]}
    retry = {"attempts": 2, "wait": "1ms", "jitter": False}
    return {**spec, "defaults": {"retry": retry}, "agents": agents, "stages": _named(spec["stages"], "", str(log))}


def _named(stages: dict[str, Any], path: str, log: str) -> dict[str, Any]:
    found = {}
    for name, stage in stages.items():
        who = f"{path}{name}"
        if "agent" in stage:
            stage = {**stage, "input": {"who": who, "log": log, **stage["input"]}}
        if "pipeline" in stage:
            inner = {**stage["pipeline"], "stages": _named(stage["pipeline"]["stages"], f"{who}.", log)}
            stage = {**stage, "pipeline": inner}
        found[name] = stage
    return found


def _scripted(agent: str, does: Callable[..., Any], **given: Any) -> Any:
    def do() -> Any:
        time.sleep(int(flow_agents.digest([agent, given]), 16) % _LONGEST / 1000)
        _fail_once(agent, given)
        return does(given["script"], given["saw"])

    return _logged(agent, given, do)


def _logged(agent: str, given: dict[str, Any], do: Callable[[], Any]) -> Any:
    from airflow_agentic.errors import AttemptError

    log, key, clock = Path(given["log"]) / _CALLS, os.urandom(8).hex(), time.monotonic()
    _write(log, {"call": key, "at": datetime.now(UTC).isoformat(), "agent": agent, "given": _told(given)})
    output, kind = None, None
    try:
        output = do()
    except AttemptError as error:
        kind = error.kind
        raise
    finally:
        took = time.monotonic() - clock
        end = {"call": key, "at": datetime.now(UTC).isoformat(), "seconds": took, "output": output, "kind": kind}
        _write(log, end)
    return output


def _told(given: dict[str, Any]) -> dict[str, Any]:
    """As the template gave it: what it left out isn't there."""
    return {key: value for key, value in given.items() if value is not None}


def _fail_once(agent: str, given: dict[str, Any]) -> None:
    from airflow_agentic.errors import RetryableError

    question = flow_agents.digest([agent, given])
    if int(question, 16) % _FLAKY != 0:
        return
    with suppress(FileExistsError):
        (Path(given["log"]) / f"once-{question}").touch(exist_ok=False)
        raise RetryableError("as scripted, once", kind="unavailable")


def _write(file: Path, line: dict[str, Any]) -> None:
    """In one piece, whoever else writes."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

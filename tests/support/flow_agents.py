"""
Agents of generated templates: what they do is a pure function of what they are given.

``script`` stands in the template, and everything the stage reads is in ``saw``; its digest chooses an entry of the
script. So an execution does the same in the interpreter and in the DAG exactly when it read the same, in whatever
order the stages of a run came, and rounds differ because what they read does.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: Kinds that a callable's error may be given.
RETRYABLE = ("rate_limited", "unavailable", "timeout", "malformed_output", "bug")
FINAL = ("rejected",)


def work(script: list[Any], saw: Any = None) -> dict[str, Any]:
    """
    Do what the script says for this input.

    :param script: numbers to give back as ``score``, and kinds of errors to fail with.
    """
    return _play("", script, saw)


def lists(script: list[Any], saw: Any = None) -> list[str]:
    """An agent whose whole output is a list."""
    listed: list[str] = _play("", script, saw)["list"]
    return listed


def stand_in(script: list[Any], saw: Any = None) -> dict[str, Any]:
    """Another agent with the same output, which fails at other inputs."""
    return _play("stand-in", script, saw)


def _play(salt: str, script: list[Any], saw: Any) -> dict[str, Any]:
    from airflow_agentic.errors import FinalError, RetryableError

    entry = choose(script, [salt, saw])
    if entry in FINAL:
        raise FinalError("as scripted", kind=entry)
    if isinstance(entry, str):
        raise RetryableError("as scripted", kind=entry)
    return {"score": entry, "list": [f"{digest(saw)}{index}" for index in range(entry)], "saw": digest([salt, saw])}


def answer(asked: str) -> tuple[str, str] | None:
    """
    What a person answers to ``script|question``; None: nothing.

    :param asked: begins with a script of options, and ``-`` for no answer, separated by commas.
    :returns: the option, and a note.
    """
    script, _, question = asked.partition("|")
    option = choose(script.split(","), question)
    return None if option == "-" else (option, digest(question))


def choose(script: list[Any], saw: Any) -> Any:
    """The entry of a script for what was seen."""
    return script[int(digest(saw), 16) % len(script)]


def digest(value: Any) -> str:
    """Of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]

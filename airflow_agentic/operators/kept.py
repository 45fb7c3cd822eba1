"""
What is kept of an agent's work while a task is trying: its accepted answers, and the steps that lead to them.

An answer is the whole attempt, so that its record can still be written when the process died before. The steps of an
agent, answers of a model and results of its tools, are those of one conversation. It goes on over attempts that failed
for reasons of the way to the model; one that ended because of what was said begins anew, and so do its steps.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.attempts import Attempt
from airflow_agentic.agents.base import AgentResult, Usage

if TYPE_CHECKING:
    from airflow_agentic.operators.journal import Journal

#: Kinds of errors after which the next attempt goes on where the conversation stopped.
_GOES_ON = frozenset(("rate_limited", "unavailable", "timeout"))


def goes_on(kind: str) -> bool:
    """Whether a conversation may be gone on with after an error of that kind."""
    return kind in _GOES_ON


class KeptSteps:
    """
    The steps of one agent's work on one value. See :class:`airflow_agentic.agents.base.Steps`.

    :param place: names the work in the journal.
    :param begun: the attempt that the conversation began with.
    :param attempt: the attempt that is being made.
    """

    def __init__(self, journal: Journal, place: str, *, begun: int, attempt: int) -> None:
        self.attempt = attempt
        self._journal = journal
        self._place = place
        self._begun = begun
        self._own: dict[str, Any] = {}

    async def get(self, key: str) -> Any | None:
        """What was kept under a key; None: nothing."""
        key = self._key(key)
        return self._own[key] if key in self._own else self._journal.find(key)

    async def keep(self, key: str, value: Any) -> None:
        """Keep a value, before anything else is done with it."""
        key = self._key(key)
        self._own[key] = value
        await self._journal.keep(key, value)

    def ended(self, attempt: Attempt) -> None:
        """Told of each attempt: the next one goes on with the conversation, or begins a new one."""
        if attempt.error is not None:
            self.attempt = attempt.number + 1
            if not goes_on(attempt.error.kind):
                self._begun = self.attempt

    def _key(self, key: str) -> str:
        return f"step/{self._place}/{self._begun}/{key}"


def to_data(attempt: Attempt, try_number: int) -> dict[str, Any]:
    """A successful attempt as plain data, and the try that made it."""
    if attempt.result is None:
        raise ValueError("the attempt has no result")
    result = {**vars(attempt.result), "usage": vars(attempt.result.usage)}
    dates = {key: getattr(attempt, key).isoformat() for key in ("started", "ended")}
    return {**vars(attempt), **dates, "result": result, "try": try_number}


def from_data(data: dict[str, Any]) -> tuple[Attempt, int]:
    """Undo :func:`to_data`."""
    own = dict(data)
    try_number = own.pop("try")
    result = dict(own["result"])
    result["usage"] = Usage(**result["usage"])
    result["tool_calls"] = tuple(result["tool_calls"])
    dates = {key: datetime.fromisoformat(own[key]) for key in ("started", "ended")}
    return Attempt(**{**own, **dates, "result": AgentResult(**result)}), try_number

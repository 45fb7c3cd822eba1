"""
The seam between a stage and whatever does its work.

A stage renders an :class:`AgentRequest`; an :class:`Agent` turns it into an :class:`AgentResult` or raises an
:class:`~airflow_agentic.errors.AttemptError`. One call is one attempt: an agent never retries by itself,
because an attempt that nobody sees is an attempt that nobody can account for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_agentic.agents.fitting import Fitting
from airflow_agentic.limits.spending import UNBOUNDED, Spending
from airflow_agentic.limits.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """
    What the language calls ``run``: the run that a stage belongs to. All values are JSON-able.

    ``date`` is ISO 8601 and never null; the other dates are null for a run that has none.
    """

    id: str
    dag_id: str
    date: str
    logical_date: str | None = None
    interval_start: str | None = None
    interval_end: str | None = None
    assets: Mapping[str, Any] = field(default_factory=dict)
    conf: Mapping[str, Any] = field(default_factory=dict)

    def as_scope(self) -> dict[str, Any]:
        """The mapping that templates see as ``run``."""
        return {
            "id": self.id,
            "date": self.date,
            "logical_date": self.logical_date,
            "interval_start": self.interval_start,
            "interval_end": self.interval_end,
            "assets": dict(self.assets),
            "conf": dict(self.conf),
        }


@dataclass(frozen=True, kw_only=True)
class MalformedReply:
    """The former attempt's reply and what was wrong with it, so that a model can be told."""

    problem: str
    reply: Any = None
    #: what the agent needs to go on with the same conversation; opaque to everybody else
    conversation: Any = None


class Steps(Protocol):
    """
    What an attempt has got so far, safe from the end of its process: answers of a model, results of its tools.

    The values are JSON-able.

    :param attempt: the number of the attempt that is being made.
    """

    attempt: int

    async def get(self, key: str) -> Any | None:
        """What was kept under a key; None: nothing."""
        ...

    async def keep(self, key: str, value: Any) -> None:
        """Keep a value, before anything else is done with it."""
        ...


@dataclass(frozen=True, kw_only=True)
class AgentRequest:
    """
    One attempt's work.

    :param stage: the stage's name.
    :param input: the rendered ``input`` of the stage.
    :param prompt: the rendered prompt (llm only).
    :param instructions: the rendered instructions (llm only).
    :param output_schema: JSON Schema of the output; None means text (the whole reply as a string).
    :param run: the run.
    :param timeout: seconds for this attempt, None for no limit.
    :param malformed: set when the former attempt's reply was malformed.
    :param waiting: how long the attempt may wait for a connection's limits, and how long it did.
    :param spending: what the run's budget still allows; every call to a model, an API or a callable asks it first.
    :param steps: what is kept of the conversation that the attempt goes on with; None: nothing is kept.
    :param read: what the prompt and the instructions were made from: ``input``, and what the stage's texts read.
    :param remade: the same request, with its prompt and instructions made from other values; None: it can't be.
    :param fitting: what was done to the attempt's request so that it fits the model's window, told by the agent.
    """

    stage: str
    run: RunInfo
    input: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    instructions: str | None = None
    output_schema: Mapping[str, Any] | None = None
    timeout: float | None = None
    malformed: MalformedReply | None = None
    waiting: Waiting = field(default_factory=Waiting, compare=False)
    spending: Spending = field(default=UNBOUNDED, compare=False)
    steps: Steps | None = field(default=None, compare=False)
    read: Mapping[str, Any] = field(default_factory=dict, compare=False)
    remade: Callable[[Mapping[str, Any]], AgentRequest] | None = field(default=None, compare=False)
    fitting: Fitting = field(default_factory=Fitting, compare=False)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one attempt, tool turns included. None: the agent doesn't count."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int = 1


@dataclass(frozen=True, kw_only=True)
class AgentResult:
    """
    An attempt that succeeded.

    :param output: the reply, already validated against the request's schema; plain JSON-able data.
    :param sent: the input exactly as it went out, for the record (no credentials).
    :param model: the model that answered, as the provider names it.
    :param cost_usd: what it cost in US dollars, when known.
    :param tool_calls: one mapping per tool call: ``tool``, ``arguments``, ``result`` or ``error``.
    :param replayed: calls of a model that weren't made again, because their answers had been kept.
    :param cached: where the answer is from, if nobody was asked: ``run``, ``record``, ``stored``.
    """

    output: Any
    sent: Mapping[str, Any]
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    replayed: int = 0
    cached: Mapping[str, Any] | None = None


class Agent(Protocol):
    """Anything that can do a stage's work."""

    async def run(self, request: AgentRequest) -> AgentResult:
        """
        Do the work once.

        :raises RetryableError: the same request may succeed later.
        :raises FinalError: it would not.
        :raises RetryLater: nothing was asked yet, because of a connection's limit, and it would take too long.
        :raises LimiterError: what is used of the limit can't be told.
        """
        ...

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        """What :meth:`run` would send, for the record of an attempt that failed or was killed."""
        ...

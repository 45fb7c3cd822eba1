"""
Asking for one value, a stage's or an item's: first the stage's agent, then what its ``on_error`` says.

The entries of ``on_error`` are tried in order, each when it takes the kind of the error at hand, which is that of
whoever failed last. A stand-in has the stage's input, output schema, condition and retry settings, all its attempts
among them, and instructions of its own; a value is rendered with what the stage reads, and has to fit the schema.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic import config
from airflow_agentic.agents.threads import run_to_end
from airflow_agentic.errors import (
    AgenticError,
    AttemptError,
    FinalError,
    LimiterError,
    RetryLater,
    StoppedError,
    TraceError,
)
from airflow_agentic.operators.attempt_log import AttemptLog, Past, attempts_made
from airflow_agentic.operators.base import map_index
from airflow_agentic.operators.caching import Caching, used_again
from airflow_agentic.operators.prompting import Prompting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import Agent, AgentRequest
    from airflow_agentic.operators.agent import AgentOperator
    from airflow_agentic.operators.attempt_log import Item
    from airflow_agentic.operators.journal import Journal
    from airflow_agentic.operators.life import Life
    from airflow_agentic.operators.scope import Scope

#: Errors that say nothing about the stage's own work: Airflow decides what becomes of the task.
_PASSING = (RetryLater, StoppedError, TraceError, LimiterError)


class RecoveryError(AgenticError):
    """What ``on_error`` says can't be used."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What came of asking.

    :param error: why there is no output; behind what helped instead, why it was needed; null otherwise.
    :param attempt: the number of the last attempt; null when there was none, and behind a fixed value.
    :param record: its path in the trace store.
    :param agent: who was asked last; null behind a fixed value.
    :param recovered: what ``on_error`` helped with; null when it wasn't needed, or did not help.
    """

    output: Any = None
    error: AgenticError | None = None
    attempt: int | None = None
    record: str | None = None
    model: str | None = None
    agent: str | None = None
    recovered: Literal["agent", "value"] | None = None

    @property
    def failed(self) -> AgenticError | None:
        """Why there is no output, if there is none."""
        return self.error if self.recovered is None else None


class Asking:
    """
    What is asked of a stage's agents in one try of its task; items can be asked for at the same time.

    :param scope: what the stage's texts see.
    :param journal: what the task's earlier tries have got.
    """

    def __init__(self, operator: AgentOperator, context: Context, scope: Scope, life: Life, journal: Journal) -> None:
        from airflow_agentic.agents.attempts import RetrySettings

        self._operator = operator
        self._context = context
        self._scope = scope
        self._life = life
        self._journal = journal
        self._config = operator.planned.config
        self._retry = RetrySettings(**self._config["retry"])
        self._inline_wait = config.get_float("inline_wait")
        self._made = {} if life.is_first_try else attempts_made(operator, context, life)
        self._agents: dict[str, Agent] = {}
        self._prompting = Prompting(operator, scope.run, self._schema)
        self._caching = Caching(operator, context, life) if self._config.get("cache") else None

    async def outcome(self, item: Item | None = None) -> Outcome:
        """
        Ask, and recover.

        :raises RetryLater: the next attempt has to wait too long, and Airflow will make another try.
        """
        values = self._scope.values if item is None else {**self._scope.values, "item": item.value, "index": item.index}
        log = AttemptLog(self._operator, self._context, item, self._journal)
        past = Past(list(self._made.get(None if item is None else item.index, ())))
        error: AgenticError | None = None
        for place, entry in enumerate((self._config, *self._config.get("recover", ()))):
            if error is not None and entry["kinds"] and kind_of(error) not in entry["kinds"]:
                continue
            try:
                if "value" in entry:
                    outcome = self._fixed(entry, place - 1, values)
                else:
                    log.begin(entry["agent"], place)
                    answered = await log.answered(past)
                    attempt = answered or await self._asked(entry, values, past, log, item)
                    outcome = _outcome(attempt, log)
            except _PASSING:
                raise
            except AgenticError as caught:
                error = caught
            else:
                if error is None:
                    return outcome
                if "value" not in entry:
                    return replace(outcome, error=error, recovered="agent")
                await self._record_recovered(error, item)
                return replace(outcome, error=error, recovered="value")
        number = max(past.number, log.number) or None
        return Outcome(error=error, attempt=number, record=log.path or past.path, agent=log.agent)

    async def _record_recovered(self, error: AgenticError, item: Item | None) -> None:
        """That a fixed value stood in leaves no attempt that would tell."""
        index = None if item is None else item.index
        record = partial(self._operator.record_failure, self._context, error, recovered=True, item=index)
        await run_to_end(record)

    async def _asked(
        self, entry: Mapping[str, Any], values: Mapping[str, Any], past: Past, log: AttemptLog, item: Item | None
    ) -> Attempt:
        """The attempt of one agent that succeeds, or that needn't be made."""
        agent, request = self._agent(entry["agent"]), self._prompting.request(entry, values)
        before = max(past.number, log.number)
        made = past.of_next_agent()
        first = min(made.attempts + 1, self._retry.attempts)
        kept = None if self._caching is None else await self._caching.place(entry["agent"], request, item)
        if kept is not None:
            log.cache_key = kept.key
            answer = await kept.find(self._accept(values))
            if answer is not None:
                attempt = used_again(answer, agent, request, before + first)
                await log.write(attempt)
                return attempt
        request = replace(request, steps=log.steps(max(made.begun, before + 1), before + first))
        attempt = await self._attempted(agent, request, first, before, values, log, item)
        if kept is not None:
            await kept.keep(attempt, log.path)
        return attempt

    async def _attempted(
        self,
        agent: Agent,
        request: AgentRequest,
        first: int,
        before: int,
        values: Mapping[str, Any],
        log: AttemptLog,
        item: Item | None,
    ) -> Attempt:
        """The attempt that succeeds."""
        from airflow_agentic.agents.attempts import run_attempts

        try:
            return await run_attempts(
                log.observed(agent),
                request,
                retry=self._retry,
                first_attempt=first,
                numbered_after=before,
                # Waits for a limit and lost workers take tries of Airflow's, too, but no attempt may be lost with them:
                # where no try is left for a wait, it is waited here, however long it is.
                inline_wait=math.inf if self._life.is_last_try else self._inline_wait,
                place=self._place(item),
                accept=self._accept(values),
                on_attempt=log.write,
            )
        except asyncio.CancelledError:
            if log.succeeded is None:
                raise
            return log.succeeded  # the process ends, but what was paid for is kept

    def _fixed(self, entry: Mapping[str, Any], place: int, values: Mapping[str, Any]) -> Outcome:
        """The value that stands in for an output."""
        from airflow_agentic.agents.validate import output_problem
        from airflow_agentic.template.expressions import render

        key = f"on_error[{place}].value"
        with self._operator.locating(key):
            value = render(entry["value"], values)
        problem = output_problem(value, self._schema)
        if problem is not None:
            raise RecoveryError(f"Stage {self._operator.planned.stage!r}, {key}: {problem}")
        return Outcome(output=value)

    def _place(self, item: Item | None) -> str:
        """What is the same for this work in every try of this life of the task, and for no other work."""
        run, mapped = self._operator.run_key(self._context), map_index(self._context["ti"])
        index = "" if item is None else item.index
        return f"{run.dag_id}/{run.run_id}/{self._operator.task_id}/{mapped}/{self._life.former_tries}/{index}"

    def _agent(self, name: str) -> Agent:
        from airflow_agentic.agents.kinds import make_agent

        if name not in self._agents:
            self._agents[name] = make_agent(self._operator.agents[name])
        return self._agents[name]

    @property
    def _schema(self) -> Mapping[str, Any] | None:
        """Of the output. Readers of the stage rely on it, whoever answers."""
        schema: Mapping[str, Any] | None = self._operator.agents[self._config["agent"]].get("output_schema")
        return schema

    def _accept(self, values: Mapping[str, Any]) -> Callable[[Any], bool] | None:
        from airflow_agentic.template.expressions import is_true

        condition = self._config["accept"]
        if condition is None:
            return None

        def accept(output: Any) -> bool:
            with self._operator.locating("accept"):
                if is_true(condition, {**values, "output": output}):
                    return True
            raise FinalError(f"The output was not accepted: {condition}", kind="not_accepted", reply=output)

        return accept


def kind_of(error: Exception) -> str:
    """The language's word for why something failed."""
    return error.kind if isinstance(error, AttemptError) else "failed"


def message_of(error: Exception) -> str:
    """Why something failed, for a person."""
    return error.message if isinstance(error, AttemptError) else str(error)


def _outcome(attempt: Attempt, log: AttemptLog) -> Outcome:
    if attempt.result is None:
        raise RuntimeError("an attempt without an error has no result")
    return Outcome(
        output=attempt.result.output,
        attempt=attempt.number,
        record=log.path,
        model=attempt.result.model,
        agent=log.agent,
    )

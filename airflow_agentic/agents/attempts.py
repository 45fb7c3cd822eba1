"""
The attempts of one stage, or of one item: call the agent, wait, call it again, and tell about each of them.

Many items can be at it in one event loop: nothing here blocks, and what is told of an attempt is awaited.

Two tiers share the work: waits up to ``inline_wait`` are slept here, longer ones end in :class:`RetryLater`, with which
Airflow takes the wait over and gives the worker's slot back. The wait grows exponentially, with full jitter and up to a
maximum, so that many tasks that failed together don't come back together; what the other side asked for
(``Retry-After``) counts where it is longer, even beyond that maximum: coming back earlier would only be refused again.

A wait for a connection's limit comes before an attempt's first request: it is no failure, and where it ends in
:class:`RetryLater`, no attempt was made and none is told of.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.base import AgentRequest, AgentResult, MalformedReply
from airflow_agentic.errors import (
    AgenticError,
    AttemptError,
    FinalError,
    LimiterError,
    RetryableError,
    RetryLater,
    StoppedError,
)
from airflow_agentic.limits.waiting import Waiting
from airflow_agentic.trace.mask import unexposed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tenacity import RetryCallState

    from airflow_agentic.agents.base import Agent

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """
    How often and how fast a stage is tried again.

    :param attempts: how many in all, the first one included.
    :param wait: seconds before the second attempt, the upper bound with ``jitter``.
    :param multiplier: by which the wait grows from one attempt to the next.
    :param max_wait: seconds; no wait grows beyond it.
    :param jitter: whether each wait is drawn evenly between 0 and its full length.
    """

    attempts: int
    wait: float
    multiplier: float
    max_wait: float
    jitter: bool


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """
    One attempt that has ended.

    :param number: from 1, counted over all tries of the task and all agents that were asked.
    :param started, ended: in UTC.
    :param seconds: of work, by a monotonic clock.
    :param waited: seconds that it waited for a connection's limits, those before this process began included.
    :param sent: what went out to the agent, for the record.
    :param result: what the agent gave; set together with ``error`` if it gave something that was not accepted.
    :param error: why the attempt failed; None if it succeeded or was killed.
    :param next_wait: seconds until the next attempt, None if there is none.
    :param killed: the process was told to stop while the attempt was going on.
    :param window: what was left out or summed up so that the request fits the model's window; JSON-able.
    """

    number: int
    started: datetime
    ended: datetime
    seconds: float
    sent: Mapping[str, Any]
    result: AgentResult | None = None
    error: AttemptError | None = None
    next_wait: float | None = None
    killed: bool = False
    waited: float = 0.0
    window: Mapping[str, Any] | None = None


async def run_attempts(
    agent: Agent,
    request: AgentRequest,
    *,
    retry: RetrySettings,
    first_attempt: int,
    inline_wait: float,
    accept: Callable[[Any], bool] | None,
    on_attempt: Callable[[Attempt], Awaitable[None]],
    numbered_after: int = 0,
    place: str | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    draw: Callable[[], float] = random.random,
) -> Attempt:
    """
    Try until an attempt succeeds, and return that one.

    :param first_attempt: which attempt of this agent the first one made here is; more than 1 after a wait that
        Airflow took over.
    :param inline_wait: seconds; a longer wait, also one for a connection's limit, is not waited here.
    :param accept: told the output; False makes it a failure that isn't repeated, and so does a FinalError that says
        more.
    :param on_attempt: told of each attempt when it has ended, however it ended, before any wait.
    :param numbered_after: the attempts that others have made before, which the numbers of these go on from.
    :param place: names this work, also in the next try of the task, so that it keeps its place in a limit's queue.
    :param sleep, draw: the clock and the dice (evenly between 0 and 1).
    :raises AttemptError: the last attempt's error: it is final, or was the last one allowed.
    :raises RetryLater: a wait is longer than ``inline_wait``.
    :raises LimiterError: what is used of a connection's limit can't be told.
    """
    from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt

    tries = _Tries(
        agent=agent,
        request=request,
        retry=retry,
        own_number=first_attempt,
        numbered_after=numbered_after,
        inline_wait=inline_wait,
        place=place,
        accept=accept,
        on_attempt=on_attempt,
        draw=draw,
    )
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(max(1, retry.attempts - first_attempt + 1)),
        wait=tries.next_wait,
        retry=retry_if_result(lambda attempt: isinstance(attempt.error, RetryableError)),
        before_sleep=tries.before_sleep,
        retry_error_callback=_last_attempt,
    )
    attempt: Attempt = await retrying(tries.once)
    await on_attempt(attempt)
    if attempt.error is not None:
        raise attempt.error
    return attempt


@dataclass(kw_only=True)
class _Tries:
    """What one attempt hands to the next."""

    agent: Agent
    request: AgentRequest
    retry: RetrySettings
    own_number: int
    numbered_after: int
    inline_wait: float
    place: str | None
    accept: Callable[[Any], bool] | None
    on_attempt: Callable[[Attempt], Awaitable[None]]
    draw: Callable[[], float]

    async def once(self) -> Attempt:
        """
        Make one attempt. Anything but an exception that ends the process becomes part of the result.

        :raises RetryLater, LimiterError: a limit kept it from being made.
        """
        waiting = Waiting(longest=self.inline_wait, place=self._place())
        self.request = replace(self.request, waiting=waiting, fitting=self.request.fitting.anew())
        started, clock = datetime.now(UTC), time.monotonic()
        result: AgentResult | None = None
        error: AttemptError | None = None
        killed = True
        try:
            result = await self.agent.run(self.request)
            result = replace(result, output=unexposed(result.output))
            self._check_accepted(result)
            killed = False
        except (RetryLater, LimiterError):
            killed = False
            raise
        except StoppedError:
            raise
        except Exception as caught:
            error = _unexposed(_as_attempt_error(caught))
            killed = False
        finally:
            seconds = max(0.0, time.monotonic() - clock - waiting.here)
            attempt = Attempt(
                number=self.numbered_after + self.own_number,
                started=started,
                ended=datetime.now(UTC),
                seconds=seconds,
                sent=result.sent if result is not None else self._preview(),
                result=result,
                error=error,
                killed=killed,
                waited=waiting.total,
                window=self.request.fitting.record,
            )
            if killed:
                await self._tell_killed(attempt)
        return attempt

    def next_wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt. Tenacity also asks when there will be none."""
        attempt = _last_attempt(state)
        full = min(self.retry.max_wait, self.retry.wait * self.retry.multiplier ** min(self.own_number - 1, 64))
        wait = full * self.draw() if self.retry.jitter else full
        asked = attempt.error.retry_after if attempt.error is not None else None
        return max(wait, asked or 0.0)

    async def before_sleep(self, state: RetryCallState) -> None:
        """Tell about the failed attempt, hand long waits over, and prepare the next attempt."""
        attempt = replace(_last_attempt(state), next_wait=state.upcoming_sleep)
        await self.on_attempt(attempt)
        if attempt.error is None:
            return
        log.warning("Attempt %d failed (%s): %s", attempt.number, attempt.error.kind, attempt.error.message)
        if state.upcoming_sleep > self.inline_wait:
            raise RetryLater(attempt.error, wait=state.upcoming_sleep, attempt=attempt.number) from attempt.error
        log.info("The next attempt starts in %.1f s.", state.upcoming_sleep)
        self.own_number += 1
        if attempt.error.kind == "malformed_output":
            self.request = replace(self.request, malformed=_feedback(attempt.error))

    def _place(self) -> str | None:
        return None if self.place is None else f"{self.place}/{self.numbered_after + self.own_number}"

    def _check_accepted(self, result: AgentResult) -> None:
        if self.accept is None:
            return
        try:
            accepted = self.accept(result.output)
        except FinalError:
            raise
        except AgenticError as error:
            message = f"Whether to accept the output could not be decided: {error}"
            raise FinalError(message, kind="not_accepted", reply=result.output) from error
        if not accepted:
            raise FinalError("The stage's accept condition is false.", kind="not_accepted", reply=result.output)

    def _preview(self) -> Mapping[str, Any]:
        try:
            return self.agent.preview(self.request)
        except Exception:  # the attempt's own error says more
            log.debug("The agent can't tell what it sends", exc_info=True)
            return {"input": dict(self.request.input)}

    async def _tell_killed(self, attempt: Attempt) -> None:
        try:
            await self.on_attempt(attempt)
        except Exception:  # must not replace what ends the process
            log.exception("The attempt that was killed could not be recorded")


def _last_attempt(state: RetryCallState) -> Attempt:
    if state.outcome is None:
        raise RuntimeError("tenacity asked before the first attempt")
    attempt: Attempt = state.outcome.result()
    return attempt


def _as_attempt_error(error: Exception) -> AttemptError:
    if isinstance(error, AttemptError):
        return error
    if isinstance(error, AgenticError):
        wrapped: AttemptError = FinalError(str(error), kind="rejected")
    else:
        from airflow_agentic.agents.callables import failure

        wrapped = failure(error, "The agent")
    wrapped.__cause__ = error
    return wrapped


def _unexposed(error: AttemptError) -> AttemptError:
    """What others are told of it, without secrets."""
    error.message, error.reply, error.details = map(unexposed, (error.message, error.reply, error.details))
    error.args = (error.message,)
    return error


def _feedback(error: AttemptError) -> MalformedReply:
    return MalformedReply(problem=error.message, reply=error.reply, conversation=getattr(error, "conversation", None))

"""
Being let in by a connection's limits, without blocking the event loop.

Many items of a fan-out wait here at the same time, each with a place of its own in the queue of all processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_agentic.errors import LimiterError, RetryableError, RetryLater
from airflow_agentic.limits.store import Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_agentic.limits.settings import Limits
    from airflow_agentic.limits.store import Answer, Store
    from airflow_agentic.limits.waiting import Waiting

    T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Admission:
    """
    A request that was let in.

    :param tokens: what it took in truth, to be set by whoever made it; None: unknown, and the estimate stands.
    """

    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """
    The way to a connection with limits, for one attempt.

    :param waiting: the attempt's waits.
    :param timeout: that the waits don't count for.
    :param store: opens the store; blocks.
    """

    connection: str
    limits: Limits
    waiting: Waiting
    timeout: asyncio.Timeout
    store: Callable[[], Store]

    @contextlib.asynccontextmanager
    async def admitted(self, *, tokens: int = 0, may_hand_over: bool = True) -> AsyncIterator[Admission]:
        """
        Wait until a request may go; it has to be made inside.

        :param tokens: an estimate of what it takes.
        :param may_hand_over: False: wait here, however long, because the attempt can't begin anew.
        :raises RetryLater: it would have to wait longer than it may.
        :raises LimiterError: the store can't be reached.
        """
        async with off_the_clock(self.timeout):
            store = await asyncio.to_thread(self.store)
            queue = _Queue(store, self._ask(tokens), self.waiting, self.waiting.longest if may_hand_over else math.inf)
            await queue.wait()
        admission = Admission()
        renewing = self._renewing(store, queue.ask)
        try:
            yield admission
        finally:
            if renewing is not None:
                renewing.cancel()
            await _settled(store, queue.ask, admission)

    def _renewing(self, store: Store, ask: Ask) -> asyncio.Task[None] | None:
        if self.limits.max_concurrent is None:
            return None
        return asyncio.create_task(keep(store.lease, partial(store.renew, ask.connection, ask.grant)))

    def _ask(self, tokens: int) -> Ask:
        most = self.limits.tokens_per_minute
        return Ask(
            connection=self.connection,
            limits=self.limits,
            ticket=self.waiting.place or uuid.uuid4().hex,
            grant=uuid.uuid4().hex,
            # A request that is larger than the limit goes when nothing else does; the provider will judge it.
            tokens=0 if most is None else min(tokens, most),
        )


@dataclass(kw_only=False)
class _Queue:
    """Waiting for one request."""

    store: Store
    ask: Ask
    waiting: Waiting
    longest: float
    _began: float = field(default_factory=time.monotonic, init=False)

    async def wait(self) -> None:
        """Return when the request may go."""
        try:
            waited = await self._let_in()
        except RetryLater:
            await to_end(partial(self.store.step_aside, self.ask.connection, self.ask.ticket))
            raise
        except LimiterError:
            raise
        except BaseException:
            with contextlib.suppress(LimiterError):
                await to_end(partial(self.store.leave, self.ask.connection, self.ask.ticket, self.ask.grant))
            self.waiting.total += self._here()
            raise
        finally:
            self.waiting.here += self._here()
        self.waiting.total += waited

    async def _let_in(self) -> float:
        """Seconds waited, in all."""
        while True:
            answer = await to_end(partial(self.store.ask, self.ask))
            if answer.granted:
                return answer.waited
            wait = max(answer.wait, self._here())
            if wait > self.longest:
                raise self._later(answer)
            await asyncio.sleep(answer.look)

    def _later(self, answer: Answer) -> RetryLater:
        limits = ", ".join(f"{name} {limit}" for name, limit in vars(self.ask.limits).items() if limit is not None)
        reason = f"the connection {self.ask.connection!r} is at its limit ({limits})"
        return RetryLater(RetryableError(reason, kind="rate_limited"), wait=answer.wait or self.longest, attempt=0)

    def _here(self) -> float:
        return time.monotonic() - self._began


def gate_to(connection: str, extra: Any, waiting: Waiting, timeout: asyncio.Timeout) -> Gate | None:
    """
    The way to a connection; None: it has no limits.

    :param extra: the ``agentic`` part of the connection's extra.
    :raises ConfigError: the extra says something else.
    """
    from airflow_agentic.limits.settings import limits_of
    from airflow_agentic.limits.stores import the_store

    limits = limits_of(extra, connection)
    if limits is None:
        return None
    return Gate(connection=connection, limits=limits, waiting=waiting, timeout=timeout, store=the_store)


@contextlib.asynccontextmanager
async def off_the_clock(timeout: asyncio.Timeout) -> AsyncIterator[None]:
    """What happens inside doesn't count for a timeout."""
    loop, when = asyncio.get_running_loop(), timeout.when()
    if when is None or timeout.expired():
        yield
        return
    left = when - loop.time()
    timeout.reschedule(None)
    try:
        yield
    finally:
        timeout.reschedule(loop.time() + left)


async def keep(lease: float, renew: Callable[[], None]) -> None:
    """
    Renew a lease until cancelled.

    :param lease: seconds that it lasts.
    """
    while True:
        await asyncio.sleep(lease / 6)
        try:
            await to_end(renew)
        except LimiterError as error:  # the request is on its way; whoever comes next will be told
            log.warning("%s", error)


async def _settled(store: Store, ask: Ask, admission: Admission) -> None:
    try:
        await to_end(partial(store.settle, ask.connection, ask.grant, admission.tokens))
    except LimiterError as error:  # the work is done: the estimate stands, and the slot comes back by itself
        log.warning("%s", error)


async def to_end(function: Callable[[], T]) -> T:
    """Call a blocking function in a thread; when the waiting task is cancelled, still wait for its end."""
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise

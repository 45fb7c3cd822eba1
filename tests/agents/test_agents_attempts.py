"""The attempts of a stage: when there is another one, how long it waits, and what is told of each."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.requests import Waits, attempt_all, make_request, settings, telling

from airflow_agentic.agents.attempts import RetrySettings, run_attempts
from airflow_agentic.agents.base import AgentRequest, AgentResult
from airflow_agentic.agents.threads import run_loop
from airflow_agentic.agents.validate import MalformedOutput
from airflow_agentic.errors import ConfigError, FinalError, RetryableError, RetryLater
from airflow_agentic.template.expressions import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.agents.attempts import Attempt


def unavailable(**more: Any) -> RetryableError:
    return RetryableError("away", kind="unavailable", **more)


@dataclass
class ListAgent:
    """An agent that gives, or raises, one thing after the other."""

    steps: list[Any]
    requests: list[AgentRequest] = field(default_factory=list)

    async def run(self, request: AgentRequest) -> AgentResult:
        self.requests.append(request)
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return AgentResult(output=step, sent={"really": "sent"})

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        return {"would": "send"}


def test_a_success_is_one_attempt() -> None:
    told, end = attempt_all(ListAgent(["ok"]), make_request())
    assert told == [end]
    attempt = told[0]
    assert (attempt.number, attempt.error, attempt.next_wait, attempt.killed) == (1, None, None, False)
    assert attempt.result is not None
    assert attempt.result.output == "ok"
    assert attempt.sent == {"really": "sent"}
    assert attempt.started.utcoffset() == attempt.ended.utcoffset()
    assert attempt.started.tzinfo is not None
    assert 0 <= attempt.seconds < 5


def test_retryable_errors_are_tried_again_until_one_succeeds() -> None:
    waits = Waits()
    told, end = attempt_all(
        ListAgent([unavailable(), unavailable(), "ok"]), make_request(), retry=settings(4, wait=1.0), waits=waits
    )
    assert [attempt.number for attempt in told] == [1, 2, 3]
    assert [attempt.next_wait for attempt in told] == [1.0, 2.0, None]
    assert waits.seconds == [1.0, 2.0]
    assert told[-1] is end
    assert told[0].sent == {"would": "send"}


def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    last = unavailable()
    told, end = attempt_all(ListAgent([unavailable(), last]), make_request(), retry=settings(2))
    assert end is last
    assert [attempt.next_wait for attempt in told] == [0.01, None]


def test_final_errors_are_not_repeated() -> None:
    agent = ListAgent([FinalError("no", kind="rejected"), "ok"])
    told, end = attempt_all(agent, make_request())
    assert isinstance(end, FinalError)
    assert len(told) == len(agent.requests) == 1


def test_attempts_go_on_counting_after_a_wait_of_airflow() -> None:
    waits = Waits()
    told, end = attempt_all(
        ListAgent([unavailable(), unavailable()]),
        make_request(),
        retry=settings(4, wait=1.0),
        first_attempt=3,
        waits=waits,
    )
    assert isinstance(end, RetryableError)
    assert [attempt.number for attempt in told] == [3, 4]
    assert waits.seconds == [4.0]


def test_an_attempt_beyond_the_last_one_is_made_once() -> None:
    told, end = attempt_all(ListAgent(["ok"]), make_request(), retry=settings(2), first_attempt=5)
    assert [attempt.number for attempt in told] == [5]
    assert told == [end]


def test_a_long_wait_is_handed_over() -> None:
    error = unavailable(retry_after=120.0)
    waits = Waits()
    told, end = attempt_all(ListAgent([error]), make_request(), inline_wait=30, waits=waits)
    assert isinstance(end, RetryLater)
    assert (end.wait, end.attempt, end.error) == (120.0, 1, error)
    assert waits.seconds == []
    assert [attempt.next_wait for attempt in told] == [120.0]


def test_no_wait_is_handed_over_after_the_last_attempt() -> None:
    _, end = attempt_all(ListAgent([unavailable(retry_after=120.0)]), make_request(), retry=settings(1), inline_wait=30)
    assert isinstance(end, RetryableError)


def wait_of(error: RetryableError, retry: RetrySettings, *, attempt: int = 1) -> float:
    waits = Waits()
    attempt_all(
        ListAgent([error, "ok"]),
        make_request(),
        retry=replace(retry, attempts=attempt + 1),
        first_attempt=attempt,
        inline_wait=float("inf"),
        waits=waits,
    )
    return waits.seconds[0]


@pytest.mark.parametrize(
    ("retry_after", "attempt", "wait"),
    [
        (None, 1, 2.0),
        (None, 3, 18.0),
        (None, 9, 60.0),
        (1.0, 1, 2.0),
        (5.0, 1, 5.0),
        (300.0, 1, 300.0),
        (None, 5000, 60.0),
    ],
)
def test_the_wait_grows_to_a_maximum_and_honours_what_was_asked(
    retry_after: float | None, attempt: int, wait: float
) -> None:
    retry = settings(wait=2.0, multiplier=3)
    assert wait_of(unavailable(retry_after=retry_after), retry, attempt=attempt) == wait


def test_jitter_draws_from_the_whole_wait_but_never_below_what_was_asked() -> None:
    retry = settings(wait=8.0, jitter=True)
    assert wait_of(unavailable(), retry) == 4.0  # the dice say 0.5
    assert wait_of(unavailable(retry_after=6.0), retry) == 6.0


@given(
    wait=st.floats(0, 1e3),
    multiplier=st.floats(1, 10),
    max_wait=st.floats(0, 1e5),
    asked=st.none() | st.floats(0, 1e6),
    attempt=st.integers(1, 40),
    jitter=st.booleans(),
)
def test_the_wait_is_never_shorter_than_asked_nor_longer_than_the_larger_bound(
    wait: float, multiplier: float, max_wait: float, asked: float | None, attempt: int, jitter: bool
) -> None:
    retry = settings(wait=wait, multiplier=multiplier, max_wait=max_wait, jitter=jitter)
    seconds = wait_of(unavailable(retry_after=asked), retry, attempt=attempt)
    assert (asked or 0.0) <= seconds <= max(max_wait, asked or 0.0)


def test_a_malformed_reply_is_handed_to_the_next_attempts() -> None:
    agent = ListAgent([MalformedOutput("$.a: wrong", reply={"a": 1}, conversation=["hello"]), unavailable(), "ok"])
    attempt_all(agent, make_request())
    assert agent.requests[0].malformed is None
    for request in agent.requests[1:]:  # what came in between does not make it forgotten
        assert request.malformed is not None
        assert request.malformed.problem == "$.a: wrong"
        assert request.malformed.reply == {"a": 1}
        assert request.malformed.conversation == ["hello"]


def test_an_output_that_is_not_accepted_fails_at_once_and_is_kept() -> None:
    told, end = attempt_all(ListAgent([{"score": 0.1}, "ok"]), make_request(), accept=lambda output: False)
    assert isinstance(end, FinalError)
    assert end.kind == "not_accepted"
    assert end.reply == {"score": 0.1}
    assert len(told) == 1
    assert told[0].result is not None
    assert told[0].error is end


def test_a_condition_that_cannot_be_evaluated_is_not_an_acceptance() -> None:
    def accept(output: Any) -> bool:
        raise ExpressionError("'x' is undefined", "x > 1")

    told, end = attempt_all(ListAgent(["ok"]), make_request(), accept=accept)
    assert isinstance(end, FinalError)
    assert end.kind == "not_accepted"
    assert "'x' is undefined" in end.message
    assert len(told) == 1


@pytest.mark.parametrize(
    ("raised", "kind", "attempts"),
    [(ConfigError("[agentic] inline_wait is wrong"), "rejected", 1), (LookupError("oops"), "bug", 2)],
)
def test_other_exceptions_of_an_agent_get_a_kind(raised: Exception, kind: str, attempts: int) -> None:
    told, end = attempt_all(ListAgent([raised, raised]), make_request(), retry=settings(2))
    assert len(told) == attempts
    assert getattr(end, "kind", None) == kind
    assert str(raised.args[0]) in str(end)


class Terminated(BaseException):
    """What Airflow raises to end a task is no Exception either."""


@dataclass
class SlowAgent:
    """Waits, and lets the test know that it does."""

    seconds: float = 30.0
    started: threading.Event = field(default_factory=threading.Event)

    async def run(self, request: AgentRequest) -> AgentResult:
        self.started.set()
        await asyncio.sleep(self.seconds)
        return AgentResult(output=None, sent={})

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        return {"would": "send"}


def run_told(agent: Any, told: list[Attempt]) -> None:
    run_loop(
        run_attempts(
            agent,
            make_request(),
            retry=settings(3),
            first_attempt=1,
            inline_wait=10,
            accept=None,
            on_attempt=telling(told),
        )
    )


def test_an_attempt_that_raises_what_ends_a_process_is_told_and_passed_on() -> None:
    told: list[Attempt] = []
    with pytest.raises(Terminated):
        run_told(ListAgent([Terminated()]), told)
    assert [(attempt.killed, attempt.error, attempt.result) for attempt in told] == [(True, None, None)]
    assert told[0].sent == {"would": "send"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM])
def test_an_attempt_killed_by_a_signal_is_told_before_the_process_ends(number: signal.Signals) -> None:
    agent, told = SlowAgent(), []
    former = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(Terminated()))
    threading.Thread(
        target=lambda: (agent.started.wait(5), time.sleep(0.05), os.kill(os.getpid(), number)), daemon=True
    ).start()
    try:
        with pytest.raises((KeyboardInterrupt, Terminated)):
            run_told(agent, told)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert [(attempt.killed, attempt.number) for attempt in told] == [(True, 1)]
    assert told[0].seconds < 5


def test_a_record_that_fails_does_not_hide_what_killed_the_attempt() -> None:
    async def fail(attempt: Attempt) -> None:
        raise OSError("disk full")

    attempts = run_attempts(
        ListAgent([Terminated()]),
        make_request(),
        retry=settings(1),
        first_attempt=1,
        inline_wait=1,
        accept=None,
        on_attempt=fail,
    )
    with pytest.raises(Terminated):
        run_loop(attempts)


def test_real_waits_are_slept() -> None:
    told: list[Attempt] = []
    began = time.monotonic()
    run_loop(
        run_attempts(
            ListAgent([unavailable(retry_after=0.2), "ok"]),
            make_request(),
            retry=settings(2),
            first_attempt=1,
            inline_wait=1,
            accept=None,
            on_attempt=telling(told),
        )
    )
    assert 0.2 <= time.monotonic() - began < 2


def test_numbers_go_on_from_those_of_others_but_waits_are_ones_own() -> None:
    waits = Waits()
    told, end = attempt_all(
        ListAgent([unavailable(), "ok"]),
        make_request(),
        retry=settings(3, wait=1.0),
        first_attempt=2,
        numbered_after=3,
        waits=waits,
    )
    assert [attempt.number for attempt in told] == [5, 6]
    assert waits.seconds == [2.0]
    assert told[-1] is end


def test_many_are_at_it_in_one_loop() -> None:
    """Each with its own attempts, and none waits for another."""
    told: list[Attempt] = []

    async def one(number: int) -> Attempt:
        return await run_attempts(
            ListAgent([unavailable()] * (number % 3) + [number]),
            make_request(),
            retry=settings(3, wait=0.05),
            first_attempt=1,
            inline_wait=1,
            accept=None,
            on_attempt=telling(told),
        )

    async def all_of_them() -> list[Attempt]:
        return await asyncio.gather(*(one(number) for number in range(200)))

    began = time.monotonic()
    found = run_loop(all_of_them())
    assert time.monotonic() - began < 5
    assert [attempt.result and attempt.result.output for attempt in found] == list(range(200))
    assert [attempt.number for attempt in found] == [number % 3 + 1 for number in range(200)]
    assert len(told) == sum(number % 3 + 1 for number in range(200))

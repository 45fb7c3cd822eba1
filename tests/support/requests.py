"""Requests and retry settings, as a stage would make them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.attempts import Attempt, RetrySettings, run_attempts
from airflow_agentic.agents.base import AgentRequest, AgentResult, RunInfo
from airflow_agentic.agents.threads import run_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_agentic.agents.base import Agent

RUN = RunInfo(id="manual__1", dag_id="brief", date="2026-11-01T00:00:00+00:00", conf={"topic": "retries"})
#: output "any"
ANY: dict[str, Any] = {}


def make_request(**changes: Any) -> AgentRequest:
    """A request whose output may be anything."""
    return AgentRequest(**{"stage": "draft", "run": RUN, "output_schema": ANY, **changes})


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def run_once(agent: Agent, request: AgentRequest) -> AgentResult:
    """One attempt, in a loop of its own."""
    return run_loop(agent.run(request))


def settings(attempts: int = 3, **changes: Any) -> RetrySettings:
    """Quick retries without chance."""
    return RetrySettings(
        **{"attempts": attempts, "wait": 0.01, "multiplier": 2, "max_wait": 60.0, "jitter": False, **changes}
    )


class Waits:
    """A sleep that only remembers how long it was asked to."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def telling(told: list[Attempt]) -> Callable[[Attempt], Awaitable[None]]:
    """What an attempt is told to: it is put into the list."""

    async def tell(attempt: Attempt) -> None:
        told.append(attempt)

    return tell


def attempt_all(
    agent: Agent,
    request: AgentRequest,
    *,
    retry: RetrySettings | None = None,
    first_attempt: int = 1,
    numbered_after: int = 0,
    inline_wait: float = 1000.0,
    accept: Callable[[Any], bool] | None = None,
    waits: Waits | None = None,
) -> tuple[list[Attempt], Attempt | Exception]:
    """Run the attempts of a stage: those told of, and what came out in the end."""
    told: list[Attempt] = []
    try:
        end: Attempt | Exception = run_loop(
            run_attempts(
                agent,
                request,
                retry=retry or settings(),
                first_attempt=first_attempt,
                numbered_after=numbered_after,
                inline_wait=inline_wait,
                accept=accept,
                on_attempt=telling(told),
                sleep=waits or Waits(),
                draw=lambda: 0.5,
            )
        )
    except Exception as error:
        end = error
    return told, end

"""Blocking work beside an event loop: who waits for it, and how it is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
import types

import pytest

from airflow_agentic.agents.threads import ThreadStopped, run_in_thread, run_loop


def test_a_loop_does_not_wait_for_blocked_executor_threads() -> None:
    release = threading.Event()

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await asyncio.to_thread(release.wait, 10)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        run_loop(main())
    release.set()
    assert time.monotonic() - began < 2


def test_the_executor_gives_results_and_exceptions() -> None:
    async def main() -> list[object]:
        return await asyncio.gather(
            asyncio.to_thread(lambda: 1), asyncio.to_thread(lambda: 1 / 0), return_exceptions=True
        )

    value, error = run_loop(main())
    assert value == 1
    assert isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), StopIteration(), KeyboardInterrupt()])
def test_what_a_function_raises_comes_out(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def main() -> BaseException | None:
        try:
            await run_in_thread(fail)
        except BaseException as caught:
            return caught
        return None

    caught = run_loop(main())
    assert caught is error or isinstance(error, StopIteration)


def stop_soon(function: object) -> None:
    async def main() -> None:
        async with asyncio.timeout(0.05):
            await run_in_thread(function)  # type: ignore[arg-type]

    with pytest.raises(TimeoutError):
        run_loop(main())


def test_a_function_that_nobody_waits_for_is_stopped_but_can_clean_up() -> None:
    seen: list[object] = []
    ended = threading.Event()

    def work() -> None:
        try:
            while True:
                time.sleep(0.001)
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            ended.set()

    stop_soon(work)
    assert ended.wait(2)
    assert seen == [ThreadStopped]


def test_a_thread_is_not_stopped_in_the_middle_of_a_message_to_airflow() -> None:
    comms = types.ModuleType("airflow.sdk.execution_time.comms")
    code = (
        "def send(steps):\n"
        "    import time\n"
        "    for _ in range(40):\n"
        "        time.sleep(0.005)\n"
        "        steps.append('message')\n"
    )
    exec(code, comms.__dict__)
    steps: list[str] = []
    ended = threading.Event()

    def work() -> None:
        try:
            comms.send(steps)
            while True:
                steps.append("own")
                time.sleep(0.001)
        finally:
            ended.set()

    stop_soon(work)
    assert ended.wait(3)
    assert steps.count("message") == 40

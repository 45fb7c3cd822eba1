"""Blocking work beside an event loop: who waits for it, and how it is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
import types

import pytest

from airflow_agentic.agents.threads import ThreadStopped, run_in_thread, run_loop, run_to_end


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


def test_many_threads_are_stopped_at_the_same_time() -> None:
    """Each may be in a message to Airflow's supervisor; waiting for one after the other would take too long."""
    comms = types.ModuleType("airflow.sdk.execution_time.comms")
    exec("def send(seconds):\n    import time\n    time.sleep(seconds)\n", comms.__dict__)
    ended: list[object] = []

    def work() -> None:
        try:
            comms.send(0.4)
            while True:
                time.sleep(0.001)
        except BaseException as error:
            ended.append(type(error))
            raise

    async def main() -> None:
        async with asyncio.timeout(0.1), asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(run_in_thread(work))

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        run_loop(main())
    assert time.monotonic() - began < 3
    deadline = time.monotonic() + 5
    while len(ended) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == [ThreadStopped] * 20


def test_what_must_not_be_left_half_done_is_seen_through() -> None:
    steps: list[str] = []

    def write() -> None:
        steps.append("begun")
        time.sleep(0.2)
        steps.append("done")

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await run_to_end(write)

    with pytest.raises(TimeoutError):
        run_loop(main())
    assert steps == ["begun", "done"]


@pytest.mark.parametrize("error", [ValueError("x"), OSError("disk full")])
def test_what_is_seen_through_may_fail(error: Exception) -> None:
    def write() -> None:
        raise error

    with pytest.raises(type(error)):
        run_loop(run_to_end(write))

"""
Blocking work beside an event loop, in threads that nothing has to wait for.

asyncio's own worker threads are joined when the loop closes and again when the process ends, so one blocked call
keeps an attempt alive long after its timeout. The threads here are daemons: a timeout ends the attempt on time, stops
the thread if Python code is running in it, and otherwise leaves it behind.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

#: Seconds to wait for a thread to finish its message to Airflow's supervisor before it is left alone.
_MESSAGE_PATIENCE = 1.0


class ThreadStopped(BaseException):
    """Raised inside a thread whose result nobody waits for any more. Not an Exception: it isn't to be handled."""


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as :func:`asyncio.run` does, but never wait for its blocked worker threads."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_DaemonExecutor())
        return runner.run(main)


async def run_in_thread(function: Callable[[], T]) -> T:
    """
    Call a blocking function in a thread of its own, with a copy of the caller's context variables.

    When the waiting task is cancelled (by a timeout, say), :class:`ThreadStopped` is raised in the thread. That
    stops Python code; a call into C code ends when it returns, or never.
    """
    work = _Work(function, asyncio.get_running_loop())
    work.thread.start()
    try:
        value, error = await work.future
    except asyncio.CancelledError:
        await work.stop()
        raise
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]


async def run_to_end(function: Callable[[], T]) -> T:
    """Call a blocking function in a thread, and :func:`see_through` that it ends."""
    return await see_through(asyncio.to_thread(function))


async def see_through(work: Coroutine[Any, Any, T]) -> T:
    """
    Await something that must not be left half done: a record, or a message to Airflow's supervisor.

    When the waiting task is cancelled, it waits for the end all the same.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class _Work:
    """One function, its thread, and the future that tells the loop how it ended."""

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        self.thread = threading.Thread(target=self._run, name="agentic-work", daemon=True)
        self._function = function
        self._context = contextvars.copy_context()
        self._loop = loop
        self._lock = threading.Lock()
        self._ended = False

    def _run(self) -> None:
        with suppress(ThreadStopped):
            outcome = self._outcome()
            with self._lock:
                self._ended = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._deliver, outcome)

    def _outcome(self) -> tuple[Any, BaseException | None]:
        try:
            return self._context.run(self._function), None
        except ThreadStopped:
            raise
        except BaseException as error:
            return None, error

    def _deliver(self, outcome: tuple[Any, BaseException | None]) -> None:
        if not self.future.done():
            self.future.set_result(outcome)

    async def stop(self) -> None:
        """
        Raise :class:`ThreadStopped` in the thread, unless its function has ended.

        Many may be stopped at once, and must not wait for one another: little time is left then.
        """
        ident = self.thread.ident
        deadline = time.monotonic() + _MESSAGE_PATIENCE
        while ident is not None and _is_messaging(ident):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.005)
        with self._lock:
            if ident is not None and not self._ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(ThreadStopped))


def _is_messaging(ident: int) -> bool:
    """
    Whether the thread is inside a request to Airflow's supervisor.

    Stopped there, it would leave the answer unread (or the lock taken), and the task's next request would get it.
    """
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if frame.f_globals.get("__name__") == "airflow.sdk.execution_time.comms":
            return True
        frame = frame.f_back
    return False


class _DaemonExecutor(ThreadPoolExecutor):
    """An executor for a loop's ``run_in_executor``: a daemon thread per call, and no waiting at its shutdown."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="agentic-executor", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to do: the threads are nobody's to wait for."""

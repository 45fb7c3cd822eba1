"""
One writing request at a time, for an api-server whose metadata database is SQLite.

Airflow 3.3.2 writes its audit log on the server's event loop. When a request in a thread has begun to write, SQLite's
only write lock is its own until it commits, for which it needs the loop; and the loop waits for the lock. Both then
stand still for as long as SQLite waits, and with them every other request, the heartbeats of running tasks too. Writes
that take turns can't meet so. They don't lose by it: SQLite lets only one of them write anyhow.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What Airflow itself serves; apps of plugins may ask Airflow while they answer.
_WRITING = ("/api/v2/", "/execution/", "/ui/")
_READING = ("GET", "HEAD", "OPTIONS")


class WritesInTurn:
    """ASGI middleware: requests that may write are answered one after the other, in the order of their arrival."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not _may_write(scope):
            await self._app(scope, receive, send)
            return
        receive = await _with_body(receive)
        async with self._turn:
            await self._app(scope, receive, send)


def _may_write(scope: MutableMapping[str, Any]) -> bool:
    if scope["type"] != "http" or scope["method"] in _READING:
        return False
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).startswith(_WRITING)


async def _with_body(receive: Receive) -> Receive:
    """Wait for the whole request: a client that stops in the middle of it must not keep its turn."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    messages.reverse()

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again

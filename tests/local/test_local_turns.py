"""Writes take turns: with a server that writes on its event loop as Airflow's does, and in the real one."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from airflow_agentic.local.turns import WritesInTurn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.airflow_env import AirflowEnv

#: Seconds that SQLite waits for its lock.
_BUSY = 1.0


def _server(database: Path, writing: threading.Event) -> FastAPI:
    """Has a route whose thread writes and commits when it is left, and one that logs on the loop, as Airflow has."""
    app = FastAPI(root_path="/air")

    def session() -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(database, timeout=_BUSY, check_same_thread=False)
        yield connection
        connection.commit()
        connection.close()

    own_session = Depends(session, scope="function", use_cache=False)

    async def log(connection: Any = own_session) -> None:
        connection.execute("INSERT INTO t VALUES ('log')")
        connection.commit()

    def run(connection: Any = own_session) -> None:
        connection.execute("INSERT INTO t VALUES ('run')")
        writing.set()
        time.sleep(0.5)

    async def read() -> None:
        pass

    app.patch("/execution/run")(run)
    app.patch("/api/v2/logged", dependencies=[Depends(log)])(read)
    app.get("/api/v2/read")(read)
    app.post("/mine/read")(read)
    return app


async def _while_another_writes(app: Any, writing: threading.Event, method: str, path: str) -> tuple[list[int], bool]:
    """Ask while the thread of another request writes; the statuses of both, and whether the second one waited."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        first = asyncio.create_task(client.patch("/execution/run"))
        await asyncio.to_thread(writing.wait, 10)
        second = await client.request(method, path)
        waited = first.done()
        return [(await first).status_code, second.status_code], waited


def _asked(database: Path, method: str, path: str, *middlewares: Any) -> tuple[list[int], bool]:
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE t (what TEXT)")
    connection.close()
    writing = threading.Event()
    app = _server(database, writing)
    for middleware in middlewares:
        app.add_middleware(middleware)
    return asyncio.run(_while_another_writes(app, writing, method, path))


def test_what_is_logged_on_the_loop_and_written_in_a_thread_dont_wait_for_each_other(tmp_path: Path) -> None:
    statuses, _ = _asked(tmp_path / "without.db", "PATCH", "/api/v2/logged")
    assert statuses == [200, 500]  # or this server isn't like Airflow's
    assert _asked(tmp_path / "with.db", "PATCH", "/air/api/v2/logged", WritesInTurn) == ([200, 200], True)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v2/read"), ("POST", "/mine/read")])
def test_what_only_reads_and_what_isnt_airflows_own_waits_for_nothing(tmp_path: Path, method: str, path: str) -> None:
    assert _asked(tmp_path / "some.db", method, path, WritesInTurn) == ([200, 200], False)


def test_a_client_that_stops_in_the_middle_of_its_request_keeps_nobody_waiting() -> None:
    seen = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        seen.append((await receive())["type"])

    async def both() -> None:
        writes = WritesInTurn(app)
        scope = {"type": "http", "method": "POST", "path": "/api/v2/x"}
        stuck, whole = ([{"type": "http.request", "body": b"a", "more_body": more}] for more in (True, False))

        async def receive(messages: list[Any]) -> Any:
            if messages:
                return messages.pop()
            if messages is stuck:
                await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        task = asyncio.create_task(writes(scope, lambda: receive(stuck), None))
        await asyncio.sleep(0)
        await asyncio.wait_for(writes(scope, lambda: receive(whole), None), 5)
        task.cancel()

    asyncio.run(both())
    assert seen == ["http.disconnect"]


@pytest.mark.airflow
def test_the_real_api_server_has_it(airflow: AirflowEnv) -> None:
    plugins = airflow.rest.call("GET", "/plugins")["plugins"]
    [plugin] = [plugin for plugin in plugins if plugin["name"] == "agentic_sqlite"]
    [middleware] = plugin["fastapi_root_middlewares"]
    assert middleware["middleware"] == "airflow_agentic.local.turns.WritesInTurn"

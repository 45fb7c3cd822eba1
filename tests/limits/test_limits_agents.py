"""Agents whose connections have limits: real requests over loopback, counted at the server."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, calls, good
from support.requests import attempt_all, make_request, run_once
from support.scripted_server import Call, Reply, ScriptedServer

from airflow_agentic.agents.attempts import RetrySettings, run_attempts
from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import FinalError, LimiterError, RetryLater
from airflow_agentic.limits import stores
from airflow_agentic.limits.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.agents.attempts import Attempt

ONCE = RetrySettings(attempts=1, wait=0, multiplier=1, max_wait=0, jitter=False)
WINDOW = 2.0
#: generous: this machine may be busy, and what is counted is when requests arrive
MARGIN = 0.5


class CountingServer(ScriptedServer):
    """Takes a while for each request, and knows how many it had at the same time."""

    def __init__(self) -> None:
        super().__init__(Reply(body={"ok": True}))
        self.at_work = self.most = 0

    def reply_to(self, call: Call) -> Reply:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        time.sleep(0.1)
        with self._lock:
            self.at_work -= 1
        return super().reply_to(call)


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SqliteStore:
    """Let the agents of this process use a store whose minute is short."""
    store = SqliteStore(str(tmp_path / "limits.db"), window=WINDOW, margin=MARGIN)
    monkeypatch.setattr(stores, "the_store", lambda: store)
    return store


def connect(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer, **limits: Any) -> None:
    fields = {"conn_type": "http", "host": "127.0.0.1", "port": server.port, "extra": {"agentic": limits}}
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(fields))


def most_in_a_window(times: list[float], window: float = WINDOW) -> int:
    return max(sum(at <= other < at + window for other in times) for at in times)


async def attempt(agent: Any, told: list[Attempt], limit_wait: float = 1000.0, **request: Any) -> Attempt:
    async def tell(attempt: Attempt) -> None:
        told.append(attempt)

    return await run_attempts(
        agent,
        make_request(**request),
        retry=ONCE,
        first_attempt=1,
        inline_wait=limit_wait,
        accept=None,
        on_attempt=tell,
        place=request.get("stage"),
    )


def test_forty_items_of_an_http_agent(short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, told = make_agent({"type": "http", "connection": "api", "endpoint": "/"}), []

    async def items() -> None:
        # A timeout far below the waits: they don't count for it.
        await asyncio.gather(*(attempt(agent, told, timeout=1.5, stage=f"item{index}") for index in range(40)))

    with CountingServer() as server:
        connect(monkeypatch, server)
        run_loop(attempt(agent, []))  # the first one imports a lot
        server.calls.clear()
        connect(monkeypatch, server, requests_per_minute=20, max_concurrent=4)
        began = time.monotonic()
        run_loop(items())
        seconds = time.monotonic() - began
    assert len(server.calls) == 40
    assert server.most == 4
    assert most_in_a_window([call.at for call in server.calls]) <= 20
    assert WINDOW < seconds < 3 * WINDOW
    assert all(each.error is None for each in told)
    waits = sorted(each.waited for each in told)
    assert waits[0] < 0.2
    assert waits[-1] > WINDOW * 0.9
    assert max(each.seconds for each in told) < 1.5, "the wait is no part of the work"


def test_a_longer_wait_gives_the_worker_back_and_is_no_attempt(
    short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, told = make_agent({"type": "http", "connection": "api", "endpoint": "/"}), []
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, requests_per_minute=1)
        run_loop(attempt(agent, told, stage="first"))
        with pytest.raises(RetryLater, match=r"'api' is at its limit \(requests_per_minute 1\)") as caught:
            run_loop(attempt(agent, told, 0.5, stage="second"))
        assert caught.value.attempt == 0
        assert 1 < caught.value.wait <= WINDOW + MARGIN
        assert [each.number for each in told] == [1], "no attempt was made"
        time.sleep(caught.value.wait)
        run_loop(attempt(agent, told, 0.5, stage="second"))
    assert told[-1].number == 1
    assert told[-1].waited > 1, "the wait that Airflow had taken over is told, too"
    assert len(server.calls) == 2


def test_a_crashed_process_gives_its_slot_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(str(tmp_path / "limits.db"), lease=2.0)
    monkeypatch.setattr(stores, "the_store", lambda: store)
    agent, told = make_agent({"type": "http", "connection": "api", "endpoint": "/"}), []
    holder = (
        "import sys, time; from airflow_agentic.limits.sqlite import SqliteStore\n"
        "from airflow_agentic.limits.settings import Limits; from airflow_agentic.limits.store import Ask\n"
        "ask = Ask(connection='api', limits=Limits(max_concurrent=1), ticket='t', grant='g')\n"
        "print(SqliteStore(sys.argv[1], lease=2.0).ask(ask).granted, flush=True); time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", holder, str(tmp_path / "limits.db")]
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, max_concurrent=1)
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            process.kill()
        run_loop(attempt(agent, told))
    assert told[0].error is None
    assert 0.5 < told[0].waited < 5


def test_a_cancelled_wait_leaves_the_queue(short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, told = make_agent({"type": "http", "connection": "api", "endpoint": "/"}), []

    async def cancelled() -> None:
        waiting = asyncio.create_task(attempt(agent, told, stage="second"))
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, requests_per_minute=1)
        run_loop(attempt(agent, told, stage="first"))
        run_loop(cancelled())
        assert told[-1].killed
        assert told[-1].waited > 0.3
        run_loop(attempt(agent, told, stage="third"))
    assert told[-1].waited < WINDOW + MARGIN + 1
    assert len(server.calls) == 2


def test_a_wrong_extra_names_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, request_per_minute=1)
        _, end = attempt_all(agent, make_request())
    assert isinstance(end, FinalError)
    assert "The extra of connection 'api': 'agentic' has no setting 'request_per_minute'" in str(end)
    assert not server.calls


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "/proc/none/limits.db"])
def test_without_the_store_nothing_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", url)
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, requests_per_minute=10)
        told, end = attempt_all(agent, make_request())
    assert isinstance(end, LimiterError), "not an attempt's error: Airflow repeats the task"
    assert (told, server.calls) == ([], [])


def test_the_url_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", "postgresql://localhost/limits")
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, requests_per_minute=10)
        _, end = attempt_all(agent, make_request())
    assert "limiter_url must be a path or a redis:// URL" in str(end)


def test_the_file_is_in_airflows_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True})) as server:
        connect(monkeypatch, server, requests_per_minute=10)
        run_once(agent, make_request())
    assert (tmp_path / "agentic" / "limits.db").is_file()


def test_without_limits_nothing_is_imported() -> None:
    code = (
        "import sys, airflow_agentic.agents.http, airflow_agentic.agents.llm, airflow_agentic.agents.attempts\n"
        "print([name for name in sys.modules if name.startswith('airflow_agentic.limits.')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) == {"airflow_agentic.limits.spending", "airflow_agentic.limits.waiting"}


def llm(monkeypatch: pytest.MonkeyPatch, server: OpenAIServer, name: str = "model", **extra: Any) -> None:
    pytest.importorskip("pydantic_ai")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection(**extra))


def ask(**changes: Any) -> dict[str, Any]:
    return {"prompt": "Write about retries.", "output_schema": None, "timeout": 10, **changes}


def test_tokens_of_a_model(short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Attempt] = []
    with OpenAIServer(good("Retries help.")) as server:
        # A reply claims 18 tokens; some 70 are reserved for each request until it is there.
        llm(monkeypatch, server, agentic={"tokens_per_minute": 180})
        agent = make_agent({"type": "llm", "connection": "model", "settings": {"max_tokens": 30}})

        async def items() -> None:
            await asyncio.gather(*(attempt(agent, told, **ask(stage=f"item{index}")) for index in range(16)))

        run_loop(items())
        times = [call.at for call in server.calls if call.path.endswith("/chat/completions")]
    assert len(times) == 16
    assert most_in_a_window(times) * 18 <= 180
    assert most_in_a_window(times) * 18 >= 0.5 * 180, "what was reserved too much is given back"
    assert all(each.error is None for each in told)
    assert max(each.waited for each in told) > 1


def tool(word: str) -> str:
    """Give the word back."""
    return word


def test_tool_turns_are_requests_and_are_never_put_off(
    short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Attempt] = []
    with OpenAIServer(calls(("tool", {"word": "one"})), good("Done.")) as server:
        llm(monkeypatch, server, agentic={"requests_per_minute": 1})
        tools = [{"python": f"{__name__}:tool"}]
        agent = make_agent({"type": "llm", "connection": "model", "tools": tools})
        # The second request has to wait longer than the attempt may wait, and than its timeout.
        run_loop(attempt(agent, told, 0.5, **ask(timeout=1.5)))
        first, second = (call.at for call in server.calls)
    assert second - first >= WINDOW
    assert told[0].result is not None
    assert told[0].result.output == "Done."
    assert WINDOW * 0.9 < told[0].waited < WINDOW + MARGIN + 1


def test_models_that_stand_in_have_limits_of_their_own(
    short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.openai_server import failing

    told: list[Attempt] = []
    with OpenAIServer(failing(503)) as down, OpenAIServer(good("I am here.")) as up:
        llm(monkeypatch, down, fallback_conn_ids=["other"])
        llm(monkeypatch, up, name="other", agentic={"requests_per_minute": 1})
        agent = make_agent({"type": "llm", "connection": "model"})
        run_loop(attempt(agent, told, **ask()))
        run_loop(attempt(agent, told, **ask()))
        first, second = (call.at for call in up.calls)
        assert len(down.calls) == 2
    assert second - first >= WINDOW


def test_a_model_whose_limit_is_reached_hands_its_wait_over(
    short_window: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Attempt] = []
    with OpenAIServer(good("Retries help.")) as server:
        llm(monkeypatch, server, agentic={"requests_per_minute": 1})
        agent = make_agent({"type": "llm", "connection": "model"})
        run_loop(attempt(agent, told, **ask()))
        with pytest.raises(RetryLater):
            run_loop(attempt(agent, told, 0.2, **ask()))
        monkeypatch.setattr(stores, "the_store", _unreachable)
        with pytest.raises(LimiterError):
            run_loop(attempt(agent, told, **ask()))
        assert len(server.requests) == len(told) == 1


def _unreachable() -> SqliteStore:
    raise LimiterError("gone")

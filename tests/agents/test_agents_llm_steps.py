"""Conversations that go on where their process died: no answer and no tool's result is paid for twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import USAGE, OpenAIServer, calls, failing, good, limited
from support.requests import make_request, settings
from support.state_stores import StateStore, journal_of

from airflow_agentic.agents.attempts import Attempt, run_attempts
from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import StoppedError
from airflow_agentic.operators.kept import KeptSteps
from airflow_agentic.operators.life import Life

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = '''
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field


class Page(BaseModel):
    number: int = Field(serialization_alias="n")
    read: datetime


def note(folder: str, what: str) -> str:
    """Write something down."""
    with Path(folder, "notes").open("a") as file:
        file.write(what + "\\n")
    return f"noted {what}"


def page(folder: str, number: int) -> Page:
    """Read a page."""
    note(folder, f"page {number}")
    return Page(number=number, read=datetime(2026, 11, 1))


def picky(folder: str, word: str) -> str:
    """Say please."""
    from pydantic_ai import ModelRetry

    note(folder, f"picky {word}")
    raise ModelRetry("say please")


def breaking(folder: str) -> str:
    """Break."""
    note(folder, "breaking")
    raise ValueError("broken")
'''
SCHEMA = {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}


class Work:
    """The tries of one task, each in a process of its own as far as anybody can tell."""

    def __init__(self, folder: Path) -> None:
        self.store = StateStore()
        self.told: list[Attempt] = []
        self.tries = 0
        self._folder = folder

    def spec(self, *names: str) -> dict[str, Any]:
        tools = [{"python": f"step_tools:{name}"} for name in names]
        return {"type": "llm", "connection": "model", "tools": tools, "settings": {"temperature": 0}}

    def go(self, *names: str, first: int = 1, begun: int = 1, attempts: int = 3, prompt: str = "Work.") -> Attempt:
        """One try."""
        self.tries += 1
        life = Life(former_tries=0, is_first_try=self.tries == 1, is_last_try=False)
        steps = KeptSteps(journal_of(self.store, life, self.tries), "/0", begun=begun, attempt=first)

        async def tell(attempt: Attempt) -> None:
            self.told.append(attempt)
            steps.ended(attempt)

        return run_loop(
            run_attempts(
                make_agent(self.spec(*names)),
                make_request(prompt=prompt, output_schema=SCHEMA, steps=steps),
                retry=settings(attempts),
                first_attempt=first,
                inline_wait=10.0,
                accept=None,
                on_attempt=tell,
            )
        )

    @property
    def notes(self) -> list[str]:
        file = self._folder / "notes"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    (tmp_path / "step_tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(tmp_path)
    return Work(tmp_path)


def use(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())


def note(work: Work, what: str, tool: str = "note") -> dict[str, Any]:
    return calls((tool, {"folder": str(work._folder), "what": what}))


class Dying(OpenAIServer):
    """A server whose client dies while it waits for one of the answers."""

    def __init__(self, *replies: dict[str, Any], at: int) -> None:
        super().__init__(*replies)
        self.at = at

    def reply_to(self, call: Any) -> Any:
        if len(self.requests) == self.at:
            self.at = 0
            self.kill()
        return super().reply_to(call)

    def kill(self) -> None:
        """The client's main task is cancelled, as by nothing else in a test's process."""
        loop, task = self.client
        loop.call_soon_threadsafe(task.cancel)

    client: Any = None


def dies(server: Dying, work: Work, *names: str, **more: Any) -> None:
    """A try that dies: nothing of it is told or kept after that."""
    original = KeptSteps.get

    async def get(self: KeptSteps, key: str) -> Any:
        server.client = asyncio.get_running_loop(), asyncio.current_task()
        return await original(self, key)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(KeptSteps, "get", get)
        with pytest.raises(asyncio.CancelledError):
            work.go(*names, **more)
    assert work.told.pop().killed


def roles(request: dict[str, Any]) -> list[str]:
    return [message["role"] for message in request["messages"] if message["role"] != "system"]


def test_a_conversation_goes_on_where_the_process_died(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [note(work, "one"), note(work, "two"), note(work, "three"), good({"done": True})]
    with Dying(*said[:2], said[2], *said[2:], at=3) as server:
        use(server, monkeypatch)
        dies(server, work, "note")
        assert work.notes == ["one", "two"]
        attempt = work.go("note")
    assert attempt.result is not None
    assert (attempt.number, attempt.result.output) == (1, {"done": True})
    assert work.notes == ["one", "two", "three"]
    assert [len(roles(request)) for request in server.requests] == [1, 3, 5, 5, 7]
    assert server.requests[2]["messages"] == server.requests[3]["messages"]
    assert attempt.result.replayed == 2
    made = [(call["arguments"]["what"], call.get("replayed", False)) for call in attempt.result.tool_calls]
    assert made == [("one", True), ("two", True), ("three", False)]


def test_the_attempt_that_is_made_again_accounts_for_what_was_paid_before(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt whose process died has told nothing about its cost."""
    with Dying(note(work, "one"), note(work, "two"), note(work, "two"), good({"done": True}), at=2) as server:
        use(server, monkeypatch)
        dies(server, work, "note")
        attempt = work.go("note")
    assert attempt.result is not None
    assert (attempt.result.usage.requests, attempt.result.replayed) == (3, 1)
    assert attempt.result.usage.input_tokens == 3 * USAGE["prompt_tokens"]


def test_a_failed_attempt_is_gone_on_with_and_nothing_is_counted_twice(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused request in the third turn costs neither the turns nor the tools before it."""
    replies = [note(work, "one"), note(work, "two"), limited(0.01), failing(503), good({"done": True})]
    with OpenAIServer(*replies) as server:
        use(server, monkeypatch)
        attempt = work.go("note")
    assert [told.error and told.error.kind for told in work.told] == ["rate_limited", "unavailable", None]
    assert work.notes == ["one", "two"]
    assert [len(roles(request)) for request in server.requests] == [1, 3, 5, 5, 5]
    first, second, third = work.told
    assert first.error is not None
    assert second.error is not None
    assert third.result is not None
    assert first.error.details["usage"]["requests"] == 2
    assert (second.error.details["replayed"], third.result.replayed) == (2, 2)
    assert second.error.details["usage"]["input_tokens"] is None
    assert third.result.usage.requests == 1
    assert attempt == third


def test_what_was_said_wrongly_is_not_said_again(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty answer begins the conversation anew: the same question gets a new answer."""
    with OpenAIServer(note(work, "one"), good(""), note(work, "two"), good({"done": True})) as server:
        use(server, monkeypatch)
        attempt = work.go("note")
    assert work.told[0].error is not None
    assert work.told[0].error.kind == "malformed_output"
    assert attempt.result is not None
    assert attempt.result.replayed == 0
    assert len(server.requests) == 4


def test_a_conversation_after_a_malformed_answer_survives_as_well(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = good({"done": "perhaps"})
    with Dying(note(work, "one"), wrong, note(work, "two"), good({}), good({"done": True}), at=4) as server:
        use(server, monkeypatch)
        dies(server, work, "note")
        assert [told.number for told in work.told] == [1]
        attempt = work.go("note", first=2, begun=2)
    assert work.notes == ["one", "two"]
    assert attempt.result is not None
    assert (attempt.number, attempt.result.output, attempt.result.replayed) == (2, {"done": True}, 1)
    assert server.requests[3]["messages"] == server.requests[4]["messages"]
    assert len(server.requests) == 5


def test_another_question_gets_another_answer(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    with Dying(note(work, "one"), note(work, "x"), note(work, "new"), good({"done": True}), at=2) as server:
        use(server, monkeypatch)
        dies(server, work, "note")
        attempt = work.go("note", prompt="Work better.")
    assert work.notes == ["one", "new"]
    assert attempt.result is not None
    assert attempt.result.replayed == 0


def test_the_same_call_twice_is_made_twice(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the provider gives all calls one id."""
    same = {"kind": "same", **note(work, "again")}
    with SameIds(same, same, good({"done": True})) as server:
        use(server, monkeypatch)
        work.go("note")
    assert work.notes == ["again", "again"]


class SameIds(OpenAIServer):
    """Gives every tool call the same id."""

    def reply_to(self, call: Any) -> Any:
        reply = super().reply_to(call)
        for made in reply.body["choices"][0]["message"].get("tool_calls") or ():
            made["id"] = "call"
        return reply


def test_what_tools_give_or_say_is_the_same_afterwards(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = {"folder": str(work._folder)}
    page, picky = calls(("page", {**folder, "number": 3})), calls(("picky", {**folder, "word": "now"}))
    with Dying(page, picky, good({}), good({"done": True}), at=3) as server:
        use(server, monkeypatch)
        dies(server, work, "page", "picky")
        attempt = work.go("page", "picky")
    assert work.notes == ["page 3", "picky now"]
    assert server.requests[2]["messages"] == server.requests[3]["messages"]
    said = [message["content"] for message in server.requests[3]["messages"] if message["role"] == "tool"]
    assert '{"n":3,"read":"2026-11-01T00:00:00"}' in said[0]
    assert attempt.result is not None
    assert attempt.result.replayed == 2


def test_a_broken_tool_makes_the_conversation_begin_anew(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = calls(("breaking", {"folder": str(work._folder)}))
    with OpenAIServer(broken, note(work, "instead"), good({"done": True})) as server:
        use(server, monkeypatch)
        attempt = work.go("breaking", "note")
    assert work.notes == ["breaking", "instead"]
    assert attempt.result is not None
    assert attempt.result.replayed == 0


def test_without_tools_nothing_is_kept(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good({"done": True})) as server:
        use(server, monkeypatch)
        work.go()
    assert work.store.writes == 0


def test_models_that_stand_in_for_one_another_are_kept_as_one(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [note(work, "one"), note(work, "two"), good({"done": True})]
    with OpenAIServer(failing(503)) as away, Dying(said[0], *said[1:], said[2], at=2) as server:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", away.connection(fallback_conn_ids=["other"]))
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", server.connection())
        dies(server, work, "note")
        attempt = work.go("note")
    assert work.notes == ["one"]
    assert attempt.result is not None
    assert attempt.result.replayed == 1
    assert [len(roles(request)) for request in server.requests] == [1, 3, 3]


def test_a_task_without_a_supervisor_ends_instead_of_failing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(StateStore, "set", gone)
    with OpenAIServer(note(work, "one"), good({"done": True})) as server:
        use(server, monkeypatch)
        with pytest.raises(StoppedError, match="supervisor"):
            work.go("note")
    assert work.notes == []
    assert len(server.requests) == 1
    assert [told.killed for told in work.told] == [True]

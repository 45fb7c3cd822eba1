"""Python callables as agents: what they get, what they may return, how they fail and how they are stopped."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.requests import ANY, make_request, run_once

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

MODULE = """
from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, Field

from airflow_agentic.errors import FinalError, RetryableError
from airflow.sdk.exceptions import AirflowFailException

ticks = []
VAR = contextvars.ContextVar("VAR", default="unset")


def echo(**values):
    return values


def with_run(text, run):
    return {"text": text, "run": run}


async def slowly(text: str, *, times: int = 2):
    await asyncio.sleep(0)
    return [text] * times


class Claim(BaseModel):
    text: str = Field(alias="claimText")
    at: date
    pages: tuple[int, ...] = (1, 2)


@dataclass
class Point:
    x: int
    label: str


def model():
    return Claim(claimText="it works", at=date(2026, 11, 1))


def data():
    return {"point": Point(1, "a"), "pair": (1, 2), "when": date(2026, 11, 1), 3: "three"}


def nan():
    return {"score": float("nan")}


def unserializable():
    return {"lock": threading.Lock()}


def surrogate():
    return "\\ud800"


def mutate(items):
    items.append("changed")
    return len(items)


def divide(by):
    return helper(by)


def helper(by):
    return 1 / by


def rate_limited():
    raise RetryableError("slow down", kind="rate_limited", retry_after=7.0)


def refused():
    raise FinalError("no", kind="rejected")


def failed_for_good():
    raise AirflowFailException("give up")


def leave():
    raise SystemExit(3)


async def async_bug():
    raise KeyError("missing")


async def async_forever():
    await asyncio.sleep(60)


def forever():
    try:
        while True:
            ticks.append(threading.current_thread())
            time.sleep(0.005)
    finally:
        ticks.append("stopped")


def blocked():
    time.sleep(1.5)


def late():
    async def later():
        return "later"
    return later()


def thread_info():
    return {"daemon": threading.current_thread().daemon, "var": VAR.get()}


class Tool:
    LIMIT = 3

    @staticmethod
    def use(word):
        return word.upper()

    def __call__(self, word):
        return word


tool = Tool()
import os as operating_system
"""


@pytest.fixture
def callables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    package = tmp_path / "shop_agents"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "work.py").write_text(MODULE)
    (package / "broken.py").write_text("import not_installed_anywhere\n")
    (package / "crashing.py").write_text("raise RuntimeError('at import')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "shop_agents.work"
    for name in [name for name in sys.modules if name.startswith("shop_agents")]:
        del sys.modules[name]


def call(name: str, *, schema: Any = ANY, timeout: float | None = 10, **values: Any) -> Any:
    agent = make_agent({"type": "python", "callable": name})
    return run_once(agent, make_request(input=values, output_schema=schema, timeout=timeout))


def error_of(name: str, **values: Any) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        call(name, **values)
    return caught.value


def test_gets_input_as_keyword_arguments_and_gives_plain_data(callables: str) -> None:
    result = call(f"{callables}:echo", a=1, b={"c": [None, True]})
    assert result.output == {"a": 1, "b": {"c": [None, True]}}
    assert result.sent == {"callable": f"{callables}:echo", "input": {"a": 1, "b": {"c": [None, True]}}}
    assert result.model is None
    assert result.cost_usd is None


def test_gets_run_only_if_it_has_such_a_parameter(callables: str) -> None:
    assert call(f"{callables}:with_run", text="x").output["run"]["conf"] == {"topic": "retries"}
    assert call(f"{callables}:echo", text="x").output == {"text": "x"}
    assert call(f"{callables}:with_run", text="x", run="mine").output["run"] == "mine"


@pytest.mark.parametrize(
    ("name", "values", "output"),
    [
        ("slowly", {"text": "a"}, ["a", "a"]),
        ("late", {}, "later"),
        ("Tool.use", {"word": "a"}, "A"),
        ("tool", {"word": "a"}, "a"),
        ("model", {}, {"text": "it works", "at": "2026-11-01", "pages": [1, 2]}),
        ("data", {}, {"point": {"x": 1, "label": "a"}, "pair": [1, 2], "when": "2026-11-01", "3": "three"}),
    ],
)
def test_sync_async_and_rich_values(callables: str, name: str, values: Any, output: Any) -> None:
    assert call(f"{callables}:{name}", **values).output == output


def test_a_callable_that_changes_its_input_changes_nothing_else(callables: str) -> None:
    items = ["a"]
    result = call(f"{callables}:mutate", items=items)
    assert result.output == 2
    assert items == ["a"]
    assert result.sent["input"] == {"items": ["a"]}


def test_runs_in_a_daemon_thread_with_the_context(callables: str) -> None:
    import importlib

    module = importlib.import_module(callables)
    token = module.VAR.set("from the task")
    try:
        assert call(f"{callables}:thread_info").output == {"daemon": True, "var": "from the task"}
    finally:
        module.VAR.reset(token)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nan", "NaN"), ("unserializable", "not plain data"), ("surrogate", "Unicode")],
)
def test_values_that_json_cannot_hold_are_malformed(callables: str, name: str, problem: str) -> None:
    error = error_of(f"{callables}:{name}")
    assert (error.kind, isinstance(error, RetryableError)) == ("malformed_output", True)
    assert problem in error.message


def test_output_is_checked_against_its_schema(callables: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert call(f"{callables}:echo", schema=schema, a="x", extra=1).output == {"a": "x", "extra": 1}
    error = error_of(f"{callables}:echo", schema=schema, a=3)
    assert error.kind == "malformed_output"
    assert "$.a" in error.message
    assert error.reply == {"a": 3}


def test_text_output_must_be_text(callables: str) -> None:
    assert call(f"{callables}:Tool.use", schema=None, word="a").output == "A"
    assert "must be text, not an object" in error_of(f"{callables}:echo", schema=None).message


def test_an_exception_is_a_bug_with_the_callables_own_traceback(callables: str) -> None:
    error = error_of(f"{callables}:divide", by=0)
    assert isinstance(error, RetryableError)
    assert error.kind == "bug"
    assert error.message == f"{callables}:divide raised ZeroDivisionError: division by zero"
    trace = error.details["traceback"]
    assert "in divide" in trace
    assert "in helper" in trace
    assert "airflow_agentic" not in trace
    assert "threading.py" not in trace


@pytest.mark.parametrize("name", ["leave", "async_bug"])
def test_exits_and_async_exceptions_are_bugs_too(callables: str, name: str) -> None:
    error = error_of(f"{callables}:{name}")
    assert error.kind == "bug"
    assert "airflow_agentic" not in error.details["traceback"]


def test_errors_that_the_callable_classified_pass_through(callables: str) -> None:
    limited = error_of(f"{callables}:rate_limited")
    assert (limited.kind, limited.retry_after, limited.message) == ("rate_limited", 7.0, "slow down")
    assert isinstance(error_of(f"{callables}:refused"), FinalError)
    failed = error_of(f"{callables}:failed_for_good")
    assert isinstance(failed, FinalError)
    assert "give up" in failed.message


def test_a_timeout_stops_python_code_in_its_thread(callables: str) -> None:
    began = time.monotonic()
    error = error_of(f"{callables}:forever", timeout=0.2)
    assert error.kind == "timeout"
    assert "0.2 s" in error.message
    ticks = sys.modules[callables].ticks  # type: ignore[attr-defined]
    worker: threading.Thread = ticks[0]
    worker.join(2)
    assert not worker.is_alive()
    assert ticks[-1] == "stopped"
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("name", ["async_forever", "blocked"])
def test_a_timeout_ends_the_attempt_whatever_the_callable_does(callables: str, name: str) -> None:
    began = time.monotonic()
    assert error_of(f"{callables}:{name}", timeout=0.1).kind == "timeout"
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("shop_agents.wrok:echo", "did you mean 'work'"),
        ("shop_agent.work:echo", "did you mean 'shop_agents'"),
        ("shop_agents.work:ehco", "did you mean 'echo'"),
        ("shop_agents.work:Tool.usee", "did you mean 'use'"),
        ("shop_agents.work:Tool.LIMIT", "can't be called: it is an int"),
        ("shop_agents.work:operating_system.system", "goes through the module 'os'"),
        ("shop_agents.work:echo.__globals__", "private part of Python"),
        ("shop_agents.broken:echo", "No module named 'not_installed_anywhere'"),
        ("shop_agents.crashing:echo", "RuntimeError: at import"),
        ("nonsense", "not the name of a callable"),
        ("a:b:c", "not the name of a callable"),
        ("a.b:c()", "not the name of a callable"),
    ],
)
def test_a_name_that_leads_nowhere_is_final_and_says_where(callables: str, name: str, says: str) -> None:
    error = error_of(name)
    assert isinstance(error, FinalError)
    assert error.kind == "rejected"
    assert says in error.message


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("slowly", {"txt": "a"}, "does not take 'txt' (did you mean 'text'?). It takes: text, times."),
        ("slowly", {}, "missing a required argument: 'text'"),
        ("model", {"a": 1}, "does not take 'a'. It takes: no arguments."),
    ],
)
def test_wrong_arguments_are_final(callables: str, name: str, values: Any, says: str) -> None:
    error = error_of(f"{callables}:{name}", **values)
    assert isinstance(error, FinalError)
    assert says in error.message


def test_the_option_restricts_names_before_anything_is_imported(
    callables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__PYTHON_CALLABLES", "shop_agents.work:*, other.*")
    assert call(f"{callables}:echo").output == {}
    error = error_of("shop_agents.crashing:echo")
    assert isinstance(error, FinalError)
    assert "[agentic] python_callables" in error.message
    assert "shop_agents.crashing" not in sys.modules


def test_a_dotted_name_is_restricted_as_the_name_with_a_colon(callables: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__PYTHON_CALLABLES", "shop_agents.work:echo")
    assert call("shop_agents.work.echo").output == {}
    assert "python_callables" in error_of("shop_agents.work.divide", by=1).message

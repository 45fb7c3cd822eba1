"""Answers that are used again: what makes two questions equal, and when an equal one is asked all the same."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from support.fan_outs import agent_config, task
from support.openai_server import OpenAIServer, calls, good
from support.requests import RUN
from support.scripted_server import Reply, ScriptedServer
from support.state_stores import StateStore, journal_of

from airflow_agentic.agents.threads import run_loop
from airflow_agentic.operators.agent import AgentOperator
from airflow_agentic.operators.asking import Asking, Outcome
from airflow_agentic.operators.attempt_log import Item
from airflow_agentic.operators.life import Life
from airflow_agentic.operators.scope import Scope
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

CODE = '''
from itertools import count

numbers = count(1)
asked = []


def answer(value=None):
    """Another answer to each call."""
    asked.append(value)
    return {"n": next(numbers), "of": value}


def told(value=None, run=None):
    return {"n": next(numbers), "of": run["id"]}


class Object:
    def __call__(self, value=None):
        return {"n": next(numbers)}


thing = Object()
'''
TTL = {"ttl": 3600.0, "tools": False}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of callables of the test's own, and stores of its own."""
    file = tmp_path / "cached_agents.py"
    file.write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cached_agents", raising=False)
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path / "trace"))
    monkeypatch.setenv("AIRFLOW__AGENTIC__CACHE_URL", str(tmp_path / "cache"))
    yield file
    sys.modules.pop("cached_agents", None)


def python_agent(name: str = "answer", **more: Any) -> dict[str, Any]:
    return {"type": "python", "callable": f"cached_agents:{name}", "output_schema": {}, **more}


def ask(
    agent: dict[str, Any],
    *,
    run_id: str,
    item: Item | None = None,
    former: int = 0,
    try_number: int = 1,
    value: Any = 1,
    map_index: int | None = None,
    more: dict[str, dict[str, Any]] | None = None,
    planned: dict[str, Any] | None = None,
    **config: Any,
) -> Outcome:
    """One stage of one run, asking ``worker``."""
    own = agent_config(**{"cache": TTL, "input": {"value": value}, **config})
    with DAG("d"):
        planned_task = replace(task("work", "agent", own), **(planned or {}))
        operator = AgentOperator.of(planned_task, "d1", agents={"worker": agent, **(more or {})})
    ti = SimpleNamespace(run_id=run_id, map_index=map_index, try_number=try_number, max_tries=10)
    life = Life(former_tries=former, is_first_try=try_number - former <= 1, is_last_try=False)
    scope = Scope(values={"inputs": {}}, tasks={}, run=replace(RUN, id=run_id))
    asking = Asking(operator, {"ti": ti}, scope, life, journal_of(StateStore(), life, try_number))  # type: ignore[typeddict-item]
    return run_loop(asking.outcome(item))


def record_of(outcome: Outcome) -> AttemptRecord:
    record = TraceStore().read(str(outcome.record))
    assert isinstance(record, AttemptRecord)
    return record


def files(module: Path) -> list[Path]:
    return sorted((module.parent / "cache").rglob("*.json"))


# ---- hits


def test_an_equal_question_is_paid_for_once(module: Path) -> None:
    first, second = ask(python_agent(), run_id="r1"), ask(python_agent(), run_id="r2")
    assert first.output == second.output == {"n": 1, "of": 1}
    paid, kept = record_of(first), record_of(second)
    assert (paid.cached, kept.state, kept.attempt) == (None, "success", 1)
    assert kept.cached is not None
    assert kept.cached["run"] == {"dag_id": "d", "run_id": "r1"}
    assert kept.cached["record"] == first.record
    assert kept.cached["stored"] >= paid.ended
    assert (kept.tokens, kept.cost_usd) == ({"input": None, "output": None}, None)
    assert kept.cache_key == paid.cache_key is not None
    assert kept.input == paid.input


def test_without_a_cache_everything_is_asked(module: Path) -> None:
    for number in (1, 2):
        outcome = ask(python_agent(), run_id=f"r{number}", cache=None)
        assert outcome.output["n"] == number
        assert record_of(outcome).cache_key is None
    assert files(module) == []


def test_a_stand_ins_answer_is_its_own(module: Path) -> None:
    broken = {"type": "python", "callable": "support.item_agents:unavailable", "output_schema": {}}
    entry = {"kinds": [], "agent": "other", "prompt": None, "prompt_reads": "stages", "instructions": None}
    outcomes = [ask(broken, run_id=f"r{n}", recover=[entry], more={"other": python_agent()}) for n in (1, 2)]
    assert [(outcome.output["n"], outcome.recovered, outcome.attempt) for outcome in outcomes] == [(1, "agent", 4)] * 2
    assert record_of(outcomes[1]).cached is not None
    assert ask(python_agent(), run_id="r3").output["n"] == 1


# ---- what makes another question


def test_any_change_of_the_question_is_asked(module: Path) -> None:
    asked = [
        ask(python_agent(), run_id="r1"),
        ask(python_agent(), run_id="r2", value=2),
        ask(python_agent(description="other"), run_id="r3"),
        ask(python_agent(output_schema={"type": "object"}), run_id="r4"),
        ask(python_agent(), run_id="r5", item=Item(index=0, value=None)),
        ask(python_agent(), run_id="r6", item=Item(index=1, value=None)),
        ask(python_agent(), run_id="r7", planned={"mapped": "group"}, map_index=0),
        ask(python_agent(), run_id="r8", planned={"mapped": "group"}, map_index=1),
    ]
    assert [outcome.output["n"] for outcome in asked] == list(range(1, 9))


def test_how_often_and_how_long_is_no_part_of_it(module: Path) -> None:
    first = ask(python_agent(), run_id="r")
    patient = {"attempts": 9, "wait": 1.0, "multiplier": 1.0, "max_wait": 1.0, "jitter": True}
    assert ask(python_agent(), run_id="r2", retry=patient, timeout=5.0, map_index=3).output == first.output


def test_changed_code_is_another_agent(module: Path) -> None:
    assert ask(python_agent(), run_id="r1").output["n"] == 1
    module.write_text(CODE + "# a change\n")
    assert ask(python_agent(), run_id="r2").output["n"] == 2
    module.write_text(CODE)
    assert ask(python_agent(), run_id="r3").output["n"] == 1


def test_objects_have_the_code_of_their_class(module: Path) -> None:
    assert [ask(python_agent("thing"), run_id=f"r{n}").output["n"] for n in (1, 2)] == [1, 1]
    module.write_text(CODE + "# a change\n")
    assert ask(python_agent("thing"), run_id="r3").output["n"] == 2


def test_who_is_told_the_run_is_asked_in_every_run(module: Path) -> None:
    assert [ask(python_agent("told"), run_id=f"r{n}").output["n"] for n in (1, 2)] == [1, 2]
    assert files(module) == []


def test_a_callable_that_may_not_be_used_any_more_is_refused(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(python_agent(), run_id="r1")
    monkeypatch.setenv("AIRFLOW__AGENTIC__PYTHON_CALLABLES", "other:*")
    outcome = ask(python_agent(), run_id="r2")
    assert outcome.failed is not None
    assert "may not be used here" in str(outcome.failed)


# ---- time


def test_an_old_answer_is_replaced(module: Path) -> None:
    ask(python_agent(), run_id="r1")
    [file] = files(module)
    data = json.loads(file.read_text())
    file.write_text(json.dumps({**data, "stored": (datetime.now(UTC) - timedelta(hours=2)).isoformat()}))
    assert ask(python_agent(), run_id="r2").output["n"] == 2
    assert files(module) == [file]
    assert ask(python_agent(), run_id="r3").output["n"] == 2
    assert ask(python_agent(), run_id="r4", cache={"ttl": 0.0, "tools": False}).output["n"] == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1, "key": "another"}', b"\xff\x00", "{}" * 100]
)
def test_what_can_not_be_read_is_asked_again(module: Path, text: str | bytes, caplog: pytest.LogCaptureFixture) -> None:
    ask(python_agent(), run_id="r1")
    [file] = files(module)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with caplog.at_level(logging.WARNING):
        assert ask(python_agent(), run_id="r2").output["n"] == 2
    assert "can't be read" in caplog.text
    assert ask(python_agent(), run_id="r3").output["n"] == 2


def test_an_answer_that_does_not_fit_the_schema_is_none(module: Path) -> None:
    agent = python_agent(output_schema={"type": "object", "required": ["n"]})
    ask(agent, run_id="r1")
    [file] = files(module)
    file.write_text(json.dumps({**json.loads(file.read_text()), "output": "changed by hand"}))
    assert ask(agent, run_id="r2").output["n"] == 2


def test_a_store_that_can_not_be_written_costs_a_warning(
    module: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (module.parent / "file").touch()
    monkeypatch.setenv("AIRFLOW__AGENTIC__CACHE_URL", str(module.parent / "file"))
    with caplog.at_level(logging.WARNING):
        assert ask(python_agent(), run_id="r1").output["n"] == 1
    assert "can't be kept" in caplog.text


def test_any_file_system_will_do(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__CACHE_URL", "memory://agentic-cache-test")
    assert [ask(python_agent(), run_id=f"r{n}").output["n"] for n in (1, 2)] == [1, 1]


# ---- what isn't used, or isn't kept


def test_only_accepted_answers_are_kept_and_only_acceptable_ones_used(module: Path) -> None:
    refused = ask(python_agent(), run_id="r1", accept="output.n > 1")
    assert refused.failed is not None
    assert files(module) == []
    assert ask(python_agent(), run_id="r2", accept="output.n > 1").output["n"] == 2
    assert ask(python_agent(), run_id="r3", accept="output.n > 2").output["n"] == 3
    assert ask(python_agent(), run_id="r4", accept="output.n == 3").output["n"] == 3


def test_who_clears_a_task_gets_a_new_answer(module: Path) -> None:
    ask(python_agent(), run_id="r1")
    assert ask(python_agent(), run_id="r1", former=1, try_number=2).output["n"] == 2
    assert ask(python_agent(), run_id="r2").output["n"] == 2


def test_a_later_try_uses_what_there_is(module: Path) -> None:
    ask(python_agent(), run_id="r1")
    outcome = ask(python_agent(), run_id="r2", try_number=2)
    assert outcome.output["n"] == 1


LOOP = """
agents:
  w: {type: python, callable: "cached_agents:answer", output: {n: integer, of: any}}
stages:
  draft: {agent: w, input: {value: "{{ feedback.change | default('same') }}"}, cache: {ttl: 1h}}
  each: {agent: w, for_each: "[1, 1]", input: {value: "{{ [item, draft.of] }}"}, cache: {ttl: 1h}}
  qa:
    agent: w
    input: {value: "{{ [draft, each] }}"}
    routes:
      - {when: "round == 3", to: next}
      - {back_to: draft, max_rounds: 3, with: {change: "{{ 'other' if round == 2 else 'same' }}"}}
output: {draft: "{{ draft.n }}"}
"""


def test_who_goes_back_with_the_same_input_gets_a_new_answer(module: Path, run_template: RunTemplate) -> None:
    first, second = run_template(LOOP), run_template(LOOP)
    assert first.state == second.state == "success"

    def drafts(ran: Ran) -> list[tuple[int, Any, bool]]:
        found = sorted(ran.attempts("draft"), key=lambda record: record.round)
        return [(record.round, record.input["input"]["value"], record.cached is not None) for record in found]

    assert drafts(first) == [(1, "same", False), (2, "same", False), (3, "other", False)]
    assert drafts(second) == [(1, "same", True), (2, "same", False), (3, "other", True)]
    of_items = sorted(
        (record.round, (record.item or {})["index"]) for record in second.attempts("each") if record.cached
    )
    assert of_items == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert len({json.dumps(record.output) for record in first.attempts("each")}) == 6


# ---- models and APIs


def model(**more: Any) -> dict[str, Any]:
    return {"type": "llm", "connection": "cached_model", "output_schema": None, **more}


ASKED = {"prompt": "What is it?", "input": {}}


def test_the_model_behind_a_connection_is_part_of_the_question(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydantic_ai")
    with OpenAIServer(*(good(f"answer {n}") for n in range(1, 9))) as server:

        def asked(run_id: str, agent: dict[str, Any], **extra: Any) -> Any:
            monkeypatch.setenv("AIRFLOW_CONN_CACHED_MODEL", server.connection(**extra))
            monkeypatch.setenv("AIRFLOW_CONN_CACHED_OTHER", server.connection())
            return ask(agent, run_id=run_id, **ASKED).output

        limits = {"agentic": {"requests_per_minute": 1000}}
        found = [
            asked("r1", model()),
            asked("r2", model()),
            asked("r3", model(), **limits),
            asked("r4", model(), model="openai-chat:other"),
            asked("r5", model(model="openai-chat:gpt-test")),
            asked("r6", model(model="openai-chat:gpt-test"), model="openai-chat:other"),
            asked("r7", model(settings={"temperature": 1})),
            asked("r8", model(), fallback_conn_ids=["cached_other"]),
        ]
    numbers = [int(text.removeprefix("answer ")) for text in found]
    assert numbers == [1, 1, 1, 2, 3, 3, 4, 5]
    assert len(server.requests) == 5


def test_a_new_key_changes_no_answer(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydantic_ai")
    with OpenAIServer(good("one"), good("two")) as server:
        monkeypatch.setenv("AIRFLOW_CONN_CACHED_MODEL", server.connection())
        ask(model(), run_id="r1", **ASKED)
        rotated = {**json.loads(server.connection()), "password": "another"}
        monkeypatch.setenv("AIRFLOW_CONN_CACHED_MODEL", json.dumps(rotated))
        assert ask(model(), run_id="r2", **ASKED).output == "one"


@pytest.mark.parametrize(("tools", "requests"), [(False, 4), (True, 2)])
def test_agents_with_tools_have_to_say_so(
    module: Path, monkeypatch: pytest.MonkeyPatch, tools: bool, requests: int
) -> None:
    pytest.importorskip("pydantic_ai")
    called = calls(("answer", {"value": "x"}))
    with OpenAIServer(called, good("done"), called, good("done again")) as server:
        monkeypatch.setenv("AIRFLOW_CONN_CACHED_MODEL", server.connection())
        agent = model(tools=[{"python": "cached_agents:answer"}])
        for number in (1, 2):
            ask(agent, run_id=f"r{number}", cache={"ttl": 60.0, "tools": tools}, **ASKED)
    assert len(server.requests) == requests


def test_another_host_is_another_api(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = {"type": "http", "connection": "cached_api", "endpoint": "/a", "output_schema": {}}
    with ScriptedServer(Reply(body={"n": 1})) as one, ScriptedServer(Reply(body={"n": 2})) as two:
        for number, server in enumerate((one, one, two, one)):
            connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": server.port}
            monkeypatch.setenv("AIRFLOW_CONN_CACHED_API", json.dumps(connection))
            outcome = ask(agent, run_id=f"r{number}")
            assert outcome.output == {"n": 1 if server is one else 2}
    assert (len(one.calls), len(two.calls)) == (1, 1)


def test_a_missing_connection_is_told_as_ever(module: Path) -> None:
    agent = {"type": "http", "connection": "nowhere", "endpoint": "/a", "output_schema": {}}
    outcome = ask(agent, run_id="r1")
    assert "There is no Airflow connection 'nowhere'" in str(outcome.failed)

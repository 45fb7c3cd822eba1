"""Agents of runs with a budget: real requests over loopback, counted at the server."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, calls, failing, good, out_of_tokens, slow
from support.requests import attempt_all, free_port, make_request, run_once
from support.requests import settings as retrying
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import FinalError, LimiterError, RetryLater
from airflow_agentic.limits.prices import list_prices
from airflow_agentic.limits.purse import purse_of
from airflow_agentic.limits.purses_sqlite import SqlitePurses
from airflow_agentic.limits.spending import Budget, Spending
from airflow_agentic.limits.waiting import Waiting

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.agents.base import AgentRequest
    from airflow_agentic.limits.purses import Sums

#: What a scripted reply claims to have taken.
TAKEN = 18
ONCE = retrying(attempts=1)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A store of this test's own."""
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", str(tmp_path / "limits.db"))
    return str(tmp_path / "limits.db")


def spent(store: str, run: str = "brief/1") -> Sums:
    """What a run has spent until now."""
    from airflow_agentic.limits.purses import Bounds, Sums, Wish

    nothing = Wish(run=run, call="a look", bounds=Bounds(calls=0), most=Sums(), least=Sums())
    return SqlitePurses(store).reserve(nothing).spent


def ask(budget: dict[str, Any], **changes: Any) -> AgentRequest:
    """A request of a run with a budget."""
    given = {"prompt": "Write about retries.", "output_schema": None, "timeout": 10}
    return make_request(**{**given, "spending": purse_of(budget, "brief/1"), **changes})


def connect(monkeypatch: pytest.MonkeyPatch, server: OpenAIServer, name: str = "model", **extra: Any) -> None:
    pytest.importorskip("pydantic_ai")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection(**extra))


def model(**settings: Any) -> Any:
    return make_agent({"type": "llm", "connection": "model", "settings": settings})


def refusal(end: object) -> FinalError:
    assert isinstance(end, FinalError), end
    assert end.kind == "budget_exceeded"
    return end


def at_once(agent: Any, requests: list[AgentRequest]) -> list[Any]:
    """What came of all of them, asked at the same time."""

    async def together() -> list[Any]:
        return await asyncio.gather(*(agent.run(each) for each in requests), return_exceptions=True)

    return run_loop(together())


# --- calls ---


def test_eight_http_requests_at_once_and_five_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True}, delay=0.1)) as server:
        fields = {"conn_type": "http", "host": "127.0.0.1", "port": server.port}
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(fields))
        ends = at_once(agent, [ask({"calls": 5}, output_schema={}) for _ in range(8)])
        assert len(server.calls) == 5
    refused = [refusal(end) for end in ends if isinstance(end, Exception)]
    assert len(refused) == 3
    assert "calls: 5 of 5 used" in str(refused[0])


def add(number: int) -> int:
    """Not more than this."""
    CALLED.append(number)
    return number + 1


CALLED: list[int] = []


def test_python_agents_count_their_attempts() -> None:
    CALLED.clear()
    agent = make_agent({"type": "python", "callable": f"{__name__}:add"})
    ends = at_once(agent, [ask({"calls": 3}, input={"number": number}, output_schema={}) for number in range(6)])
    assert len(CALLED) == 3
    assert sum(isinstance(end, FinalError) for end in ends) == 3


def test_failed_attempts_count_and_the_next_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(failing(503)) as server:
        connect(monkeypatch, server)
        told, end = attempt_all(model(), ask({"calls": 2}), retry=retrying(attempts=5))
        assert len(server.requests) == 2
    assert "calls: 2 of 2 used" in str(refusal(end))
    assert [attempt.error.kind for attempt in told if attempt.error] == [
        "unavailable",
        "unavailable",
        "budget_exceeded",
    ]


def word(word: str) -> str:
    """Give the word back."""
    return word


def test_a_conversation_that_is_stopped_in_the_middle_tells_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [calls(("word", {"word": str(number)})) for number in range(5)]
    with OpenAIServer(*script) as server:
        connect(monkeypatch, server, agentic={"prices": {"input_per_million": 1000, "output_per_million": 10_000}})
        tools = [{"python": f"{__name__}:word"}]
        agent = make_agent({"type": "llm", "connection": "model", "tools": tools})
        (told,), end = attempt_all(agent, ask({"calls": 2}))
        assert len(server.requests) == 2
    details = refusal(end).details
    assert details["used"] == {"calls": 2}
    assert details["usage"] == {"input_tokens": 22, "output_tokens": 14, "requests": 2}
    assert details["cost_usd"] == pytest.approx(0.162)
    assert len(details["tool_calls"]) == 2
    assert told.error is end


def test_models_that_stand_in_are_calls_of_their_own(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(failing(503)) as down, OpenAIServer(good("I am here.")) as up:
        connect(monkeypatch, down, fallback_conn_ids=["other"])
        connect(monkeypatch, up, name="other")
        run_once(model(), ask({"calls": 3}))
        assert spent(store).calls == 2
        with pytest.raises(FinalError, match="calls: 3 of 3 used"):
            run_once(model(), ask({"calls": 3}))
        assert (len(down.calls), len(up.calls)) == (2, 1)


# --- tokens ---


def test_tokens_of_a_model_are_settled_with_the_truth(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        ends = at_once(model(max_tokens=60), [ask({"tokens": 400}) for _ in range(30)])
        made = len(server.requests)
        assert all(request["max_completion_tokens"] <= 60 for request in server.requests)
    assert spent(store).tokens == made * TAKEN <= 400
    assert made * TAKEN > 400 - 100, "what was reserved too much was given back"
    assert sum(isinstance(end, FinalError) for end in ends) == 30 - made


def test_an_answer_is_bounded_by_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        told, end = attempt_all(model(), ask({"tokens": 100}), retry=ONCE)
        first = server.requests[0]["max_completion_tokens"]
        assert not isinstance(end, Exception), told
        run_once(model(), ask({"tokens": 20_000}))
        assert server.requests[1]["max_completion_tokens"] == 8192
        run_once(model(max_tokens=10_000), ask({"tokens": 20_000}))
        assert server.requests[2]["max_completion_tokens"] == 10_000
    assert 16 <= first < 80


def test_without_such_a_budget_no_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        run_once(model(), ask({"calls": 5}))
        run_once(model(), make_request(prompt="Hello.", output_schema=None))
        assert all("max_completion_tokens" not in request for request in server.requests)


def test_a_prompt_for_which_too_little_is_left_is_not_sent(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        _, end = attempt_all(model(), ask({"tokens": 100}, prompt="word " * 100))
        assert "tokens: 0 of 100 used" in str(refusal(end))
        assert not server.requests
    assert spent(store).calls == 0


def test_errors_of_the_provider_cost_no_tokens(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(failing(503), failing(503), good("Retries help.")) as server:
        connect(monkeypatch, server)
        _, end = attempt_all(model(), ask({"tokens": 100}))
        assert not isinstance(end, Exception)
    assert (spent(store).calls, spent(store).tokens) == (3, TAKEN)


def test_what_was_never_sent_costs_no_tokens(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    nobody = {"conn_type": "pydanticai", "host": f"http://127.0.0.1:{free_port()}/v1", "password": "x"}
    monkeypatch.setenv("AIRFLOW_CONN_MODEL", json.dumps({**nobody, "extra": {"model": "openai-chat:gpt-test"}}))
    attempt_all(model(), ask({"tokens": 1000}))
    assert (spent(store).calls, spent(store).tokens) == (3, 0)


def test_an_answer_that_came_too_late_costs_what_it_may_have_cost(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(slow(5)) as server:
        connect(monkeypatch, server)
        attempt_all(model(max_tokens=100), ask({"tokens": 1000}, timeout=1), retry=ONCE)
    assert 100 < spent(store).tokens < 200


def test_an_answer_without_usage_costs_what_it_may_have_cost(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.", usage=None)) as server:
        connect(monkeypatch, server)
        run_once(model(max_tokens=100), ask({"tokens": 1000}))
    assert 100 < spent(store).tokens < 200


def test_an_answer_that_is_cut_off_by_the_budget_ends_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(out_of_tokens("Half a")) as server:
        connect(monkeypatch, server)
        told, end = attempt_all(model(), ask({"tokens": 80}))
    refusal(end)
    assert [attempt.error.kind for attempt in told if attempt.error] == ["malformed_output", "budget_exceeded"]


# --- money ---

OWN = {"prices": {"input_per_million": 1000, "output_per_million": 10_000}}
#: what a scripted reply costs with them
COST = 11 * 0.001 + 7 * 0.01


def test_own_prices_decide_what_a_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic=OWN)
        assert run_once(model(), make_request(prompt="Hello.", output_schema=None)).cost_usd == pytest.approx(COST)
        connect(monkeypatch, server, model="openai-chat:gpt-5", agentic=OWN)
        assert run_once(model(), make_request(prompt="Hello.", output_schema=None)).cost_usd == pytest.approx(COST)
        connect(monkeypatch, server, model="openai-chat:gpt-5")
        listed = list_prices("gpt-5", provider="openai")
        assert listed is not None
        result = run_once(model(), make_request(prompt="Hello.", output_schema=None))
        assert result.cost_usd == pytest.approx(listed.cost_usd(11, 7))
        connect(monkeypatch, server)
        assert run_once(model(), make_request(prompt="Hello.", output_schema=None)).cost_usd is None


def test_money_is_never_overspent(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic=OWN)
        ends = at_once(model(max_tokens=50), [ask({"cost_usd": 1.5}) for _ in range(30)])
        made = len(server.requests)
    assert spent(store).nanos == round(made * COST * 1e9) <= 1.5e9
    assert made * COST > 1.5 - 0.6
    refused = [refusal(end) for end in ends if isinstance(end, Exception)]
    assert len(refused) == 30 - made
    assert refused[0].details["budget"] == {"cost_usd": 1.5}


def test_an_answer_is_bounded_by_the_money_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic=OWN)
        run_once(model(), ask({"cost_usd": 1.0}))
        bound = server.requests[0]["max_completion_tokens"]
    assert 80 <= bound < 100, "a cent each, and some for the prompt"


def test_a_price_that_nobody_knows_is_said_before_the_call(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        _, end = attempt_all(model(), ask({"cost_usd": 1.5}))
        assert not server.requests
    assert isinstance(end, FinalError)
    assert end.kind == "rejected"
    assert "The price of the model 'gpt-test' isn't known" in str(end)
    assert "the extra of the connection 'model'" in str(end)
    assert '{"agentic": {"prices": {"input_per_million": …, "output_per_million": …}}}' in str(end)
    assert spent(store).calls == 0


def test_a_listed_model_needs_no_own_prices(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, model="openai-chat:gpt-5")
        result = run_once(model(), ask({"cost_usd": 1.5}))
    assert result.cost_usd is not None
    assert spent(store).nanos == pytest.approx(result.cost_usd * 1e9, abs=1)


# --- with limits ---


def test_who_is_refused_by_the_budget_takes_nothing_from_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic={"requests_per_minute": 2})
        run_once(model(), ask({"calls": 1}))
        for _ in range(5):
            with pytest.raises(FinalError, match="calls: 1 of 1 used"):
                run_once(model(), ask({"calls": 1}))
        began = time.monotonic()
        run_once(model(), make_request(prompt="Hello.", output_schema=None, timeout=10))
        assert time.monotonic() - began < 5
        assert len(server.requests) == 2


def test_who_does_not_get_past_the_limit_has_made_no_call(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic={"requests_per_minute": 1})
        run_once(model(), ask({"calls": 3, "tokens": 20_000}))
        for _ in range(3):
            with pytest.raises(RetryLater):
                run_once(model(), ask({"calls": 3, "tokens": 20_000}, waiting=Waiting(longest=0.1)))
        assert len(server.requests) == 1
    assert (spent(store).calls, spent(store).tokens) == (1, TAKEN)


def test_the_same_for_http(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    agent = make_agent({"type": "http", "connection": "api", "endpoint": "/"})
    with ScriptedServer(Reply(body={"ok": True})) as server:
        fields = {"conn_type": "http", "host": "127.0.0.1", "port": server.port}
        extra = {"agentic": {"requests_per_minute": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps({**fields, "extra": extra}))
        run_once(agent, ask({"calls": 3}, output_schema={}))
        with pytest.raises(RetryLater):
            run_once(agent, ask({"calls": 3}, output_schema={}, waiting=Waiting(longest=0.1)))
    assert spent(store).calls == 1


def test_who_is_stopped_while_he_waits_for_the_limit_has_made_no_call(
    monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    async def stopped() -> None:
        task = asyncio.create_task(model().run(ask({"calls": 3, "tokens": 20_000})))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic={"requests_per_minute": 1})
        run_once(model(), ask({"calls": 3, "tokens": 20_000}))
        run_loop(stopped())
        assert len(server.requests) == 1
    assert (spent(store).calls, spent(store).tokens) == (1, TAKEN)


def test_limits_and_a_budget_do_not_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds what another waits for, if they were taken in another order by somebody."""
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server, agentic={"max_concurrent": 2})
        requests = [replace(ask({"tokens": 2000}), timeout=20) for _ in range(20)]
        ends = at_once(model(max_tokens=400), requests)
        made = len(server.requests)
    assert made == sum(not isinstance(end, Exception) for end in ends) == 20


# --- the store ---


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "/proc/none/limits.db"])
def test_without_the_store_nothing_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", url)
    with OpenAIServer(good("Retries help.")) as server:
        connect(monkeypatch, server)
        told, end = attempt_all(model(), ask({"calls": 5}))
        assert not server.requests
    assert isinstance(end, LimiterError), "not an attempt's error: Airflow repeats the task"
    assert told == []


def test_a_run_has_one_purse_under_its_name(store: str) -> None:
    purse: Spending = purse_of({"calls": 5, "cost_usd": 1.5}, "brief/1")
    assert purse.budget == Budget(calls=5, cost_usd=1.5)

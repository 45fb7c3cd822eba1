"""Who is asked when an agent fails, under which numbers, and what is taken instead."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from support.fan_outs import agent_config, python_agent, task
from support.records import attempt, failed_attempt
from support.requests import RUN
from support.state_stores import StateStore, journal_of

from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import RetryLater
from airflow_agentic.operators.agent import AgentOperator
from airflow_agentic.operators.asking import Asking, Outcome, kind_of, message_of
from airflow_agentic.operators.attempt_log import Item
from airflow_agentic.operators.life import Life
from airflow_agentic.operators.scope import Scope
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

FAILING = python_agent("unavailable")
AGENTS = {
    "worker": FAILING,
    "second": python_agent("unavailable"),
    "double": python_agent("double"),
    "other": python_agent("stand_in"),
}
SCOPE = Scope(values={"draft": {"n": 7}}, tasks={}, run=RUN)
FIRST_TRY = Life(former_tries=0, is_first_try=True, is_last_try=False)


@pytest.fixture(autouse=True)
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    return TraceStore()


def stand_in(agent: str, *kinds: str, **more: Any) -> dict[str, Any]:
    own = {"prompt": None, "prompt_reads": "stages", "instructions": None}
    return {"kinds": list(kinds), "agent": agent, **own, **more}


def value(value: Any, *kinds: str) -> dict[str, Any]:
    return {"kinds": list(kinds), "value": value}


def asking(
    *recover: dict[str, Any],
    life: Life = FIRST_TRY,
    try_number: int = 1,
    schema: Any = None,
    store: StateStore | None = None,
    **config: Any,
) -> Asking:
    own = agent_config(recover=list(recover), **{"input": {"value": "{{ draft.n }}"}, **config})
    agents = AGENTS if schema is None else {**AGENTS, "worker": {**FAILING, "output_schema": schema}}
    with DAG("d"):
        operator = AgentOperator.of(task("work", "agent", own), "d1", agents=agents)
    ti = SimpleNamespace(run_id="r", map_index=None, try_number=try_number, max_tries=10)
    journal = journal_of(StateStore() if store is None else store, life, try_number)
    return Asking(operator, {"ti": ti}, SCOPE, life, journal)  # type: ignore[typeddict-item]


def ask(*recover: dict[str, Any], **more: Any) -> Outcome:
    return run_loop(asking(*recover, **more).outcome())


def numbers(trace: TraceStore) -> list[tuple[int, int, str, str]]:
    records = [record for record in trace.records("d", "r").values() if isinstance(record, AttemptRecord)]
    return sorted((record.try_number, record.attempt, record.agent["name"], record.state) for record in records)


def test_without_recoveries_the_error_is_the_outcome() -> None:
    outcome = ask()
    assert outcome.failed is not None
    assert (kind_of(outcome.failed), message_of(outcome.failed)) == ("unavailable", "away")
    assert (outcome.attempt, outcome.agent, outcome.recovered) == (3, "worker", None)


def test_a_success_needs_no_recovery(trace: TraceStore) -> None:
    outcome = ask(value(0), agent="double")
    assert (outcome.output, outcome.error, outcome.recovered, outcome.agent) == (14, None, None, "double")
    assert outcome.record == "d/r/attempts/work.-1.1.1.json"


def test_a_stand_in_has_the_stages_input_and_numbers_that_go_on(trace: TraceStore) -> None:
    outcome = ask(stand_in("other"))
    assert (outcome.output, outcome.recovered, outcome.agent) == ({"instead": 7}, "agent", "other")
    assert (outcome.attempt, outcome.record) == (4, "d/r/attempts/work.-1.1.4.json")
    assert outcome.failed is None
    assert numbers(trace) == [
        (1, 1, "worker", "retrying"),
        (1, 2, "worker", "retrying"),
        (1, 3, "worker", "failed"),
        (1, 4, "other", "success"),
    ]


@pytest.mark.parametrize(
    ("recover", "output"),
    [
        ((value(1, "bug"), value(2, "unavailable"), value(3)), 2),
        ((value(1, "bug"), value(3)), 3),
        ((value(1, "bug"), value(2, "timeout")), None),
    ],
)
def test_entries_are_tried_in_order(recover: tuple[dict[str, Any], ...], output: int | None) -> None:
    outcome = ask(*recover)
    assert (outcome.output, outcome.failed is None) == (output, output is not None)


def test_what_counts_is_who_failed_last() -> None:
    recover = (stand_in("double", "unavailable"), value(1, "unavailable"), value(2, "rejected"))
    outcome = ask(*recover, input={"value": -1})
    assert (outcome.output, outcome.recovered, outcome.attempt) == (2, "value", None)


def test_stand_ins_are_asked_as_often_as_the_stages_agent(trace: TraceStore) -> None:
    outcome = ask(stand_in("second"), stand_in("other"))
    assert outcome.attempt == 7
    assert [(number, name) for _, number, name, _ in numbers(trace)] == [
        *((number, "worker") for number in (1, 2, 3)),
        *((number, "second") for number in (4, 5, 6)),
        (7, "other"),
    ]


def test_a_value_is_rendered() -> None:
    assert ask(value({"n": "{{ draft.n }}"})).output == {"n": 7}


def test_a_value_has_to_fit_the_schema() -> None:
    outcome = ask(value("text"), schema={"type": "integer"})
    assert outcome.failed is not None
    assert kind_of(outcome.failed) == "failed"
    assert "'work', on_error[0].value: The output does not fit its schema" in str(outcome.failed)


def test_after_a_value_that_does_not_fit_comes_the_next_entry() -> None:
    assert ask(value("text"), value(3, "failed"), schema={"type": "integer"}).output == 3


def test_an_expression_that_fails_is_recovered_as_well(trace: TraceStore) -> None:
    outcome = ask(value("empty", "failed"), input={"value": "{{ draft.missing + 1 }}"})
    assert (outcome.output, outcome.recovered) == ("empty", "value")
    assert "'missing'" in str(outcome.error)
    assert numbers(trace) == []


@pytest.mark.parametrize(
    ("more", "kind"),
    [({"schema": {"type": "string"}}, "malformed_output"), ({"accept": "output > 100"}, "not_accepted")],
)
def test_a_stand_in_answers_as_the_stages_agent_would(more: dict[str, Any], kind: str) -> None:
    """Readers rely on the stage's schema and condition, whoever answers."""
    outcome = ask(stand_in("double"), **more)
    assert kind_of(outcome.failed or ValueError()) == kind


# ---- later tries


def written(trace: TraceStore, *records: AttemptRecord) -> None:
    for record in records:
        run = replace(record.run, dag_id="d", run_id="r")
        trace.write(replace(record, run=run, task_id="work", stage="work"))


def of_try(number: int, former: int = 0) -> dict[str, Any]:
    life = Life(former_tries=former, is_first_try=number - former <= 1, is_last_try=False)
    return {"life": life, "try_number": number}


def made(trace: TraceStore, try_number: int) -> list[tuple[int, str, str]]:
    return [tuple(rest) for number, *rest in numbers(trace) if number == try_number]  # type: ignore[misc]


def test_a_retry_goes_on_counting(trace: TraceStore) -> None:
    written(trace, failed_attempt(number=1, wait=1.0), failed_attempt(number=2, wait=90.0))
    ask(**of_try(2))
    assert made(trace, 2) == [(3, "worker", "failed")]


def test_a_cleared_task_begins_anew(trace: TraceStore) -> None:
    written(trace, failed_attempt(number=1, wait=90.0), failed_attempt(number=2, try_number=2))
    ask(**of_try(3, former=2))
    assert [number for number, *_ in made(trace, 3)] == [1, 2, 3]
    ask(**of_try(4, former=2))
    assert made(trace, 4) == []


def test_a_killed_attempt_is_made_again(trace: TraceStore) -> None:
    written(trace, failed_attempt(number=1, wait=1.0), attempt(number=2, state="killed"))
    ask(**of_try(2))
    assert [number for number, *_ in made(trace, 2)] == [2, 3]


def test_a_try_lost_without_a_record_counts_for_nothing(trace: TraceStore) -> None:
    ask(**of_try(3))
    assert [number for number, *_ in made(trace, 3)] == [1, 2, 3]


def test_a_success_that_could_not_be_reported_leaves_one_attempt(trace: TraceStore) -> None:
    written(trace, *(failed_attempt(number=number, wait=1.0) for number in (1, 2)), attempt(number=3))
    assert ask(**of_try(2), agent="double").attempt == 3


def test_a_retry_goes_on_with_the_stand_in_that_was_asked_last(trace: TraceStore) -> None:
    former = [failed_attempt(number=1, wait=1.0), failed_attempt(number=2, wait=1.0), failed_attempt(number=3)]
    written(trace, *former, failed_attempt(number=4, wait=90.0, agent={"name": "second", "type": "python"}))
    outcome = ask(stand_in("second"), stand_in("other"), **of_try(2))
    assert made(trace, 2) == [(5, "second", "retrying"), (6, "second", "failed"), (7, "other", "success")]
    assert (outcome.attempt, outcome.recovered) == (7, "agent")


def test_who_has_given_up_is_not_asked_again(trace: TraceStore) -> None:
    former = [failed_attempt(number=1, wait=1.0), failed_attempt(number=2, wait=1.0), failed_attempt(number=3)]
    written(trace, *former)
    assert ask(value("instead", "unavailable"), **of_try(2)).output == "instead"
    outcome = ask(**of_try(2))
    assert (outcome.attempt, kind_of(outcome.failed or ValueError())) == (3, "unavailable")
    assert made(trace, 2) == []


def test_a_long_wait_is_airflows_unless_there_is_no_other_try(
    trace: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0")
    with pytest.raises(RetryLater):
        ask(value("instead"))
    last = Life(former_tries=0, is_first_try=False, is_last_try=True)
    assert ask(value("instead"), life=last, try_number=2).output == "instead"


# ---- answers kept by earlier tries


def test_an_answer_of_an_earlier_try_is_taken_as_it_was(trace: TraceStore) -> None:
    store = StateStore()
    first = ask(agent="double", store=store)
    again = ask(agent="double", store=store, **of_try(2), input={"value": -1})
    assert again == first
    assert numbers(trace) == [(1, 1, "double", "success")]


def test_a_record_that_was_not_written_any_more_is_written_by_the_next_try(
    trace: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StateStore()

    def killed(*_: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(AgentOperator, "write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            ask(agent="double", store=store)
    assert numbers(trace) == []
    outcome = ask(agent="double", store=store, **of_try(2))
    assert (outcome.output, outcome.attempt, outcome.record) == (14, 1, "d/r/attempts/work.-1.1.1.json")
    record = trace.read(str(outcome.record))
    assert isinstance(record, AttemptRecord)
    assert (record.input["input"], record.output, record.state, record.try_number) == ({"value": 7}, 14, "success", 1)


def test_a_stand_ins_answer_is_kept_as_well(trace: TraceStore) -> None:
    store = StateStore()
    first = ask(stand_in("other"), store=store)
    again = ask(stand_in("other"), store=store, **of_try(2))
    assert (again.output, again.attempt, again.record, again.recovered) == (
        first.output,
        first.attempt,
        first.record,
        "agent",
    )
    assert len(numbers(trace)) == 4


def test_a_cleared_task_is_asked_anew(trace: TraceStore) -> None:
    store = StateStore()
    ask(agent="double", store=store)
    assert ask(agent="double", store=store, **of_try(2, former=1)).record == "d/r/attempts/work.-1.2.1.json"


def test_the_record_of_who_gave_up_earlier_is_told(trace: TraceStore) -> None:
    first = ask()
    assert ask(**of_try(2)).record == first.record == "d/r/attempts/work.-1.1.3.json"


def test_in_the_last_try_all_attempts_are_made(trace: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a connection's limit and lost workers take tries, and none of the attempts."""
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0")
    outcome = ask(life=Life(former_tries=0, is_first_try=False, is_last_try=True), try_number=9)
    assert outcome.attempt == 3
    assert [state for *_, state in numbers(trace)] == ["retrying", "retrying", "failed"]


def test_attempts_are_counted_for_each_item(trace: TraceStore) -> None:
    items = [{"index": index, "value": index} for index in range(2)]
    written(
        trace, failed_attempt(number=1, wait=90.0, item=items[0]), failed_attempt(number=2, wait=1.0, item=items[0])
    )
    asked = asking(**of_try(2))

    async def both() -> None:
        await asyncio.gather(*(asked.outcome(Item(index=item["index"], value=item["value"])) for item in items))

    run_loop(both())
    found = [record for record in trace.records("d", "r").values() if isinstance(record, AttemptRecord)]
    told = sorted((record.item or {})["index"] * 10 + record.attempt for record in found if record.try_number == 2)
    assert told == [3, 11, 12, 13]

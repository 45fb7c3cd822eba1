"""The parts of the operators that need no run: retries, XComs, scopes, numbers of attempts, constructors."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.definitions.retry_policy import RetryAction
from hypothesis import given
from hypothesis import strategies as st
from support.records import attempt, failed_attempt

from airflow_agentic.errors import (
    AgenticError,
    AttemptError,
    ConfigError,
    FinalError,
    InputError,
    PlanMismatchError,
    RetryableError,
    RetryLater,
    RunFailedError,
    StoppedError,
    TraceError,
)
from airflow_agentic.operators.agent import AgentOperator
from airflow_agentic.operators.artifact import ArtifactOperator
from airflow_agentic.operators.finish import FinishOperator
from airflow_agentic.operators.merge import MergeOperator
from airflow_agentic.operators.merging import MergeError
from airflow_agentic.operators.retry import RETRY_POLICY, AgenticRetryPolicy
from airflow_agentic.operators.scope import build_scope, run_info
from airflow_agentic.operators.xcom import unwrapped, wrapped
from airflow_agentic.planning.plan import PlannedTask
from airflow_agentic.template.expressions import ExpressionError
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.record import AttemptRecord

RETRY = {"attempts": 4, "wait": 2.0, "multiplier": 3.0, "max_wait": 60.0, "jitter": True}
AGENT = {"type": "python", "callable": "support.scripted_agents:echo", "output_schema": {}}
KEYS = ["a", "__classname__", "__type", "__var", "$json", ""]
data = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
)


def planned(kind: str = "agent", **more: Any) -> PlannedTask:
    configs: dict[str, dict[str, Any]] = {
        "agent": {
            "agent": "writer",
            "prompt": None,
            "prompt_reads": "stages",
            "instructions": None,
            "input": {},
            "when": None,
            "accept": None,
            "retry": RETRY,
            "timeout": 10.0,
            "airflow": {"pool": "models", "priority_weight": 5},
        },
        "merge": {"from": ["a"], "how": "list", "by": None, "require": None, "when": None, "airflow": {}},
        "artifact": {"path": "a.md", "content": "x", "asset": "agentic://briefs"},
        "finish": {"output": {}, "artifact": None, "readers": {}},
    }
    given = {"task_id": "draft", "kind": kind, "stage": "draft", "level": 0, "config": configs[kind], "doc": "Docs."}
    return PlannedTask(**{**given, **more})


# ---- what Airflow does after a failure


def test_a_long_wait_is_handed_to_airflow() -> None:
    later = RetryLater(RetryableError("busy", kind="rate_limited"), wait=90.0, attempt=1)
    decision = RETRY_POLICY.evaluate(later, 1, 3)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=90)
    assert decision.reason == "Attempt 1 failed (rate_limited): busy. The next one starts in 90 s."


@pytest.mark.parametrize(
    "error",
    [
        RetryableError("used up", kind="unavailable"),
        FinalError("no", kind="rejected"),
        AttemptError("no", kind="timeout"),
        *(kind("no") for kind in (ExpressionError, ConfigError, InputError, PlanMismatchError, MergeError)),
        RunFailedError("no"),
        AgenticError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_is_not_retried(error: AgenticError) -> None:
    decision = RETRY_POLICY.evaluate(error, 1, 3)
    assert (decision.action, decision.reason) == (RetryAction.FAIL, str(error))


@pytest.mark.parametrize("error", [StoppedError("no"), TraceError("no"), OSError("no"), KeyboardInterrupt()])
def test_the_infrastructure_gets_airflows_retries(error: BaseException) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.DEFAULT


def test_the_policy_serializes_to_the_same_bytes() -> None:
    text = json.dumps(RETRY_POLICY.serialize())
    assert text == json.dumps(AgenticRetryPolicy().serialize())
    assert isinstance(AgenticRetryPolicy.deserialize(json.loads(text)), AgenticRetryPolicy)


def test_errors_survive_pickling() -> None:
    for error in (StoppedError("x"), MergeError("y"), ExpressionError("z", "a.b", 2)):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


# ---- XComs


@given(data)
def test_outputs_travel_unchanged(value: Any) -> None:
    from airflow.sdk.serde import deserialize, serialize

    sent = json.loads(json.dumps(serialize(wrapped(value))))
    assert unwrapped(deserialize(sent)) == value


def test_ordinary_outputs_stay_readable_for_others() -> None:
    assert wrapped({"text": "{{ 7*7 }}", "n": [1, None]}) == {"text": "{{ 7*7 }}", "n": [1, None]}


# ---- scopes


class FakeTaskInstance:
    """Answers for three tasks, and counts the calls."""

    dag_id, run_id, map_index, try_number, max_tries = "d", "r", -1, 1, 0

    def __init__(self, states: dict[str, str], outputs: dict[str, Any]) -> None:
        self.states, self.outputs = states, outputs
        self.calls: list[str] = []

    def get_task_states(self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None) -> dict[str, Any]:
        self.calls.append("states")
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: {name: self.states[name] for name in task_ids or self.states}}

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        self.calls.append(task_ids)
        assert self.states[task_ids] == "success", "pulling a missing XCom writes an error into the log"
        if key == "agentic":
            return {"attempt": 1} if task_ids in self.outputs else None
        return self.outputs.get(task_ids)


def dag_run(**more: Any) -> Any:
    given = {
        "run_id": "r",
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": datetime(2026, 5, 4, tzinfo=UTC),
        "conf": None,
        "consumed_asset_events": [],
    }
    return SimpleNamespace(dag_id="d", **{**given, **more})


def context(ti: Any, **more: Any) -> Any:
    given = {"ti": ti, "dag_run": dag_run(), "dag": DAG("d"), "params": {}}
    return {**given, **more}


def test_only_what_is_read_and_there_is_pulled() -> None:
    ti = FakeTaskInstance({"a": "success", "b": "skipped", "c": "success", "d": "success"}, {"a": 1, "c": None, "d": 4})
    reads = {"a": ("a",), "b": ("b",), "c": ("c",)}
    scope = build_scope(context(ti), reads, ("b", "c"))
    assert {name: scope.values[name] for name in scope.tasks} == {"a": 1, "c": None}
    assert ti.calls == ["states", "a", "c", "c"]


def test_what_always_ran_costs_no_question() -> None:
    ti = FakeTaskInstance({"a": "success"}, {"a": 1})
    build_scope(context(ti), {"a": ("a",)}, ())
    assert ti.calls == ["a"]


def test_a_task_that_was_only_marked_as_successful_has_no_output() -> None:
    scope = build_scope(context(FakeTaskInstance({"a": "success"}, {})), {"a": ("a",)}, ())
    assert "a" not in scope.values


def test_of_several_tasks_the_last_that_ran_counts() -> None:
    ti = FakeTaskInstance({"a1": "success", "a2": "success", "a3": "skipped"}, {"a1": 1, "a2": 2})
    scope = build_scope(context(ti), {"a": ("a1", "a2", "a3")}, ())
    assert (scope.values["a"], scope.tasks) == (2, {"a": "a2"})


def test_inputs_are_those_that_the_template_declares() -> None:
    dag = DAG("d", params={"topic": Param("tea", type="string")})
    scope = build_scope(context(None, dag=dag, params={"topic": "tea", "stray": 1}), {}, ())
    assert scope.values["inputs"] == {"topic": "tea"}


def test_a_run_always_has_a_date() -> None:
    info = run_info(context(None))
    assert (info.date, info.logical_date) == ("2026-05-04T00:00:00+00:00", None)
    dated = run_info(context(None, dag_run=dag_run(logical_date=datetime(2026, 1, 1, tzinfo=UTC))))
    assert dated.date == dated.logical_date == "2026-01-01T00:00:00+00:00"


def test_asset_events_are_found_by_the_uri_that_was_written() -> None:
    def event(uri: str, name: str, minute: int) -> Any:
        asset = SimpleNamespace(uri=uri, name=name)
        time = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
        return SimpleNamespace(
            asset=asset, timestamp=time, extra={"n": minute}, source_dag_id="x", source_run_id="y", source_task_id="z"
        )

    events = [
        event("agentic://briefs/", "agentic://briefs", 2),
        event("agentic://briefs/", "agentic://briefs", 1),
        event("s3://b/k", "named", 3),
    ]
    info = run_info(context(None, dag_run=dag_run(consumed_asset_events=events)))
    assert [found["extra"]["n"] for found in info.assets["agentic://briefs"]] == [1, 2]
    assert list(info.assets) == ["agentic://briefs", "s3://b/k"]


# ---- numbers of attempts


def first_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *records: AttemptRecord, try_number: int, max_tries: int
) -> int:
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path))
    store = TraceStore()
    with DAG("d"):
        operator = AgentOperator.of(planned(), "x", agent=AGENT)
    for record in records:
        store.write(replace(record, run=replace(record.run, dag_id="d", run_id="r")))
    ti = SimpleNamespace(run_id="r", map_index=None, try_number=try_number, max_tries=max_tries)
    return operator._first_attempt(context(ti), RETRY["attempts"])


def test_the_first_try_starts_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_attempt(tmp_path, monkeypatch, try_number=1, max_tries=3) == 1


def test_a_retry_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = (failed_attempt(number=1, wait=1.0), failed_attempt(number=2, wait=90.0))
    assert first_attempt(tmp_path, monkeypatch, *records, try_number=2, max_tries=3) == 3


def test_a_cleared_task_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearing after try 2 sets max_tries to 2 + retries (3)."""
    former = (failed_attempt(number=1, wait=90.0), failed_attempt(number=2, try_number=2))
    assert first_attempt(tmp_path, monkeypatch, *former, try_number=3, max_tries=5) == 1
    again = failed_attempt(number=1, try_number=3, wait=90.0)
    assert first_attempt(tmp_path, monkeypatch, again, try_number=4, max_tries=5) == 2


def test_a_killed_attempt_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = (failed_attempt(number=1, wait=1.0), attempt(number=2, state="killed"))
    assert first_attempt(tmp_path, monkeypatch, *records, try_number=2, max_tries=3) == 2


def test_a_try_lost_without_a_record_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_attempt(tmp_path, monkeypatch, try_number=3, max_tries=3) == 1


def test_a_success_that_could_not_be_reported_leaves_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_attempt(tmp_path, monkeypatch, attempt(number=4), try_number=2, max_tries=3) == 4


# ---- constructors


def test_an_agent_stage_takes_its_settings_from_the_plan() -> None:
    operator = AgentOperator.of(planned(trigger_rule="none_failed"), "x", agent=AGENT)
    assert (operator.retries, operator.retry_delay, operator.max_retry_delay) == (
        3,
        timedelta(seconds=2),
        timedelta(seconds=60),
    )
    assert (operator.pool, operator.priority_weight, operator.queue) == ("models", 5, "default")
    assert (operator.trigger_rule.value, operator.doc_md) == ("none_failed", "Docs.")
    assert operator.retry_policy is RETRY_POLICY


def test_no_field_is_a_template_of_airflows() -> None:
    made = [
        AgentOperator.of(planned(), "x", agent=AGENT),
        MergeOperator.of(planned("merge"), "x"),
        ArtifactOperator.of(planned("artifact"), "x"),
        FinishOperator.of(planned("finish"), "x", expected=("a",), source=""),
    ]
    assert [tuple(operator.template_fields) for operator in made] == [()] * 4
    assert [asset.uri for asset in made[2].outlets] == ["agentic://briefs/"]


def test_making_operators_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import airflow.sdk; before = set(sys.modules);"
        "import airflow_agentic.operators.agent, airflow_agentic.operators.merge;"
        "import airflow_agentic.operators.artifact, airflow_agentic.operators.finish;"
        "heavy = {'fsspec', 'jinja2', 'jsonschema', 'tenacity', 'pydantic_ai', 'aiohttp', 'yaml'};"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"

"""The parts of the operators that need no run: retries, XComs, constructors."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from hypothesis import given
from hypothesis import strategies as st
from support.fan_outs import agent_config

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
from airflow_agentic.operators.base import SPARE_TRIES
from airflow_agentic.operators.finish import FinishOperator
from airflow_agentic.operators.merge import MergeOperator
from airflow_agentic.operators.merging import MergeError
from airflow_agentic.operators.retry import RETRY_POLICY, AgenticRetryPolicy
from airflow_agentic.operators.xcom import unwrapped, wrapped
from airflow_agentic.planning.plan import PlannedTask
from airflow_agentic.template.expressions import ExpressionError

RETRY = {"attempts": 4, "wait": 2.0, "multiplier": 3.0, "max_wait": 60.0, "jitter": True}
AGENT = {"type": "python", "callable": "support.scripted_agents:echo", "output_schema": {}}
KEYS = ["a", "__classname__", "__type", "__var", "$json", ""]
data = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
)


def planned(kind: str = "agent", **more: Any) -> PlannedTask:
    configs: dict[str, dict[str, Any]] = {
        "agent": agent_config("writer", retry=RETRY, airflow={"pool": "models", "priority_weight": 5}),
        "merge": {"from": ["a"], "how": "list", "by": None, "require": None, "when": None, "airflow": {}},
        "artifact": {"path": "a.md", "content": "x", "asset": "agentic://briefs"},
        "finish": {"output": {}, "artifact": None, "judged": []},
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


# ---- constructors


def test_an_agent_stage_takes_its_settings_from_the_plan() -> None:
    operator = AgentOperator.of(planned(trigger_rule="none_failed"), "x", agents={"writer": AGENT})
    assert (operator.retries, operator.retry_delay, operator.max_retry_delay) == (
        3 + SPARE_TRIES,
        timedelta(seconds=2),
        timedelta(seconds=60),
    )
    assert (operator.pool, operator.priority_weight, operator.queue) == ("models", 5, "default")
    assert (operator.trigger_rule.value, operator.doc_md) == ("none_failed", "Docs.")
    assert operator.retry_policy is RETRY_POLICY


def test_no_field_is_a_template_of_airflows() -> None:
    made = [
        AgentOperator.of(planned(), "x", agents={"writer": AGENT}),
        MergeOperator.of(planned("merge"), "x"),
        ArtifactOperator.of(planned("artifact"), "x"),
        FinishOperator.of(planned("finish"), "x", tasks=(), source=""),
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

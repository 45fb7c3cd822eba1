"""Agent stages, run by Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.record import FailureRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]


def agent(name: str, **more: Any) -> str:
    """An agent of ``support.scripted_agents``, written in place."""
    return json.dumps({"type": "python", "callable": f"support.scripted_agents:{name}", **more})


ECHO = agent("echo")


def test_a_stage_asks_its_agent_and_hands_its_output_on(run_template: RunTemplate) -> None:
    ran = run_template(
        f"""
inputs: {{topic: string}}
stages:
  one: {{agent: {ECHO}, input: {{value: "{{{{ inputs.topic }}}}"}}}}
  two: {{agent: {ECHO}, input: {{value: {{seen: "{{{{ one }}}}"}}}}}}
output: {{result: "{{{{ two.seen }}}}"}}
""",
        topic="tea",
    )
    assert ran.state == "success"
    assert ran.output() == {"result": "tea"}
    [attempt] = ran.attempts("two")
    assert (attempt.state, attempt.attempt, attempt.try_number) == ("success", 1, 1)
    assert attempt.output == {"seen": "tea"}
    assert attempt.input["input"] == {"value": {"seen": "tea"}}
    provenance = ran.xcoms("two")["agentic"]
    assert (provenance["attempt"], provenance["agent"]) == (1, "two")
    assert provenance["record"].endswith("attempts/two.-1.1.1.json")


def test_a_false_condition_skips_and_a_guarded_reader_runs(run_template: RunTemplate) -> None:
    ran = run_template(f"""
inputs: {{deep: {{type: boolean, default: false}}}}
stages:
  extra: {{agent: {ECHO}, when: inputs.deep, input: {{value: 1}}}}
  needs_it: {{agent: {ECHO}, input: {{value: "{{{{ extra }}}}"}}}}
  copes: {{agent: {ECHO}, input: {{value: "{{{{ extra | default('none') }}}}"}}}}
output: {{result: "{{{{ copes }}}}", there: "{{{{ extra is defined }}}}"}}
""")
    assert ran.state == "success"
    assert ran.states["extra"] == ran.states["needs_it"] == "skipped"
    assert ran.output() == {"result": "none", "there": False}
    assert ran.xcoms("extra") == {}
    assert [(stage.stage, stage.state, stage.tries) for stage in ran.trace.stages] == [
        ("extra", "skipped", 0),
        ("needs_it", "skipped", 0),
        ("copes", "success", 1),
    ]


def test_a_true_condition_lets_a_guarded_reader_see_the_output(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  first: {{agent: {ECHO}, input: {{value: {{score: 3}}}}}}
  extra: {{agent: {ECHO}, when: first.score > 2, input: {{value: 1}}}}
  copes: {{agent: {ECHO}, input: {{value: "{{{{ extra | default('none') }}}}"}}}}
output: {{result: "{{{{ copes }}}}"}}
""")
    assert ran.output() == {"result": 1}


def test_null_is_an_output_like_any_other(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  nothing: {{agent: {ECHO}, input: {{value: null}}}}
  reader: {{agent: {ECHO}, input: {{value: {{it: "{{{{ nothing }}}}", there: "{{{{ nothing is defined }}}}"}}}}}}
output: {{result: "{{{{ reader }}}}"}}
""")
    assert ran.output() == {"result": {"it": None, "there": True}}
    assert ran.xcoms("nothing")["return_value"] is None


TOUCHY = [
    "{{ 7*7 }}",
    "{% raw %} {{ x }}",
    "{# gone #}",
    {"__classname__": "airflow.models.dag.DAG", "__version__": 1, "__data__": {}},
    {"deep": [{"__type": "dict", "__var": {"hidden": True}}]},
    {"$json": "[1]"},
    {"$value": "0" * 64, "bytes": 3},
    {"$literal": {"$value": 1}},
    "null",
    "true",
    "[1, 2]",
    "1e3",
    [1, 1.0, True, None, "é\u2028😀"],
]


def test_data_is_never_a_template_nor_a_class(run_template: RunTemplate) -> None:
    ran = run_template(
        f"""
inputs: {{data: {{type: array, items: {{}}}}}}
stages:
  one: {{agent: {ECHO}, input: {{value: "{{{{ inputs.data }}}}"}}}}
  two: {{agent: {ECHO}, input: {{value: "{{{{ one }}}}"}}}}
  all: {{merge: {{from: [one, two], how: object}}}}
output: {{result: "{{{{ all }}}}"}}
artifact: {{path: data.txt, content: "{{{{ two[0] }}}}"}}
""",
        data=TOUCHY,
    )
    assert ran.state == "success"
    assert ran.output() == {"result": {"one": TOUCHY, "two": TOUCHY}}
    assert [record.output for record in ran.attempts("two")] == [TOUCHY]
    assert ran.trace.output == {"result": {"one": TOUCHY, "two": TOUCHY}}


def test_an_attempt_that_fails_is_recorded_and_repeated(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(f"""
stages:
  flaky:
    agent: {agent("fail_until")}
    input: {{counter: {tmp_path}/calls, succeed_at: 3}}
    retry: {{attempts: 3, wait: 10ms}}
output: {{result: "{{{{ flaky }}}}"}}
""")
    assert ran.output() == {"result": "done"}
    attempts = ran.attempts("flaky")
    assert [(attempt.attempt, attempt.try_number, attempt.state) for attempt in attempts] == [
        (1, 1, "retrying"),
        (2, 1, "retrying"),
        (3, 1, "success"),
    ]
    assert attempts[0].error is not None
    assert attempts[0].error["kind"] == "unavailable"
    assert attempts[0].next_wait is not None
    [stage] = ran.trace.stages
    assert (stage.state, stage.tries, stage.error) == ("success", 3, None)


def test_a_long_wait_is_airflows_and_attempts_go_on_counting(
    run_template: RunTemplate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0.5")
    ran = run_template(f"""
stages:
  slow:
    agent: {agent("fail_until")}
    input: {{counter: {tmp_path}/calls, succeed_at: 3, retry_after: 1}}
    retry: {{attempts: 3, wait: 10ms}}
output: {{result: "{{{{ slow }}}}"}}
""")
    assert ran.output() == {"result": "done"}
    assert [(attempt.try_number, attempt.attempt, attempt.state) for attempt in ran.attempts("slow")] == [
        (1, 1, "retrying"),
        (2, 2, "retrying"),
        (3, 3, "success"),
    ]
    [stage] = ran.trace.stages
    assert (stage.tries, stage.waited) == (3, 2.0)


def test_used_up_attempts_fail_the_run_and_say_why(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  broken: {{agent: {agent("fail")}, input: {{message: no such luck}}, retry: {{attempts: 2, wait: 10ms}}}}
  after_it: {{agent: {ECHO}, input: {{value: "{{{{ broken }}}}"}}}}
""")
    assert ran.state == "failed"
    assert ran.states == {"broken": "failed", "after_it": "upstream_failed", "run__finish": "failed"}
    assert [attempt.state for attempt in ran.attempts("broken")] == ["retrying", "failed"]
    trace = ran.trace
    assert trace.state == "failed"
    assert trace.error is not None
    assert "'broken' failed in attempt 2 (bug)" in trace.error
    assert "no such luck" in trace.error
    assert "Not run because of it: after_it." in trace.error
    assert [stage.state for stage in trace.stages] == ["failed", "upstream_failed"]
    assert trace.stages[0].error is not None
    assert trace.stages[0].error["kind"] == "bug"


def test_an_output_that_is_not_accepted_is_not_retried(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  judged: {{agent: {ECHO}, input: {{value: {{score: 1}}}}, accept: output.score > 2, retry: {{attempts: 3}}}}
""")
    [attempt] = ran.attempts("judged")
    assert attempt.state == "failed"
    assert attempt.error is not None
    assert (attempt.error["kind"], attempt.error["reply"]) == ("not_accepted", {"score": 1})
    assert attempt.error["message"] == "The output was not accepted: output.score > 2"


def test_an_expression_that_fails_points_at_the_template(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, input: {{value: {{items: 3}}}}}}
  two: {{agent: {ECHO}, input: {{value: x, other: "{{{{ one.itms + 1 }}}}"}}, retry: {{attempts: 3}}}}
""")
    [failure] = ran.records(FailureRecord)
    assert failure.error["type"] == "ExpressionError"
    assert failure.error["message"].startswith("Stage 'two', input.other: 'itms' is undefined")
    assert "one.itms + 1" in failure.error["message"]
    assert failure.error["message"] in (ran.trace.error or "")
    assert ran.trace.stages[1].error == {"kind": "ExpressionError", "message": failure.error["message"]}


def test_a_killed_attempt_leaves_its_record_and_is_made_again(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(f"""
stages:
  patient:
    agent: {agent("be_killed")}
    input: {{counter: {tmp_path}/calls}}
    retry: {{attempts: 2, wait: 100ms}}
output: {{result: "{{{{ patient }}}}"}}
""")
    attempts = ran.attempts("patient")
    assert [(attempt.try_number, attempt.attempt, attempt.state) for attempt in attempts] == [
        (1, 1, "killed"),
        (2, 1, "success"),
    ]
    assert attempts[0].seconds < 10
    assert attempts[0].input["input"] == {"counter": f"{tmp_path}/calls"}
    assert ran.output() == {"result": "survived"}


def test_a_password_is_in_no_record(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(
        f"""
inputs: {{key: {{type: string, format: password}}}}
stages:
  user: {{agent: {ECHO}, input: {{value: {{seen: "with {{{{ inputs.key }}}} inside"}}}}}}
output: {{result: "{{{{ user.seen }}}}"}}
artifact: {{path: open.txt, content: "plain"}}
""",
        key="hunter2-and-more",
    )
    assert ran.output() == {"result": "with *** inside"}
    assert ran.attempts("user")[0].output == {"seen": "with *** inside"}
    files = [path for path in (tmp_path / "trace").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_the_run_is_readable(run_template: RunTemplate) -> None:
    ran = run_template(
        f"""
inputs: {{topic: {{type: string, default: tea}}}}
stages:
  look: {{agent: {agent("see_run")}}}
output: {{result: "{{{{ look }}}}", id: "{{{{ run.id }}}}", date: "{{{{ run.date }}}}"}}
""",
        topic="coffee",
    )
    result = ran.output()
    assert result["id"] == ran.run_id == result["result"]["id"]
    assert result["date"] == result["result"]["logical_date"]
    assert result["result"]["conf"] == {"topic": "coffee"}
    assert result["result"]["assets"] == {}

"""People asked by a real Airflow: what they are shown, how they answer, and what happens when they don't."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.people import answer, wait_for_questions

from airflow_agentic.local.rest import RestError
from airflow_agentic.trace.record import AnswerRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

TEMPLATE = """\
version: 1
name: {name}
{top}
agents:
  echo: {{type: python, callable: "support.scripted_agents:echo", output: string}}
stages:
  draft: {{agent: echo, input: {{value: {text}}}}}
  ask: {stage}
  then: {{agent: {{type: python, callable: "support.scripted_agents:echo"}}, input: {{value: "{{{{ {read} }}}}"}}}}
{more}
output: {{answer: "{{{{ then | default({other}) }}}}"}}
"""
HUMAN = {"ask": "Publish?", "options": ["Publish", "Discard"], "timeout": "10m", "on_timeout": "Discard"}
FIELDS = {
    "note": {"type": "string", "default": "", "title": "A note", "description": "For the author"},
    "stars": {"type": "integer", "minimum": 1, "maximum": 5, "default": 3},
}
RESCUE = '  rescue: {agent: echo, input: {value: "{{ error.stage }} {{ error.kind }}"}}'


def template(
    name: str,
    *,
    text: str = "a draft",
    top: str = "",
    more: str = "",
    read: str = "ask",
    stage: dict[str, Any] | None = None,
    **human: Any,
) -> str:
    """
    A pipeline whose stage ``ask`` asks people.

    :param stage: its other keys.
    """
    ask = {"human": {**HUMAN, **human}, **(stage or {})}
    other = "rescue | default('')" if "rescue" in more else "''"
    return TEMPLATE.format(
        name=name, top=top, text=json.dumps(text), stage=json.dumps(ask), read=read, more=more, other=other
    )


def start(airflow: AirflowEnv, text: str) -> str:
    """Serve a pipeline and start a run."""
    name = text.split("name: ")[1].split("\n")[0]
    airflow.put_template(f"{name}.yaml", text)
    airflow.wait_for_dag(name)
    return airflow.rest.trigger(name)


def answers(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[AnswerRecord]:
    store = TraceStore(airflow.trace_url)
    records = [store.read(path) for path in store.records(dag_id, run_id)]
    return [record for record in records if isinstance(record, AnswerRecord)]


def test_an_answer_with_fields_goes_on(airflow: AirflowEnv) -> None:
    evil = "{{ 7 * 7 }}"
    run_id = start(
        airflow,
        template(
            "human_fields",
            text="{% raw %}" + evil + "{% endraw %}",
            ask="Publish {{ draft }}?",
            body="# The draft\n\n{{ draft }}",
            fields=FIELDS,
        ),
    )
    [question] = wait_for_questions(airflow, "human_fields", run_id)
    assert (question["subject"], question["body"]) == (f"Publish {evil}?", f"# The draft\n\n{evil}")
    assert question["options"] == ["Publish", "Discard"]
    assert list(question["params"]) == ["note", "stars"]
    assert question["params"]["note"]["description"] == "For the author"
    assert question["task_instance"]["state"] == "awaiting_input"
    answer(airflow, "human_fields", run_id, "ask", "Publish", note=evil, stars=5)
    run = airflow.finish("human_fields", run_id)
    assert run.state == "success", run
    expected = {"choice": "Publish", "note": evil, "stars": 5, "by": "admin", "timed_out": False}
    assert airflow.rest.xcom("human_fields", run_id, "ask") == expected
    assert airflow.rest.xcom("human_fields", run_id, "run__finish") == {"answer": expected}
    [record] = answers(airflow, "human_fields", run_id)
    assert (record.subject, record.choice, record.fields) == (f"Publish {evil}?", "Publish", {"note": evil, "stars": 5})
    assert (record.by, record.timed_out, record.error) == ({"id": "admin", "name": "admin"}, False, None)
    assert record.asked < record.answered


def test_what_was_not_asked_for_is_refused(airflow: AirflowEnv) -> None:
    run_id = start(airflow, template("human_refused", fields=FIELDS))
    wait_for_questions(airflow, "human_refused", run_id)
    with pytest.raises(RestError, match="Invalid options"):
        answer(airflow, "human_refused", run_id, "ask", "Burn")
    with pytest.raises(RestError, match="single option"):
        answer(airflow, "human_refused", run_id, "ask", "Publish", "Discard")
    # Airflow takes any fields; the stage doesn't
    answer(airflow, "human_refused", run_id, "ask", "Publish", note="", stars="many")
    run = airflow.finish("human_refused", run_id)
    assert (run.state, run.tasks["ask"], run.tasks["then"]) == ("failed", "failed", "upstream_failed"), run
    [record] = answers(airflow, "human_refused", run_id)
    assert record.error is not None
    assert (record.choice, record.error["kind"]) == ("Publish", "malformed_output")
    assert "stars: 'many' is not of type 'integer'" in record.error["message"]
    with pytest.raises(RestError, match="already been updated"):
        answer(airflow, "human_refused", run_id, "ask", "Publish")


def test_fields_left_out_have_their_defaults(airflow: AirflowEnv) -> None:
    run_id = start(airflow, template("human_defaults", fields=FIELDS, options=[], on_timeout="fail"))
    [question] = wait_for_questions(airflow, "human_defaults", run_id)
    assert question["options"] == ["Submit"]
    answer(airflow, "human_defaults", run_id, "ask", "Submit", note="well")
    assert airflow.finish("human_defaults", run_id).state == "success"
    expected = {"choice": "Submit", "note": "well", "stars": 3, "by": "admin", "timed_out": False}
    assert airflow.rest.xcom("human_defaults", run_id, "ask") == expected


def test_when_the_time_is_up_the_option_is_taken(airflow: AirflowEnv) -> None:
    run_id = start(airflow, template("human_late", fields=FIELDS, timeout="3s"))
    run = airflow.finish("human_late", run_id)
    assert run.state == "success", run
    expected = {"choice": "Discard", "note": "", "stars": 3, "by": None, "timed_out": True}
    assert airflow.rest.xcom("human_late", run_id, "ask") == expected
    [record] = answers(airflow, "human_late", run_id)
    assert (record.choice, record.by, record.timed_out, record.error) == ("Discard", None, True, None)


def test_when_the_time_is_up_the_stage_fails(airflow: AirflowEnv) -> None:
    fields = {"note": {"type": "string"}}
    run_id = start(airflow, template("human_fails", fields=fields, timeout="3s", on_timeout="fail"))
    run = airflow.finish("human_fails", run_id)
    assert (run.state, run.tasks["ask"], run.tasks["then"]) == ("failed", "failed", "upstream_failed"), run
    assert "Stage 'ask' was not answered within 3s." in run.logs
    assert airflow.rest.xcom("human_fails", run_id, "ask", "agentic_error")["kind"] == "timeout"
    [record] = answers(airflow, "human_fails", run_id)
    assert (record.choice, record.by, record.timed_out) == (None, None, True)
    assert record.error is not None
    assert record.error["kind"] == "timeout"


def test_only_assignees_may_answer(airflow: AirflowEnv) -> None:
    run_id = start(airflow, template("human_assigned", assignees=["{{ ['editor', draft] }}"], text="boss"))
    [question] = wait_for_questions(airflow, "human_assigned", run_id)
    assert [user["id"] for user in question["assigned_users"]] == ["editor", "boss"]
    with pytest.raises(RestError, match="not a respondent") as refused:
        answer(airflow, "human_assigned", run_id, "ask", "Publish")
    assert refused.value.status == 403


def test_a_cleared_stage_asks_again(airflow: AirflowEnv) -> None:
    run_id = start(airflow, template("human_cleared"))
    wait_for_questions(airflow, "human_cleared", run_id)
    answer(airflow, "human_cleared", run_id, "ask", "Publish")
    assert airflow.finish("human_cleared", run_id).state == "success"
    clear(airflow, "human_cleared", run_id, "ask")
    wait_for_questions(airflow, "human_cleared", run_id)
    answer(airflow, "human_cleared", run_id, "ask", "Discard")
    assert airflow.finish("human_cleared", run_id).state == "success"
    assert airflow.rest.xcom("human_cleared", run_id, "ask")["choice"] == "Discard"
    assert [(one.try_number, one.choice) for one in answers(airflow, "human_cleared", run_id)] == [
        (1, "Publish"),
        (2, "Discard"),
    ]


def test_nobody_answers_what_is_not_asked(airflow: AirflowEnv, tmp_path: Path) -> None:
    """Airflow shows the question of the first try for good, whatever is asked later."""
    counter = {"type": "python", "callable": "support.scripted_agents:count", "output": "integer"}
    text = template(
        "human_stale",
        body="{{ counted }}",
        more=f"  counted: {{agent: {json.dumps(counter)}, input: {{file: {tmp_path}/calls}}}}",
    )
    run_id = start(airflow, text)
    [question] = wait_for_questions(airflow, "human_stale", run_id)
    assert question["body"] == "1"
    clear(airflow, "human_stale", run_id, "counted")
    run = airflow.finish("human_stale", run_id)
    assert (run.state, run.tasks["ask"]) == ("failed", "failed"), run
    assert "can't be asked again with another body" in run.logs


def test_two_wait_at_once(airflow: AirflowEnv) -> None:
    also = json.dumps({**HUMAN, "ask": "Really?"})
    run_id = start(airflow, template("human_two", more=f"  also: {{human: {also}}}"))
    questions = wait_for_questions(airflow, "human_two", run_id, count=2)
    assert sorted(question["subject"] for question in questions) == ["Publish?", "Really?"]
    answer(airflow, "human_two", run_id, "also", "Discard")
    answer(airflow, "human_two", run_id, "ask", "Publish")
    assert airflow.finish("human_two", run_id).state == "success"
    assert airflow.rest.xcom("human_two", run_id, "also")["choice"] == "Discard"
    assert airflow.rest.xcom("human_two", run_id, "ask")["choice"] == "Publish"


def test_each_item_is_asked_for(airflow: AirflowEnv) -> None:
    text = template(
        "human_items",
        top="inputs: {names: {type: array, default: [{name: a}, {name: b}, {name: c}]}}",
        stage={"for_each": "inputs.names", "max_parallel": 2, "tolerate": 2},
        read="ask.results",
        ask="Keep {{ item.name }}, number {{ index }}?",
        on_timeout="fail",
        timeout="30s",
    )
    run_id = start(airflow, text)
    questions = wait_for_questions(airflow, "human_items", run_id, count=2)
    assert {question["task_instance"]["map_index"] for question in questions} == {0, 1}
    [task_id] = {question["task_instance"]["task_id"] for question in questions}
    assert sorted(question["subject"] for question in questions) == ["Keep a, number 0?", "Keep b, number 1?"]
    answer(airflow, "human_items", run_id, task_id, "Publish", map_index=1)
    [third] = [
        one
        for one in wait_for_questions(airflow, "human_items", run_id, count=2)
        if one["task_instance"]["map_index"] == 2
    ]
    assert third["task_instance"]["rendered_map_index"]
    answer(airflow, "human_items", run_id, task_id, "Discard", map_index=2)
    run = airflow.finish("human_items", run_id)
    assert run.state == "success", run
    results = airflow.rest.xcom("human_items", run_id, "run__finish")["answer"]
    assert [result["index"] for result in results] == [0, 1, 2]
    assert [result["output"] and result["output"]["choice"] for result in results] == [None, "Publish", "Discard"]
    assert results[0]["error"]["kind"] == "timeout"
    assert [one.item and one.item["value"]["name"] for one in answers(airflow, "human_items", run_id)] == [
        "a",
        "b",
        "c",
    ]


def test_a_failure_goes_on_elsewhere(airflow: AirflowEnv) -> None:
    stage = {"on_error": {"to": "rescue"}}
    text = template("human_routed", stage=stage, more=RESCUE, timeout="3s", on_timeout="fail")
    run_id = start(airflow, text)
    run = airflow.finish("human_routed", run_id)
    assert (run.state, run.tasks["ask"]) == ("success", "failed"), run
    assert airflow.rest.xcom("human_routed", run_id, "run__finish") == {"answer": "ask timeout"}


def test_a_value_stands_in(airflow: AirflowEnv) -> None:
    value = {"choice": "Publish", "by": "{{ draft }}", "timed_out": False}
    stage = {"on_error": {"value": value, "kinds": ["timeout"]}}
    text = template("human_stood_in", stage=stage, timeout="3s", on_timeout="fail")
    run_id = start(airflow, text)
    assert airflow.finish("human_stood_in", run_id).state == "success"
    assert airflow.rest.xcom("human_stood_in", run_id, "ask") == {**value, "by": "a draft"}
    assert airflow.rest.xcom("human_stood_in", run_id, "ask", "agentic")["recovered"] == "value"


def test_those_who_want_to_know_are_told_once(airflow: AirflowEnv, tmp_path: Path) -> None:
    notifiers = [
        {"notifier": "support.notifiers.FailingNotifier", "file": "x"},
        {"notifier": "not.there.Notifier"},
        {
            "notifier": "support.notifiers.FileNotifier",
            "file": str(tmp_path / "told"),
            "text": "{{ draft | default('nothing') }} {{ run.id }}",
        },
    ]
    evil = "{% raw %}{{ 7 * 7 }}{% endraw %}"
    top = f"notify: {{on_escalation: {json.dumps(notifiers)}}}"
    run_id = start(airflow, template("human_told", text=evil, top=top, ask="Publish {{ draft }}?"))
    wait_for_questions(airflow, "human_told", run_id)
    answer(airflow, "human_told", run_id, "ask", "Publish")
    assert airflow.finish("human_told", run_id).state == "success"
    [line] = (tmp_path / "told").read_text().splitlines()
    assert json.loads(line)["text"] == f"{{{{ 7 * 7 }}}} {run_id}"
    log = airflow.rest.log("human_told", run_id, "ask")
    assert "The notifier support.notifiers.FailingNotifier failed" in log
    assert "The notifier not.there.Notifier failed" in log


def clear(airflow: AirflowEnv, dag_id: str, run_id: str, task_id: str) -> None:
    body = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [task_id],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    airflow.rest.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

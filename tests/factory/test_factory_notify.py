"""Notifications: what they can read, and that nothing they carry is evaluated."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.pipelines import plan_of_text
from support.template_runs import run_plan

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.factory.notify import escalations, make_notifier, tell_missed_deadline
from airflow_agentic.template.expressions import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVIL = "{{ 7 * 7 }} {% raw %}{{ conn.secret.password }}"
TEMPLATE = """\
version: 1
inputs: {{topic: {{type: string, default: tea}}}}
agents:
  echo: {{type: python, callable: "support.scripted_agents:echo"}}
  fail: {{type: python, callable: "support.scripted_agents:fail", retry: {{attempts: 1}}}}
stages:
  first: {{agent: echo, input: {{value: "{{{{ inputs.topic }}}} first"}}}}
  second: {{agent: {agent}, needs: [first]}}
artifact: {{path: "{name}.md", content: "{{{{ first }}}}"}}
notify:
  on_success:
    - notifier: support.notifiers.FileNotifier
      file: "{file}"
      text: "{{{{ first }}}} for {{{{ inputs.topic }}}} at {{{{ artifact.uri }}}} in {{{{ run.id }}}}"
  on_failure:
    - notifier: support.notifiers.FailingNotifier
      file: "{file}"
    - notifier: support.notifiers.FileNotifier
      file: "{file}"
      text: {{got: "{{{{ first | default('nothing') }}}}", missed: "{{{{ second | default('nothing') }}}}"}}
deadline:
  after: 2h
  notify:
    - {{notifier: support.notifiers.FileNotifier, file: "{file}", text: "{{{{ run.id }}}} {{{{ inputs.topic }}}}"}}
"""


def told(file: Path) -> list[dict[str, Any]]:
    """What was told, in order."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_run_in_this_process_tells_nobody(tmp_path: Path, run_dag: Callable[..., Any]) -> None:
    """``dag.test`` calls callbacks without what they need to read outputs; and it is only a trial."""
    file = tmp_path / "told"
    text = TEMPLATE.format(agent="echo", name="notify_trial", file=file)
    ran = run_plan(plan_of_text(tmp_path, text, "notify_trial"), run_dag)
    assert ran.state == "success"
    assert told(file) == []


def test_what_was_rendered_is_not_evaluated_by_the_notifier(tmp_path: Path) -> None:
    file = tmp_path / "told"
    entry = {"notifier": "support.notifiers.FileNotifier", "arguments": {"file": str(file), "text": "{{ first }}"}}
    make_notifier(entry, {"first": EVIL})({"run_id": "1"})  # type: ignore[typeddict-item]
    assert told(file) == [{"text": EVIL, "body": f"<p>{EVIL}</p>", "footer": "run 1"}]


def test_without_a_task_instance_there_are_the_run_and_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "told"
    text = TEMPLATE.format(agent="fail", name="x", file=file)
    dag = build_dag_from_plan(plan_of_text(tmp_path, text, "notify_bare"))
    callbacks = dag.on_failure_callback
    assert isinstance(callbacks, list)
    callbacks[1]({"dag": dag, "run_id": "run 1", "reason": "timed out"})  # type: ignore[typeddict-item]
    assert told(file)[0]["text"] == {"got": "nothing", "missed": "nothing"}


def test_a_notifier_that_is_not_installed_is_no_import_error(tmp_path: Path) -> None:
    text = TEMPLATE.format(agent="echo", name="x", file="x").replace("support.notifiers", "not.there")
    build_dag_from_plan(plan_of_text(tmp_path, text))
    with pytest.raises(ModuleNotFoundError):
        make_notifier({"notifier": "not.there.FileNotifier", "arguments": {}}, {})


def test_the_deadline_is_told_by_the_triggerer(tmp_path: Path) -> None:
    file = tmp_path / "told"
    dag = build_dag_from_plan(plan_of_text(tmp_path, TEMPLATE.format(agent="echo", name="x", file=file)))
    assert isinstance(dag.deadline, list)
    (alert,) = dag.deadline
    assert (alert.interval.total_seconds(), alert.reference.reference_name) == (7200, "DagRunQueuedAtDeadline")
    assert alert.callback.path == "airflow_agentic.factory.notify.tell_missed_deadline"
    context = {
        "dag_run": {"dag_run_id": "manual 1", "dag_id": "x", "run_after": "2026-01-31", "conf": {"topic": EVIL}},
        "deadline": {"id": "1"},
    }
    kwargs = json.loads(json.dumps(alert.callback.kwargs))
    asyncio.run(tell_missed_deadline(**kwargs, context=context))
    assert told(file) == [{"text": f"manual 1 {EVIL}", "body": f"<p>manual 1 {EVIL}</p>", "footer": "run manual 1"}]


def test_both_forms_of_notifiers_and_failures(tmp_path: Path) -> None:
    file = tmp_path / "told"
    names = ("FailingNotifier", "AsyncNotifier", "FileNotifier")
    notify = [
        {"notifier": f"support.notifiers.{name}", "arguments": {"file": str(file), "text": name}} for name in names
    ]
    with pytest.raises(ConnectionError):
        asyncio.run(tell_missed_deadline(notify, {}, context={"dag_run": {"dag_run_id": "1"}}))
    assert [one["text"] for one in told(file)] == ["AsyncNotifier", "FileNotifier"]


def test_an_argument_that_reads_what_is_not_there_is_an_error() -> None:
    entry = {"notifier": "support.notifiers.FileNotifier", "arguments": {"file": "x", "text": "{{ first.text }}"}}
    with pytest.raises(ExpressionError):
        make_notifier(entry, {})


def test_what_is_inserted_into_html_is_text(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    text = "<p class='own'>{{ draft.text }}</p>{% for part in draft.parts %}<b>{{ part }}</b>{% endfor %}"
    arguments = {"file": str(file), "subject": "{{ draft.text }}", "html_content": text}
    entry = {"notifier": "support.notifiers.LetterNotifier", "arguments": arguments}
    hostile = "<script>alert(1)</script>"
    make_notifier(entry, {"draft": {"text": hostile, "parts": [hostile, '" onload="x']}})({"run_id": "1"})  # type: ignore[typeddict-item]
    told = json.loads(file.read_text())["text"]
    shown = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert told == [hostile, f"<p class='own'>{shown}</p><b>{shown}</b><b>&quot; onload=&quot;x</b>"]


ESCALATING = """\
version: 1
stages:
  ask: {{human: {{ask: "Go on?", options: [Yes], timeout: 1d, on_timeout: Yes}}}}
notify:
  {event}:
    - {{notifier: support.notifiers.FileNotifier, file: "{file}", text: "{{{{ error.kind | default('none') }}}}"}}
"""


def test_an_escalation_can_say_why(tmp_path: Path) -> None:
    file = tmp_path / "told"
    plan = plan_of_text(tmp_path, ESCALATING.format(event="on_escalation", file=file), "escalating")
    (notification,) = escalations(plan)
    context = {"dag": build_dag_from_plan(plan), "run_id": "run 1"}
    notification(context, {"error": {"stage": "draft", "kind": "rejected", "message": "no"}})  # type: ignore[arg-type]
    notification(context, {})  # type: ignore[arg-type]
    assert [one["text"] for one in told(file)] == ["rejected", "none"]


def test_only_an_escalation_has_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="'error' can't be read here"):
        plan_of_text(tmp_path, ESCALATING.format(event="on_failure", file="x"))

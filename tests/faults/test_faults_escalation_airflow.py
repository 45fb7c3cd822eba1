"""A stage that fails, a person who is told why by mail and asked, and the way back, on a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.mail_server import MailServer, body_of
from support.people import answer, wait_for_questions
from support.scripted_server import Reply, ScriptedServer

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

MAIL = """
    - notifier: airflow.providers.smtp.notifications.smtp.SmtpNotifier
      smtp_conn_id: escalated_mail
      from_email: airflow@example.com
      to: [editor@example.com]
      subject: "{subject}"
      html_content: "{text}"
"""
TEMPLATE = f"""\
version: 1
name: escalated
inputs: {{key: {{type: string, format: password, default: k-1234567890}}}}
agents:
  api: {{type: http, connection: escalated_api, endpoint: /, output: {{text: string}}}}
  spare: {{type: python, callable: "support.scripted_agents:echo", output: {{text: string}}}}
stages:
  draft:
    agent: api
    retry: {{attempts: 2, wait: 10ms}}
    input: {{note: "{{{{ feedback.note | default('') }}}}", key: "{{{{ inputs.key }}}}"}}
    on_error:
      - {{agent: spare, kinds: [timeout]}}
      - {{value: {{text: empty}}, kinds: [malformed_output, budget_exceeded]}}
      - {{to: ask_editor}}
  ask_editor:
    human:
      ask: "{{{{ error.stage }}}} failed ({{{{ error.kind }}}})"
      body: "{{{{ error.message }}}}"
      options: [Again, Discard]
      fields: {{note: {{type: string, default: ""}}}}
      timeout: 1d
      on_timeout: Discard
    routes:
      - when: ask_editor.choice == 'Again'
        back_to: draft
        max_rounds: 3
        with: {{note: "{{{{ ask_editor.note }}}}"}}
        exhausted: fail
      - {{to: fail}}
  publish: {{agent: spare, input: {{value: {{text: "{{{{ draft.text }}}}!"}}}}}}
output: {{text: "{{{{ publish.text | default('nothing') }}}}"}}
notify:
  on_escalation: {MAIL.format(subject="{{ error.stage }}: {{ error.kind }}", text="<b>{{ error.message }}</b>")}
  on_success: {MAIL.format(subject="Published", text="<b>{{ publish.text | default('') }}</b>")}
  on_failure: {MAIL.format(subject="Given up", text="{{ publish.text | default('nothing') }}")}
"""


def begin(airflow: AirflowEnv, api: ScriptedServer, mail: MailServer) -> tuple[str, str]:
    """Start a run, and wait for its question; the run, and the task that asks."""
    airflow.add_connection("escalated_api", conn_type="http", host="127.0.0.1", port=api.port, password="pw-12345678")
    extra = {"disable_ssl": True, "disable_tls": True}
    airflow.add_connection("escalated_mail", conn_type="smtp", host="127.0.0.1", port=mail.port, extra=extra)
    airflow.put_template("escalated.yaml", TEMPLATE)
    airflow.wait_for_dag("escalated")
    run_id = airflow.rest.trigger("escalated")
    [question] = wait_for_questions(airflow, "escalated", run_id)
    assert question["subject"] == "draft failed (rejected)"
    assert "answered 403 Forbidden: <i>not you</i>" in question["body"].replace("&lt;", "<").replace("\\", "")
    return run_id, question["task_instance"]["task_id"]


def test_to_a_person_and_back(airflow: AirflowEnv) -> None:
    refused, again = Reply(status=403, body="<i>not you</i> with pw-12345678"), Reply(body={"text": "better"})
    with ScriptedServer(refused, Reply(status=503), again) as api, MailServer() as mail:
        run_id, asked = begin(airflow, api, mail)
        answer(airflow, "escalated", run_id, asked, "Again", note="be polite")
        ran = airflow.finish("escalated", run_id)
        assert ran.state == "success", str(ran)
        airflow.wait_until(lambda: len(mail.mails) == 2, what="mails", timeout=60)
    assert airflow.rest.xcom("escalated", run_id, "run__finish") == {"text": "better!"}
    assert [call.json["note"] for call in api.calls] == ["", "be polite", "be polite"]
    escalated, published = mail.mails
    assert escalated["subject"] == "draft: rejected"
    assert escalated["to"] == "editor@example.com"
    assert "&lt;i&gt;not you&lt;/i&gt;" in body_of(escalated), "what was answered is text"
    assert "pw-12345678" not in body_of(escalated)
    assert published["subject"] == "Published"
    assert body_of(published) == "<b>better!</b>"


def test_a_person_who_gives_up(airflow: AirflowEnv) -> None:
    with ScriptedServer(Reply(status=403, body="<i>not you</i>")) as api, MailServer() as mail:
        run_id, asked = begin(airflow, api, mail)
        answer(airflow, "escalated", run_id, asked, "Discard")
        assert airflow.finish("escalated", run_id).state == "failed"
        airflow.wait_until(lambda: len(mail.mails) == 2, what="mails", timeout=60)
    assert [one["subject"] for one in mail.mails] == ["draft: rejected", "Given up"]
    assert body_of(mail.mails[1]) == "nothing"

"""
What an agent wrote, in Airflow's real UI, in a real browser: nothing in it runs, and nobody is told who looks at it.

Runs where there is a chromium and playwright, and is skipped elsewhere.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import CHROMIUM, logged_in
from support.people import answer, wait_for_questions
from support.scripted_server import Reply, ScriptedServer

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from support.airflow_env import AirflowEnv

NotShownError = pytest.importorskip("playwright.sync_api").TimeoutError
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium"),
]

#: Airflow's own view of an XCom now and then stays empty on a busy machine.
_LOADS = 3
TEMPLATE = """
version: 1
name: shown_check
doc: "The author's own picture: ![own](CANARY/own.png)"
agents:
  writer: {type: python, callable: "support.hostile_agents:page", output: {text: string}}
stages:
  draft: {agent: writer, input: {canary: CANARY}}
  person:
    human:
      ask: "{{ draft.text }}"
      body: "{{ draft.text }}"
      options: [Publish, Discard]
      timeout: 1h
      on_timeout: fail
"""


def test_nothing_in_a_question_runs_or_calls_home(airflow: AirflowEnv) -> None:
    with ScriptedServer(Reply(status=404)) as canary, logged_in(airflow) as page:
        airflow.put_template("shown_check.yaml", TEMPLATE.replace("CANARY", canary.url))
        airflow.wait_for_dag("shown_check")
        run_id = airflow.rest.trigger("shown_check")
        wait_for_questions(airflow, "shown_check", run_id)
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        run = f"/dags/shown_check/runs/{run_id}"
        for path, text in (
            ("/required_actions", "A **page**"),
            (f"{run}/required_actions", "A **page**"),
            (f"{run}/tasks/person/required_actions", "The end of the page."),
            (f"{run}/tasks/draft/xcom", "md.png"),
            (run, "draft"),
        ):
            look_at(page, f"{airflow.rest.url}{path}", text)
        assert [call.path for call in canary.calls] == []
        page.goto(f"{airflow.rest.url}/dags/shown_check")
        page.get_by_role("button", name="Dag Docs").click()
        page.wait_for_timeout(1000)
        answer(airflow, "shown_check", run_id, "person", "Publish")
        ended = airflow.finish("shown_check", run_id)
    assert ended.state == "success", str(ended)
    assert dialogs == []
    assert {call.path for call in canary.calls} == {"/own.png"}


def look_at(page: Page, url: str, text: str) -> None:
    """Open a page, and see that nothing on it is anything but text."""
    for _ in range(_LOADS):
        page.goto(url)
        with contextlib.suppress(NotShownError):
            page.get_by_text(text).first.wait_for(timeout=20_000)
            break
    else:
        pytest.fail(f"{text!r} isn't on {url}: {page.inner_text('body')}")
    page.wait_for_timeout(500)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src*='.png'], iframe, object, embed, [onerror], [onload], [onclick]").count() == 0
    links: list[Any] = page.eval_on_selector_all("a", "links => links.map(link => link.href)")
    assert [link for link in links if not link.startswith(("http://", "https://", "mailto:"))] == []

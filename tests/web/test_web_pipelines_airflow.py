"""
The pipelines page in Airflow's real UI, in a real browser, over runs that really ran.

Screenshots are left in ``.test/screenshots``. Runs where there is a chromium and playwright, and is skipped elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from support.browser import CHROMIUM, logged_in

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page
    from support.airflow_env import AirflowEnv

pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium"),
]

SCREENSHOTS = Path(__file__).parents[2] / ".test" / "screenshots"
PATIENCE = 60_000

LOOPING = """
version: 1
name: looping_brief
description: Goes round until the reviewer is content
inputs: {needed: {type: integer, default: 2}}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
stages:
  draft: {agent: echo, input: {value: "{{ round }}"}}
  qa:
    agent: echo
    needs: draft
    input: {value: "{{ round }}"}
    routes:
      - {when: qa >= inputs.needed, to: end}
      - {back_to: draft, max_rounds: 3}
"""
FAILING = """
version: 1
name: failing_brief
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
inputs: {broken: {type: boolean, default: true}}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
  fail: {type: python, callable: "support.scripted_agents:fail"}
stages:
  plan: {agent: echo, input: {value: 1}}
  search: {agent: fail, needs: plan, when: inputs.broken}
"""


def test_pipelines_of_real_runs(airflow: AirflowEnv) -> None:
    runs = run_all(airflow)
    with logged_in(airflow) as page:
        page.set_viewport_size({"width": 1440, "height": 800})
        page.set_default_timeout(PATIENCE)
        wrong: list[str] = []
        page.on("console", lambda told: wrong.append(told.text) if "Content Security" in told.text else None)
        page.get_by_role("link", name="Pipelines").click()
        frame = frame_of(page)
        check_rows(frame)
        check_address(page, frame)
        for theme in ("light", "dark"):
            page.evaluate(f"localStorage.setItem('theme', '{theme}')")
            page.reload()
            check_theme(frame_of(page), theme)
            page.screenshot(path=SCREENSHOTS / f"pipelines-{theme}.png")
        # the last one that began, in its own tab, in Airflow's window and not in the frame
        frame_of(page).get_by_role("row", name="failing_brief").get_by_role("link", name="succeeded").press("Enter")
        trace = f"/dags/failing_brief/runs/{runs['failing_brief'][-1]}/plugin/agentic-trace"
        page.wait_for_url(lambda url: unquote(url).endswith(trace))
    assert wrong == []


def run_all(airflow: AirflowEnv) -> dict[str, list[str]]:
    """Three runs of each template; their ids."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    confs = {
        "looping_brief": (LOOPING, [{"needed": 1}, {"needed": 2}, {"needed": 9}]),
        "failing_brief": (FAILING, [{}, {}, {"broken": False}]),
    }
    for dag_id, (text, _) in confs.items():
        airflow.put_template(f"{dag_id}.yaml", text)
    made: dict[str, list[str]] = {}
    for dag_id, (_, given) in confs.items():
        airflow.wait_for_dag(dag_id)
        made[dag_id] = [airflow.rest.trigger(dag_id, conf) for conf in given[:2]]
    for dag_id, (_, given) in confs.items():
        for run_id in made[dag_id]:
            airflow.finish(dag_id, run_id)
        made[dag_id].append(airflow.run(dag_id, given[2]).run_id)
    return made


def frame_of(page: Page) -> Frame:
    """What Airflow's page has in its frame, when it is there."""
    handle = page.wait_for_selector("iframe[title='Pipelines']")
    found = handle.content_frame() if handle else None
    assert found is not None
    found.wait_for_selector("tbody tr")
    return found


def row_of(frame: Frame, name: str) -> str:
    cells = frame.get_by_role("row", name=name).locator("td").all_inner_texts()
    return " | ".join(" ".join(cell.split()) for cell in cells)


def check_rows(frame: Frame) -> None:
    """How often stages failed, and rounds were needed."""
    looping, failing = row_of(frame, "looping_brief"), row_of(frame, "failing_brief")
    assert looping.startswith("3 | 67 % 1 failed | "), looping
    assert "qa in 1 of 3 runs" in looping
    assert "2 of 3 draft … qa bound reached: 33 %" in looping
    assert failing.startswith("3 | 33 % 2 failed | "), failing
    assert "search in 2 of 3 runs" in failing


def check_address(page: Page, frame: Frame) -> None:
    """Period and order stand in the browser's own address, so that they outlast a reload."""
    frame.get_by_role("link", name="30 days").click()
    page.wait_for_url("**/plugin/agentic-pipelines/**days=30**")
    frame.get_by_role("link", name="Success").press("Enter")
    page.wait_for_url("**sort=success&order=asc**")
    page.reload()
    frame = frame_of(page)
    names = [
        name for name in frame.locator("tbody th a").all_inner_texts() if name in ("looping_brief", "failing_brief")
    ]
    assert names == ["failing_brief", "looping_brief"]
    assert frame.locator("th[aria-sort=ascending]").inner_text().split() == ["Success", "↑"]
    assert frame.locator("nav [aria-current]").inner_text() == "30 days"


def check_theme(frame: Frame, theme: str) -> None:
    """Airflow's theme is the page's."""
    frame.wait_for_selector(f"html[data-theme={theme}]")
    shade = frame.locator("body").evaluate("body => getComputedStyle(body).color")
    assert (sum(map(int, shade[4:-1].split(", "))) > 380) == (theme == "dark")

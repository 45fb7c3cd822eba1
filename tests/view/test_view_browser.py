"""
The page in a real browser: quickly there with 1,000 items, usable by keyboard, renewed while the run goes on, harmless.

Runs where there is a chromium and playwright, and is skipped elsewhere.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.browser import CHROMIUM
from support.hostile_traces import poisoned_values
from support.scripted_server import Call, Reply, ScriptedServer

from airflow_agentic.view.page import LiveLinks, asset, attempt_details, trace_page, trace_sections
from airflow_agentic.view.values import as_text, whole_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from airflow_agentic.trace.document import Trace

pytest.importorskip("playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")

LIVE = LiveLinks(
    sections="sections", attempt="attempts/{id}", value="values/{id}/{name}", assets="assets", task="/tasks/{task_id}"
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


class Pages(ScriptedServer):
    """Serves a trace, as Airflow's api-server does."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def reply_to(self, call: Call) -> Reply:
        kind, _, rest = call.path.strip("/").partition("/")
        if kind == "favicon.ico":
            return Reply(status=204)
        if kind == "assets":
            return self._page(
                asset(rest).decode(), {"css": "text/css", "js": "text/javascript"}[rest.rpartition(".")[2]]
            )
        if kind == "sections":
            return self._page(trace_sections(self.trace, live=LIVE))
        if kind == "attempts":
            return self._page(attempt_details(self.trace, rest, live=LIVE))
        if kind == "values":
            return self._page(as_text(whole_value(self.trace, *rest.split("/"))), "text/plain")
        return self._page(trace_page(self.trace, live=LIVE)) if not kind else Reply(status=404)

    def _page(self, text: str, media_type: str = "text/html") -> Reply:
        headers = {"Content-Type": f"{media_type}; charset=utf-8", "Content-Security-Policy": POLICY}
        return Reply(body=text.encode(), headers=headers)


@pytest.fixture(scope="module")
def browser(brief: Trace, ledger: Trace) -> Iterator[Browser]:
    """A browser; the runs are over by then: playwright has an event loop running, beside which none can be made."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with (
        sync_playwright() as playwright,
        contextlib.closing(playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)) as found,
    ):
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may not complain: no error of the script, nothing that the policy refuses."""
    found = browser.new_page(viewport={"width": 1400, "height": 900})
    complaints: list[str] = []
    found.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    yield found
    found.close()
    assert [text for text in complaints if "favicon" not in text] == []


def as_file(trace: Trace, folder: Path) -> str:
    (folder / "page.html").write_text(trace_page(trace), encoding="utf-8")
    return (folder / "page.html").as_uri()


# -- by keyboard -------------------------------------------------------------------------------------------------------


def test_attempts_are_reached_by_keyboard(page: Page, brief: Trace, tmp_path: Path) -> None:
    page.goto(as_file(brief, tmp_path))
    first = page.locator(".timeline .mark[tabindex='0']")
    assert first.count() == 1
    first.focus()
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("draft, round 1, attempt 1")  # the folded items are passed over
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    assert "You write briefs for people who have to decide." in panel.inner_text()
    assert page.evaluate("document.activeElement.id") == "panel"
    assert page.url.endswith("#attempt=attempt-draft__1.draft.-1.1.1")
    page.keyboard.press("Escape")
    assert panel.is_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == focused
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#keys").is_hidden()


def test_one_steps_from_attempt_to_attempt(page: Page, brief: Trace, tmp_path: Path) -> None:
    tried = [attempt for attempt in brief.attempts if attempt.stage == "figures"]
    page.goto(f"{as_file(brief, tmp_path)}#attempt={tried[0].id}")
    for attempt in tried[1:]:
        page.keyboard.press("n")
        page.locator(f"#panel [data-attempt-id='{attempt.id}']").wait_for()
    page.keyboard.press("p")
    page.locator(f"#panel [data-attempt-id='{tried[-2].id}']").wait_for()
    assert "recovered by another agent" in page.locator("#panel").inner_text()


def test_addresses_of_tasks_lead_to_what_they_did(page: Page, brief: Trace, tmp_path: Path) -> None:
    address = as_file(brief, tmp_path)
    for named, shown in (
        ("task=draft__2.draft&map=-1&try=1", "draft (round 2)"),
        ("task=gather&map=-1&try=0", "gather"),
    ):
        page.goto("about:blank")
        page.goto(f"{address}#{named}")
        assert page.locator("#panel h3").inner_text() == shown
    for named, words in (
        ("task=approve&map=-1&try=1", "approve"),
        ("task=draft__1.review__route&map=-1", "review (round 1) decided"),
    ):
        page.goto("about:blank")
        page.goto(f"{address}#{named}")
        assert words in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.goto("about:blank")
    page.goto(f"{address}#task=verify.collect&map=-1&try=1")
    assert page.locator(".line.named").get_attribute("data-key") == "row-1"


def test_words_and_their_origins_light_up_together(page: Page, brief: Trace, tmp_path: Path) -> None:
    page.goto(as_file(brief, tmp_path))
    passage = page.locator(".passage").nth(1)
    passage.focus()
    assert "draft (round 2) (writer, gpt-test)" in page.locator(".origin-list li.lit").inner_text()
    page.locator(".origin-list li").first.hover()
    assert page.locator(".passage.lit").inner_text() == "Grid storage"


def test_idle_time_is_pressed_together_or_not(page: Page, brief: Trace, tmp_path: Path) -> None:
    [answer] = brief.answers
    later = "2036-01-01T00:00:00+00:00"
    waited = replace(brief, answers=(replace(answer, answered=later),), ended=later)
    page.goto(as_file(waited, tmp_path))
    bar = page.locator("[data-attempt='attempt-draft__1.draft.-1.1.1'] rect").first
    wide = bar.bounding_box()["width"]  # type: ignore[index]
    assert wide > 10  # how long it is depends on how busy the machine was
    page.get_by_role("button", name="Idle time").click()
    assert bar.bounding_box()["width"] < 5  # type: ignore[index]
    page.get_by_role("button", name="Idle time").click()
    assert bar.bounding_box()["width"] == pytest.approx(wide, abs=1)  # type: ignore[index]


# -- served ------------------------------------------------------------------------------------------------------------


def test_a_page_is_renewed_while_the_run_goes_on(page: Page, brief: Trace) -> None:
    going_on = replace(
        brief, state="running", ended=None, output=None, sealed=None, artifacts=(), decisions=brief.decisions[:1]
    )
    with Pages(going_on) as server:
        page.goto(server.url)
        page.locator("details.group summary").click()
        page.locator("[data-key$='-conditions'] summary").first.click()
        page.locator("#stages a").first.focus()
        stages = page.locator("#stages").element_handle()
        page.evaluate("window.scrollTo(0, 300)")
        page.locator(".mark[data-attempt]").first.click()
        page.locator("#panel article").wait_for()
        assert page.locator("nav a", has_text="Artifact").is_hidden()
        page.keyboard.press("Escape")
        page.locator("#stages a").first.focus()
        at = page.evaluate("scrollY")
        server.trace = brief
        page.locator("#artifact").wait_for()
        assert "succeeded" in page.locator(".headline").inner_text()
        assert page.locator("nav a", has_text="Artifact").is_visible()
        assert page.locator("details.group").get_attribute("open") is not None
        assert page.locator("[data-key$='-conditions']").first.get_attribute("open") is not None
        assert page.evaluate("(old) => old === document.getElementById('stages')", stages)  # it hadn't changed
        assert page.evaluate("document.activeElement.closest('section').id") == "stages"
        assert abs(page.evaluate("scrollY") - at) < 400
        page.wait_for_timeout(2500)
        asked = len([call for call in server.calls if call.path == "/sections"])
        page.wait_for_timeout(2500)
        assert len([call for call in server.calls if call.path == "/sections"]) == asked


def test_whole_values_are_fetched(page: Page, brief: Trace) -> None:
    attempt = replace(brief.attempts[0], output={"text": "word " * 3000})
    with Pages(replace(brief, attempts=(attempt, *brief.attempts[1:]))) as server:
        page.goto(f"{server.url}/#attempt={attempt.id}")
        page.locator("#panel [data-whole]").first.click()
        page.wait_for_function("document.activeElement.tagName === 'PRE'")
        assert len(page.evaluate("document.activeElement.textContent")) > 15_000


def opening(page: Page, address: str) -> float:
    """Seconds until a page is there."""
    page.goto("about:blank")
    began = time.monotonic()
    page.goto(address)
    page.locator("#timeline .bin").first.wait_for(state="attached")
    return time.monotonic() - began


def test_a_thousand_items_open_at_once_and_stay_usable(page: Page, ledger: Trace, tmp_path: Path) -> None:
    with Pages(ledger) as server:
        trace_page(ledger, live=LIVE)  # templates are compiled once in a server's life
        for address in (server.url, as_file(ledger, tmp_path)):
            opened = min(opening(page, address) for _ in range(3))
            began = time.monotonic()
            page.locator("details.group summary").click()
            page.locator(".line.item").last.scroll_into_view_if_needed()
            page.locator(".line.item .mark").last.click()
            page.locator("#panel article").wait_for()
            used = time.monotonic() - began
            assert opened < 2
            assert used < 3
            page.keyboard.press("Escape")


# -- harmless, legible -------------------------------------------------------------------------------------------------


def test_nothing_of_a_hostile_trace_runs_or_calls(page: Page, brief: Trace, tmp_path: Path) -> None:
    payload = "\"'><img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(1)</script><svg onload=alert(1)>"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = as_file(poisoned_values(brief, payload), tmp_path)
    page.goto(address)
    page.locator("details.group summary").click()
    page.locator(".mark[data-attempt]").first.click(force=True)
    page.locator("#panel article").wait_for()
    assert {url.partition("#")[0] for url in asked} == {address}


def test_colours_can_be_read() -> None:
    """Texts have a contrast of 4.5 to what is behind them, on light pages and on dark ones (WCAG AA)."""
    pairs = dict(re.findall(r"--([a-z-]+): light-dark\((#\w+, #\w+)\)", asset("frame.css").decode()))
    assert len(pairs) > 12
    for number in (0, 1):
        colours = {name: pair.split(", ")[number] for name, pair in pairs.items()}
        for text in ("text", "muted", "accent", "good", "bad", "warn", "busy", "wait", "idle"):
            for behind in ("back", "panel", "raised", "accent-soft"):
                assert contrast(colours[text], colours[behind]) >= 4.5, (number, text, behind)
        assert contrast(colours["text"], colours["bad-soft"]) >= 4.5
        assert contrast(colours["text"], colours["warn-soft"]) >= 4.5


def contrast(one: str, other: str) -> float:
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

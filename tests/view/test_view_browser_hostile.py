"""What texts and addresses of others do to the page in a real browser: nothing, in Airflow's frame, too."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.browser import CHROMIUM
from support.scripted_server import Call, Reply, ScriptedServer

from airflow_agentic.view.page import LiveLinks, asset, trace_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from airflow_agentic.trace.document import Trace

pytest.importorskip("playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")

LIVE = LiveLinks(sections="sections", attempt="attempts/{id}", value="values/{id}/{name}", assets="assets", task=None)
#: As Airflow's own pages have the tab.
AROUND = '<iframe src="/run/" sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"></iframe>'
SPOOFED = '<article class="attempt"><h3 id="spoofed">All is well</h3></article>'


class Framed(ScriptedServer):
    """Airflow with the page in a frame, and a web server that a text links to."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def reply_to(self, call: Call) -> Reply:
        path = call.path.partition("?")[0]
        if path == "/run/":
            return _page(trace_page(self.trace, live=LIVE))
        if path.startswith("/run/assets/"):
            name = path.rpartition("/")[2]
            return _page(asset(name).decode(), "text/css" if name.endswith("css") else "text/javascript")
        if path.startswith("/run/attempts/"):
            # what a proxy that resolves `..` makes of an address
            return _page(SPOOFED, "text/plain")
        return _page(AROUND if path == "/" else "<h1 id='elsewhere'>Sign in</h1>")


def _page(text: str, media_type: str = "text/html") -> Reply:
    return Reply(body=text.encode(), headers={"Content-Type": f"{media_type}; charset=utf-8"})


@pytest.fixture(scope="module")
def browser(brief: Trace) -> Iterator[Browser]:
    """A browser; the runs are over by then."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with (
        sync_playwright() as playwright,
        contextlib.closing(playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)) as found,
    ):
        yield found


def test_where_a_text_links_to_doesnt_come_into_airflows_frame(browser: Browser, brief: Trace) -> None:
    asked = replace(brief.answers[0], body="Please [sign in](http://127.0.0.1:9/login) again.")
    trace = replace(brief, answers=(asked,))
    with Framed(trace) as server:
        page = browser.new_page()
        page.goto(server.url)
        frame = page.frames[1]
        link = frame.locator("a[rel~=noopener]").first
        frame.locator("details[data-key$=-body] summary").click()
        with page.context.expect_page() as opened:
            link.click()
        assert opened.value.url != server.url
        assert frame.url == f"{server.url}/run/"
        assert page.url.rstrip("/") == server.url.rstrip("/")
        page.close()


def test_an_address_cant_show_a_value_as_an_attempt(browser: Browser, brief: Trace) -> None:
    with Framed(brief) as server:
        page = browser.new_page()
        page.goto(f"{server.url}/run/#attempt=x%2F..%2F..%2Fvalues%2Fy%2Foutput")
        page.locator("#panel-content .notice").wait_for()
        assert page.locator("#spoofed").count() == 0
        page.close()

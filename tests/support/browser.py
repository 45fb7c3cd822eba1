"""A browser that is logged in to Airflow's UI, where there is a chromium (Debian: ``apt-get install chromium``)."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page
    from support.airflow_env import AirflowEnv

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: It runs in containers and as root, and asks nobody but the pages it is sent to.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]


@contextlib.contextmanager
def logged_in(airflow: AirflowEnv) -> Iterator[Page]:
    """A page of Airflow's UI."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{airflow.rest.url}/auth/login")
        for name, value in zip(("username", "password"), airflow.login, strict=True):
            page.fill(f'input[name="{name}"]', value)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        try:
            yield page
        finally:
            browser.close()

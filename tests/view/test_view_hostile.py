"""Whatever stands in a trace is text on its page: no element, attribute or handler comes from it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest
from support.hostile_traces import poisoned, poisoned_values
from support.html import Element, elements_of
from support.payloads import PAYLOADS

from airflow_agentic.shown import ELEMENTS
from airflow_agentic.view.page import LiveLinks, attempt_details, trace_page, trace_sections
from airflow_agentic.view.words import harmless

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import Trace

LIVE = LiveLinks(
    sections="sections",
    attempt="attempts/{id}",
    value="values/{id}/{name}",
    assets="assets",
    task="tasks/{task_id}/{map_index}",
)
MORE = [
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea></template></noscript><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}<script>alert(1)</script>",
    "javascript:alert(1)",
    "\u202e<script>\u2066alert(1)\ud800",
    "]]></svg><script>alert(1)</script>",
]
#: Elements that the page and its pictures are made of.
PAGE = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "script",
        "body",
        "a",
        "nav",
        "button",
        "kbd",
        "main",
        "section",
    ),
    *("header", "h1", "h2", "h3", "h4", "p", "code", "span", "strong", "small", "em", "dl", "dt", "dd", "div", "time"),
    *("table", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "line", "text", "path", "polygon", "details"),
    *("summary", "ul", "ol", "li", "article", "pre", "aside", "dialog", "form", "i"),
}
ATTRIBUTES = {
    *("aria-hidden", "aria-label", "aria-labelledby", "aria-live", "aria-pressed", "class", "colspan", "content", "d"),
    *("data-attempt", "data-attempt-id", "data-attempt-link", "data-digest", "data-key", "data-map", "data-ref"),
    *("data-scales", "data-sections", "data-state", "data-step", "data-task", "data-tasks", "data-try", "data-whole"),
    *("charset", "datetime", "display", "download", "height", "hidden", "href", "http-equiv", "id", "lang", "method"),
    *("name", "open", "overflow", "points", "rel", "role", "rx", "scope", "src", "start", "tabindex", "target"),
    *("text-anchor", "title", "transform", "type", "viewBox", "width", "x", "x1", "x2", "y", "y1", "y2"),
}


@pytest.fixture(scope="module")
def small(runs_folder: Path) -> Trace:
    """A run like the others, with three items."""
    from support import shown_runs

    return shown_runs.brief(runs_folder, sources=3)


def check(elements: list[Element]) -> None:
    """Nothing is there that the templates don't have."""
    for element in elements:
        assert element.name in PAGE | ELEMENTS, element
        assert element.attributes.keys() <= ATTRIBUTES, element
        for name in ("href", "src"):
            assert name not in element.attributes or is_own(element.attributes[name], element), element


def is_own(address: str, element: Element) -> bool:
    """Whether a link leads into the page or to the server; formatted texts may lead to the web."""
    if element.attributes.get("rel") == "noopener noreferrer":
        return address.startswith(("http://", "https://", "mailto:"))
    return address.startswith(("#", "attempts/", "values/", "assets/", "tasks/"))


@pytest.mark.parametrize("payload", [*PAYLOADS, *MORE])
def test_nothing_gets_onto_the_page(payload: str, small: Trace) -> None:
    trace = poisoned_values(small, payload)
    check(elements_of(trace_sections(trace, live=LIVE), fragment=True))
    told = [attempt for attempt in trace.attempts if attempt.tool_calls or attempt.state != "success"]
    for attempt in (told[0], told[-1]):
        check(elements_of(attempt_details(trace, attempt.id, live=LIVE), fragment=True))
    check(elements_of(trace_sections(poisoned(small, payload), live=LIVE), fragment=True))


@pytest.mark.parametrize("payload", [PAYLOADS[0], PAYLOADS[2], *MORE])
def test_nothing_gets_into_the_head_or_the_single_file(payload: str, small: Trace) -> None:
    for trace in (poisoned_values(small, payload), poisoned(small, payload)):
        served = elements_of(trace_page(trace, live=LIVE))
        check(served)
        assert [element.text for element in served if element.name == "script"] == ["", ""]
        page = trace_page(trace)
        elements = elements_of(page)
        check(elements)
        [policy] = [element.attributes["content"] for element in elements if "http-equiv" in element.attributes]
        [script] = [element.text for element in elements if element.name == "script"]
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
        page.encode()


@pytest.mark.parametrize("payload", PAYLOADS[:10])
def test_it_stands_there_as_text(payload: str, small: Trace) -> None:
    elements = elements_of(trace_sections(poisoned_values(small, payload), live=LIVE), fragment=True)
    [headline] = [element for element in elements if element.attributes.get("class") == "headline"]
    assert " ".join(harmless(payload).split()) in " ".join(headline.text.split())


def test_what_would_turn_round_a_text_is_told_by_its_number() -> None:
    assert harmless("a\u202eb\x00c\ud800\r\nd\te") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+D800⟩\nd\te"
    assert harmless("наука 科学 👩\u200d🔬 ❤\ufe0f") == "наука 科学 👩\u200d🔬 ❤\ufe0f"


def test_what_nobody_would_see_is_told_by_its_number() -> None:
    assert harmless("no\u200bthing\ufeff\u3164") == "no⟨U+200B⟩thing⟨U+FEFF⟩⟨U+3164⟩"
    assert harmless("\U000e0069\U000e0067") == "⟨U+E0069⟩⟨U+E0067⟩"
    assert harmless("a\U000e0101\U000e0102\ufe01") == "a\U000e0101⟨U+E0102⟩⟨U+FE01⟩"

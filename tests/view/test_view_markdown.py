"""The trace as Markdown: it tells what the page does, and nothing in a trace can be more than text in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.hostile_traces import poisoned, poisoned_values
from support.html import elements_of
from support.payloads import PAYLOADS

from airflow_agentic.trace.document import from_data, to_data
from airflow_agentic.view.markdown import escaped, trace_markdown

if TYPE_CHECKING:
    from airflow_agentic.trace.document import Trace

#: A reader that lets everything through, as careless as one may be.
READER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
READER.validateLink = lambda _: True  # type: ignore[method-assign]
ELEMENTS = {
    *("h1", "h2", "p", "strong", "ul", "ol", "li", "code", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
TITLES = ["Inputs", "Output", "Errors", "Decisions", "Stages", "People", "Artifact", "Attempts", "Template"]


def titles(markdown: str, name: str) -> list[str]:
    return [element.text for element in elements_of(READER.render(markdown), fragment=True) if element.name == name]


def test_it_tells_what_happened(brief: Trace, refused: Trace) -> None:
    text = trace_markdown(brief)
    assert titles(text, "h1") == ["energy_brief: ✓ succeeded"]
    assert titles(text, "h2") == TITLES
    cells = [" ".join(row.split()) for row in titles(text, "tr")]
    assert any(row.startswith("verify ✓ succeeded checker") and "28 of 30" in row for row in cells)
    assert any(
        row.startswith("Storage capacity") and row.endswith("draft (round 2) (writer, gpt-test)") for row in cells
    )
    assert sum("recovered by agent" in row for row in cells) == 1
    listed = "\n".join(titles(text, "li"))
    assert "review.score >= inputs.min_score was 0.71 >= 0.8: false" in listed
    assert "No figure has a source." in listed
    assert "Publish, said editor after" in listed
    assert "Why it failed:" in titles(trace_markdown(refused), "p")[0]


def test_it_is_a_function_of_the_trace(brief: Trace) -> None:
    assert trace_markdown(from_data(json.loads(json.dumps(to_data(brief))))) == trace_markdown(brief)


def test_a_thousand_items_fit_into_a_comment(ledger: Trace) -> None:
    text = trace_markdown(ledger)
    assert len(text) < 65_536
    assert "more attempts that succeeded." in text


@pytest.mark.parametrize(
    "payload", [*PAYLOADS, "a | b", "\\", "`", "``` ```", "x\n\n# h\n\n- a", "@somebody #1", "a\\|b"]
)
def test_nothing_becomes_more_than_text(payload: str, refused: Trace, brief: Trace) -> None:
    for trace in (poisoned_values(refused, payload), poisoned_values(brief, payload), poisoned(refused, payload)):
        rendered = elements_of(READER.render(trace_markdown(trace)), fragment=True)
        assert {element.name for element in rendered} <= ELEMENTS
        assert not any(element.attributes.keys() - {"style", "class", "start"} for element in rendered)
        assert {element.text for element in rendered if element.name == "h2"} <= {*TITLES}
        assert sum(element.name == "h1" for element in rendered) == 1


@example("1. a")
@example("www.a.test")
@example("a@b.test")
@example("&lt;")
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*"\\`*_{}[]()#+-.!|<>&~^:$@ \n\t1w", "http://a.test", "--"])).map("".join)
)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    line = escaped(text, 1000)
    assert "\n" not in line
    for around, name in (("{}", "p"), ("- {}", "li"), ("| a | b |\n| --- | --- |\n| {} | x |", "td")):
        rendered = elements_of(READER.render(around.format(line)), fragment=True)
        assert {element.name for element in rendered} <= {*ELEMENTS, name} - {"strong", "code", "pre", "ol", "h1", "h2"}
        told = [element.text for element in rendered if element.name == name]
        if line:
            shown = re.sub(r"⟨U\+[0-9A-F]{4}⟩|\u2060", "", told[0]).strip()
            assert "".join(shown.split()) == "".join(re.sub(r"⟨U\+[0-9A-F]{4}⟩", "", _plain(text)).split())


def _plain(text: str) -> str:
    from airflow_agentic.view.words import harmless

    return harmless(text).replace("\u2060", "")

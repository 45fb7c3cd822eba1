"""The page of a run: what an auditor has to find on it, and that it is sound HTML that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from support.html import Element, elements_of, texts_of

from airflow_agentic.trace.document import from_data, to_data
from airflow_agentic.view.page import LiveLinks, asset, attempt_details, trace_page, trace_sections
from airflow_agentic.view.values import LONGEST, whole_value

if TYPE_CHECKING:
    from airflow_agentic.trace.document import Trace

LIVE = LiveLinks(
    sections="sections",
    attempt="attempts/{id}",
    value="values/{id}/{name}",
    assets="../assets/1",
    task="/dags/d/runs/r/tasks/{task_id}/mapped/{map_index}",
    artifact="artifacts/{id}",
    downloads=(("JSON", "trace.json"),),
)


def page(trace: Trace, live: LiveLinks | None = None) -> list[Element]:
    """The page's elements, once they are known to be sound."""
    return _elements(trace_page(trace, live=live))


@cache
def _elements(text: str) -> list[Element]:
    return elements_of(text, strict=True)


def hrefs(elements: list[Element]) -> list[str]:
    return [element.attributes["href"] for element in elements if "href" in element.attributes]


# -- sound, and alone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["brief", "refused"])
@pytest.mark.parametrize("live", [None, LIVE])
def test_the_page_is_sound_html(name: str, live: LiveLinks | None, request: pytest.FixtureRequest) -> None:
    elements = page(request.getfixturevalue(name), live)
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    shown = [element for element in elements if "hidden" not in element.attributes]
    assert {href[1:] for href in hrefs(shown) if href.startswith("#")} <= {*ids}
    assert not any("style" in element.attributes for element in elements)
    assert not any(attribute.startswith("on") for element in elements for attribute in element.attributes)
    labelled = [
        element
        for element in elements
        if element.name in ("section", "nav", "aside") or "tabindex" in element.attributes
    ]
    assert all(
        element.name == "section" or {"aria-label", "aria-labelledby"} & element.attributes.keys()
        for element in labelled
    )


def test_the_single_file_needs_nothing_else(brief: Trace) -> None:
    elements = page(brief)
    assert [href for href in hrefs(elements) if not href.startswith("#")] == []
    assert not any("src" in element.attributes for element in elements)
    [policy] = [element.attributes["content"] for element in elements if "http-equiv" in element.attributes]
    for name in ("style", "script"):
        [text] = [element.text for element in elements if element.name == name]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_the_served_page_holds_no_script_and_no_style(brief: Trace) -> None:
    elements = page(brief, LIVE)
    assert "style" not in {element.name for element in elements}
    assert [element.attributes["src"] for element in elements if element.name == "script"] == [
        "../assets/1/frame.js",
        "../assets/1/trace.js",
    ]
    assert all(element.text == "" for element in elements if element.name == "script")
    assert {element.attributes["href"] for element in elements if element.name == "link"} == {
        "../assets/1/frame.css",
        "../assets/1/trace.css",
    }


def test_assets_load_nothing_from_elsewhere() -> None:
    for name in ("frame.css", "trace.css", "frame.js", "trace.js"):
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\beval\b|innerHTML", asset(name).decode()), name
    with pytest.raises(KeyError):
        asset("../page.py")


def test_equal_traces_have_equal_pages(brief: Trace) -> None:
    again = from_data(json.loads(json.dumps(to_data(brief))))
    assert trace_page(again) == trace_page(brief)
    assert trace_sections(again, live=LIVE) == trace_sections(brief, live=LIVE)
    assert trace_sections(brief, live=LIVE) in trace_page(brief, live=LIVE)


# -- what is told ------------------------------------------------------------------------------------------------------


def test_the_summary_says_what_happened(brief: Trace, refused: Trace) -> None:
    elements = page(brief)
    assert texts_of(elements, "h1")[0] == "energy_brief"
    [story] = texts_of(elements, "p", "story")
    assert "7 stages ran, in up to 2 rounds, 1 stage was left out" in story
    assert "7 were tried again, 2 cost their items, 1 was made good by another agent" in story
    assert "Of verify, 2 of 30 items failed." in story
    assert "People answered 1 question" in story
    [figures] = texts_of(elements, "dl", "figures")
    assert f"of at most {brief.budget and brief.budget['calls']}" in figures
    assert "by hand" in figures
    failed = page(refused)
    assert "✕ failed" in texts_of(failed, "header", "headline")[0]
    assert "503 Service Unavailable" in texts_of(failed, "p", "notice")[0]


def test_the_timeline_has_all_attempts_and_what_else_happened(brief: Trace) -> None:
    elements = page(brief)
    bars = [element.attributes for element in elements if "mark" in element.attributes.get("class", "").split()]
    assert sorted(bar["data-attempt"] for bar in bars if "data-attempt" in bar) == sorted(
        each.id for each in brief.attempts
    )
    others = {bar["data-ref"] for bar in bars if bar.get("data-ref")}
    assert others == {each.id for each in (*brief.decisions, *brief.answers, *brief.artifacts)}
    assert texts_of(elements, "p", "round") == ["Round 1", "Round 2"]
    items = [element for element in elements if "item" in element.attributes.get("class", "").split()]
    assert len(items) == 30
    [group] = [element for element in elements if "group" in element.attributes.get("class", "").split()]
    assert "open" not in group.attributes
    assert "30 items, 2 failed" in texts_of([group], "details")[0]
    assert any("rate_limited" in bar["aria-label"] for bar in bars)


def test_the_path_shows_what_was_taken_and_how_often(brief: Trace) -> None:
    elements = page(brief)
    places = {
        element.attributes["aria-label"]: element.attributes["class"].split()
        for element in elements
        if {"taken", "untaken"} & {*element.attributes.get("class", "").split()} and "aria-label" in element.attributes
    }
    assert places["draft: succeeded"] == ["taken"]
    assert places["appendix: skipped"] == ["untaken"]
    labels = " ".join(element.text for element in elements if "label" in element.attributes.get("class", "").split())
    assert "taken 1 time" in labels
    assert "from review back to draft: 1 time" in texts_of(elements, "li")


def test_decisions_are_told_in_words_with_what_went_back(brief: Trace) -> None:
    elements = page(brief)
    [listed] = texts_of(elements, "ol", "decisions")
    assert all(" ".join(decision.words.split()) in listed for decision in brief.decisions)
    assert "review.score >= inputs.min_score was 0.71 >= 0.8: false" in listed
    [feedback] = texts_of(elements, "div", "feedback")
    assert "No figure has a source." in feedback


def test_people_errors_and_stages_are_told(brief: Trace) -> None:
    elements = page(brief)
    [answer] = texts_of(elements, "article", "answer")
    assert "Publish, said editor after" in answer
    assert "Good work; mind the second table." in answer
    rows = texts_of(elements, "tr")
    assert sum("rate_limited" in row and row.endswith("retried") for row in rows) == 5
    assert sum(row.endswith("recovered by agent") for row in rows) == 1
    [verify] = [row for row in rows if row.startswith("verify ✓")]
    assert "28 of 30" in verify
    [draft] = [row for row in rows if row.startswith("draft (round 1)")]
    assert "gpt-test" in draft


def test_each_passage_of_the_artifact_leads_to_its_origin(brief: Trace) -> None:
    elements = page(brief)
    [artifact] = brief.artifacts
    passages = [element for element in elements if "passage" in element.attributes.get("class", "").split()]
    assert [element.text for element in passages] == [
        (artifact.content or "")[passage.start : passage.end] for passage in artifact.passages
    ]
    origins = {
        element.attributes["id"]: element for element in elements if element.name == "li" and "id" in element.attributes
    }
    [text] = [element for element in passages if element.text.startswith("Storage capacity")]
    origin = origins[text.attributes["href"][1:]]
    assert "draft (round 2) (writer, gpt-test)" in origin.text
    [source] = [element.text for element in elements if "source" in element.attributes.get("class", "").split()]
    assert source == artifact.content


# -- attempts ----------------------------------------------------------------------------------------------------------


def test_an_attempts_details(brief: Trace) -> None:
    [first] = [attempt for attempt in brief.attempts if attempt.agent == "writer" and attempt.rounds == (1,)]
    shown = elements_of(attempt_details(brief, first.id, live=LIVE), fragment=True, strict=True)
    text = " ".join(shown[0].text.split())
    for told in (
        "draft (round 1)",
        "gpt-test",
        "search",
        "grid storage: capacity grew",
        "1 851 in, 219 out",
        "$0.0068",
    ):
        assert told in text, told
    assert "You write briefs for people who have to decide." in text
    assert f"/dags/d/runs/r/tasks/{first.task_id}" in hrefs(shown)
    with pytest.raises(KeyError):
        attempt_details(brief, "nobody", live=None)


def test_attempts_lead_to_those_before_and_after(brief: Trace) -> None:
    tried = [attempt for attempt in brief.attempts if attempt.stage == "figures"]
    links = []
    for attempt in tried:
        shown = elements_of(attempt_details(brief, attempt.id, live=None), fragment=True)
        links.append(
            {
                element.attributes["data-step"]: element.attributes["href"]
                for element in shown
                if "data-step" in element.attributes
            }
        )
    ids = [f"#{attempt.id}" for attempt in tried]
    assert links == [
        {"after": ids[1]},
        {"before": ids[0], "after": ids[2]},
        {"before": ids[1], "after": ids[3]},
        {"before": ids[2]},
    ]
    failed = " ".join(elements_of(attempt_details(brief, tried[2].id, live=None), fragment=True)[0].text.split())
    assert "recovered by another agent" in failed
    assert (
        "unavailable 503 Service Unavailable: https://charts.internal/v2/render did not answer → recovered by agent"
        in failed
    )


def test_what_is_only_known_of_some_attempts(brief: Trace) -> None:
    attempt = replace(
        brief.attempts[0],
        cached={"run": "other", "record": "attempts/x.json", "stored": "2026-01-01T00:00:00+00:00"},
        window={"cuts": [{"path": "input.text"}]},
        waited=2.0,
        queued_seconds=3.0,
        error={
            "kind": "bug",
            "message": "no",
            "reply": "what it said",
            "details": {"a": 1},
            "traceback": "line 1\nline 2",
        },
        state="failed",
    )
    [text] = texts_of(
        elements_of(attempt_details(replace(brief, attempts=(attempt,)), attempt.id, live=None)), "article"
    )
    for told in (
        "the run other, kept 2026-01-01",
        "input.text",
        "waited for a limit2.0 s",
        "queued3.0 s",
        "what it said",
        "line 1",
    ):
        assert told in text, told


def test_large_values_are_cut_with_a_way_to_the_whole(brief: Trace) -> None:
    long = "word " * 20_000
    attempt = replace(brief.attempts[0], output={"text": long})
    trace = replace(brief, attempts=(attempt, *brief.attempts[1:]))
    served = elements_of(attempt_details(trace, attempt.id, live=LIVE), fragment=True)
    assert max(len(element.text) for element in served if element.name == "pre") == LONGEST
    [link] = [element for element in served if "data-whole" in element.attributes]
    assert link.attributes["href"] == f"values/{attempt.id}/output"
    assert whole_value(trace, attempt.id, "output") == {"text": long}
    alone = elements_of(attempt_details(trace, attempt.id, live=None), fragment=True)
    assert long in [element.text for element in alone if element.name == "pre"]


def test_whole_values(brief: Trace) -> None:
    assert whole_value(brief, "run", "inputs") == brief.inputs
    assert whole_value(brief, brief.answers[0].id, "fields") == brief.answers[0].fields
    assert whole_value(brief, brief.artifacts[0].id, "content") == brief.artifacts[0].content
    assert whole_value(brief, brief.decisions[0].id, "feedback") == brief.decisions[0].feedback
    for ref, name in (("run", "nothing"), ("nobody", "output"), (brief.attempts[0].id, "nothing")):
        with pytest.raises(KeyError):
            whole_value(brief, ref, name)


# -- runs of all kinds -------------------------------------------------------------------------------------------------


def test_little_is_known(brief: Trace) -> None:
    empty = replace(
        brief,
        state="running",
        inputs=None,
        output=None,
        sealed=None,
        triggered={},
        started=None,
        ended=None,
        seconds=None,
        budget=None,
        picture=None,
        template=None,
        complete=False,
        problems=("A record can't be read.",),
        **dict.fromkeys(("stages", "tasks", "attempts", "decisions", "answers", "merges", "errors", "artifacts"), ()),
    )
    for live in (None, LIVE):
        notices = " ".join(texts_of(page(empty, live), "p", "notice"))
        assert "A record can't be read." in notices
        assert "Airflow could not be asked" in notices
    page(replace(brief, picture={"title": "no picture"}))


def test_the_timeline_of_a_run_that_goes_on_ends_now(brief: Trace) -> None:
    [answer] = brief.answers
    waiting = replace(answer, answered=None, seconds=None, choice=None, by=None, fields={})
    going_on = replace(brief, state="running", ended=None, seconds=None, answers=(waiting,), artifacts=())
    later = replace(LIVE, now="2036-01-01T00:00:00+00:00")
    [shown] = [element for element in page(going_on, later) if element.attributes.get("id") == "timeline"]
    assert re.search(r"\d{4} d", shown.text)
    assert "pressed" in shown.text
    assert page(brief, later) == page(brief, replace(later, now=None))


def test_a_thousand_items_are_a_small_page_and_quickly_made(ledger: Trace) -> None:
    assert len(ledger.attempts) > 1000
    began = time.process_time()
    served, alone = trace_page(ledger, live=LIVE), trace_page(ledger)
    assert time.process_time() - began < 3
    assert len(served) < 1_000_000
    assert len(alone) < 3_500_000

"""Analysis, draft and score: what a brief is made of, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.library_sources import source, sources

from airflow_agentic.agents.library.analysis import analyse
from airflow_agentic.agents.library.citations import check
from airflow_agentic.agents.library.draft import write
from airflow_agentic.agents.library.score import score
from airflow_agentic.errors import FinalError


def claim(identity: str, text: str, name: str = "s1", **more: Any) -> dict[str, Any]:
    return {"id": identity, "text": text, "quote": text, "source": name, "score": 0.5, **more}


CLAIMS = [
    claim("c1", "The retry delay doubles after each attempt of a task.", score=1.0, offset=20),
    claim("c2", "Jitter spreads the retries of many clients over the wait.", "s2", score=0.9),
    claim("c3", "`retry_delay`: the time between two attempts", offset=10),
    claim("c4", "The maximum delay is 24 hours for every task.", offset=30),
    claim("c5", "An email is sent when a task is tried again.", offset=40),
    claim("c6", "Alerts by email can be switched off for retries.", offset=5),
    claim("c7", "Bread is baked in an oven.", "s2"),
]


def test_claims_are_put_under_their_themes_and_the_best_lead() -> None:
    result = analyse("retries", CLAIMS, ["retry delay", "email alerts", "jitter"], sources(), lead=1)
    assert result["lead"] == ["c1"]
    assert result["sections"] == [
        {"title": "Retry delay", "claims": ["c3", "c4"]},
        {"title": "Further points", "claims": ["c2", "c7", "c6", "c5"]},
    ]
    assert result["summary"] == "7 claims about retries from 2 of 2 sources, in 2 sections."


def test_a_theme_with_one_claim_is_no_section() -> None:
    sections = analyse("retries", CLAIMS, ["email", "jitter", "bread"], lead=0)["sections"]
    assert [section["title"] for section in sections] == ["Email", "Further points"]
    (only,) = analyse("retries", CLAIMS[:2], [], lead=0)["sections"]
    assert only["title"] == "Findings"


def test_there_are_no_more_sections_than_wanted() -> None:
    sections = analyse("retries", CLAIMS, ["retry delay", "email"], lead=0, max_sections=1)["sections"]
    assert [section["title"] for section in sections] == ["Retry delay", "Further points"]


def test_the_lead_is_from_different_sources_and_of_whole_sentences() -> None:
    assert analyse("retries", CLAIMS, [], lead=3)["lead"] == ["c1", "c2"]


def test_what_is_missing_is_said() -> None:
    more = [*sources(), source("s3", "Nothing.", title="Silence")]
    gaps = analyse("retries of penguins", CLAIMS, ["pool slots"], more)["gaps"]
    assert gaps == [
        "No claim has the word “penguins” of the topic.",
        "No claim is about pool slots.",
        "Nothing was taken from Silence.",
    ]


def test_every_statement_of_a_brief_carries_its_citation() -> None:
    sections = [{"title": "Delay", "claims": ["c3", "c4"]}, {"title": "Email", "claims": ["c5", "c9"]}]
    brief = write("retries", CLAIMS, sources(), sections, lead=["c1", "c2"], title="On retries")
    assert brief["title"] == "On retries"
    assert brief["text"] == (
        "# On retries\n\n"
        "The retry delay doubles after each attempt of a task [1]. "
        "Jitter spreads the retries of many clients over the wait [2].\n\n"
        "## Delay\n\n"
        "- `retry_delay`: the time between two attempts [3].\n"
        "- The maximum delay is 24 hours for every task [4].\n\n"
        "## Email\n\n"
        "- An email is sent when a task is tried again [5].\n\n"
        "## Sources\n\n"
        "- Retries `docs/retries.md`: [1], [3], [4], [5]\n"
        "- Backoff in practice <https://backoff.example/post>: [2]\n"
    )
    assert brief["citations"][1] == {
        "number": 2,
        "claim": CLAIMS[1]["text"],
        "quote": CLAIMS[1]["quote"],
        "source": "s2",
        "title": "Backoff in practice",
        "uri": "https://backoff.example/post",
        "section": "",
        "offset": None,
    }
    assert brief["used"] == ["c1", "c2", "c3", "c4", "c5"]
    assert brief["left_out"] == ["c6", "c7"]


def test_each_sentence_of_a_paragraph_is_cited() -> None:
    claims = [claim("c1", "The retry delay doubles each time. It never exceeds its maximum.")]
    text = write("t", claims, sources(), lead=["c1"])["text"]
    assert "The retry delay doubles each time [1]. It never exceeds its maximum [1].\n" in text


def test_claims_about_one_name_of_code_share_an_item() -> None:
    claims = [claim("c1", "`Policy`: Base class of policies."), claim("c2", "`Policy`: It decides about each failure.")]
    assert (
        "- `Policy`: Base class of policies [1]. It decides about each failure [2]."
        in write("t", claims, sources())["text"]
    )


@pytest.mark.parametrize("words", [1, 15, 30, 45, 60, 1000])
def test_the_words_are_kept_to(words: int) -> None:
    sections = [{"title": "Delay", "claims": ["c3", "c4"]}, {"title": "More", "claims": ["c5", "c6", "c7"]}]
    brief = write("retries", CLAIMS, sources(), sections, lead=["c1", "c2"], max_words=words)
    assert brief["words"] <= max(words, 12)  # one claim is always told
    assert brief["citations"]


def test_themes_to_cover_come_before_better_claims() -> None:
    sections = [{"title": "Delay", "claims": ["c3", "c4"]}, {"title": "More", "claims": ["c5", "c6", "c7"]}]
    plain = write("retries", CLAIMS, sources(), sections, lead=["c1"], max_words=24)
    covering = write("retries", CLAIMS, sources(), sections, lead=["c1"], max_words=24, cover=["bread", "nothing"])
    assert plain["used"] == ["c1", "c3"]
    assert covering["used"] == ["c1", "c7"]


def test_remarks_are_told_last_and_only_while_there_is_room() -> None:
    remarks = ["Two retries were always enough for *us*.", "Nobody knows why."]
    brief = write("retries", CLAIMS[:1], sources(), remarks=remarks, max_words=20)
    assert "## Remarks\n\n- Two retries were always enough for \\*us\\*.\n\n## Sources" in brief["text"]
    assert brief["words"] <= 20
    figures = score("retries", brief["text"], brief["citations"], min_words=1)
    assert figures["citation_density"] == 0.5


def test_claims_to_avoid_are_not_used() -> None:
    avoided = ["c1", "jitter spreads the retries of many clients over the wait", "bread is baked in an oven"]
    brief = write("retries", CLAIMS, sources(), avoid=avoided)
    assert brief["used"] == ["c3", "c4", "c5", "c6"]


def test_a_claim_is_told_once_and_only_with_its_source() -> None:
    claims = [CLAIMS[0], {**CLAIMS[0], "id": "again"}, claim("c8", "Nobody knows where this is from.", "s9")]
    assert write("retries", claims, sources())["used"] == ["c1"]


def test_a_brief_of_nothing_is_refused() -> None:
    with pytest.raises(FinalError, match="no claim to write a brief of"):
        write("retries", CLAIMS[:1], sources(), avoid=["c1"])
    with pytest.raises(FinalError, match=r"claims\[0\] has no text"):
        write("retries", [{"source": "s1"}], sources())


def test_what_sources_hold_is_never_markup() -> None:
    text = "<script>alert(1)</script> [link](http://x) *bold* _it_ snake_case `a*b` [9] # {{ 7*7 }} \\ | ~x~."
    brief = write("t", [claim("c1", text)], [source("s1", text, title="[t](u) <b>")], title="<i> *T*")
    assert brief["text"] == (
        "# \\<i\\> \\*T\\*\n\n## Findings\n\n"
        "- \\<script\\>alert(1)\\</script\\> \\[link\\](http://x) \\*bold\\* \\_it\\_ snake_case `a*b` \\[9\\] \\# "
        "{{ 7\\*7 }} \\\\ \\| \\~x\\~ [1].\n\n"
        "## Sources\n\n- \\[t\\](u) \\<b\\>: [1]\n"
    )
    assert score("t", brief["text"], brief["citations"], min_words=1)["citation_density"] == 1.0


BRIEF = """\
# Retries

A failed task is tried again after its retry delay [1]. Jitter spreads the retries of many clients. [2][3]

## Delay

- The delay doubles after each attempt of the task [1, 4].

## Sources

- [1] not counted as a statement, whatever it says
"""
CITATIONS = [{"number": number} for number in (1, 2, 3, 4)]


def test_a_good_brief_has_no_problems() -> None:
    result = score("retries", BRIEF, CITATIONS, themes=["retry delay", "jitter"], min_words=10, max_words=60)
    assert result == {
        "score": 1.0,
        "coverage": 1.0,
        "citation_density": 1.0,
        "redundancy": 0.0,
        "length": 1.0,
        "support": None,
        "problems": [],
        "constraints": [],
        "words": 28,
        "statements": 3,
        "missing_themes": [],
    }


def test_each_fault_lowers_its_own_figure_and_is_said() -> None:
    faulty = BRIEF.replace(
        " [1, 4].", " [7].\n- The delay doubles after each attempt of the task [1].\n- It just works."
    )
    holds = check([{"quote": "nothing of the kind stands there", "source": "s1", "number": 4}], sources())
    result = score(
        "retries", faulty, CITATIONS, themes=["email alerts", "jitter"], check=holds, min_words=1, max_words=20
    )
    assert result["coverage"] < 0.7
    assert result["citation_density"] == 0.6
    assert result["redundancy"] == 0.2
    assert result["length"] == pytest.approx(20 / result["words"], abs=0.001)
    assert result["support"] == 0.0
    assert result["score"] < 0.6
    doubles = "The delay doubles after each attempt of the task."
    assert result["problems"] == [
        "The brief says nothing about email alerts.",
        "“It just works.” has no citation.",
        "[7] is in the text but not among the citations.",
        "Citation 4 is not used in the text.",
        f"“{doubles}” repeats “{doubles}”: keep one of them.",
        f"The brief has {result['words']} words; at most 20 are wanted: cut {result['words'] - 20}.",
        "Citation 4 (“nothing of the kind stands there”): the quote is not in the source.",
    ]
    assert [(entry["rule"], entry["value"]) for entry in result["constraints"]] == [
        ("cover", "email alerts"),
        ("cover", "jitter"),
        ("cite_all", None),
        ("avoid", doubles),
        ("max_words", 20),
    ]


def test_an_empty_brief() -> None:
    result = score("retries", "", [], themes=["delay"])
    assert result["score"] < 0.2
    assert result["problems"][-2:] == [
        "The brief holds no statement.",
        "The brief has 0 words; at least 100 are wanted.",
    ]
    with pytest.raises(FinalError, match="text must be a text"):
        score("retries", None)  # type: ignore[arg-type]


def test_markers_are_only_markers() -> None:
    text = "A list like \\[3\\] or a [link](x) or a year [2026](y) is no citation. One with a citation [1]; and so on."
    result = score("list", text, [{}], min_words=1)
    assert result["citation_density"] == 0.5
    assert not any("not among the citations" in problem for problem in result["problems"])

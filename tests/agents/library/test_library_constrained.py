"""Drafts that were sent back, and what goes out in the end."""

from __future__ import annotations

from typing import Any

import pytest
from support.library_sources import source

from airflow_agentic.agents.library.constrained import write
from airflow_agentic.agents.library.publish import finish
from airflow_agentic.agents.library.score import score
from airflow_agentic.errors import FinalError


def claim(name: str, text: str, quote: str, uri: str, score: float) -> dict[str, Any]:
    return {"id": name, "text": text, "quote": quote, "source": uri, "score": score}


CLAIMS = [
    claim("a", "The retry delay doubles after each attempt.", "it doubles", "one", 1.0),
    claim("b", "Jitter spreads the retries over the wait.", "it spreads", "two", 0.9),
    claim("c", "An email alert tells of each retry.", "an email", "two", 0.5),
]
SOURCES = [source("one", "", uri="one.md"), source("two", "", uri="two.md")]
REMARKS = ["Two retries were always enough for us.", "Nobody reads the emails about retries."]


def drafted(*constraints: dict[str, Any], remarks: list[str] = REMARKS) -> dict[str, Any]:
    return write("retries", CLAIMS, SOURCES, remarks=remarks, constraints=list(constraints))


def test_without_constraints_a_draft_is_everything() -> None:
    brief = drafted()
    assert brief["used"] == ["a", "b", "c"]
    assert all(remark in brief["text"] for remark in REMARKS)
    assert brief["kept_to"] == []
    assert brief["cited"] == [
        {"uri": "one.md", "citations": [{"number": 1, "claim": CLAIMS[0]["text"], "quote": "it doubles"}]},
        {
            "uri": "two.md",
            "citations": [
                {"number": 2, "claim": CLAIMS[1]["text"], "quote": "it spreads"},
                {"number": 3, "claim": CLAIMS[2]["text"], "quote": "an email"},
            ],
        },
    ]


def test_each_constraint_changes_the_draft_for_its_reason() -> None:
    assert "Remarks" not in drafted({"rule": "cite_all"})["text"]
    assert drafted({"rule": "without_source", "value": "two"})["used"] == ["a"]
    assert drafted({"rule": "avoid", "value": CLAIMS[0]["text"]})["used"] == ["b", "c"]
    assert REMARKS[0] not in drafted({"rule": "avoid", "value": REMARKS[0]})["text"]
    assert drafted({"rule": "max_words", "value": 18})["used"] == ["a", "b"]
    both = ({"rule": "max_words", "value": 18}, {"rule": "cover", "value": "email alert"})
    assert drafted(*both)["used"] == ["a", "c"] or drafted(*both)["used"] == ["b", "c"]


def test_constraints_add_up_and_the_strictest_counts() -> None:
    limits = [{"rule": "max_words", "value": value} for value in (500, 18, 100)]
    brief = drafted(*limits, {"rule": "cite_all"}, {"rule": "cite_all"})
    assert brief["words"] <= 18
    assert brief["kept_to"] == [
        "Use at most 500 words.",
        "Use at most 18 words.",
        "Use at most 100 words.",
        "Say nothing without a citation.",
    ]


def test_each_draft_is_better_than_the_one_before() -> None:
    constraints: list[dict[str, Any]] = []
    scores = []
    for _ in range(3):
        brief = drafted(*constraints)
        review = score(
            "retries", brief["text"], brief["citations"], themes=["retry delay", "jitter"], min_words=1, max_words=22
        )
        scores.append(review["score"])
        constraints += review["constraints"]
    assert scores[0] < scores[1] <= scores[2] == 1.0


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"rule": "rhyme"}, "'rhyme' is none of max_words, cite_all"),
        ({"rule": "max_words", "value": "ten"}, "max_words must be a number of at least 1, not 'ten'"),
        ("short", r"constraints\[0\] must be a mapping"),
    ],
)
def test_a_constraint_that_nobody_can_keep_is_refused(constraint: Any, message: str) -> None:
    with pytest.raises(FinalError, match=message):
        drafted(constraint)


def test_constraints_that_leave_nothing_fail_the_draft() -> None:
    with pytest.raises(FinalError, match="no claim to write a brief of"):
        drafted(*({"rule": "without_source", "value": name} for name in ("one", "two")))


def test_what_was_verified_goes_out_as_it_is() -> None:
    assert finish("# Brief\n\nIt doubles [1].\n") == {"text": "# Brief\n\nIt doubles [1].\n", "unverified": []}


def test_what_was_not_verified_is_marked_where_it_is_said() -> None:
    brief = drafted()
    done = finish(brief["text"], failed=[{"item": brief["cited"][1], "message": "two.md is gone."}], note=" Beware\n! ")
    assert done["unverified"] == [2, 3]
    assert done["text"].startswith("> Editor's note: Beware !\n\n# Retries\n")
    assert "after each attempt [1]." in done["text"]
    assert "over the wait [2, not verified]." in done["text"]
    assert done["text"].endswith("## Not verified\n\n- [2], [3]: two.md is gone.\n")
    with pytest.raises(FinalError, match="text must be a text"):
        finish("")

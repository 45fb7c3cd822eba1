"""Questions to a document, and what is an answer."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentic.agents.library.evidence import find, judge
from airflow_agentic.errors import FinalError

QUESTIONS = [
    {"question": "Who?", "words": ["owner", "owns"], "also": ["answers for"]},
    {"question": "Back?", "words": ["roll back"], "also": ["restore"]},
    {"question": "Alert?", "words": ["alert"]},
]
TEXT = """\
# Export

## People

Owner: TBD. The tools team answered for the export last year.

## Trouble

To go back to what was there before, see the snapshots and restore one of them.

There is an alert, see the dashboard.
"""


def rounds(text: str, count: int) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for search in range(1, count + 1):
        found = find(text, QUESTIONS, search=search, kept=kept, rejected=rejected)
        done.append(judge(QUESTIONS, found["answers"], kept=kept, rejected=rejected))
        kept, rejected = done[-1]["kept"], done[-1]["rejected"]
    return done


def test_a_document_that_answers_in_the_questions_words_needs_one_round() -> None:
    (only,) = rounds("The ops team owns it.\n\nRolling back takes a minute.\n\nAn alert fires at 5 %.", 1)
    assert only["complete"]
    assert [answer["quote"] for answer in only["kept"]] == [
        "The ops team owns it.",
        "Rolling back takes a minute.",
        "An alert fires at 5 %.",
    ]


def test_other_words_are_for_later_rounds_and_what_was_turned_down_is_not_found_again() -> None:
    first, second, third = rounds(TEXT, 3)
    assert first["open"] == ["Who?", "Back?", "Alert?"]
    assert {entry["quote"]: entry["reason"] for entry in first["rejected"]} == {
        "Owner: TBD.": "it is a placeholder",
        "There is an alert, see the dashboard.": "it sends the reader somewhere else",
    }
    assert [(answer["question"], answer["section"], answer["search"]) for answer in second["kept"]] == [
        ("Who?", "People", 2),
        ("Back?", "Trouble", 2),
    ]
    assert second["open"] == third["open"] == ["Alert?"]
    assert second["rejected"] == third["rejected"] == first["rejected"]


def test_what_cannot_be_found_is_said() -> None:
    assert find("Nothing of the kind.", QUESTIONS) == {"answers": [], "missing": ["Who?", "Back?", "Alert?"]}


def test_the_sentence_with_most_of_the_words_is_taken() -> None:
    text = "The owner left.\n\nThe owner of the job is the team that owns the index."
    assert find(text, QUESTIONS[:1])["answers"][0]["quote"].startswith("The owner of the job")


@pytest.mark.parametrize("question", [{"question": "Who?"}, {"words": ["owner"]}, {"question": " ", "words": ["x"]}])
def test_a_question_needs_words(question: dict[str, Any]) -> None:
    with pytest.raises(FinalError, match=r"questions\[0\] must have a question"):
        find("text", [question])

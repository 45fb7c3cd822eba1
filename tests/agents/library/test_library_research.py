"""Notes and their evidence, and other sources for what turned out not to hold."""

from __future__ import annotations

from typing import Any

import pytest
from support.library_sources import source, sources

from airflow_agentic.agents.library.citations import check
from airflow_agentic.agents.library.research import collect
from airflow_agentic.errors import FinalError

NOTES = """\
# What we know

Begun in a hurry, some years ago.

## Delay

We looked it up twice. The retry delay is 300 seconds: “300 seconds by default” (docs/retries.md). It suits us well.

- With exponential backoff the delay triples: “the retry delay triples each time” (docs/old.md)
- Nobody answers the phone at night: “the phone is answered from nine to five” (docs/handbook.md)

“The longest time between two retries, 24 hours at most” (docs/retries.md)
"""


def collected(*failed: tuple[str, str], library: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    told = [{"item": {"uri": uri, "citations": [{"quote": quote}]}, "message": "It is gone."} for uri, quote in failed]
    return collect("retries", [source("n", NOTES)], sources() if library is None else library, failed=told)


OLD = ("docs/old.md", "the retry delay triples each time")
PHONE = ("docs/handbook.md", "the phone is answered from nine to five")


def test_a_first_round_takes_the_notes_at_their_word() -> None:
    found = collected()
    assert [(claim["text"], claim["quote"], claim["source"]) for claim in found["claims"]] == [
        ("The retry delay is 300 seconds.", "300 seconds by default", "docs/retries.md"),
        ("With exponential backoff the delay triples.", *OLD[::-1]),
        ("Nobody answers the phone at night.", *PHONE[::-1]),
        (
            "The longest time between two retries, 24 hours at most.",
            "The longest time between two retries, 24 hours at most",
            "docs/retries.md",
        ),
    ]
    assert found["claims"][0]["section"] == "Delay"
    assert found["remarks"] == ["Begun in a hurry, some years ago.", "We looked it up twice."]
    assert [entry["title"] for entry in found["sources"]] == ["Retries", "docs/old.md", "docs/handbook.md"]
    assert found["replaced"] == found["unresolved"] == []


def test_a_claim_that_failed_is_said_in_the_words_of_another_source() -> None:
    found = collected(OLD)
    (replaced,) = found["replaced"]
    assert replaced == {
        "claim": "With exponential backoff the delay triples.",
        "source": "docs/old.md",
        "reason": "It is gone.",
        "instead": "With exponential backoff the retry delay doubles after each attempt. "
        "It never exceeds the maximum retry delay.",
        "by": "docs/retries.md",
    }
    claim = found["claims"][1]
    assert (claim["text"], claim["source"]) == (replaced["instead"], "docs/retries.md")
    assert check([{**claim, "source": "s1"}], sources())["unsupported"] == 0


def test_what_no_other_source_says_stays_as_it_was_and_is_told() -> None:
    found = collected(OLD, PHONE)
    assert [entry["claim"] for entry in found["unresolved"]] == ["Nobody answers the phone at night."]
    assert found["claims"][2]["source"] == "docs/handbook.md"
    assert len(collected(OLD, PHONE, library=[])["unresolved"]) == 2


def test_a_replacement_that_failed_too_is_not_taken_again() -> None:
    first = collected(OLD)["claims"][1]
    again = collected(OLD, (first["source"], first["quote"]))
    assert (again["claims"][1]["source"], again["claims"][1]["quote"]) != (first["source"], first["quote"])


def test_wrong_input_is_said() -> None:
    with pytest.raises(FinalError, match=r"failed\[0\] must be a mapping"):
        collect("retries", sources(), failed=["x"])  # type: ignore[list-item]

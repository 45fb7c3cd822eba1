from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.library_sources import RETRIES, source, sources

from airflow_agentic.agents.library.citations import check, verify_source
from airflow_agentic.agents.library.claims import extract
from airflow_agentic.agents.library.prose.matching import Folded, find
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from pathlib import Path

DOUBLES = "With exponential backoff the retry delay doubles after each attempt."


def checked(quote: str, claim: str = "", name: str = "s1") -> dict[str, Any]:
    result: dict[str, Any] = check([{"quote": quote, "source": name, "claim": claim}], sources())["results"][0]
    return result


def test_the_librarys_own_claims_hold() -> None:
    result = check(extract("retries", sources())["claims"], sources())
    assert result["problems"] == []
    assert result["total"] == result["supported"] > 4
    assert result["ratio"] == 1.0


@pytest.mark.parametrize(
    "quote",
    [
        DOUBLES,
        DOUBLES.upper(),
        "“With exponential  backoff\nthe retry delay doubles after each attempt.”",
        "**With** exponential `backoff` the retry delay doubles",
        "With exponential backoff … doubles after each attempt",
        "The retry delay is the time between two attempts [...] It never exceeds the maximum retry delay.",
        "With exponential backoff, the retry delay doubles after each attempt",
        "the time between two attempts of a task, 300 seconds by default.\nWith exponential",
    ],
)
def test_a_quote_may_be_retyped(quote: str) -> None:
    result = checked(quote)
    assert result["supported"], result
    assert RETRIES[result["offset"] :].startswith(result["match"])


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("The retry delay triples whenever somebody asks for it.", "the quote is not in the source"),
        (
            "With exponential backoff the retry delay does not double after each attempt",
            "differ in a negation",
        ),
        ("The retry delay is the time between two attempts of a task, 600 seconds by default.", "numbers are not"),
        ("With exponential backoff the retry delay never doubles after each attempt.", "differ in a negation"),
        ("It exceeds the maximum retry delay.", "“never” right before the quote"),
        ("exceeds the maximum retry delay", "“never” right before the quote"),
        ("attempt … With exponential backoff", "the quote is not in the source"),
        ("retri", "the quote is not in the source"),
        ("", "it has no quote"),
        ("  …  ", "the quote is not in the source"),
    ],
)
def test_a_quote_may_not_say_something_else(quote: str, reason: str) -> None:
    result = checked(quote)
    assert not result["supported"], result
    assert reason in result["reason"]


@pytest.mark.parametrize(
    ("claim", "missing"),
    [
        ("The default is 300 s.", []),
        ("Two attempts are 5 minutes apart.", ["5"]),
        ("The default of 300.0 seconds is between 2 attempts.", []),
        ("Delays grow 2-fold up to 86400 s.", ["86400"]),
    ],
)
def test_the_claims_numbers_stand_where_it_quotes(claim: str, missing: list[str]) -> None:
    result = checked("The retry delay is the time between two attempts of a task", claim)
    assert result["missing_numbers"] == missing
    assert result["supported"] == (not missing)


def test_how_much_of_the_claim_is_in_the_passage() -> None:
    assert checked(DOUBLES, "The delay doubles.")["overlap"] == 1.0
    assert checked(DOUBLES, "Penguins swim.")["overlap"] == 0.0


@pytest.mark.parametrize("name", ["s1", "Retries", "retries", "docs/retries.md", ""])
def test_a_source_goes_by_id_title_or_uri(name: str) -> None:
    assert checked("The number of retries is 0 unless it is set.", name=name)["source"] == "s1"


def test_a_source_that_is_not_there() -> None:
    assert checked(DOUBLES, name="s9")["reason"] == "there is no source 's9'"


def test_a_quote_from_the_wrong_source() -> None:
    assert not checked("Jitter spreads the retries of many clients over the wait.", name="s1")["supported"]


def test_what_holds_is_kept_as_the_source_has_it() -> None:
    result = check(
        [
            {"id": "a", "text": "It doubles.", "quote": DOUBLES.lower(), "source": "Retries", "score": 0.5},
            {"number": 7, "quote": "Tasks are retried for ever, whatever happens to them.", "source": "s1"},
        ],
        sources(),
    )
    assert result["kept"] == [
        {
            "id": "a",
            "text": "It doubles.",
            "quote": DOUBLES,
            "source": "s1",
            "score": 0.5,
            "offset": RETRIES.index(DOUBLES),
        }
    ]
    assert (result["total"], result["supported"], result["unsupported"], result["ratio"]) == (2, 1, 1, 0.5)
    assert result["problems"][0].startswith("Citation 7 (“Tasks are retried for ever")


def test_a_near_miss_is_shown() -> None:
    (problem,) = check([{"quote": "The number of retries is 3 unless it is set.", "source": "s1"}], sources())[
        "problems"
    ]
    assert "What comes closest is “The number of retries is 0 unless it is set.”" in problem


def verify(path: Path, *quotes: str) -> dict[str, Any]:
    citations = [{"number": number, "claim": "", "quote": quote} for number, quote in enumerate(quotes, 4)]
    return asyncio.run(verify_source(str(path), citations))


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(tmp_path))
    path = tmp_path / "retries.md"
    path.write_text(RETRIES)
    return path


def test_a_source_that_holds(document: Path) -> None:
    found = verify(document, DOUBLES, "The number of retries is 0 unless it is set.")
    assert found == {"uri": str(document), "title": "Retries", "checked": 2}


def test_a_source_with_one_false_quote_fails_and_says_which(document: Path) -> None:
    with pytest.raises(FinalError, match=r"^Citation 5 .*numbers are not the source's \(0, 3\)") as failed:
        verify(document, DOUBLES, "The number of retries is 3 unless it is set.")
    assert failed.value.kind == "not_accepted"


def test_a_source_that_is_gone_fails(document: Path) -> None:
    with pytest.raises(FinalError, match=r"^.*gone\.md can't be read: there is no such file\.$"):
        verify(document.with_name("gone.md"), DOUBLES)


def test_nothing_to_check() -> None:
    assert check([], sources())["ratio"] == 1.0
    with pytest.raises(FinalError, match=r"citations\[0\] must be a mapping"):
        check(["text"], sources())  # type: ignore[list-item]


@given(st.text(min_size=1, max_size=60), st.integers(0, 50), st.integers(1, 30))
def test_every_part_of_a_text_is_found_in_it(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    folded = Folded(text)
    match = find(quote, folded)
    assert 0 <= match.start <= match.end <= len(text)
    whole = Folded(quote).text.strip()
    if match.score == 1.0:
        assert Folded(text[match.start : match.end]).text.strip() == whole or "…" in quote or "..." in quote


@given(st.lists(st.sampled_from(["retry", "delay", "the", "not", "3", "“x”", "`code`", "…"]), max_size=12))
def test_checking_never_fails(parts: list[str]) -> None:
    result = check([{"quote": " ".join(parts)}], [source("a", RETRIES), source("b", "")])
    assert result["total"] == 1

from __future__ import annotations

from typing import Any

import pytest
from support.library_sources import source, sources

from airflow_agentic.agents.library.claims import extract
from airflow_agentic.agents.library.rank import passages
from airflow_agentic.agents.library.text import key_themes
from airflow_agentic.errors import FinalError


def test_a_claim_is_found_where_it_says() -> None:
    given = sources()
    texts = {entry["id"]: entry["text"] for entry in given}
    claims = extract("retry delay", given)["claims"]
    assert len(claims) > 3
    for claim in claims:
        assert texts[claim["source"]][claim["offset"] : claim["offset"] + len(claim["quote"])] == claim["quote"]
    assert [claim["id"] for claim in claims] == [f"c{number}" for number in range(1, len(claims) + 1)]


def test_claims_are_about_the_topic_and_best_first() -> None:
    claims = extract("retry delay", sources())["claims"]
    said = [claim["text"] for claim in claims]
    assert "retry delay" in said[0].lower()
    assert not any("Bread" in text or "Please" in text or "Task(" in text for text in said)
    assert all(0 < claim["score"] <= 1 for claim in claims)


def test_what_two_sources_say_is_claimed_once_and_both_are_named() -> None:
    claims = extract("retry delay", [source("a", "The retry delay doubles each time."), *sources()])["claims"]
    doubles = [claim for claim in claims if claim["text"].startswith("With exponential backoff the retry delay")]
    assert len(doubles) == 1

    once = extract(
        "jitter",
        [source("a", "Jitter spreads the retries of clients."), source("b", "Jitter spreads the retries of clients!")],
    )
    assert len(once["claims"]) == 1
    assert once["claims"][0]["also_in"] == ["b"]


def test_documentation_of_code_is_claimed_with_the_name_that_it_documents() -> None:
    text = (
        "# `pkg.retry`\n\n## `RetryRule`\n\nA mapping from an exception to a retry.\n\n"
        "- `delay`: how long to wait before the retry\n\n### `RetryRule.matches`\n\n"
        "- `error`: the error that a retry may follow\n"
    )
    said = {claim["text"] for claim in extract("retry", [source("a", text)])["claims"]}
    assert said == {
        "`RetryRule`: A mapping from an exception to a retry.",
        "`RetryRule.delay`: how long to wait before the retry",
        "`RetryRule.matches(error)`: the error that a retry may follow",
    }


def test_the_limit_is_kept() -> None:
    assert len(extract("retry", sources(), limit=2)["claims"]) == 2
    assert extract("retry", sources(), limit=0)["claims"] == []


def test_a_topic_that_nobody_speaks_of_has_no_claims() -> None:
    assert extract("quantum chromodynamics", sources())["claims"] == []
    assert extract("retry", []) == {"claims": [], "considered": 0}


@pytest.mark.parametrize(
    ("topic", "given", "message"),
    [
        ("", sources(), "topic must be a text"),
        (None, sources(), "topic must be a text"),
        ("retry", "text", "sources must be a list"),
        ("retry", ["text"], r"sources\[0\] must be a mapping with an id and a text"),
        ("retry", [{"id": "a"}], r"sources\[0\] must be"),
        ("retry", [source("a", "x"), source("a", "y")], "same id"),
    ],
)
def test_a_wrong_input_is_said_in_words_and_never_retried(topic: Any, given: Any, message: str) -> None:
    for agent in (extract, passages):
        with pytest.raises(FinalError, match=message) as caught:
            agent(topic, given)
        assert caught.value.kind == "rejected"


def test_passages_are_exact_and_best_first() -> None:
    given = sources()
    texts = {entry["id"]: entry["text"] for entry in given}
    found = passages("retry delay", given, words=30)["passages"]
    for passage in found:
        assert texts[passage["source"]][passage["offset"] :].startswith(passage["text"])
    assert found[0]["heading"] == "Delay"
    assert [passage["score"] for passage in found] == sorted((passage["score"] for passage in found), reverse=True)
    assert len(passages("retry delay", given, limit=1)["passages"]) == 1


def test_passages_stay_below_one_heading() -> None:
    for passage in passages("retry", sources(), words=1000)["passages"]:
        assert "#" not in passage["text"]


def test_themes_of_a_topic() -> None:
    found = key_themes(sources=sources(), topic="retries")
    assert set(found["themes"][:2]) == {"retry delay", "exponential backoff"}
    assert found["details"][0]["sources"] == ["s1", "s2"]
    assert found["details"][0]["score"] == 1.0
    assert not any("bread" in theme for theme in found["themes"])


def test_themes_of_a_text() -> None:
    text = (
        "The HTTP client waits for its answer. An HTTP client may ask a second time. "
        "KubernetesExecutor runs every task in a pod. The KubernetesExecutor is slow to start."
    )
    themes = key_themes(text)["themes"]
    assert themes[:2] == ["HTTP client", "KubernetesExecutor"]
    assert key_themes("Nothing is said twice here, as it seems.")["themes"] == []


def test_themes_need_something_to_read() -> None:
    with pytest.raises(FinalError, match="needs a text or sources"):
        key_themes()


def test_themes_do_not_overlap() -> None:
    text = "Retry delay matters. Retry delay settings matter. The retry delay settings of a task matter to all tasks."
    assert len(key_themes(text)["themes"]) == 1

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.agents.library.prose.blocks import blocks
from airflow_agentic.agents.library.prose.numbers import numbers, spelled_numbers
from airflow_agentic.agents.library.prose.quality import is_telling, standing
from airflow_agentic.agents.library.prose.relevance import relevance
from airflow_agentic.agents.library.prose.sentences import sentences
from airflow_agentic.agents.library.prose.words import count_words, stems, words

PAGE = """\
Title
=====

First paragraph, which
goes on here.

- an item
  over two lines
- another

Code:

    indented = code

```
fenced = code. Not prose.
```

| a | b |
|---|---|

.. note::
   a directive

Literal follows::

    verbatim. text

[![badge](x)](y) ![badge](z)
<div align="center">

Sub
---
> quoted line

### Deep `code`
* * *
1. numbered
2) again
:param x: a field
End
"""


def test_blocks_are_prose_with_its_headings_and_nothing_else() -> None:
    found = [(PAGE[block.start : block.end], block.kind, block.headings) for block in blocks(PAGE)]
    deep = ("Title", "Sub", "Deep `code`")
    assert found == [
        ("First paragraph, which\ngoes on here.", "paragraph", ("Title",)),
        ("an item\n  over two lines", "item", ("Title",)),
        ("another", "item", ("Title",)),
        ("Code:", "paragraph", ("Title",)),
        ("Literal follows::", "paragraph", ("Title",)),
        ("quoted line", "paragraph", ("Title", "Sub")),
        ("numbered", "item", deep),
        ("again", "item", deep),
        (":param x: a field\nEnd", "item", deep),
    ]


@given(st.text(alphabet="ab .\n#-`=|>*:<[!]1)\t\u2028é", max_size=80))
def test_any_text_has_blocks_and_sentences_in_their_order(text: str) -> None:
    end = 0
    for sentence in sentences(text):
        assert end <= sentence.start < sentence.end <= len(text)
        assert " ".join(text[sentence.start : sentence.end].split()) == sentence.text
        end = sentence.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One ends. Two ends! Three?", ["One ends.", "Two ends!", "Three?"]),
        ("Dr. Who met Mr. X. He left.", ["Dr. Who met Mr. X. He left."]),
        ("Use e.g. tenacity. Jitter helps, i.e. it spreads.", ["Use e.g. tenacity.", "Jitter helps, i.e. it spreads."]),
        ("Version 3.3.2 waits 0.5 s. Older ones hang.", ["Version 3.3.2 waits 0.5 s.", "Older ones hang."]),
        ("Read `a.b. C` now. Then `d`.", ["Read `a.b. C` now. Then `d`."]),
        ("urllib3 sleeps. max_wait caps it. Later, not.", ["urllib3 sleeps. max_wait caps it.", "Later, not."]),
        ("He said “stop.” Nobody did.", ["He said “stop.”", "Nobody did."]),
        ("Waits (see a. B) long. Ends.", ["Waits (see a. B) long.", "Ends."]),
        ("Lists, tables, etc. Nobody counts.", ["Lists, tables, etc.", "Nobody counts."]),
        ("重试。等待！", ["重试。", "等待！"]),  # noqa: RUF001
        ("Wrapped\nover lines. Then a\nsecond.", ["Wrapped over lines. Then a second."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(text)] == expected


def test_a_sentence_that_leans_is_taken_with_the_one_before() -> None:
    text = "The policy decides. It is never asked twice. Users set the delay. Set to 0 to disable."
    assert [sentence.text for sentence in sentences(text)] == [
        "The policy decides. It is never asked twice.",
        "Users set the delay. Set to 0 to disable.",
    ]
    (alone,) = sentences("This is the first sentence of its paragraph.")
    assert alone.leaning


def test_an_item_is_taken_whole() -> None:
    (item,) = sentences("- `wait`: seconds. The default is 3. Larger values wait longer.")
    assert item.text == "`wait`: seconds. The default is 3. Larger values wait longer."
    assert item.is_item


@pytest.mark.parametrize(
    "text",
    [
        "Click here to read more about the project and its history.",
        "Home | Documentation | Blog | Community | Download",
        "Copyright 2026 the authors of this fine project.",
        "Licensed under the Apache License, Version 2.0, by the authors.",
        "See https://example.com/a/very/long/link/to/something for the rest.",
        "What happens when a task fails too often for its own good?",
        "To install the package, run the command that follows:",
        "result = client.get(url, retries=3, timeout=10)",
        "$ pip install something and then run it at once",
        "Please open an issue if you find a problem with this.",
        "pull requests are welcome at any time of the day.",
        "Too short.",
    ],
)
def test_what_is_no_statement_is_not_telling(text: str) -> None:
    assert not any(is_telling(sentence) for sentence in sentences(text))


@pytest.mark.parametrize(
    "text",
    [
        "The scheduler retries a task after its delay has passed.",
        "- `retries`: the number of retries before the task fails",
        "Ein Auftrag wird nach einer Pause noch einmal versucht.",
        "If no rule matches, the default action applies.",
    ],
)
def test_a_statement_is_telling(text: str) -> None:
    (sentence,) = sentences(text)
    assert is_telling(sentence)
    assert standing(sentence) > 0.7


def test_an_introduction_to_code_is_not_telling() -> None:
    text = "Run the whole thing with all of its extras\n\n```\nrun --all\n```"
    assert not any(is_telling(sentence) for sentence in sentences(text))


def test_words_take_identifiers_apart() -> None:
    found = " ".join(words("max_retry_delay RetryPolicy HTTPHook XCom DAGs user's don't 3.5"))
    assert found == "max retry delay retry policy http hook xcom dags user don't 3 5"
    assert set(stems("retry retries retried Retrying")) == {"retri"}
    assert stems("and the of a it") == []
    assert count_words("Two words — and `code` [1].") == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 and 1000", {"1000"}),
        ("0.50 or .5", {"0.5"}),
        ("5 million, 5k, 2.5bn", {"5000000", "5000", "2500000000"}),
        ("Airflow 3.3.2, 2026-01-31", {"3.3.2", "2026", "1", "31"}),
        ("4min, 20%, (1-based)", {"4", "20", "1"}),
        ("1\u202f234\u00a0567", {"1234567"}),
        ("no numbers", set()),
    ],
)
def test_numbers_have_one_normal_form(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_spelled_numbers() -> None:
    assert spelled_numbers("Twice, then three times") == {"2", "3"}


def test_relevance_prefers_all_words_of_the_topic_and_its_subject() -> None:
    texts = [
        "The scheduler of Airflow starts tasks.",
        "A client retries a request after a while.",
        "Airflow retries a task after its delay.",
        "Bread is baked in an oven on Sundays.",
    ]
    scores = relevance("retries in Airflow", texts, [""] * 4)
    assert sorted(range(4), key=lambda number: -scores[number]) == [2, 1, 0, 3]
    assert (scores[2], scores[3]) == (1.0, 0.0)


def test_relevance_sees_the_headings() -> None:
    texts = ["The delay doubles each time.", "The delay doubles each time."]
    scores = relevance("retry delay", texts, ["Airflow / Retry policy", "Airflow / Schedules"])
    assert scores[0] > scores[1]


def test_relevance_of_nothing() -> None:
    assert relevance("topic", [], []) == []
    assert relevance("the of and", ["some text"], [""]) == [0.0]
    assert relevance("topic", ["", "…"], ["", ""]) == [0.0, 0.0]

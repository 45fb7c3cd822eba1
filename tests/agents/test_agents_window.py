"""Shortening values until what is made from them fits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.agents.window import Shortened, TooLongError, longest, shortened, shown
from airflow_agentic.agents.window_text import cut_text, pieces
from airflow_agentic.agents.window_values import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTE = re.compile(r"(?:\n\n| )?\[… \d+ of \d+ (items|paragraphs|sentences|lines|words) left out\]")


def size(values: Mapping[str, Any]) -> int:
    """What is made from values is their JSON."""
    return len(json.dumps(values, ensure_ascii=False).encode(errors="replace"))


def counting(measure: Callable[[Mapping[str, Any]], int]) -> tuple[Callable[[Mapping[str, Any]], int], list[int]]:
    asked: list[int] = []

    def counted(values: Mapping[str, Any]) -> int:
        asked.append(measure(values))
        return asked[-1]

    return counted, asked


def text_of(paragraphs: int, *, sentences: int = 4) -> str:
    return "\n\n".join(
        " ".join(f"Sentence {sentence} of paragraph {paragraph} says this." for sentence in range(sentences))
        for paragraph in range(paragraphs)
    )


def cuts_of(found: Shortened) -> list[tuple[str, str, int, int]]:
    return [(shown(cut.path), cut.unit, cut.left_out, cut.of) for cut in found.cuts]


def test_what_fits_stays_as_it_is() -> None:
    values = {"text": text_of(3)}
    measure, asked = counting(size)
    found = shortened(values, measure, size(values))
    assert found.values() == values
    assert found.cuts == ()
    assert len(asked) == 1


def test_whole_paragraphs_of_the_longest_text_are_left_out() -> None:
    values = {"question": "Why?", "short": text_of(5), "long": text_of(40)}
    measure, asked = counting(size)
    found = shortened(values, measure, 4000)
    ((path, unit, left_out, of),) = cuts_of(found)
    assert (path, unit, of) == ("long", "paragraphs", 40)
    kept = found.values()
    assert kept["short"] == values["short"]
    assert kept["long"] == text_of(40 - left_out) + f"\n\n[… {left_out} of 40 paragraphs left out]"
    assert 3600 < size(kept) <= 4000
    assert found.measured == size(kept)
    assert len(asked) <= 6


def test_several_long_texts_end_up_alike() -> None:
    values: dict[str, Any] = {"a": text_of(30), "b": {"c": text_of(50), "d": "x" * 100}, "e": text_of(10)}
    found = shortened(values, size, 7000)
    assert [cut[:2] for cut in cuts_of(found)] == [("a", "paragraphs"), ("b.c", "paragraphs")]
    kept = found.values()
    assert abs(len(kept["a"]) - len(kept["b"]["c"])) < 200
    assert (kept["e"], kept["b"]["d"]) == (values["e"], values["b"]["d"])


def test_whole_items_of_a_list_are_left_out_and_the_note_is_one_of_its_texts() -> None:
    values = {"quotes": [f"Quotation number {index} is here." for index in range(100)]}
    found = shortened(values, size, 2000)
    ((path, unit, left_out, of),) = cuts_of(found)
    assert (path, unit, of) == ("quotes", "items", 100)
    assert found.values()["quotes"] == [
        *values["quotes"][: 100 - left_out],
        f"[… {left_out} of 100 items left out]",
    ]


def test_of_a_list_of_mappings_the_last_ones_longest_text_ends_in_the_note() -> None:
    values = {"docs": [{"id": f"doc-{index}", "text": text_of(2), "tags": ["a"]} for index in range(30)]}
    found = shortened(values, size, 5000)
    ((_, unit, left_out, _),) = cuts_of(found)
    assert unit == "items"
    *others, last = found.values()["docs"]
    assert others == values["docs"][: len(others)]
    assert last["text"] == text_of(2) + f"\n\n[… {left_out} of 30 items left out]"
    assert last["id"] == f"doc-{len(others)}"


def test_one_huge_item_is_cut_itself_and_the_others_stay() -> None:
    values: dict[str, Any] = {"docs": [{"text": text_of(200)}, {"text": "short"}, {"text": "short too"}]}
    found = shortened(values, size, 5000)
    ((path, unit, _, of),) = cuts_of(found)
    assert (path, unit, of) == ("docs[0].text", "paragraphs", 200)
    assert found.values()["docs"][1:] == values["docs"][1:]


def test_a_list_without_texts_is_cut_without_a_note() -> None:
    found = shortened({"numbers": list(range(1000))}, size, 1000)
    numbers = found.values()["numbers"]
    assert numbers == list(range(len(numbers)))
    assert 180 < len(numbers) < 250


def test_what_nothing_is_made_from_is_left_alone_and_not_reported() -> None:
    values: dict[str, Any] = {
        "hidden": text_of(2000),
        "inputs": {"also_hidden": [text_of(10)] * 9, "text": text_of(40)},
    }
    measure, asked = counting(lambda read: 100 + len(read["inputs"]["text"]))
    found = shortened(values, measure, 3000)
    assert [cut[0] for cut in cuts_of(found)] == ["inputs.text"]
    kept = found.values()
    assert (kept["hidden"], kept["inputs"]["also_hidden"]) == (values["hidden"], values["inputs"]["also_hidden"])
    assert 2700 < measure(kept) <= 3000
    assert len(asked) <= 18


def test_what_is_printed_more_than_once_counts_as_often() -> None:
    found = shortened({"text": text_of(100)}, lambda read: 5 * len(read["text"]), 20_000)
    assert 3500 < len(found.values()["text"]) <= 4000


def test_too_much_around_the_values_can_not_be_helped() -> None:
    with pytest.raises(TooLongError) as caught:
        shortened({"text": text_of(100)}, lambda read: 10_000 + size(read), 10_100)
    assert caught.value.least > 10_100


def test_short_values_are_never_touched() -> None:
    values = {f"key_{number}": "word " * 20 for number in range(100)}
    with pytest.raises(TooLongError):
        shortened(values, size, 5000)


def test_the_longest_are_named() -> None:
    values = {"a": "x" * 300, "b": {"c": ["y" * 200] * 2, "d": 7}}
    assert [(shown(path), bytes_) for path, bytes_ in longest(values)] == [("b.c", 408), ("a", 300)]


@pytest.mark.parametrize(
    ("text", "room", "kept", "unit", "left_out", "of"),
    [
        ("One.\n\nTwo.\n\nThree.", 12, "One.\n\nTwo.", "paragraphs", 1, 3),
        ("One.\n \t\n\nTwo is longer.", 10, "One.", "paragraphs", 1, 2),
        ("A title\n\n" + "A sentence. " * 20, 60, "A title\n\nA sentence." + " A sentence." * 3, "sentences", 16, 20),
        ('He said: "No." Then he left.', 16, 'He said: "No."', "sentences", 1, 2),
        ("a,1\nb,2\nc,3", 8, "a,1\nb,2", "lines", 1, 3),
        ("one two three", 9, "one two", "words", 1, 3),
        ("unbreakable and more", 4, "unbreakable", "words", 2, 3),
        ("  leading and more", 3, "  leading", "words", 2, 3),
        ("雨が降る。風が吹く。", 16, "雨が降る。", "sentences", 1, 2),
        ("東京都千代田区", 10, "東京都", "words", 4, 7),
    ],
)  # fmt: skip
def test_texts_end_at_the_end_of_something(text: str, room: int, kept: str, unit: str, left_out: int, of: int) -> None:
    assert cut_text(text, room) == (kept, unit, left_out, of)


TEXTS = st.text(st.sampled_from("ab é字。.!? \n\t\ud800"), max_size=400) | st.integers(0, 60).map(text_of)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), st.integers(0, 6000))
def test_the_result_fits_or_it_is_said_to_be_impossible(values: dict[str, Any], most: int) -> None:
    try:
        found = shortened(values, size, most)
    except TooLongError as error:
        too_long = error.least > most
        assert too_long
        return
    assert found.measured == size(found.values()) <= most
    assert (found.cuts == ()) == (size(values) <= most)
    assert shortened(values, size, most) == found
    assert_shortened(found.values(), values)


def ends_a_word(text: str, place: int) -> bool:
    """Whether no word goes on there, in scripts that have spaces."""
    return re.match(r"[a-zé.!?]", text[place:]) is None or text[place - 1] in "字。"


def assert_shortened(kept: Any, whole: Any) -> None:
    """Every part is what it was, or the beginning of it, up to the end of a word, and a note."""
    assert type(kept) is type(whole)
    if isinstance(whole, dict):
        assert list(kept) == list(whole)
        for key, part in kept.items():
            assert_shortened(part, whole[key])
    elif isinstance(whole, list):
        if len(kept) > len(whole) or (kept and isinstance(kept[-1], str) and NOTE.fullmatch(kept[-1])):
            kept = kept[:-1]
        assert len(kept) <= len(whole)
        for part, former in zip(kept, whole, strict=False):
            assert_shortened(part, former)
    elif kept != whole:
        assert isinstance(whole, str)
        assert NOTE.search(kept)
        beginning = NOTE.sub("", kept)
        assert whole.startswith(beginning)
        assert ends_a_word(whole, len(beginning))
        assert len(whole.encode(errors="replace")) > SHORTEST or beginning == whole


@given(TEXTS, st.integers(0, 300))
def test_a_cut_text_is_a_beginning_and_the_units_add_up(text: str, room: int) -> None:
    kept, _, left_out, of = cut_text(text, room)
    assert text.startswith(kept)
    assert 0 <= left_out <= of
    if left_out:
        assert ends_a_word(text, len(kept))


@given(TEXTS, st.integers(20, 300))
def test_pieces_are_the_whole_text(text: str, room: int) -> None:
    found = pieces(text, room)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(piece.encode(errors="replace")) <= room or len(piece.split()) == 1 for piece in found)

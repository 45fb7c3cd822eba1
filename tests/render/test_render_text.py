"""Texts in pictures: their widths and their lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.render.text import visible, width, wrap

TEXTS = st.text(max_size=80)


def test_widths_grow_with_the_text_and_the_size():
    assert width("", 12) == 0
    assert width("iii", 12) < width("mmm", 12)
    assert width("m", 24) == 2 * width("m", 12)
    assert width("日本", 10) > width("ab", 10)
    assert width("e\u0301", 10) == width("e", 10)


@given(TEXTS, st.floats(5, 300), st.integers(1, 5))
def test_no_line_is_too_wide_and_no_text_too_long(text, most, lines):
    found = wrap(text, 12, most, lines)
    assert len(found) <= lines
    assert all(width(line, 12) <= most or len(line) <= 1 for line in found)


@given(TEXTS)
def test_nothing_is_left_out_where_there_is_room(text):
    assert "".join("".join(wrap(text, 12, 60, 1000)).split()) == "".join(text.split())


def test_what_has_no_room_ends_in_an_ellipsis():
    assert wrap("one two three four five six", 12, 60, 2)[-1].endswith("…")
    assert wrap("one two", 12, 60, 2) == ["one two"]


def test_no_word_is_alone_where_lines_could_be_even():
    assert wrap("when inputs.deep and look.score > 1", 11.5, 202, 2) == ["when inputs.deep", "and look.score > 1"]


def test_what_is_not_seen_is_left_out():
    assert visible("a\u202eb\x00c\x1b[31m\ud800") == "abc[31m"

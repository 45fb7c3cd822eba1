"""
Cutting texts at their ends: after a paragraph, a sentence, a line or a word, and never inside of a word.

The beginning is kept. Whole paragraphs are best; where those that fit would leave more than half of the room empty (a
heading over one huge paragraph), sentences are counted instead, then lines, then words.
"""

from __future__ import annotations

import re
from typing import Literal

Unit = Literal["items", "paragraphs", "sentences", "lines", "words"]

#: Characters of scripts that are written without spaces: a line may break between any two of them.
_UNSPACED = "\u3040-\u3098\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: What may stand behind the stop of a sentence, and stops that no space has to follow.
_CLOSING = "\"'\u2019\u201d\u00bb)\\]\u300d\u300f\uff09"
_WIDE_STOPS = "\u3002\uff01\uff1f"
#: Where one unit ends and the next begins, from the coarsest to the finest.
_BREAKS: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    ("paragraphs", re.compile(r"[^\S\n]*\n[^\S\n]*\n\s*")),
    ("sentences", re.compile(rf"(?<=[.!?…])\s+|(?<=[.!?…][{_CLOSING}])\s+|(?<=[{_WIDE_STOPS}])(?![{_CLOSING}])\s*")),
    ("lines", re.compile(r"[^\S\n]*\n\s*")),
    ("words", re.compile(rf"\s+|(?<=[{_UNSPACED}])(?=[{_UNSPACED}])")),
)


def text_bytes(text: str) -> bytes:
    """The text in UTF-8, whatever is in it."""
    return text.encode(errors="replace")


def cut_text(text: str, room: int) -> tuple[str, Unit, int, int]:
    """
    The beginning of a text that is longer than there is room for; at least its first word, even if that is longer.

    :param room: bytes.
    :return: it, and of which units how many of how many are missing.
    """
    limit = len(text_bytes(text)[: max(room, 0)].decode(errors="ignore"))
    unit, break_, end = _best_end(text, limit)
    kept, total = text[: end or _first_end(text, break_)], _count(text, break_)
    return kept, unit, total - _count(kept, break_), total


def pieces(text: str, size: int) -> list[str]:
    """The whole text, in parts of at most so many bytes where its words aren't longer."""
    found = []
    while len(text_bytes(text)) > size:
        piece, _, left_out, _ = cut_text(text, size)
        if not left_out:
            break
        found.append(piece)
        text = text[len(piece) :].lstrip()
    return [*found, text] if text.strip() else found


def with_note(text: str, note: str, *, apart: bool) -> str:
    """
    The text with something said behind it.

    :param apart: in a paragraph of its own.
    """
    return f"{text}\n\n{note}" if apart else f"{text} {note}"


def _best_end(text: str, limit: int) -> tuple[Unit, re.Pattern[str], int]:
    """Units whose last end fills more than half of the room, else words; and where that end is."""
    ends = []
    for unit, break_ in _BREAKS:
        end = _last_end(text, break_, limit)
        ends.append((unit, break_, end))
        if end > limit / 2:
            break
    return next(found for found in ends if found[2] == end) if end else ends[-1]  # the coarsest that end there


def _last_end(text: str, break_: re.Pattern[str], limit: int) -> int:
    """Where the last unit ends that does so within the limit; 0: none does."""
    start = len(text) - len(text.lstrip())
    end = 0
    for found in break_.finditer(text):
        if found.start() > limit:
            break
        if found.start() > start:
            end = found.start()
    return end


def _first_end(text: str, break_: re.Pattern[str]) -> int:
    start = len(text) - len(text.lstrip())
    found = break_.search(text, start + 1)
    return found.start() if found else len(text)


def _count(text: str, break_: re.Pattern[str]) -> int:
    return sum(1 for part in break_.split(text.strip()) if part)

"""
Finding a quote in a text although it was retyped: other quotation marks, dashes, spaces, markup, a changed word.

Comparing is done on a folded form, in which such differences are gone; every folded character remembers where it
stood, so that what was found is given as the text has it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from airflow_agentic.agents.library._needs import need

_SAME_AS = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})  # noqa: RUF001
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2212")
_MARKUP = frozenset("*_`#\\")
_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:\.{3}|…)\s*\]|\(\s*(?:\.{3}|…)\s*\)|\.{3,}|…)\s*")


@dataclass(frozen=True, kw_only=True)
class Match:
    """
    Where a text comes closest to a quote.

    :param start, end: offsets in characters into the text.
    :param score: 1 if it is the quote but for typography, else how alike they are, 0 to 1.
    """

    start: int
    end: int
    score: float


class Folded:
    """A text made comparable. ``text`` is the folded form; ``places`` has the offset of each of its characters."""

    def __init__(self, original: str) -> None:
        characters: list[str] = []
        places: list[int] = []
        for place, character in enumerate(original):
            for folded in _fold(character):
                if folded == " " and (not characters or characters[-1] == " "):
                    continue
                characters.append(folded)
                places.append(place)
        self.original = original
        self.text = "".join(characters)
        self.places = places

    def match(self, start: int, end: int, score: float) -> Match:
        """The match at ``text[start:end]``, in offsets of the original."""
        while start < end and self.text[start] == " ":
            start += 1
        while end > start and self.text[end - 1] == " ":
            end -= 1
        if start == end:
            return Match(start=0, end=0, score=0.0)
        return Match(start=self.places[start], end=self.places[end - 1] + 1, score=score)


def find(quote: str, text: Folded) -> Match:
    """
    The place in the text that is most like the quote.

    A quote with an ellipsis is found when its parts are, in their order; its score is that of its worst part.
    """
    parts = [part for part in _ELLIPSIS.split(quote) if Folded(part).text.strip()]
    if len(parts) < 2:
        return _find_part(quote, text, 0)
    found, after = [], 0
    for part in parts:
        match = _find_part(part, text, after)
        found.append(match)
        if match.score >= 0.9:
            after = bisect_left(text.places, match.end)
    in_order = all(one.end <= other.start for one, other in pairwise(found))
    score = min(match.score for match in found) if in_order else 0.0
    return Match(start=found[0].start, end=max(found[0].end, found[-1].end), score=score)


def _find_part(quote: str, text: Folded, after: int) -> Match:
    wanted = Folded(quote).text.strip()
    if not wanted or not text.text.strip():
        return Match(start=0, end=0, score=0.0)
    exact = _find_words(wanted, text.text, after)
    if exact >= 0:
        return text.match(exact, exact + len(wanted), 1.0)
    return _find_alike(wanted, text, after)


def _find_words(wanted: str, text: str, after: int) -> int:
    """Where ``wanted`` stands in the text as whole words; -1 if it doesn't."""
    at = text.find(wanted, after)
    while at >= 0:
        end = at + len(wanted)
        cut_before = at > 0 and text[at - 1].isalnum() and wanted[0].isalnum()
        cut_after = end < len(text) and text[end].isalnum() and wanted[-1].isalnum()
        if not (cut_before or cut_after):
            return at
        at = text.find(wanted, at + 1)
    return -1


def _find_alike(wanted: str, text: Folded, after: int) -> Match:
    fuzz = need("rapidfuzz.fuzz", extra="library")
    rest = text.text[after:]
    if len(wanted) > len(rest):
        # the library would look for the text in the quote
        return text.match(after, len(text.text), round(min(fuzz.ratio(wanted, rest) / 100, 0.99), 4))
    aligned = fuzz.partial_ratio_alignment(wanted, rest)
    if aligned is None:
        return Match(start=0, end=0, score=0.0)
    start, end = _whole_words(rest, aligned.dest_start, aligned.dest_end)
    start, end, score = _tightened(wanted, rest, start, end)
    return text.match(after + start, after + end, round(min(score, 0.99), 4))


def _tightened(wanted: str, text: str, start: int, end: int) -> tuple[int, int, float]:
    """
    The words of ``text[start:end]`` that are most like the quote, and how like it they are.

    The alignment's window is as long as the quote; where the text says it in fewer words it holds others as well.
    """
    ratio = need("rapidfuzz.fuzz", extra="library").ratio
    best = ratio(wanted, text[start:end])
    while True:
        after_first, before_last = text.find(" ", start, end) + 1, text.rfind(" ", start, end)
        fewer = [(ratio(wanted, text[a:b]), a, b) for a, b in ((after_first, end), (start, before_last)) if 0 < a < b]
        score, first, last = max(fewer, default=(0.0, 0, 0))
        if score <= best:
            return start, end, best / 100
        best, start, end = score, first, last


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while 0 < end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
        end += 1
    return start, end


@lru_cache(maxsize=10_000)
def _fold(character: str) -> str:
    """The comparable form of a character: nothing for markup and invisible ones."""
    if character in _MARKUP:
        return ""
    if character.isspace():
        return " "
    if character in _DASHES:
        return "-"
    if unicodedata.category(character) == "Cf" or character == "\u00ad":
        return ""
    return unicodedata.normalize("NFKC", character.translate(_SAME_AS)).lower()

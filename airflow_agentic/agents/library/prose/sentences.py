"""
Sentences of a text that can stand alone, each with its exact place.

A quoted sentence has to make sense without its neighbours. So a sentence that leans on the one before it ("This
is…", "Set to 0 to…") is taken together with it, and a list item is taken whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.prose.blocks import Block, blocks
from airflow_agentic.agents.library.prose.words import count_words

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Words. A list item up to this long is taken whole; sentences that lean on each other are joined up to it.
WHOLE = 75

#: Characters. What is longer is no sentence, and ends at the next full stop.
_LONGEST = 1000
_SHORT = """
e.g i.e etc vs cf al approx resp incl excl fig figs no nos vol p pp ch sec dept est min max ca mr mrs ms dr prof
sr jr st inc ltd co corp u.s u.k ph.d a.m p.m jan feb mar apr jun jul aug sep sept oct nov dec z.b d.h bzw usw
"""
_ABBREVIATIONS = frozenset(_SHORT.split())
_END = re.compile(r"[.!?…]+[\"'”’)\]*_`]*(?=\s)|[。！？]+")  # noqa: RUF001
_LEANING = re.compile(
    r"""(?:
        this|these|those|that|it|its|they|them|their|he|she|such|both|neither|either|there|here|then|thus|hence|so|
        however|currently|but|and|or|nor|yet|also|still|instead|otherwise|therefore|moreover|furthermore|additionally|
        similarly|likewise|conversely|nevertheless|nonetheless|besides|again|finally|next|first|second|third|lastly|
        for\ example|for\ instance|e\.g\.|i\.e\.|that\ is|in\ (?:this|that|these|those|such|addition|other\ words|
        contrast|particular|both|either|the\ (?:former|latter|above))|on\ the\ other\ hand|as\ (?:a\ result|above|
        such|before|mentioned)|note\ that|the\ (?:same|former|latter|above|following|other|first|second|third)|
        another|others?|the\ defaults?|
        can|could|may|might|must|shall|should|will|would|set|defaults?|only|not|returns?|see|use|
        if\ (?:so|not|none|it|this|true|false)|
        when\ (?:it|this|true|false|``?true|``?false)|under\ (?:this|that|it)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


#: Words further inside that point back as well.
_POINTING = re.compile(
    r"\b(?:this|that|it|them)\s*[.;,)]|\b(?:these|those)\b(?!\s+(?:who|that|which|of))|\bin\ (?:this|that)\ case\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """
    A sentence (or several that belong together, or a list item).

    :param start, end: offsets in characters into the text.
    :param text: what stands there, with its white space collapsed.
    :param headings: the headings above it, outermost first.
    :param block: number of its paragraph or item in the text, from 0.
    :param whole: it is all of its block.
    :param introduces: it is the last of its block, and code or a table follows at once.
    :param leaning: it starts in a way that points back at something before it.
    """

    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    block: int
    is_item: bool
    whole: bool
    introduces: bool
    leaning: bool


def sentences(text: str) -> list[Sentence]:
    """All sentences of the text's prose, in order."""
    return [sentence for number, block in enumerate(blocks(text)) for sentence in _in_block(text, number, block)]


def collapse(text: str) -> str:
    """The text on one line, with single spaces."""
    return " ".join(text.split())


def spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Where the sentences of ``text[start:end]``, which is one paragraph, start and end."""
    found, begin = [], start
    for mark in _END.finditer(text, start, end):
        if mark.end() - begin > _LONGEST or _ends_sentence(text, begin, mark, end):
            found.append((begin, mark.end()))
            begin = _after_space(text, mark.end(), end)
    if begin < end:
        found.append((begin, end))
    return found


def leans(text: str) -> bool:
    """If the text starts in a way that needs what stands before it."""
    return bool(_LEANING.match(text.lstrip("*_`\"'“(")))


def _in_block(text: str, number: int, block: Block) -> Iterator[Sentence]:
    is_item = block.kind == "item"
    parts = spans(text, block.start, block.end)
    if is_item and count_words(text[block.start : block.end]) <= WHOLE:
        parts = [(block.start, block.end)]
    for start, end in _joined(text, parts):
        yield Sentence(
            start=start,
            end=end,
            text=collapse(text[start:end]),
            headings=block.headings,
            block=number,
            is_item=is_item,
            introduces=block.introduces and end == block.end,
            whole=(start, end) == (block.start, block.end),
            leaning=leans(text[start:end]),
        )


def _joined(text: str, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put each sentence that leans on the one before it together with it, as far as the length allows."""
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        points_back = leans(text[start:end]) or _POINTING.search(text, start, end)
        if joined and points_back and count_words(text[joined[-1][0] : end]) <= WHOLE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _ends_sentence(text: str, begin: int, mark: re.Match[str], end: int) -> bool:
    """If the punctuation at ``mark`` ends the sentence that starts at ``begin``."""
    if mark[0][0] in "。！？":  # noqa: RUF001
        return True
    after_space = _after_space(text, mark.end(), end)
    before, after = text[begin : mark.start()], text[after_space : min(end, after_space + 100)]
    if not after:
        return True
    if before.count("`") % 2 or before.count("(") > (before + mark[0]).count(")"):
        return False
    if mark[0].startswith(".") and not mark[0].startswith("..") and _is_abbreviated(before, after):
        return False
    return _starts_sentence(after)


def _is_abbreviated(before: str, after: str) -> bool:
    """If the dot after ``before`` belongs to its last word."""
    latest = before[-40:].split()
    last = latest[-1].lstrip("(\"'“[").lower() if latest else ""
    if last in _ABBREVIATIONS:
        # "etc." and its like may end a sentence as well
        return not (last in {"etc", "al", "inc", "ltd", "co", "p.m", "a.m"} and after[:1].isupper())
    is_initial = len(last) == 1 and last.isalpha() and before.rstrip()[-1:].isupper()
    return is_initial or (last.isdecimal() and len(last) <= 2 and before.strip() == last)


def _starts_sentence(after: str) -> bool:
    first = after.lstrip("*_\"'“‘([«¿¡")[:1]  # noqa: RUF001
    if not first:
        return True
    if first.islower():
        # a name of code may start a sentence in lower case: "urllib3 sleeps", "max_wait caps"
        word = after.split()[0].rstrip(".,;:")
        return any(character.isdigit() or character in "_(" for character in word)
    return True


def _after_space(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at

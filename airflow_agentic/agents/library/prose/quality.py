"""
Which sentences say something: what a person would quote, as against navigation, calls to act, and code.

Every rule stands for a kind of sentence that real project pages are full of and no brief should hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.prose.words import words

if TYPE_CHECKING:
    from airflow_agentic.agents.library.prose.sentences import Sentence

MIN_WORDS, MAX_WORDS = 5, 90

_BOILERPLATE = re.compile(
    r"""\b(?:
        click\ here|read\ more|learn\ more|see\ (?:also|our|below|above|here|https?)|check\ (?:out|our)|please|
        refer\ to|visit\ (?:us|our|the)|follow\ us|join\ (?:us|our|the)|star\ us|all\ rights\ reserved|
        licen[sc]ed?\ (?:under|to)|terms\ of\ (?:use|service)|(?:privacy|cookies?)\ policy|subscribe\ to|sign\ up|
        skip\ to|table\ of\ contents|back\ to\ top|pip\ install|(?:pull\ requests?|contributions?)\ (?:are|is)|
        contributing\ guide(?:lines?)?|bug\ reports?|issue\ tracker|mailing\ list|read\ the\ docs|thanks?\ to|
        thank\ you|code\ of\ conduct|(?:current|our)\ maintainers
    )\b|^(?:copyright|sponsors?|©|see|for\ (?:more\ |further\ )?(?:information|details|help))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NAVIGATION = re.compile(r"(?:\s[|•·»›→]\s.*){2,}")  # noqa: RUF001
_URL = re.compile(r"https?://\S+")
_ADDRESSED = re.compile(r"\b(?:I|we|us|our|let's|my)\b", re.IGNORECASE)
_CODE = re.compile(
    r"^\s*(?:[$>#]|>>>|\{|\[|import\s|from\s\S+\simport|def\s|class\s\w+[(:]|@\w|\w[\w.]*\s=\s)|[{};]\s*$|\w\s=\s\S+$"
)


def is_telling(sentence: Sentence) -> bool:
    """If the sentence is worth quoting at all."""
    text = _URL.sub("", sentence.text)
    found = words(text)
    letters = sum(1 for character in text if character.isalpha() or character.isspace())
    return (
        MIN_WORDS <= len(found) <= MAX_WORDS
        and letters >= 0.7 * max(1, len(text))
        and _is_complete(sentence)
        and not _CODE.search(text)
        and not _BOILERPLATE.search(text)
        and not _NAVIGATION.search(text)
        and any(len(word) <= 3 and word.isalpha() for word in found)
    )


def standing(sentence: Sentence) -> float:
    """How well the sentence stands alone, 0 to 1."""
    value = 1.0
    if sentence.leaning:
        value *= 0.35
    if _ADDRESSED.search(sentence.text):
        value *= 0.7
    if _URL.search(sentence.text):
        value *= 0.8
    length = len(words(sentence.text))
    if length < 8:
        value *= 0.75
    elif length > 60:
        value *= 0.8
    return value


def _is_complete(sentence: Sentence) -> bool:
    text = sentence.text.rstrip("\"'”’)]*_`")  # noqa: RUF001
    if text.endswith("?") or sentence.text.rstrip().endswith((":", ",", ";", "(", "-")):
        return False
    # items and one-line descriptions often go without a full stop; a cut-off sentence does too
    alone = (sentence.is_item or sentence.whole) and not sentence.introduces
    return text.endswith((".", "!", "…", "。", "！")) or alone  # noqa: RUF001

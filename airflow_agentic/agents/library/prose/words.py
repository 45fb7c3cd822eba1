"""
Words and their stems, as the library's agents compare them.

Identifiers count by their parts (``max_retry_delay`` and ``RetryPolicy`` both speak of retries), and a word counts
as its English stem (``retry``, ``retries`` and ``retried`` are one). Words of other languages pass through nearly
unchanged, which makes matching stricter there, not wrong.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import Any, NamedTuple

from airflow_agentic.agents.library._needs import need

_COMMON = """
a about above after again against all also although always am among an and another any are aren as at be because
been before being below between both but by came can cannot come could did do does doesn doing don done down
during each either else etc ever every few for from further get gets give given gives go goes going had has have
having he her here hers him his how however i if in instead into is isn it its itself just let like ll made make
makes making many may me might more most much must my need needs neither never no nor not now of off often on
once one only onto or other our ours out over own per please put rather re really s same say see seem several
shall she should since so some still such t take than that the their theirs them themselves then there therefore
these they this those though through thus to together too two under unless until up upon us use used uses using
usually various ve very via was way we well were what when where whether which while who whom whose why will
with within without won would yes yet you your yours
"""
#: Words that say nothing about a text's subject.
STOP_WORDS = frozenset(_COMMON.split())

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001
_POSSESSIVE = re.compile(r"['’]s$")  # noqa: RUF001
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z](?!s\b)[a-z])")
_MARKER = re.compile(r"\[\d[\d\s,;]*\]")
_local = threading.local()


class Part(NamedTuple):
    """
    A word, or a part of an identifier.

    :param word: in lower case.
    :param written: as a person would write it: names and abbreviations keep their capitals, other words lose them.
    :param token: number of the identifier that it is a part of, in the text.
    """

    word: str
    written: str
    token: int


def parts(text: str) -> list[Part]:
    """The words of a text in order, identifiers taken apart."""
    found = []
    for number, token in enumerate(_WORD.findall(text)):
        split = _CAMEL.split(_POSSESSIVE.sub("", token))
        for part in split:
            keeps = len(split) > 1 or (part.isupper() and len(part) > 1)
            found.append(Part(part.lower(), part if keeps else part.lower(), number))
    return found


def words(text: str) -> list[str]:
    """The words of a text in order, in lower case, identifiers taken apart."""
    return [part.word for part in parts(text)]


def stems(text: str) -> list[str]:
    """The stems of a text's telling words, in order: no stop words, no single characters."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS and len(word) > 1]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of one lower-case word."""
    return str(_stemmer().stemWord(word.replace("’", "'")))  # noqa: RUF001


def count_words(text: str) -> int:
    """How many words a person would count: runs between spaces that hold a letter or digit, and no ``[1]`` markers."""
    return sum(1 for part in _MARKER.sub("", text).split() if any(character.isalnum() for character in part))


def _stemmer() -> Any:
    # A stemmer keeps the word at work in itself: one per thread.
    if not hasattr(_local, "stemmer"):
        _local.stemmer = need("snowballstemmer", extra="library").stemmer("english")
    return _local.stemmer

"""
The numbers in a text, so that a claim's can be compared with its source's.

Equal numbers are equal however they are written: ``1,000`` and ``1000``, ``0.50`` and ``.5``, ``5 million`` and
``5000000``, ``three`` and ``3``. Versions and dates (``3.3.2``, ``2026-01-31``) are compared part by part.
"""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)*|\.\d+")
_SCALE = re.compile(r"[\s\u00a0]*(thousand|million|billion|trillion|k|bn)\b", re.IGNORECASE)
_SCALES = {
    "thousand": 10**3,
    "k": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "trillion": 10**12,
}
_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
}
_WORDS.update(
    {"twice": "2", "once": "1", "half": "0.5", "dozen": "12", "hundred": "100", "twenty": "20", "thirty": "30"}
)
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


def numbers(text: str) -> set[str]:
    """The numbers written with digits, each in one normal form."""
    found = set()
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"[,\u00a0\u202f]", "", match[0])
        scale = _SCALE.match(text, match.end())
        factor = _SCALES[scale[1].lower()] if scale else 1
        found.add(_normal(digits, factor))
    return found


def spelled_numbers(text: str) -> set[str]:
    """The numbers written as English words."""
    return {_WORDS[word.lower()] for word in _WORD.findall(text) if word.lower() in _WORDS}


def _normal(digits: str, factor: int) -> str:
    if digits.count(".") > 1:
        return digits
    value = Decimal(digits) * factor
    return format(value.normalize() if value else Decimal(0), "f")

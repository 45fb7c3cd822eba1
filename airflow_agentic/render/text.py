"""How wide a text is in a picture, and where its lines break; a font's real measures aren't known here."""

from __future__ import annotations

import unicodedata

#: Of Helvetica and the fonts made to its measures, for the characters from the space on, in thousandths of the size.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_OTHER, _WIDE = 650, 1000
#: Fonts that are taken instead are up to that much wider, and bold ones too.
_SLACK = 1.1
_ELLIPSIS = "…"
_STEP = 0.95


def width(text: str, size: float) -> float:
    """How wide a line of text is, at a font size; rather too much than too little."""
    return sum(_width(character) for character in text) * size / 1000 * _SLACK


def _width(character: str) -> int:
    place = ord(character) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    if unicodedata.combining(character):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER


def wrap(text: str, size: float, most: float, lines: int) -> list[str]:
    """
    A text in lines.

    :param most: no line is wider.
    :param lines: there are no more; what doesn't fit is left out, with an ellipsis.
    """
    found = _broken(text, size, most)
    if len(found) > lines:
        return [*found[: lines - 1], _shortened(" ".join(found[lines - 1 :]), size, most)]
    # Lines of about the same width look better than a word alone in the last one.
    narrower = most * _STEP
    while len(found) > 1 and narrower > size and len(even := _broken(text, size, narrower)) == len(found):
        found, narrower = even, narrower * _STEP
    return found


def _broken(text: str, size: float, most: float) -> list[str]:
    found: list[str] = []
    rest = text.split()
    while rest:
        line, rest = _line(rest, size, most)
        found.append(line)
    return found


def _line(words: list[str], size: float, most: float) -> tuple[str, list[str]]:
    """The words that fit into a line, and those that are left; a word that is too long is broken."""
    if width(words[0], size) > most and len(words[0]) > 1:
        fits = next(end for end in range(len(words[0]) - 1, 0, -1) if end == 1 or width(words[0][:end], size) <= most)
        return words[0][:fits], [words[0][fits:], *words[1:]]
    count = 1
    while count < len(words) and width(" ".join(words[: count + 1]), size) <= most:
        count += 1
    return " ".join(words[:count]), words[count:]


def _shortened(text: str, size: float, most: float) -> str:
    while text and width(text + _ELLIPSIS, size) > most:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS


def visible(text: str) -> str:
    """The text without characters that XML doesn't have, or that would change the direction of what follows."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character)[0] != "C")

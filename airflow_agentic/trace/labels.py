"""What people recognize an item of a list by, beside its number: a short text of its own."""

from __future__ import annotations

from typing import Any

#: Characters of a label.
LONGEST = 40
#: Keys of an item that name it, the one that does so best first.
_NAMING = ("id", "key", "code", "sku", "name", "title", "label")


def label_of(item: dict[str, Any] | None) -> str | None:
    """
    The label of an item.

    A text is its own; of a mapping, it is what names it, or else its first short text. Numbers of a list would only be
    taken for places in it.

    :param item: ``{"index": …, "value": …}``, or null for what is no item.
    :returns: null where there is none.
    """
    value = item.get("value") if item else None
    if not isinstance(value, dict):
        return _short(value)
    named = [value[key] for key in _NAMING if key in value]
    numbered = [str(each) for each in named if isinstance(each, int) and not isinstance(each, bool)]
    told = [*named, *numbered, *value.values()]
    return next((label for label in map(_short, told) if label), None)


def item_words(place: int, label: str | None) -> str:
    """
    An item by its number and its label: ``item 4 (SKU-003)``.

    :param place: from 0; people count from 1.
    """
    return f"item {place + 1} ({label})" if label else f"item {place + 1}"


def _short(value: Any) -> str | None:
    line = " ".join(value.split()) if isinstance(value, str) and len(value) <= 2 * LONGEST else ""
    return line if 0 < len(line) <= LONGEST else None

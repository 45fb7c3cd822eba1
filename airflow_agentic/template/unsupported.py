"""Keys that the language has and this version doesn't run: refused by name, never silently accepted."""

from __future__ import annotations

from typing import Any

TOP_LEVEL = ("budget",)
AGENT = ("window",)
STAGE = ("cache",)


def split(data: dict[str, Any], keys: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """The mapping without the keys that aren't supported yet, and which of them it has."""
    if data.keys().isdisjoint(keys):
        return data, []
    return {key: value for key, value in data.items() if key not in keys}, [key for key in keys if key in data]

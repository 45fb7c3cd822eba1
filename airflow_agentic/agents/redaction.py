"""Leaving credentials out of what is recorded as sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(r"authorization|cookie|secret|password|passwd|api[-_]?key|token(?!s)", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """A copy of plain data in which the values under names of credentials are ``***``."""
    if isinstance(value, Mapping):
        return {key: "***" if _SECRET.search(key) else without_secrets(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_secrets(part) for part in value]
    return value

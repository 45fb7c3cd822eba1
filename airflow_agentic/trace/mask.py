"""
Secrets out of records, by the rules of Airflow's logs.

Airflow registers what it hands out (passwords of connections, variables with sensitive names) and knows sensitive
keys; whatever its logs would show as ``***``, records show as ``***``. Only writing needs this, never reading.
"""

from __future__ import annotations

import json
from typing import Any

#: Airflow's own limit for log lines is 5 levels; a record has no such excuse.
DEPTH = 10_000


def masked(value: Any) -> Any:
    """The value, as plain JSON-able data, with every known secret replaced by ``***``."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    return redact(_plain(value), max_depth=DEPTH)


def unexposed(value: Any) -> Any:
    """
    A copy of plain data in which ``***`` stands for every known secret in a text, whatever the text's name.

    For values that others go on with: where a record is written later, and by whom, the secret may not be known.
    """
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {unexposed(key): unexposed(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [unexposed(part) for part in value]
    return value


def register_secret(secret: Any) -> None:
    """Keep a value, or every text in it, out of all later records and logs of this task."""
    from airflow.sdk.log import mask_secret

    parts = secret.values() if isinstance(secret, dict) else secret if isinstance(secret, list) else ()
    for part in parts:
        register_secret(part)
    if isinstance(secret, str):
        mask_secret(secret)


def _plain(value: Any) -> Any:
    """What JSON makes of a value: anything else becomes text rather than an error that would lose a record."""
    return json.loads(json.dumps(value, default=str, ensure_ascii=False), parse_constant=str)

"""What a connection says about its limits, in its extra: ``{"agentic": {"requests_per_minute": 60, …}}``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from airflow_agentic.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """
    How much a connection takes; None: no limit.

    :param requests_per_minute: requests in any 60 seconds.
    :param tokens_per_minute: tokens, of prompts and answers, in any 60 seconds.
    :param max_concurrent: requests at the same time.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None


KEYS = tuple(Limits.__dataclass_fields__)


def limits_of(extra: Any, connection: str) -> Limits | None:
    """
    The limits in the ``agentic`` part of a connection's extra; None: there are none.

    :raises ConfigError: it holds something else.
    """
    if not isinstance(extra, dict):
        raise ConfigError(f"The extra of connection {connection!r}: 'agentic' must be a mapping, not {extra!r}.")
    for key, value in extra.items():
        _check(key, value, connection)
    return Limits(**extra) if extra else None


def _check(key: str, value: Any, connection: str) -> None:
    where = f"The extra of connection {connection!r}"
    if key not in KEYS:
        near = difflib.get_close_matches(str(key), KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KEYS)}."
        raise ConfigError(f"{where}: 'agentic' has no setting {key!r}; {hint}")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: agentic.{key} must be a whole number of at least 1, not {value!r}.")

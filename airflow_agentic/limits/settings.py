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


_LIMITS = tuple(Limits.__dataclass_fields__)
#: All that there is in the ``agentic`` part of an extra.
KEYS = (*_LIMITS, "prices")


def limits_of(extra: Any, connection: str) -> Limits | None:
    """
    The limits in the ``agentic`` part of a connection's extra; None: there are none.

    :raises ConfigError: it holds something else.
    """
    limits = {key: value for key, value in checked_keys(extra, connection).items() if key in _LIMITS}
    for key, value in limits.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(
                f"The extra of connection {connection!r}: agentic.{key} must be a whole number of at least 1, "
                f"not {value!r}."
            )
    return Limits(**limits) if limits else None


def checked_keys(extra: Any, connection: str, keys: tuple[str, ...] = KEYS, what: str = "agentic") -> dict[str, Any]:
    """
    A mapping of a connection's extra.

    :param keys: what it may hold.
    :param what: its place in the extra.
    :raises ConfigError: it is none, or holds something else.
    """
    where = f"The extra of connection {connection!r}"
    if not isinstance(extra, dict):
        raise ConfigError(f"{where}: {what!r} must be a mapping, not {extra!r}.")
    for key in extra:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(keys)}."
            raise ConfigError(f"{where}: {what!r} has no setting {key!r}; {hint}")
    return extra

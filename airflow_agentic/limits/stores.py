"""Which store the deployment has chosen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow_agentic import config
from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from airflow_agentic.limits.store import Store

#: by URL and process: a connection to a database doesn't survive a fork
_OPEN: dict[tuple[str, int], Store] = {}


def the_store() -> Store:
    """
    The store that ``[agentic] limiter_url`` names. Blocks.

    :raises ConfigError: the option names none.
    :raises LimiterError: it can't be reached.
    """
    place = (config.get("limiter_url"), os.getpid())
    if place not in _OPEN:
        _OPEN[place] = _opened(place[0])
    return _OPEN[place]


def _opened(url: str) -> Store:
    if url.startswith(("redis://", "rediss://")):
        from airflow_agentic.limits.redis import RedisStore

        return RedisStore(url)
    if "://" in url:
        scheme = url.partition("://")[0]
        raise ConfigError(f"[agentic] limiter_url must be a path or a redis:// URL; {scheme}:// is neither.")
    from airflow_agentic.limits.sqlite import SqliteStore

    return SqliteStore(url)

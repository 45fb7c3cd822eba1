"""Where the deployment keeps what was used of limits and budgets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from airflow_agentic import config
from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_agentic.limits.purses import Purses
    from airflow_agentic.limits.store import Store

    T = TypeVar("T")

#: by what is kept, URL and process: a connection to a database doesn't survive a fork
_OPEN: dict[tuple[str, str, int], object] = {}


def the_store() -> Store:
    """
    What was used of connections' limits, where ``[agentic] limiter_url`` says. Blocks.

    :raises ConfigError: the option names no such place.
    :raises LimiterError: it can't be reached.
    """

    def in_redis(url: str) -> Store:
        from airflow_agentic.limits.redis import RedisStore

        return RedisStore(url)

    def in_file(path: str) -> Store:
        from airflow_agentic.limits.sqlite import SqliteStore

        return SqliteStore(path)

    return _opened("limits", in_redis, in_file)


def the_purses() -> Purses:
    """
    What runs have spent, where ``[agentic] limiter_url`` says. Blocks.

    :raises ConfigError: the option names no such place.
    :raises LimiterError: it can't be reached.
    """

    def in_redis(url: str) -> Purses:
        from airflow_agentic.limits.purses_redis import RedisPurses

        return RedisPurses(url)

    def in_file(path: str) -> Purses:
        from airflow_agentic.limits.purses_sqlite import SqlitePurses

        return SqlitePurses(path)

    return _opened("budgets", in_redis, in_file)


def _opened(what: str, in_redis: Callable[[str], T], in_file: Callable[[str], T]) -> T:
    url = config.get("limiter_url")
    place = (what, url, os.getpid())
    if place not in _OPEN:
        _OPEN[place] = (in_redis if _is_redis(url) else in_file)(url)
    return _OPEN[place]  # type: ignore[return-value]


def _is_redis(url: str) -> bool:
    if url.startswith(("redis://", "rediss://")):
        return True
    if "://" in url:
        scheme = url.partition("://")[0]
        raise ConfigError(f"[agentic] limiter_url must be a path or a redis:// URL; {scheme}:// is neither.")
    return False

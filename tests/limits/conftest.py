"""Stores of both kinds, on a clock of the test's and on the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.redis_server import MISSING, redis_binary, running_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis."""
    if redis_binary() is None:
        pytest.skip(MISSING)
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a store of each kind keeps what it keeps; empty."""
    if request.param == "sqlite":
        return str(tmp_path_factory.mktemp("limits") / "of" / "limits.db")
    import redis

    url: str = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushall()
    return url

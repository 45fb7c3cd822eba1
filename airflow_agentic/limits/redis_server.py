"""
A Redis that all processes of all machines share.

Each step is one script, which Redis runs alone; the time is that of Redis, so the machines' clocks don't matter.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_agentic.errors import ConfigError, LimiterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Seconds for one step. Redis answers in below a millisecond, or something is wrong.
PATIENCE = 10.0

#: Begins each script. ``ARGV[1]`` is the time, or empty for that of Redis.
NOW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local function exact(value) return string.format('%.6f', value) end
"""


class RedisServer:
    """
    The server. Its methods block, and can be called from any thread.

    :param url: ``redis://…`` or ``rediss://…``.
    :param clock: seconds since the epoch; None: the clock of Redis.
    :raises ConfigError: the package ``redis`` is missing, or the URL isn't one.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._name = _shown(url)
        self._client = _client(url)
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        """
        Run a script with the time and some values as its arguments.

        :raises LimiterError: the server can't be reached.
        """
        if script not in self._scripts:
            self._scripts[script] = self._client.register_script(script)
        now = "" if self._clock is None else repr(self._clock())
        with self._reaching():
            return self._scripts[script](keys=keys, args=[now, *values])

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError) as error:
            raise LimiterError(
                f"The Redis of the rate limits and budgets, {self._name}, can't be used: {error}. "
                "Nothing was sent; see [agentic] limiter_url."
            ) from error


def _client(url: str) -> Any:
    try:
        import redis
    except ImportError:
        raise ConfigError(
            "[agentic] limiter_url names a Redis, which needs the extra 'redis': pip install 'airflow-agentic[redis]'."
        ) from None
    try:
        return redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, decode_responses=True
        )
    except ValueError as error:
        raise ConfigError(f"[agentic] limiter_url can't be used: {error}") from None


def _shown(url: str) -> str:
    """Without login and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

"""
What was used of connections' limits, in Redis: for all processes of all machines.

The arithmetic of :mod:`~airflow_agentic.limits.window` is repeated in the script: asking Redis what was used and
deciding outside would take a lock that somebody may die with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.limits.redis_server import NOW, RedisServer
from airflow_agentic.limits.store import KEPT, LATE, LEASE, WINDOW, Answer, Ask
from airflow_agentic.limits.window import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = ("times", "tokens", "leases", "tickets", "wanted", "since", "present", "number")

_HEAD = (
    NOW
    + """
local times, tokens, leases, tickets, wanted, since, present, number = unpack(KEYS)
local window, lease = tonumber(ARGV[2]), tonumber(ARGV[3])
"""
)

_ASK = (
    _HEAD
    + """
local ticket, grant, want = ARGV[4], ARGV[5], tonumber(ARGV[6])
local most_requests, most_tokens, most_at_work = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local late, kept = tonumber(ARGV[10]), tonumber(ARGV[11])

for _, name in ipairs(redis.call('ZRANGEBYSCORE', times, '(' .. exact(now), '+inf')) do
  redis.call('ZADD', times, exact(now), name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', exact(now - window))) do
  redis.call('ZREM', times, name)
  redis.call('HDEL', tokens, name)
end
redis.call('ZREMRANGEBYSCORE', leases, '-inf', exact(now))
for _, name in ipairs(redis.call('ZRANGEBYSCORE', present, '-inf', exact(now - kept))) do
  redis.call('ZREM', tickets, name)
  redis.call('ZREM', present, name)
  redis.call('HDEL', wanted, name)
  redis.call('HDEL', since, name)
end

if not redis.call('ZSCORE', tickets, ticket) then
  redis.call('ZADD', tickets, redis.call('INCR', number), ticket)
  redis.call('HSET', since, ticket, exact(now))
  redis.call('ZADD', present, exact(now), ticket)
end
redis.call('HSET', wanted, ticket, want)
local waited = math.max(0, now - tonumber(redis.call('HGET', since, ticket)))

local own = redis.call('ZSCORE', tickets, ticket)
local ahead, ahead_tokens = 0, 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', tickets, '-inf', '(' .. own)) do
  if tonumber(redis.call('ZSCORE', present, name)) > now then
    ahead = ahead + 1
    ahead_tokens = ahead_tokens + tonumber(redis.call('HGET', wanted, name))
  end
end

local function until_had(amount_of, used, want, limit)
  local missing = used + want - limit
  if missing <= 0 then return 0 end
  local rounds, rest = math.floor((missing - 1) / limit), (missing - 1) % limit
  local back = 0
  local log = redis.call('ZRANGE', times, 0, -1, 'WITHSCORES')
  for place = 1, #log, 2 do
    back = back + amount_of(log[place])
    if back > rest then return math.max(0.001, tonumber(log[place + 1]) + window * (rounds + 1) - now) end
  end
  return window * (rounds + 1)
end

local seconds, look, blocked = 0, 5, false
local keen = math.min(1, 0.05 * (1 + ahead))
if most_requests then
  seconds = until_had(function() return 1 end, redis.call('ZCARD', times), ahead + 1, most_requests)
end
if most_tokens then
  local used = 0
  for _, amount in ipairs(redis.call('HVALS', tokens)) do used = used + tonumber(amount) end
  local function amount_of(name) return tonumber(redis.call('HGET', tokens, name) or '0') end
  local wait = until_had(amount_of, used, ahead_tokens + want, most_tokens)
  if wait > 0 then look = keen end
  seconds = math.max(seconds, wait)
end
if most_at_work and redis.call('ZCARD', leases) + ahead + 1 > most_at_work then
  blocked, look = true, keen
end

if seconds == 0 and not blocked then
  redis.call('ZREM', tickets, ticket)
  redis.call('ZREM', present, ticket)
  redis.call('HDEL', wanted, ticket)
  redis.call('HDEL', since, ticket)
  redis.call('ZADD', times, exact(now), grant)
  redis.call('HSET', tokens, grant, want)
  if most_at_work then redis.call('ZADD', leases, exact(now + lease), grant) end
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(kept + window)) end
  return {1, exact(waited), '0', '0'}
end
if seconds > 0 and not blocked then look = math.min(seconds, look) end
look = math.max(0.01, look)
redis.call('ZADD', present, exact(now + look + late), ticket)
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(kept + window)) end
return {0, exact(waited), exact(seconds), exact(look)}
"""
)

_STEP_ASIDE = _HEAD + "redis.call('ZADD', present, 'XX', exact(now), ARGV[4])"

_LEAVE = (
    _HEAD
    + """
redis.call('ZREM', tickets, ARGV[4])
redis.call('ZREM', present, ARGV[4])
redis.call('HDEL', wanted, ARGV[4])
redis.call('HDEL', since, ARGV[4])
redis.call('ZREM', times, ARGV[5])
redis.call('HDEL', tokens, ARGV[5])
redis.call('ZREM', leases, ARGV[5])
"""
)

_RENEW = _HEAD + "redis.call('ZADD', leases, exact(now + lease), ARGV[4])"

_SETTLE = (
    _HEAD
    + """
redis.call('ZREM', leases, ARGV[4])
if ARGV[5] ~= '' and redis.call('HEXISTS', tokens, ARGV[4]) == 1 then redis.call('HSET', tokens, ARGV[4], ARGV[5]) end
"""
)


class RedisStore:
    """
    A :class:`~airflow_agentic.limits.store.Store` in Redis.

    :param url: ``redis://…`` or ``rediss://…``.
    :param window, margin, lease: seconds.
    :param clock: seconds since the epoch; None: the clock of Redis.
    :raises ConfigError: the package ``redis`` is missing, or the URL isn't one.
    """

    def __init__(
        self,
        url: str,
        *,
        window: float = WINDOW,
        margin: float = MARGIN,
        lease: float = LEASE,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.lease = lease
        self._window = window + margin
        self._server = RedisServer(url, clock=clock)

    def ask(self, ask: Ask) -> Answer:
        """See :meth:`airflow_agentic.limits.store.Store.ask`."""
        limits = ask.limits
        most = (limits.requests_per_minute, limits.tokens_per_minute, limits.max_concurrent)
        granted, waited, wait, look = self._run(
            _ASK, ask.connection, ask.ticket, ask.grant, ask.tokens, *(each or "" for each in most), LATE, KEPT
        )
        return Answer(granted=bool(granted), waited=float(waited), wait=float(wait), look=float(look))

    def step_aside(self, connection: str, ticket: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.step_aside`."""
        self._run(_STEP_ASIDE, connection, ticket)

    def leave(self, connection: str, ticket: str, grant: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.leave`."""
        self._run(_LEAVE, connection, ticket, grant)

    def renew(self, connection: str, grant: str) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.renew`."""
        self._run(_RENEW, connection, grant)

    def settle(self, connection: str, grant: str, tokens: int | None) -> None:
        """See :meth:`airflow_agentic.limits.store.Store.settle`."""
        self._run(_SETTLE, connection, grant, "" if tokens is None else tokens)

    def _run(self, script: str, connection: str, *values: Any) -> Any:
        # The braces keep all keys of a connection on one node of a cluster.
        keys = [f"agentic:limits:{{{connection}}}:{part}" for part in _PARTS]
        return self._server.run(script, keys, self._window, self.lease, *values)

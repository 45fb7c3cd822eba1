"""What runs have spent, in Redis: for all processes of all machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_agentic.limits.purses import KEPT, LEASE, State, Sums, Verdict, Wish
from airflow_agentic.limits.redis_server import NOW, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = ("spent", "tokens", "nanos", "leases")

_HEAD = (
    NOW
    + """
local spent, tokens, nanos, leases = unpack(KEYS)
local lease, kept, call = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local function whole(value) return string.format('%.0f', value) end
local function number(key, field) return tonumber(redis.call('HGET', key, field) or '0') end
local function drop()
  for _, key in ipairs({tokens, nanos}) do redis.call('HDEL', key, call) end
  redis.call('ZREM', leases, call)
end
local function used()
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(kept)) end
end
"""
)

_RESERVE = (
    _HEAD
    + """
local sums = {calls = number(spent, 'calls'), tokens = number(spent, 'tokens'), nanos = number(spent, 'nanos')}
local others = {tokens = 0, nanos = 0}
local log = redis.call('ZRANGE', leases, 0, -1, 'WITHSCORES')
for place = 1, #log, 2 do
  local till = tonumber(log[place + 1])
  -- a clock that was set back must not make anybody wait for longer than a lease (and what rounding adds)
  local into = sums
  if till > now and till < now + lease + 1 then into = others end
  into.tokens = into.tokens + number(tokens, log[place])
  into.nanos = into.nanos + number(nanos, log[place])
  sums.calls = sums.calls + 1
end

local state, granted = 'granted', {}
local function worse(other) if state ~= 'refused' then state = other end end
local function judge(name, bound, most, least)
  local left, held = most, 0
  if bound then left, held = bound - sums[name], others[name] end
  if least > left then
    worse('refused')
  elseif held > 0 and held + most > left then
    worse('wait')
  end
  granted[name] = math.min(most, left)
end
local most_calls = tonumber(ARGV[5])
if most_calls and sums.calls >= most_calls then state = 'refused' end
judge('tokens', tonumber(ARGV[6]), tonumber(ARGV[8]), tonumber(ARGV[10]))
judge('nanos', tonumber(ARGV[7]), tonumber(ARGV[9]), tonumber(ARGV[11]))
if state == 'granted' then
  redis.call('HSET', tokens, call, whole(granted.tokens))
  redis.call('HSET', nanos, call, whole(granted.nanos))
  redis.call('ZADD', leases, exact(now + lease), call)
  used()
else
  granted = {tokens = 0, nanos = 0}
end
return {
  state, whole(granted.tokens), whole(granted.nanos),
  whole(sums.calls), whole(sums.tokens), whole(sums.nanos), whole(others.tokens), whole(others.nanos)
}
"""
)

_RENEW = _HEAD + "redis.call('ZADD', leases, 'XX', exact(now + lease), call)"

_SETTLE = (
    _HEAD
    + """
if redis.call('ZSCORE', leases, call) then
  redis.call('HINCRBY', spent, 'calls', 1)
  redis.call('HINCRBY', spent, 'tokens', ARGV[5] ~= '' and ARGV[5] or redis.call('HGET', tokens, call))
  redis.call('HINCRBY', spent, 'nanos', ARGV[6] ~= '' and ARGV[6] or redis.call('HGET', nanos, call))
  drop()
  used()
end
"""
)

_GIVE_BACK = _HEAD + "drop()"


class RedisPurses:
    """
    :class:`~airflow_agentic.limits.purses.Purses` in Redis.

    :param url: ``redis://…`` or ``rediss://…``.
    :param lease: seconds.
    :param clock: seconds since the epoch; None: the clock of Redis.
    :raises ConfigError: the package ``redis`` is missing, or the URL isn't one.
    """

    def __init__(self, url: str, *, lease: float = LEASE, clock: Callable[[], float] | None = None) -> None:
        self.lease = lease
        self._server = RedisServer(url, clock=clock)

    def reserve(self, wish: Wish) -> Verdict:
        """See :meth:`airflow_agentic.limits.purses.Purses.reserve`."""
        bounds = wish.bounds
        limits = (_text(bounds.calls), _text(bounds.tokens), _text(bounds.nanos))
        wanted = (wish.most.tokens, wish.most.nanos, wish.least.tokens, wish.least.nanos)
        state, *told = self._run(_RESERVE, wish.run, wish.call, *limits, *wanted)
        tokens, nanos, calls, spent_tokens, spent_nanos, reserved_tokens, reserved_nanos = map(int, told)
        return Verdict(
            state=cast("State", state),
            granted=Sums(tokens=tokens, nanos=nanos),
            spent=Sums(calls=calls, tokens=spent_tokens, nanos=spent_nanos),
            reserved=Sums(tokens=reserved_tokens, nanos=reserved_nanos),
        )

    def renew(self, run: str, call: str) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.renew`."""
        self._run(_RENEW, run, call)

    def settle(self, run: str, call: str, tokens: int | None, nanos: int | None) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.settle`."""
        self._run(_SETTLE, run, call, _text(tokens), _text(nanos))

    def give_back(self, run: str, call: str) -> None:
        """See :meth:`airflow_agentic.limits.purses.Purses.give_back`."""
        self._run(_GIVE_BACK, run, call)

    def _run(self, script: str, run: str, call: str, *values: Any) -> Any:
        # The braces keep all keys of a run on one node of a cluster.
        keys = [f"agentic:budgets:{{{run}}}:{part}" for part in _PARTS]
        return self._server.run(script, keys, self.lease, KEPT, call, *values)


def _text(number: int | None) -> str | int:
    return "" if number is None else number

"""How often something may happen: the generic cell rate algorithm, in Redis for all processes, else in this one.

A bucket holds the time at which it is empty again. What costs `cost_ms` is admitted as long as that time is at most
`window_ms` ahead: `window_ms / cost_ms` at once, then one each `cost_ms`. There is no window whose edge lets twice the
limit through, and a bucket that nobody uses vanishes. Several buckets are asked in one call: each is looked at before
one is charged, so that what is refused costs nothing.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

# KEYS: a hash each. ARGV: per key its field, window and cost. Returns 0, or the milliseconds to wait.
TAKE = """
local now = redis.call('TIME')
local t = now[1] * 1000 + now[2] / 1000
local tats, wait = {}, 0
for i, key in ipairs(KEYS) do
  local tat = tonumber(redis.call('HGET', key, ARGV[3 * i - 2]) or t)
  if tat < t then tat = t end
  tats[i] = tat + tonumber(ARGV[3 * i])
  local over = tats[i] - t - tonumber(ARGV[3 * i - 1])
  if over > wait then wait = over end
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[3 * i - 2], string.format('%.3f', tats[i]))
  redis.call('PEXPIRE', key, math.ceil(ARGV[3 * i - 1]))
end
return 0
"""
# What was taken goes back.
GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local tat = tonumber(redis.call('HGET', key, ARGV[3 * i - 2]))
  if tat then redis.call('HSET', key, ARGV[3 * i - 2], string.format('%.3f', tat - tonumber(ARGV[3 * i]))) end
end
"""


class Charge(NamedTuple):
    """What one call costs in one bucket: a field of a hash in Redis."""

    key: str
    field: str
    window_ms: float
    cost_ms: float


def arguments(charges: Sequence[Charge]) -> tuple[list[str], list[str | float]]:
    """Return keys and arguments of the scripts."""
    return [one.key for one in charges], [word for one in charges for word in (one.field, one.window_ms, one.cost_ms)]


class LocalBuckets:
    """The same in this process, for the time Redis is away; remembers the last 10,000 buckets."""

    def __init__(self, most: int = 10_000) -> None:
        self._tats: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def take(self, charges: Sequence[Charge]) -> int:
        """Return 0 and charge all, or the milliseconds to wait and charge none."""
        now = time.monotonic() * 1000
        with self._lock:
            new = {(one.key, one.field): max(self._tats.get((one.key, one.field), now), now) + one.cost_ms
                   for one in charges}  # fmt: skip
            wait = max(new[one.key, one.field] - now - one.window_ms for one in charges)
            if wait > 0:
                return int(wait) + 1
            for name, tat in new.items():
                self._tats[name] = tat
                self._tats.move_to_end(name)
            while len(self._tats) > self._most:
                self._tats.popitem(last=False)
        return 0

    def give_back(self, charges: Sequence[Charge]) -> None:
        """Take what they cost off each."""
        with self._lock:
            for one in charges:
                if (one.key, one.field) in self._tats:
                    self._tats[one.key, one.field] -= one.cost_ms

    def clear(self, charges: Sequence[Charge]) -> None:
        """Forget some buckets."""
        with self._lock:
            for one in charges:
                self._tats.pop((one.key, one.field), None)

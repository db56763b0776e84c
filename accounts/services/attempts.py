"""Guessing is slowed down, never locked: buckets of attempts that fill again, so that nobody shuts the admin out.

Three buckets stand before a password or code. The one of the person *from one network* is small: whoever guesses from
one place empties it for that place alone. The one of the network bounds guessing over many people. The one of the
person bounds guessing from many places, and binds only networks from which the person has not come in within thirty
days: in an attack the admin signs in from where the admin always does. Refused attempts are not counted, so one place
cannot empty the person's bucket. Redis counts for all processes; without it each process counts by itself.
"""

import hashlib
import ipaddress
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from audit.models import UserAction
from tradingdb.lib.errors import RateLimited

logger = logging.getLogger(__name__)

KNOWN_FOR = timedelta(days=30)
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """`burst` attempts at once, then one each `refill_ms`."""

    name: str
    burst: int
    refill_ms: int


PAIR = Bucket("pair", 5, MINUTE_MS // 2)
NETWORK = Bucket("network", 60, MINUTE_MS // 6)
PERSON = Bucket("person", 60, MINUTE_MS // 2)

# Every bucket is looked at before one is charged: a refused attempt costs nothing. ARGV: per key burst, refill.
TAKE = """
local now = redis.call('TIME')
local t = now[1] * 1000 + now[2] / 1000
local tats, wait = {}, 0
for i, key in ipairs(KEYS) do
  local burst, step = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = tonumber(redis.call('GET', key) or t)
  if tat < t then tat = t end
  local over = tat + step - t - burst * step
  if over > wait then wait = over end
  tats[i] = tat + step
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.3f', tats[i]), 'PX', math.ceil(tats[i] - t) + 1000)
end
return 0
"""

# What a good one took goes back.
GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local tat = tonumber(redis.call('GET', key))
  if tat then redis.call('SET', key, string.format('%.3f', tat - tonumber(ARGV[i])), 'KEEPTTL') end
end
"""

Key = tuple[str, Bucket]


class LocalBuckets:
    """The same in this process, for the time Redis is away; remembers the last 10,000 buckets."""

    def __init__(self, most: int = 10_000) -> None:
        self._tats: OrderedDict[str, float] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def take(self, keys: list[Key]) -> int:
        """Return 0 and charge all, or the milliseconds to wait and charge none."""
        now = time.monotonic() * 1000
        with self._lock:
            new = {key: max(self._tats.get(key, now), now) + bucket.refill_ms for key, bucket in keys}
            wait = max(new[key] - now - bucket.burst * bucket.refill_ms for key, bucket in keys)
            if wait > 0:
                return int(wait) + 1
            for key, tat in new.items():
                self._tats[key] = tat
                self._tats.move_to_end(key)
            while len(self._tats) > self._most:
                self._tats.popitem(last=False)
        return 0

    def give_back(self, keys: list[Key]) -> None:
        """Take one attempt off each."""
        with self._lock:
            for key, bucket in keys:
                if key in self._tats:
                    self._tats[key] -= bucket.refill_ms

    def clear(self, keys: list[Key]) -> None:
        """Forget some buckets."""
        with self._lock:
            for key, _ in keys:
                self._tats.pop(key, None)


LOCAL = LocalBuckets()


def network_of(address: str | None) -> str:
    """Return the /24 of an IPv4 address, the /64 of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 64}", strict=False))


class Attempt:
    """One try to prove who one is; counted when made, given back when it was right."""

    def __init__(self, name: str, request: HttpRequest | None, *, kind: str = "password") -> None:
        # No request: tests and commands, which have no network.
        self.network = network_of(request.META.get("REMOTE_ADDR") if request is not None else None)
        person = hashlib.sha256(name.strip().lower().encode()).hexdigest()[:32]
        prefix = f"{settings.REDIS_PREFIX}attempts:{kind}"
        self._pair: Key = (f"{prefix}:pair:{person}:{self.network}", PAIR)
        self._network: Key = (f"{prefix}:network:{self.network}", NETWORK)
        self._person: Key = (f"{prefix}:person:{person}", PERSON)
        self._name = name.strip().lower()

    def take(self) -> None:
        """Count the attempt. Raises RateLimited, alike for people that exist and people that do not."""
        wait = _take([self._pair, self._network, self._person])
        if wait and not _take([self._pair, self._network]) and self._is_known():
            return
        if wait:
            raise RateLimited("Too many attempts. Wait a moment.", retry_after=-(-wait // 1000))

    def succeeded(self) -> None:
        """Forget the guesses of the person from here; of the wider buckets this one try goes back, and no guess."""
        _clear([self._pair])
        _give_back([self._network, self._person])

    def _is_known(self) -> bool:
        """Whether the person came in from this network lately."""
        rows = UserAction.objects.filter(
            action="login.succeeded", resource_type="user", resource_id=self._name[:100],
            created_at__gt=timezone.now() - KNOWN_FOR, ip_address__isnull=False,
        )  # fmt: skip
        addresses = rows.values_list("ip_address", flat=True).distinct()[:1000]
        return self.network in {network_of(address) for address in addresses}


def _take(keys: list[Key]) -> int:
    names = [key for key, _ in keys]
    numbers = [number for _, bucket in keys for number in (bucket.burst, bucket.refill_ms)]
    try:
        client = get_redis_connection("default")
        return int(client.eval(TAKE, len(names), *names, *numbers))
    except RedisError as e:
        logger.warning("Attempts are counted in this process alone: %s", type(e).__name__)
        return LOCAL.take(keys)


def _give_back(keys: list[Key]) -> None:
    LOCAL.give_back(keys)
    names = [key for key, _ in keys]
    try:
        get_redis_connection("default").eval(GIVE_BACK, len(names), *names, *(bucket.refill_ms for _, bucket in keys))
    except RedisError:
        return


def _clear(keys: list[Key]) -> None:
    LOCAL.clear(keys)
    try:
        get_redis_connection("default").delete(*(key for key, _ in keys))
    except RedisError:
        return

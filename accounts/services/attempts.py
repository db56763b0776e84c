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
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from audit.models import UserAction
from tradingdb.lib.buckets import GIVE_BACK, TAKE, Charge, LocalBuckets, arguments
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

    def charge(self, key: str) -> Charge:
        """Return what one attempt costs in the bucket of this key."""
        return Charge(key, "attempts", self.burst * self.refill_ms, self.refill_ms)


PAIR = Bucket("pair", 5, MINUTE_MS // 2)
NETWORK = Bucket("network", 60, MINUTE_MS // 6)
PERSON = Bucket("person", 60, MINUTE_MS // 2)

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
        self._pair = PAIR.charge(f"{prefix}:pair:{person}:{self.network}")
        self._network = NETWORK.charge(f"{prefix}:network:{self.network}")
        self._person = PERSON.charge(f"{prefix}:person:{person}")
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


def _take(charges: list[Charge]) -> int:
    keys, words = arguments(charges)
    try:
        return int(get_redis_connection("default").eval(TAKE, len(keys), *keys, *words))
    except RedisError as e:
        logger.warning("Attempts are counted in this process alone: %s", type(e).__name__)
        return LOCAL.take(charges)


def _give_back(charges: list[Charge]) -> None:
    LOCAL.give_back(charges)
    keys, words = arguments(charges)
    try:
        get_redis_connection("default").eval(GIVE_BACK, len(keys), *keys, *words)
    except RedisError:
        return


def _clear(charges: list[Charge]) -> None:
    LOCAL.clear(charges)
    try:
        get_redis_connection("default").delete(*(one.key for one in charges))
    except RedisError:
        return

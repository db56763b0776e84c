"""Leases of the rate limit: a busy bot asks Redis seldom, and never gets more than its limit."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from bots.live import keys, ratelimit
from bots.live.client import sync_client


@pytest.fixture(autouse=True)
def _no_leases_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ratelimit, "_leases", ratelimit.Leases())
    yield
    sync_client().delete(keys.rate_limit("leased"))


async def calls(count: int) -> list[int]:
    """Return what each of some calls hears, one after the other."""
    return [await ratelimit.await_ms("leased", "facts") for _ in range(count)]


def asked(before: int) -> int:
    return int(sync_client().info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]) - before


async def test_a_burst_gets_its_limit_and_no_call_more(settings):
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 1200

    began = time.monotonic()

    admitted = (await calls(1400)).count(0)

    # The bucket fills while the calls run: twenty a second.
    assert 1200 <= admitted <= 1200 + 20 * (time.monotonic() - began) + 1


async def test_several_processes_share_one_limit(settings, monkeypatch):
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 1200
    began, admitted = time.monotonic(), 0
    for _ in range(4):
        monkeypatch.setattr(ratelimit, "_leases", ratelimit.Leases())
        admitted += (await calls(400)).count(0)

    assert admitted <= 1200 + 20 * (time.monotonic() - began) + 1


async def test_a_busy_bot_asks_redis_seldom(settings):
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 60_000
    before = asked(0)

    waits = await calls(1000)

    assert waits == [0] * 1000
    assert asked(before) < 100


async def test_a_slow_bot_and_a_small_limit_are_counted_call_by_call(settings):
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 100
    small = await calls(120)
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 60_000
    leases = ratelimit._leases
    leases.note("leased", "facts", 8)

    assert (small.count(0), small[0]) == (100, 0)
    assert leases.next_size("leased", "facts", 60_000) == 1, "calls of the last lease are left"


async def test_a_lease_ends(settings, monkeypatch):
    settings.RATE_LIMIT_FACTS_PER_MINUTE = 60_000
    monkeypatch.setattr(ratelimit.Leases, "SECONDS", 0.01)
    ratelimit._leases.note("leased", "facts", 8)
    assert ratelimit._leases.admits("leased", "facts")

    await asyncio.sleep(0.02)

    assert not ratelimit._leases.admits("leased", "facts")

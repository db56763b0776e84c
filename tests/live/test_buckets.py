"""The one mechanism of rate limits: exact under concurrency, and the same in the process as in Redis."""

import random
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from bots.live.client import sync_client
from tradingdb.lib import buckets
from tradingdb.lib.buckets import GIVE_BACK, TAKE, Charge, LocalBuckets, arguments

HOUR = 3_600_000


@pytest.fixture
def key():
    name = f"test-{uuid4().hex}"
    yield name
    for found in sync_client().scan_iter(match=f"{name}*"):
        sync_client().delete(found)


def take(charges):
    keys, words = arguments(charges)
    return int(sync_client().eval(TAKE, len(keys), *keys, *words))


def give_back(charges):
    keys, words = arguments(charges)
    sync_client().eval(GIVE_BACK, len(keys), *keys, *words)


def test_many_at_once_get_exactly_what_the_bucket_holds(key):
    one = [Charge(key, "facts", HOUR, HOUR / 100)]

    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: take(one), range(400)))

    assert waits.count(0) == 100
    assert all(0 < wait <= HOUR / 100 for wait in waits if wait)


def test_what_one_bucket_refuses_costs_no_other(key):
    wide, narrow = Charge(key, "wide", HOUR, HOUR / 10), Charge(f"{key}-2", "narrow", HOUR, HOUR / 2)

    waits = [take([wide, narrow]) for _ in range(20)]

    assert waits.count(0) == 2
    assert [take([wide]) for _ in range(20)].count(0) == 8


def test_every_bucket_vanishes(key):
    take([Charge(key, "a", 60_000, 10)])

    assert 0 < sync_client().pttl(key) <= 60_000


def test_the_process_decides_as_redis_does(key, monkeypatch):
    """Buckets that never refill while the test runs, so that no clock decides."""
    luck = random.Random(7)
    local, charges = LocalBuckets(), [Charge(f"{key}-{n}", "x", 1000 * HOUR, HOUR * 37 * (n + 1)) for n in range(4)]

    for _ in range(300):
        chosen = luck.sample(charges, luck.randint(1, 4))
        if luck.random() < 0.2:
            local.give_back(chosen)
            give_back(chosen)
        else:
            assert (local.take(chosen) == 0) == (take(chosen) == 0)


def test_a_bucket_fills_again_with_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(buckets.time, "monotonic", lambda: now[0])
    local, one = LocalBuckets(), [Charge("k", "f", 60_000, 20_000)]

    first = [local.take(one) for _ in range(4)]
    now[0] += 20
    second = [local.take(one) for _ in range(2)]

    assert (first[:3], second[0]) == ([0, 0, 0], 0)
    assert 19_000 < first[3] <= 20_001
    assert 19_000 < second[1] <= 20_001


def test_the_process_forgets_the_oldest():
    local = LocalBuckets(most=3)
    for name in "abcd":
        assert local.take([Charge(name, "f", 10, 10)]) == 0

    assert local.take([Charge("d", "f", HOUR, HOUR)]) > 0
    assert local.take([Charge("a", "f", HOUR, HOUR)]) == 0

"""Publishing into real Redis: the seed's keys, the guards against old news, and Redis that is away."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from redis.exceptions import ConnectionError as RedisConnectionError

from bots.live import client, keys, publish
from bots.live.publish import Outage, apublish
from tests.live.live_rows import closed, halt, news, position, position_row, price


def read(key: str) -> Any:
    text = client.sync_client().get(key)
    return None if text is None else json.loads(text)


@pytest.fixture
def heard() -> Iterator[Any]:
    """Collect what is published on the live channel."""
    pubsub = client.sync_client().pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(keys.channel())
    pubsub.get_message(timeout=1)

    def batches() -> list[list[dict[str, Any]]]:
        found = []
        while (message := pubsub.get_message(timeout=0.2)) is not None:
            found.append(json.loads(message["data"]))
        return found

    yield batches
    pubsub.close()


@pytest.fixture
def no_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    """Point this process at a port where nothing answers."""
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    outage = Outage()
    monkeypatch.setattr(publish, "outage", outage)
    caches = (client.sync_client, publish._script)
    for cache in caches:
        cache.cache_clear()
    yield outage
    settings.REDIS_URL = there
    for cache in caches:
        cache.cache_clear()


def test_a_position_is_kept_under_the_seeds_key_and_in_the_hash() -> None:
    publish.publish([position(position_row(version=3))])

    kept = read(keys.bot_position("alpha", "BTCUSDT"))
    assert (kept["size"], kept["entry_price"], kept["side"]) == ("2", "100", "long")
    row = client.sync_client().hget(keys.positions(), "p1")
    assert json.loads(row or "{}") == position_row(version=3)


def test_an_older_version_never_overwrites() -> None:
    publish.publish([position(position_row(version=3, size="5"))])

    publish.publish([position(position_row(version=2, size="1"))])

    assert read(keys.bot_position("alpha", "BTCUSDT"))["size"] == "5"


def test_a_closed_position_leaves_no_key_and_does_not_come_back() -> None:
    row = position_row(version=1)
    publish.publish([position(row)])
    publish.publish([closed(row, 2)])

    publish.publish([position(row)])

    assert read(keys.bot_position("alpha", "BTCUSDT")) is None
    assert client.sync_client().hgetall(keys.positions()) == {}
    assert 0 < client.sync_client().ttl(keys.gone("position", "alpha", "p1")) <= keys.GONE_SECONDS


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_flip_leaves_the_new_position_whatever_the_order(is_reversed: bool) -> None:
    old = position_row("p1")
    publish.publish([position(old)])
    flip = [closed(old, 2), position(position_row("p2", side="short"))]

    publish.publish(flip[::-1] if is_reversed else flip)

    assert read(keys.bot_position("alpha", "BTCUSDT"))["side"] == "short"
    assert set(client.sync_client().hgetall(keys.positions())) == {b"p2"}


def test_a_price_lives_a_minute_and_an_older_one_never_wins() -> None:
    publish.publish([price("101.50", at="2026-11-20T10:00:00.5Z")])
    publish.publish([price("99", at="2026-11-20T10:00:00Z")])

    assert read(keys.price("BTCUSDT")) == {"price": "101.50", "timestamp": "2026-11-20T10:00:00.5Z"}
    assert 0 < client.sync_client().ttl(keys.price("BTCUSDT")) <= 60


def test_bot_updates_are_merged_into_state_and_metrics() -> None:
    publish.publish([news("bot", status="active", last_heartbeat="2026-11-20T10:00:00Z", current_equity="10")])
    publish.publish([news("bot", status="paused", daily_pnl="1.5", open_positions=2)])

    assert read(keys.bot_state("alpha")) == {"status": "paused", "last_heartbeat": "2026-11-20T10:00:00Z"}
    assert read(keys.bot_metrics("alpha")) == {"equity": "10", "daily_pnl": "1.5", "open_positions": 2}


def test_pending_orders_and_the_last_signal_are_kept() -> None:
    at = "2026-11-20T10:00:00Z"
    publish.publish(
        [
            news("order", order_id="o1", status="pending"),
            news("order", order_id="o2", status="submitted"),
            news("order", order_id="o1", status="partially_filled"),
            news("order", order_id="o2", status="filled"),
            # Late news of an order that ended does not bring it back.
            news("order", order_id="o2", status="submitted"),
            news("signal", signal_id="s2", timestamp=at),
            news("signal", signal_id="s1", timestamp="2026-11-20T09:00:00Z"),
        ]
    )

    assert read(keys.pending_orders("alpha")) == ["o1"]
    assert read(keys.last_signal("alpha"))["signal_id"] == "s2"
    publish.publish([news("order", order_id="o1", status="cancelled")])
    assert read(keys.pending_orders("alpha")) == []


def test_one_transaction_is_one_message(heard: Any) -> None:
    updates = [position(position_row()), price("101"), halt("HALTED", 1)]

    publish.publish(updates)

    assert heard() == [updates]


def test_a_key_of_another_type_does_not_stop_the_rest(heard: Any) -> None:
    client.sync_client().set(keys.positions(), "not a hash")

    publish.publish([position(position_row()), price("101")])

    assert read(keys.price("BTCUSDT"))["price"] == "101"
    assert len(heard()) == 1


def test_async_publishing_does_the_same_and_joins_what_waits(heard: Any) -> None:
    async def many() -> None:
        await asyncio.gather(
            *(apublish([price(str(number), at=f"2026-11-20T10:00:{number:02}Z")]) for number in range(20))
        )

    async_to_sync(many)()

    batches = heard()
    assert sum(map(len, batches)) == 20
    assert len(batches) < 20
    assert [update["data"]["price"] for batch in batches for update in batch] == [str(number) for number in range(20)]
    assert read(keys.price("BTCUSDT"))["price"] == "19"


def test_without_redis_nothing_raises_and_the_loss_is_counted(
    no_redis: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            publish.publish([price("101"), price("102")])
        async_to_sync(apublish)([price("103")])

    assert no_redis.lost_updates == 101
    assert len(caplog.records) == 1
    assert "does not take live updates" in caplog.text


def test_only_the_first_call_of_a_pause_waits(no_redis: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def refuse(**_: Any) -> None:
        nonlocal tries
        tries += 1
        raise RedisConnectionError("away")

    monkeypatch.setattr(publish, "_script", lambda: refuse)
    moment = time.monotonic()
    monkeypatch.setattr(publish.time, "monotonic", lambda: moment)
    for _ in range(10):
        publish.publish([price("1")])
    assert tries == 1

    moment += publish.PAUSE_SECONDS
    publish.publish([price("1")])
    assert (tries, no_redis.lost_updates) == (2, 11)


def test_a_client_ends_with_its_event_loop() -> None:
    async def use() -> Any:
        await apublish([price("101")])
        return await client.async_client()

    left = async_to_sync(use)()

    assert left.connection is None

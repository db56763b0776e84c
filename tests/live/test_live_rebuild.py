"""Redis from PostgreSQL: emptied or full of nonsense, afterwards it says what the ledger says."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots.live import keys
from bots.live.client import sync_client
from bots.live.publish import publish
from bots.live.rebuild import rebuild, rebuild_if_empty, repair
from bots.models import Signal
from tests.factories import NOON, BotFactory, OrderFactory, PositionFactory, TradeFactory
from tests.live.live_rows import closed, news, position, stored

pytestmark = pytest.mark.django_db


def read(key: str) -> Any:
    text = sync_client().get(key)
    return None if text is None else json.loads(text)


def test_every_key_is_written_from_the_ledger() -> None:
    now = timezone.now()
    bot = BotFactory(status="paused", current_equity="123.5", last_heartbeat=NOON)
    held = PositionFactory(bot=bot, size="3", avg_entry_price="7")
    TradeFactory(bot=bot, entry_time=now - timedelta(days=2), exit_time=now)
    OrderFactory(bot=bot, order_id="open")
    OrderFactory(bot=bot, order_id="gone", status="cancelled", reported_status="cancelled")
    for number in (1, 2):
        Signal.objects.create(
            bot=bot, signal_id=f"s{number}", symbol="BTCUSDT", signal_type="long", price=1, strategy="test",
            timestamp=NOON + timedelta(minutes=number),
        )  # fmt: skip

    counts = rebuild()

    assert counts == {"positions": 1, "bots": 1, "signals": 1, "orders": 1, "removed": 0}
    kept = read(keys.bot_position(bot.bot_id, "BTCUSDT"))
    assert (kept["size"], kept["entry_price"]) == ("3", "7")
    assert json.loads(sync_client().hget(keys.positions(), held.position_id) or "{}") == stored(held)
    assert read(keys.bot_state(bot.bot_id))["status"] == "paused"
    metrics = read(keys.bot_metrics(bot.bot_id))
    assert (metrics["equity"], metrics["daily_pnl"], metrics["open_positions"]) == ("123.5", "10", 1)
    assert read(keys.last_signal(bot.bot_id))["signal_id"] == "s2"
    assert read(keys.pending_orders(bot.bot_id)) == ["open"]


def test_what_the_ledger_does_not_know_goes() -> None:
    bot = BotFactory()
    publish([position({**stored(PositionFactory(bot=bot)), "symbol": "GONE", "position_id": "gone"})])
    publish([news("order", bot.bot_id, order_id="gone", status="pending")])

    counts = rebuild()

    assert counts["removed"] == 1
    assert read(keys.bot_position(bot.bot_id, "GONE")) is None
    assert read(keys.pending_orders(bot.bot_id)) is None
    assert b"gone" not in sync_client().hgetall(keys.positions())


def test_news_that_came_meanwhile_stay() -> None:
    held = PositionFactory()
    publish([closed(stored(held), 2)])

    rebuild()

    assert read(keys.bot_position(held.bot_id, "BTCUSDT")) is None


def test_only_an_emptied_redis_is_rebuilt_by_itself() -> None:
    PositionFactory()

    assert rebuild_if_empty() is True
    assert rebuild_if_empty() is False
    sync_client().delete(keys.built())
    assert rebuild_if_empty() is True


def test_two_do_not_rebuild_at_once() -> None:
    sync_client().set(keys.rebuilding(), "1")

    assert rebuild_if_empty() is False


def test_a_repair_brings_what_was_missed_and_leaves_the_rest() -> None:
    bot = BotFactory()
    missed, gone = PositionFactory(bot=bot, symbol="BTCUSDT"), PositionFactory(bot=bot, symbol="ETHUSDT")
    OrderFactory(bot=bot, order_id="open")
    rebuild()
    publish([news("order", bot.bot_id, order_id="lost", status="pending")])
    sync_client().hdel(keys.versions(), missed.position_id)
    sync_client().delete(keys.bot_position(bot.bot_id, "BTCUSDT"))
    gone.delete()

    assert repair() == 3

    assert read(keys.bot_position(bot.bot_id, "BTCUSDT"))["position_id"] == missed.position_id
    assert read(keys.bot_position(bot.bot_id, "ETHUSDT")) is None
    assert read(keys.pending_orders(bot.bot_id)) == ["open"]
    assert repair() == 0


def test_a_repair_counts_the_metrics_anew() -> None:
    now = timezone.now()
    bot = BotFactory(currency="USDT")
    rebuild()
    PositionFactory(bot=bot)
    TradeFactory(bot=bot, symbol="BTCUSDT", entry_time=now, exit_time=now)
    # Unlike currencies are never added.
    TradeFactory(bot=bot, symbol="ETHBTC", entry_time=now, exit_time=now)

    repair()

    metrics = read(keys.bot_metrics(bot.bot_id))
    assert (metrics["daily_pnl"], metrics["open_positions"]) == ("10", 1)
    assert metrics["as_of"] >= now.isoformat()[:19]

"""The same thing sent by many at once happens once, and everybody hears so."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.services.actions import SYSTEM
from bots.models import Bot, CashFlow, IngestConflict, Trade
from bots.services.registry import bot_register
from bots.services.tokens import TooManyTokens, token_create
from bots.services.trades import NewTrade, trade_record
from config_app.models import BotConfiguration
from config_app.services.configurations import configuration_activate
from marketdata.models import Candle
from marketdata.services.candle_rows import rows_from_json
from marketdata.services.candles import Series, candles_ingest
from tests.factories import NOON, BotFactory
from tradingdb.lib.errors import Conflict

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(call: Callable[[int], Any], times: int = 8) -> list[Any]:
    """Run a call in that many threads, each with a connection of its own."""

    def one(number: int) -> Any:
        try:
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def trade(quantity: int = 1) -> NewTrade:
    told: dict[str, Any] = {
        "trade_id": "t1", "symbol": "BTCUSDT", "side": "long", "quantity": Decimal(quantity),
        "entry_price": Decimal(100), "entry_time": NOON,
    }  # fmt: skip
    return NewTrade(body=told, **told)


def test_one_trade_sent_eight_times_at_once_is_stored_once():
    bot = BotFactory()

    outcomes = at_once(lambda _: trade_record(bot_id=bot.bot_id, trade=trade()))

    assert Counter((outcome.status, outcome.replayed) for outcome in outcomes) == {(201, False): 1, (200, True): 7}
    assert len({str(outcome.body) for outcome in outcomes}) == 1
    assert Trade.objects.count() == 1


def test_two_contents_under_one_id_at_once_leave_one_trade_and_a_conflict():
    bot = BotFactory()

    def send(number: int) -> int:
        try:
            return trade_record(bot_id=bot.bot_id, trade=trade(1 + number % 2)).status
        except Conflict:
            return 409

    assert Counter(at_once(send)) == {201: 1, 200: 3, 409: 4}
    assert Trade.objects.count() == 1
    assert IngestConflict.objects.get().received_count == 4


def test_candles_loaded_by_many_at_once_are_counted_exactly():
    values = [[f"2026-11-19T{hour:02}:{minute:02}:00Z", 1, 2, 1, 2, 5] for hour in range(10) for minute in range(60)]
    rows = rows_from_json(values, timezone.now())

    done = at_once(lambda _: candles_ingest(series=Series("bybit", "BTCUSDT", "1m"), rows=rows), times=4)

    assert sorted((one["inserted"], one["unchanged"]) for one in done) == [(0, 600)] * 3 + [(600, 0)]
    assert Candle.objects.count() == 600


def test_a_bot_registered_by_many_at_once_gets_its_capital_once():
    facts: dict[str, Any] = {
        "bot_id": "b1", "bot_name": "b", "bot_type": "custom", "strategy_name": "s", "deployment_mode": "demo",
        "initial_capital": Decimal(1000),
    }  # fmt: skip

    done = at_once(lambda _: bot_register(**facts).is_new)

    assert sorted(done) == [False] * 7 + [True]
    assert (Bot.objects.count(), CashFlow.objects.count()) == (1, 1)


def test_a_bot_never_gets_a_third_token():
    bot = BotFactory()

    def make(_: int) -> bool:
        try:
            return bool(token_create(bot_id=bot.bot_id, actor=SYSTEM))
        except TooManyTokens:
            return False

    assert sum(at_once(make)) == 2


def test_versions_of_a_configuration_are_numbered_without_gap():
    bot = BotFactory()

    at_once(
        lambda number: configuration_activate(
            bot_id=bot.bot_id, config_key="risk", config_type=None, value={"n": number}, actor=SYSTEM
        )
    )

    assert sorted(BotConfiguration.objects.values_list("version", flat=True)) == list(range(1, 9))
    assert BotConfiguration.objects.filter(is_active=True).count() == 1

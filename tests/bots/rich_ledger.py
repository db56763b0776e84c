"""A ledger with everything in it that can happen, written through the services alone."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from pytest_django.plugin import DjangoDbBlocker

from analytics.services.portfolio import bots_refresh_total_pnl, portfolio_backfill
from analytics.services.risk_metrics import risk_metrics_backfill
from audit.services.actions import SYSTEM
from bots.api import inputs
from bots.api.schemas import TradeIn
from bots.live import keys
from bots.live.client import sync_client
from bots.models import Bot
from bots.services.balances import balance_record
from bots.services.events import events_record
from bots.services.marks import positions_mark
from bots.services.registry import bot_register
from bots.services.signals import signal_record
from bots.services.trades import trade_record
from config_app.services.configurations import configuration_activate
from marketdata.models import Candle
from tests.bots.ledger_tools import START, add_fill, at, place, tell
from tradingdb.lib.errors import RiskRejected

FIRST_DAY, LAST_DAY = date(2026, 3, 1), date(2026, 3, 4)


# A constraint of the database is the first guard; the tests take it away to see the second one at work.
FREE = """
    DO $$ DECLARE c record; BEGIN
        FOR c IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
            WHERE contype IN ('f', 'c') AND conparentid = 0 AND coninhcount = 0 AND connamespace IN (
                SELECT oid FROM pg_namespace WHERE nspname IN ('trading', 'analytics', 'config')
            )
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.owner, c.conname); END LOOP;
    END $$
"""


class Ledger(NamedTuple):
    """The two bots of the rich ledger."""

    rich: Bot
    plain: Bot


@pytest.fixture(scope="module")
def ledger(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Ledger]:
    """One healthy ledger for all tests of this module; each works in a savepoint, and nothing of it is kept."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield Ledger(*build_rich_ledger())
        transaction.set_rollback(True)


@pytest.fixture
def scratch(ledger: Ledger) -> Iterator[Ledger]:
    """The healthy ledger, to be spoilt: what a test does to it is taken back."""
    with transaction.atomic():
        # Deferred checks would forbid every change of a table's constraints.
        execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield ledger
        transaction.set_rollback(True)


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def registered(bot_id: str, **fields: Any) -> Bot:
    """Return a bot as `make bots` makes it: with its account and its initial cash flow."""
    words = {"bot_name": bot_id, "bot_type": "custom", "strategy_name": "Everything", "deployment_mode": "demo"}
    limits = {"initial_capital": Decimal(100000), "max_positions": 10, "leverage_limit": 20}
    return bot_register(bot_id=bot_id, **(words | limits | fields)).bot


def build_rich_ledger() -> tuple[Bot, Bot]:
    """Write two bots with all they can have: flips, partial exits, overfill, parked facts, three fee currencies …"""
    rich, plain = registered("rich_001"), registered("plain_001")
    _candles()
    _round_trips(rich)
    _ended_orders(rich)
    _parked(rich)
    _requests(plain)
    _short_in_another_currency(plain)
    _reported_trades(plain)
    for bot in (rich, plain):
        _money(bot)
    configuration(rich)
    _marks()
    _an_hour_passes()
    risk_metrics_backfill(first=FIRST_DAY, last=LAST_DAY)
    portfolio_backfill(first=START, last=START + timedelta(hours=1))
    bots_refresh_total_pnl()
    return rich, plain


def _candles() -> None:
    for minute, close in enumerate(("610.5", "611.25", "609.75")):
        Candle.objects.create(
            symbol="BNBUSDT", interval="1m", timestamp=START + timedelta(minutes=minute), open_price=close,
            high_price=close, low_price=close, close_price=close, volume="1",
        )  # fmt: skip


def _round_trips(bot: Bot) -> None:
    """Weighted entry, partial exits, two flips, a late fill, fees in quote, base and a third currency, a rebate."""
    signal(bot, "s1", "long")
    place(bot, "in", "buy", "3", signal_id="s1", leverage="5")
    add_fill(bot, "f1", "in", "50000.1", "1", 1, fee="2.5", exchange_trade_id="x1")
    add_fill(bot, "f2", "in", "50100.7", "2", 2, fee="0.0003", fee_currency="BTC", exchange_trade_id="x2")
    place(bot, "part", "sell", "1.7", order_purpose="take_profit")
    add_fill(bot, "f3", "part", "50333.3", "0.7", 3, fee="0.01", fee_currency="BNB")
    add_fill(bot, "f4", "part", "50301", "1", 4, fee="-0.25")
    place(bot, "flip", "sell", "4")
    add_fill(bot, "f5", "flip", "50210.9", "4", 5, fee="7")
    place(bot, "back", "buy", "5.3")
    add_fill(bot, "f7", "back", "50005.5", "5.3", 7, fee="1", fee_currency="DOGE")
    # Executed before the last two, told after them: the chain is folded anew.
    place(bot, "late", "buy", "0.123456789012345678")
    add_fill(bot, "f6", "late", "50150.25", "0.123456789012345678", 4.5, fee="0.1")
    place(bot, "next", "sell", "1")
    add_fill(bot, "f8", "next", "50400", "1", 60 * 24 + 3)
    place(bot, "over", "buy", "1")
    add_fill(bot, "f9", "over", "50390", "0.6", 60 * 24 + 4)
    assert add_fill(bot, "f10", "over", "50391", "0.7", 60 * 24 + 5).body["flags"] == ["overfill"]


def _ended_orders(bot: Bot) -> None:
    """Partly filled and cancelled, cancelled and filled later, told filled without its fills, stale news."""
    place(bot, "c1", "buy", "2", symbol="ETHUSDT", order_type="limit", price="3000")
    tell(bot, "c1", status="submitted", at=at(9))
    add_fill(bot, "e1", "c1", "3000", "0.5", 10)
    tell(bot, "c1", status="cancelled", at=at(11))
    assert tell(bot, "c1", status="submitted", at=at(10)).body["flags"] == ["stale"]
    place(bot, "c2", "sell", "0.5", symbol="ETHUSDT", status="cancelled", created_at=at(11))
    tell(bot, "c2", status="cancelled", at=at(12))
    add_fill(bot, "e2", "c2", "3100", "0.25", 13)
    place(bot, "c3", "sell", "0.25", symbol="ETHUSDT", status="filled")
    assert tell(bot, "c2", status="submitted", at=at(14)).body["flags"] == ["invalid_transition"]
    add_fill(bot, "e3", "c3", "3050", "0.25", 15)
    place(bot, "c4", "sell", "1", symbol="ETHUSDT", status="filled")
    place(bot, "c5", "buy", "1", symbol="ETHUSDT", order_type="stop_market", stop_price="9", status="untriggered")
    tell(bot, "c5", status="triggered", at=at(16))


def _parked(bot: Bot) -> None:
    """A fill and news that came before their order, one fill that still waits."""
    assert add_fill(bot, "p1", "late-order", "2.5", "10", 20, fee="0.01").status == 202
    assert tell(bot, "late-order", status="submitted", at=at(19)).status == 202
    place(bot, "late-order", "buy", "12", symbol="XRPUSDT")
    # The same execution under two ids: one is applied, the other becomes a conflict.
    for fill_id in ("p3", "p4"):
        add_fill(bot, fill_id, "two-ids", "2.5", "1", 22, exchange_trade_id="x9")
    place(bot, "two-ids", "buy", "2", symbol="XRPUSDT")
    assert add_fill(bot, "p2", "never-told", "2.5", "10", 21).status == 202


def _requests(bot: Bot) -> None:
    """Orders that were asked for: one admitted and filled, one refused."""
    place(bot, "r1", "buy", "1", symbol="SOLUSDT", intent="request")
    add_fill(bot, "r1-1", "r1", "150", "1", 30)
    with pytest.raises(RiskRejected):
        place(bot, "r2", "buy", "1", symbol="SOLUSDT", intent="request", leverage="21")


def _short_in_another_currency(bot: Bot) -> None:
    """A short in ETHBTC, whose money is BTC while the bot counts in USDT."""
    place(bot, "eb1", "sell", "3", symbol="ETHBTC")
    add_fill(bot, "eb1-1", "eb1", "0.0551", "3", 40, fee="0.00001")
    place(bot, "eb2", "buy", "1", symbol="ETHBTC")
    add_fill(bot, "eb2-1", "eb2", "0.0547", "1", 41)


def _reported_trades(bot: Bot) -> None:
    closed = {"entry_price": "10", "exit_price": "11.5", "entry_time": at(50), "exit_time": at(60 * 24 + 55.5)}
    report_trade(bot, "t1", side="buy", fees="0.3", pnl_usd="2.7", **closed)
    report_trade(bot, "t2", side="short", pnl_usd="3", **closed)
    report_trade(bot, "t3", side="long", entry_price="10", entry_time=at(55))


def report_trade(bot: Bot, trade_id: str, **fields: Any) -> None:
    body = {"trade_id": trade_id, "symbol": "ADAUSDT", "quantity": "2", **fields}
    trade_record(bot_id=bot.bot_id, trade=TradeIn.model_validate(body).to_domain())


def _money(bot: Bot) -> None:
    balance(bot, "b1", "100000", 0)
    balance(bot, "b2", "100500", 60, snapshot_type="deposit", amount="500")
    balance(bot, "b3", "100480", 120, snapshot_type="withdrawal", amount="20")
    balance(
        bot,
        "b4",
        "100470",
        60 * 24,
        unrealized_pnl="12.5",
        equity="100482.5",
        locked_balance="70",
        available_balance="100400",
    )
    balance(bot, "b5", "-1", 60 * 48)
    told = {"event_id": "e1", "event_type": "BOT_START", "event_level": "INFO", "message": "up", "event_time": at(0)}
    events_record(bot_id=bot.bot_id, events=[inputs.EventIn.model_validate(told).to_domain()])


def balance(bot: Bot, balance_id: str, total: str, minute: float, **fields: Any) -> None:
    body: dict[str, Any] = {
        "balance_id": balance_id,
        "total_balance": total,
        "available_balance": total,
        "equity": total,
    }
    body |= {"timestamp": at(minute), **fields}
    balance_record(bot_id=bot.bot_id, balance=inputs.BalanceIn.model_validate(body).to_domain())


def signal(bot: Bot, signal_id: str, signal_type: str) -> None:
    body = {"signal_id": signal_id, "symbol": "BTCUSDT", "signal_type": signal_type, "price": "50000", "strategy": "x"}
    signal_record(bot_id=bot.bot_id, signal=inputs.SignalIn.model_validate(body | {"timestamp": at(0)}).to_domain())


def configuration(bot: Bot) -> None:
    """Two versions of one key; the second one is active."""
    for value in ({"ema": 20}, {"ema": 50}):
        configuration_activate(bot_id=bot.bot_id, config_key="strategy", config_type=None, value=value, actor=SYSTEM)


def _marks() -> None:
    """Value what is open at prices newer than every fill."""
    tick = {"symbol": "BTCUSDT", "price": "50500.5", "timestamp": datetime(2026, 3, 5, tzinfo=UTC).isoformat()}
    sync_client().set(keys.price("BTCUSDT"), json.dumps(tick), ex=60)
    assert positions_mark() == 1


def _an_hour_passes() -> None:
    """Make the facts an hour old, so that nothing computed from them now can have missed one."""
    stamps = {
        "fills": "received_at",
        "trades": "updated_at",
        "account_balance": "created_at",
        "cash_flows": "created_at",
    }
    for table, column in stamps.items():
        execute(f"UPDATE {table} SET {column} = {column} - interval '1 hour'")

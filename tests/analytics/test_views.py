"""The figures of the three materialised views, against rows made by hand."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from analytics.models import ActivePositionSummary, DailyPerformanceSummary, SystemHealthDashboard
from analytics.services.views import refresh_views
from audit.models import RiskEvent, SystemEvent
from bots.choices import ACTIVE_ORDER_STATUSES, OrderStatus
from bots.ledger.symbols import QUOTES, split_symbol
from bots.models import Position
from tests.factories import NOON, BotFactory, OrderFactory, PositionFactory, TradeFactory, utc
from tradingdb.management.model_pages import our_models

pytestmark = pytest.mark.django_db

FARTHEST = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
each_zone = pytest.mark.parametrize("zone", FARTHEST)


def run(sql: str, *params: Any) -> Any:
    """Execute one statement; return its first value, if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0] if cursor.description else None


def refreshed(zone: str = "UTC") -> None:
    """Refresh every view in a session whose time zone is another one."""
    run(f"SET LOCAL TIME ZONE '{zone}'")
    done = refresh_views(NOON)
    run("SET LOCAL TIME ZONE 'UTC'")
    assert set(done.values()) == {"refreshed"}


def transaction_time() -> datetime:
    """The moment that now() means in this transaction, so in the views too."""
    return run("SELECT now()")


@pytest.mark.parametrize(
    "model", [model for model in our_models() if not model._meta.managed], ids=lambda model: model.__name__
)
def test_columns_are_those_of_the_model_in_name_order_and_type(model: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [f"analytics.{model._meta.db_table}"],
        )
        found = [(name, kind.replace("character varying", "varchar")) for name, kind in cursor.fetchall()]

    fields = model._meta.concrete_fields
    assert found == [(field.column, (field.db_type(connection) or "").replace(", ", ",")) for field in fields]


# --- active positions


def test_an_open_position_has_the_seeds_columns_and_its_exact_value() -> None:
    bot = BotFactory(bot_id="bot_1", bot_name="One", deployment_mode="live")
    opened = transaction_time() - timedelta(hours=1, minutes=30)
    position = PositionFactory(
        bot=bot, position_id="p1", size=Decimal("1.5"), current_price=Decimal("100.000000000000000001"),
        unrealized_pnl=Decimal("0.0000000000000000015"), unrealized_pnl_pct=Decimal("0.01"), leverage=Decimal(3),
        opened_at=opened, strategy="momentum", stop_loss=Decimal(90), take_profit=Decimal(120),
    )  # fmt: skip

    refreshed()

    [row] = ActivePositionSummary.objects.values()
    assert row == {
        "id": position.pk, "position_id": "p1", "bot_id": "bot_1", "bot_name": "One", "deployment_mode": "live",
        "symbol": "BTCUSDT", "currency": "USDT", "side": "long", "size": Decimal("1.5"),
        "avg_entry_price": Decimal(100), "current_price": Decimal("100.000000000000000001"),
        "unrealized_pnl": Decimal("0.0000000000000000015"), "unrealized_pnl_pct": Decimal("0.01"),
        "leverage": Decimal(3), "position_value_usd": Decimal("150.0000000000000000015"), "opened_at": opened,
        "hours_held": Decimal("1.5"), "strategy": "momentum", "stop_loss": Decimal(90), "take_profit": Decimal(120),
    }  # fmt: skip


def test_two_open_positions_of_one_bot_in_one_symbol_are_two_rows() -> None:
    """The seed's key, bot and symbol, stops the refresh here. The ledger opens one; importers know of hedges."""
    run("DROP INDEX trading.positions_one_open")
    bot = BotFactory()
    PositionFactory(bot=bot, side="long")
    PositionFactory(bot=bot, side="short")

    refreshed()
    refreshed()

    assert set(ActivePositionSummary.objects.values_list("bot_id", "symbol", "side")) == {
        (bot.bot_id, "BTCUSDT", "long"),
        (bot.bot_id, "BTCUSDT", "short"),
    }


def test_closed_positions_are_left_out_and_unmarked_ones_have_no_value() -> None:
    PositionFactory(size=0, status="closed", closed_at=NOON + timedelta(hours=1))
    PositionFactory(size=0, status="liquidated", closed_at=NOON + timedelta(hours=1))
    PositionFactory(position_id="open")
    PositionFactory(position_id="part", status="partially_closed", current_price=Decimal(2), size=Decimal(3))

    refreshed()

    assert dict(ActivePositionSummary.objects.values_list("position_id", "position_value_usd")) == {
        "open": None,
        "part": Decimal(6),
    }


def test_money_is_in_the_symbols_quote_currency() -> None:
    bot = BotFactory(currency="USDT")
    for symbol in ("ETHBTC", "BTCUSDT", "AAPL"):
        PositionFactory(bot=bot, symbol=symbol)

    refreshed()

    assert dict(ActivePositionSummary.objects.values_list("symbol", "currency")) == {
        "ETHBTC": "BTC", "BTCUSDT": "USDT", "AAPL": "USDT"
    }  # fmt: skip


def test_the_next_refresh_follows_what_changed() -> None:
    gone, stays = PositionFactory(), PositionFactory(current_price=Decimal(100))
    refreshed()
    Position.objects.filter(pk=gone.pk).update(status="closed", size=0, closed_at=NOON)
    Position.objects.filter(pk=stays.pk).update(current_price=Decimal(101))

    refreshed()

    assert list(ActivePositionSummary.objects.values_list("id", "position_value_usd")) == [(stays.pk, Decimal(101))]


def test_the_databases_rule_of_quote_currencies_is_the_ledgers() -> None:
    symbols = [f"X{quote}" for quote in QUOTES] + [f"{one}{other}" for one in QUOTES for other in QUOTES]
    symbols += [*QUOTES, "ETH/USDT:USDT", "ETH/USDT", "ETH-USD", "ETH_BTC_X", "A-B/C", "ETH/", "ETHBTC:BTC", "AAPL",
                "BTCFDUSD", "1000000CHEEMSUSDT", "X:USDT"]  # fmt: skip

    with connection.cursor() as cursor:
        cursor.execute("SELECT s, analytics.quote_currency(s, 'OWN') FROM unnest(%s::text[]) s", [symbols])
        found = dict(cursor.fetchall())

    assert found == {symbol: split_symbol(symbol, "OWN")[1] for symbol in symbols}


# --- daily performance


@each_zone
def test_days_are_utc_days_whatever_the_session_says(zone: str) -> None:
    bot = BotFactory()
    times = ["2026-03-29 00:00", "2026-03-29 23:59:59.999999", "2026-03-30 00:00", "2026-03-28 23:59:59.999999"]
    for text in times:
        TradeFactory(bot=bot, entry_time=utc(text), exit_time=utc("2026-04-02"))

    refreshed(zone)

    assert list(DailyPerformanceSummary.objects.order_by("trade_date").values_list("trade_date", "total_trades")) == [
        (date(2026, 3, 28), 1), (date(2026, 3, 29), 2), (date(2026, 3, 30), 1)
    ]  # fmt: skip


def test_a_day_adds_up_its_closed_trades_exactly() -> None:
    bot = BotFactory(bot_id="bot_1", bot_name="One", strategy_name="Fast")
    hour = {"holding_time_seconds": 3600}
    TradeFactory(bot=bot, gross_pnl=Decimal("10.000000000000000001"), fees=Decimal(1), pnl_pct=Decimal("0.1"), **hour)
    TradeFactory(bot=bot, gross_pnl=Decimal(-4), fees=Decimal("0.5"), pnl_pct=Decimal("-0.04"), **hour)
    # Without fees nothing is left: neither a win nor a loss.
    TradeFactory(bot=bot, gross_pnl=Decimal(1), fees=Decimal(1), holding_time_seconds=None)
    # Open, and cancelled: no closed trades.
    TradeFactory(bot=bot, exit_time=None, gross_pnl=Decimal(1000))
    TradeFactory(bot=bot, status="cancelled", gross_pnl=Decimal(1000))

    refreshed()

    [row] = DailyPerformanceSummary.objects.values()
    assert row == {
        "id": "2026-11-19:bot_1", "trade_date": date(2026, 11, 19), "bot_id": "bot_1", "bot_name": "One",
        "strategy_name": "Fast", "deployment_mode": "demo", "currency": "USDT", "total_trades": 3,
        "winning_trades": 1, "losing_trades": 1, "total_pnl": Decimal("4.500000000000000001"),
        "avg_pnl": Decimal("1.500000000000000000333333333333333333"), "avg_pnl_pct": Decimal("0.02"),
        "max_win": Decimal("9.000000000000000001"), "max_loss": Decimal("-4.5"), "total_fees": Decimal("2.5"),
        "avg_holding_hours": Decimal(1), "win_rate": Decimal("0.333333333333"),
        "money": [
            {"currency": "USDT", "total_trades": 3, "total_pnl": "4.500000000000000001", "total_fees": "2.5"}
        ],
    }  # fmt: skip


def test_a_day_in_two_currencies_has_counts_and_groups_but_no_sum() -> None:
    bot = BotFactory(currency="USDT")
    TradeFactory(bot=bot, symbol="BTCUSDT", gross_pnl=Decimal(10), pnl_pct=Decimal("0.1"))
    TradeFactory(bot=bot, symbol="ETHBTC", gross_pnl=Decimal("-0.5"), fees=Decimal("0.01"), pnl_pct=Decimal("-0.1"))

    refreshed()

    row = DailyPerformanceSummary.objects.get()
    assert (row.total_trades, row.winning_trades, row.losing_trades, row.win_rate) == (2, 1, 1, Decimal("0.5"))
    assert row.avg_pnl_pct == 0
    assert {row.currency, row.total_pnl, row.avg_pnl, row.max_win, row.max_loss, row.total_fees} == {None}
    assert row.money == [
        {"currency": "BTC", "total_trades": 1, "total_pnl": "-0.51", "total_fees": "0.01"},
        {"currency": "USDT", "total_trades": 1, "total_pnl": "10", "total_fees": "0"},
    ]


def test_bots_have_rows_of_their_own() -> None:
    for name in ("bot_1", "bot_2"):
        TradeFactory(bot=BotFactory(bot_id=name))

    refreshed()
    refreshed()

    assert set(DailyPerformanceSummary.objects.values_list("id", flat=True)) == {
        "2026-11-19:bot_1",
        "2026-11-19:bot_2",
    }


# --- system health


def test_an_empty_system_is_one_row_of_zeros() -> None:
    refreshed()

    row = SystemHealthDashboard.objects.values().get()
    assert row.pop("snapshot_time") == transaction_time()
    assert row.pop("total_portfolio_equity") is None
    assert (row.pop("id"), row.pop("money")) == (1, [])
    assert set(row.values()) == {0}
    assert len(row) == 9


def test_bots_orders_positions_and_events_are_counted_by_our_words() -> None:
    now = transaction_time()
    for status in ("active", "active", "paused", "stopped", "archived"):
        BotFactory(status=status)
    bot = BotFactory(status="paused")
    for status in OrderStatus:
        filled = Decimal(2) if status == OrderStatus.FILLED else Decimal(0)
        OrderFactory(bot=bot, status=status, filled_quantity=filled)
    PositionFactory(bot=bot)
    PositionFactory(bot=bot, symbol="ETHUSDT", status="partially_closed")
    PositionFactory(bot=bot, size=0, status="closed", closed_at=NOON)
    for level, age in (("ERROR", 59), ("CRITICAL", 1), ("ERROR", 61), ("WARNING", 1)):
        SystemEvent.objects.create(event_time=now - timedelta(minutes=age), event_type="X", event_level=level)
    limits = {"risk_type": "daily_loss_limit", "current_value": -6, "limit_value": -5, "action_taken": "alert_sent"}
    for age, done in ((1, False), (23, False), (25, False), (1, True)):
        at = now - timedelta(hours=age)
        RiskEvent.objects.create(
            bot_id=bot.bot_id, event_time=at, resolved=done, resolved_at=at if done else None, **limits
        )

    refreshed()

    row = SystemHealthDashboard.objects.get()
    assert (row.active_bots, row.paused_bots, row.stopped_bots) == (2, 2, 1)
    assert (row.active_orders, row.total_open_positions) == (len(ACTIVE_ORDER_STATUSES), 2)
    assert (row.errors_last_hour, row.unresolved_risk_events) == (2, 2)


@each_zone
def test_today_begins_and_ends_at_midnight_utc(zone: str) -> None:
    midnight = transaction_time().replace(hour=0, minute=0, second=0, microsecond=0)
    bot = BotFactory()
    moment = timedelta(microseconds=1)
    for entry, pnl in (
        (midnight - moment, 1), (midnight, 10), (midnight + timedelta(days=1) - moment, 100),
        (midnight + timedelta(days=1), 1000),
    ):  # fmt: skip
        # Open trades count with what they have realised.
        TradeFactory(bot=bot, entry_time=entry, exit_time=None, gross_pnl=Decimal(pnl))
    TradeFactory(bot=bot, entry_time=midnight, exit_time=None, gross_pnl=Decimal(5), status="rejected")

    refreshed(zone)

    row = SystemHealthDashboard.objects.get()
    assert (row.today_trades, row.today_pnl) == (2, Decimal(110))


def test_alike_money_has_a_sum() -> None:
    now = transaction_time()
    for equity in ("100.5", "200", None):
        bot = BotFactory(current_equity=equity and Decimal(equity), deployment_mode="live")
        TradeFactory(bot=bot, entry_time=now, exit_time=None, gross_pnl=Decimal("0.1"))
    BotFactory(status="stopped", deployment_mode="demo", current_equity=Decimal(7))

    refreshed()

    row = SystemHealthDashboard.objects.get()
    assert (row.today_pnl, row.total_portfolio_equity) == (Decimal("0.3"), Decimal("300.5"))
    assert row.money == [
        {"deployment_mode": "live", "currency": "USDT", "today_pnl": "0.3", "today_trades": 3, "equity": "300.5",
         "active_bots": 3, "bots_without_equity": 1},
    ]  # fmt: skip


@pytest.mark.parametrize("other", [{"deployment_mode": "live"}, {"currency": "EUR"}])
def test_unlike_money_is_never_added_up(other: dict[str, str]) -> None:
    now = transaction_time()
    for columns in ({}, other):
        bot = BotFactory(current_equity=Decimal(100), **columns)
        TradeFactory(bot=bot, symbol="AAPL", entry_time=now, exit_time=None, gross_pnl=Decimal(3))

    refreshed()

    row = SystemHealthDashboard.objects.get()
    assert (row.today_pnl, row.total_portfolio_equity, row.today_trades) == (None, None, 2)
    group = {"today_pnl": "3", "today_trades": 1, "equity": "100", "active_bots": 1, "bots_without_equity": 0}
    kinds = [{"deployment_mode": "demo", "currency": "USDT"}, {"deployment_mode": "demo", "currency": "USDT", **other}]
    kinds.sort(key=lambda kind: (kind["deployment_mode"], kind["currency"]))
    assert row.money == [{**kind, **group} for kind in kinds]


def test_trades_in_another_currency_than_the_bots_are_a_group_of_their_own() -> None:
    bot = BotFactory(current_equity=Decimal(100), currency="USDT")
    TradeFactory(bot=bot, symbol="ETHBTC", entry_time=transaction_time(), exit_time=None, gross_pnl=Decimal(1))

    refreshed()

    row = SystemHealthDashboard.objects.get()
    assert (row.today_pnl, row.total_portfolio_equity) == (Decimal(1), Decimal(100))
    assert [(group["currency"], group["today_pnl"], group["equity"]) for group in row.money] == [
        ("BTC", "1", None),
        ("USDT", "0", "100"),
    ]

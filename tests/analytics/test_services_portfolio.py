"""Portfolio snapshots over a real ledger: exact sums, one row a slot, no gaps, unlike things apart."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.metrics.borders import EXACT
from analytics.models import PortfolioSnapshot, RiskMetrics
from analytics.selectors.portfolio import portfolio_current
from analytics.services.portfolio import (
    bots_refresh_total_pnl,
    portfolio_backfill,
    portfolio_fill_gaps,
    portfolio_snapshot,
)
from bots.ledger.facts import NewFill, NewOrder
from bots.models import Bot, Position
from bots.services.fills import order_add_fill
from bots.services.orders import order_place
from tests.factories import AccountBalanceFactory, BotFactory, CashFlowFactory, PositionFactory, TradeFactory, utc
from tradingdb.lib.errors import ValidationFailed

pytestmark = pytest.mark.django_db

# A Friday; its week began on Monday the 16th.
SLOT = utc("2026-11-20 09:00")
SUMS = {
    "total_equity": "equity",
    "total_balance": "balance",
    "total_unrealized_pnl": "unrealized_pnl",
    "total_realized_pnl": "realized_pnl",
    "total_margin_used": "margin_used",
    "portfolio_exposure": "exposure",
    "total_open_positions": "open_positions",
    "daily_pnl": "daily_pnl",
    "weekly_pnl": "weekly_pnl",
    "monthly_pnl": "monthly_pnl",
}
_number = count(1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(SLOT + timedelta(seconds=1), tick=False) as traveller:
        yield traveller


def make_bot(**columns: Any) -> Bot:
    return BotFactory(created_at=utc("2026-11-01 00:00"), max_positions=100, **columns)


def deal(bot: Bot, side: str, quantity: str, price: str, at: str, symbol: str = "BTCUSDT", fee: str = "0") -> None:
    """An order that was filled at once, through the ledger's own services."""
    n = next(_number)
    order: dict[str, Any] = {"order_id": f"o{n}", "symbol": symbol, "side": side, "quantity": Decimal(quantity)}
    order |= {"order_type": "market", "intent": "report"}
    fill: dict[str, Any] = {"fill_id": f"f{n}", "order_id": f"o{n}", "price": Decimal(price)}
    fill |= {"quantity": Decimal(quantity), "executed_at": utc(at), "fee": Decimal(fee)}
    order_place(bot_id=bot.bot_id, order=NewOrder(body=order, **order))
    order_add_fill(bot_id=bot.bot_id, fill=NewFill(body=fill, **fill))


def balance(bot: Bot, at: str, total: str, unrealized: str = "0", **columns: Any) -> None:
    AccountBalanceFactory(
        bot=bot, timestamp=utc(at), total_balance=Decimal(total), unrealized_pnl=Decimal(unrealized), **columns
    )


def mark(bot: Bot, price: str) -> None:
    """Mark the bot's only position, as positions_mark does."""
    row = Position.objects.get(bot=bot, status="open")
    worth = EXACT.multiply(row.size, Decimal(price))
    pnl = EXACT.subtract(worth, row.cost_basis) if row.side == "long" else EXACT.subtract(row.cost_basis, worth)
    Position.objects.filter(pk=row.pk).update(current_price=Decimal(price), unrealized_pnl=pnl)


def figures(row: PortfolioSnapshot) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name not in ("_state", "id", "created_at")}


def assert_adds_up(row: PortfolioSnapshot) -> None:
    for column, name in SUMS.items():
        parts = [Decimal(figures[name]) for figures in row.bot_metrics.values()]
        assert getattr(row, column) == sum(parts), column


def two_bots() -> tuple[Bot, Bot]:
    """One bot that reports balances and holds a long, one that never did and holds what is left of a short."""
    told, silent = make_bot(bot_id="told"), make_bot(bot_id="silent")
    balance(told, "2026-10-31 23:59", "9000")
    balance(told, "2026-11-15 23:59", "9500")
    balance(told, "2026-11-19 23:59", "10100", unrealized="20")
    balance(told, "2026-11-20 08:00", "10200", margin_used=Decimal(50))
    CashFlowFactory(bot=told, amount=Decimal(100), occurred_at=utc("2026-11-20 07:00"))
    CashFlowFactory(bot=told, amount=Decimal(-300), kind="withdrawal", occurred_at=utc("2026-11-17 07:00"))
    deal(told, "buy", "3", "100", "2026-11-20 07:00", fee="0.3")
    deal(silent, "sell", "2", "1000", "2026-11-19 10:00", fee="2")
    deal(silent, "buy", "1.5", "900", "2026-11-20 05:00", fee="1")
    mark(told, "110")
    mark(silent, "800.000000000000000001")
    return told, silent


def test_totals_are_the_exact_sum_of_the_bots() -> None:
    two_bots()

    assert portfolio_snapshot(slot=SLOT) == 1

    row = PortfolioSnapshot.objects.get()
    told, silent = row.bot_metrics["told"], row.bot_metrics["silent"]
    # Told: 10200 + 3 x (110 - 100) = 10230. Day: since 10120, with 100 paid in: +10. Week: since 9500, with -300 and
    # 100: +930. Month: since 9000: +1430.
    assert (told["balance"], told["unrealized_pnl"], told["equity"]) == ("10200", "30", "10230")
    assert (told["realized_pnl"], told["margin_used"], told["exposure"]) == ("-0.3", "50", "330")
    assert (told["daily_pnl"], told["weekly_pnl"], told["monthly_pnl"]) == ("10", "930", "1430")
    # Silent: capital 10000, realised 1.5 x 100 less fees of 3; 0.5 short at 1000, now at 800 and a bit.
    assert (silent["balance"], silent["realized_pnl"]) == ("10147", "147")
    assert (silent["unrealized_pnl"], silent["exposure"]) == ("99.9999999999999999995", "400.0000000000000000005")
    assert silent["equity"] == "10246.9999999999999999995"
    # Before today it had paid a fee of 2 and held at cost.
    assert (silent["daily_pnl"], silent["weekly_pnl"]) == ("248.9999999999999999995", "246.9999999999999999995")
    assert row.total_equity == Decimal("20476.9999999999999999995")
    assert_adds_up(row)
    assert row.portfolio_leverage == Decimal("0.035649753382")  # 730.0000000000000000005 / 20477
    assert (row.active_bots, row.bots_in_trade, row.total_open_positions) == (2, 2, 2)
    assert (row.currency, row.portfolio_var_95, row.is_backfilled) == ("USDT", None, False)


def test_results_of_a_day_begin_with_the_last_equity_before_midnight_and_count_funding() -> None:
    told, silent = make_bot(bot_id="told"), make_bot(bot_id="silent")
    balance(told, "2026-11-19 23:59:59.999999", "9990")
    balance(told, "2026-11-20 00:00", "10000")
    CashFlowFactory(bot=silent, kind="funding", amount=Decimal(-5), occurred_at=utc("2026-11-20 08:00"))
    CashFlowFactory(bot=silent, kind="adjustment", amount=Decimal(100), occurred_at=utc("2026-11-20 00:00"))
    CashFlowFactory(bot=silent, kind="deposit", amount=Decimal(7), occurred_at=utc("2026-11-19 23:59:59.999999"))

    portfolio_snapshot(slot=SLOT)

    bots = PortfolioSnapshot.objects.get().bot_metrics
    assert (bots["told"]["equity"], bots["told"]["daily_pnl"]) == ("10000", "10")
    # 10000 - 5 + 100 + 7; the adjustment came from outside, the funding is a result.
    assert (bots["silent"]["balance"], bots["silent"]["daily_pnl"]) == ("10102", "-5")


def test_a_position_without_a_mark_stands_at_cost() -> None:
    bot = make_bot(bot_id="b")
    # 100 / 3: the average has no end, the cost basis has.
    PositionFactory(bot=bot, size=Decimal(3), avg_entry_price=Decimal("33.333333333333333333"), cost_basis=Decimal(100))

    portfolio_snapshot(slot=SLOT)

    figures = PortfolioSnapshot.objects.get().bot_metrics["b"]
    assert (figures["equity"], figures["unrealized_pnl"], figures["exposure"]) == ("10000", "0", "100")


def test_a_slot_has_one_row_and_keeps_it() -> None:
    told, _ = two_bots()
    portfolio_snapshot(slot=SLOT)
    row = PortfolioSnapshot.objects.get()

    mark(told, "120")

    assert portfolio_snapshot(slot=SLOT) == 0
    assert figures(PortfolioSnapshot.objects.get()) == figures(row)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_row() -> None:
    two_bots()

    def take(_: int) -> None:
        try:
            portfolio_snapshot(slot=SLOT)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(take, range(2)))

    assert PortfolioSnapshot.objects.count() == 1


@pytest.mark.parametrize(
    "slot", [SLOT + timedelta(minutes=1), SLOT + timedelta(minutes=5), SLOT + timedelta(seconds=1)]
)
def test_what_is_no_past_slot_is_refused(slot: datetime) -> None:
    two_bots()

    with pytest.raises(ValidationFailed, match="no past slot"):
        portfolio_snapshot(slot=slot)

    assert PortfolioSnapshot.objects.exists() is False


def test_missed_slots_are_told_from_the_ledger_as_of_then(clock: time_machine.Traveller) -> None:
    two_bots()
    clock.move_to(utc("2026-11-20 04:50:01"))
    portfolio_snapshot(slot=utc("2026-11-20 04:50"))
    clock.move_to(SLOT + timedelta(seconds=1))
    portfolio_snapshot(slot=SLOT)

    # 04:55 to 08:55: 49 slots.
    assert portfolio_fill_gaps(until=SLOT) == 49

    slots = list(PortfolioSnapshot.objects.order_by("timestamp").values_list("timestamp", flat=True))
    assert slots == [utc("2026-11-20 04:50") + timedelta(minutes=5) * n for n in range(51)]
    filled = PortfolioSnapshot.objects.filter(is_backfilled=True)
    assert filled.count() == 49
    for row in filled:
        assert_adds_up(row)
    # The deal of 05:00:00 counts at 05:00. Before it the short stands at its own last price, 1000.
    before, after = (filled.get(timestamp=utc(f"2026-11-20 {at}")).bot_metrics["silent"] for at in ("04:55", "05:00"))
    assert (before["realized_pnl"], before["unrealized_pnl"], before["exposure"]) == ("-2", "0", "2000")
    assert (after["realized_pnl"], after["unrealized_pnl"], after["exposure"]) == ("147", "50", "450")
    # Of the other one the last balance then is what counts, with the unrealised P&L it told.
    night, morning = (filled.get(timestamp=utc(f"2026-11-20 {at}")).bot_metrics["told"] for at in ("07:55", "08:00"))
    assert (night["balance"], night["unrealized_pnl"], night["equity"]) == ("10100", "20", "10120")
    assert (night["daily_pnl"], night["open_positions"]) == ("-100", 1)
    assert (morning["balance"], morning["unrealized_pnl"], morning["daily_pnl"]) == ("10200", "0", "-20")
    assert portfolio_fill_gaps(until=SLOT) == 0


def test_a_long_gap_is_filled_from_the_oldest_on(clock: time_machine.Traveller) -> None:
    two_bots()
    clock.move_to(utc("2026-11-20 04:50:01"))
    portfolio_snapshot(slot=utc("2026-11-20 04:50"))
    clock.move_to(SLOT + timedelta(seconds=1))

    assert portfolio_fill_gaps(until=SLOT, limit=2) == 2

    newest = PortfolioSnapshot.objects.latest("timestamp")
    assert (newest.timestamp, newest.is_backfilled) == (utc("2026-11-20 05:00"), True)


def test_a_slot_that_comes_late_equals_the_one_that_fills_the_gap(clock: time_machine.Traveller) -> None:
    two_bots()
    clock.move_to(SLOT + timedelta(minutes=10))

    portfolio_snapshot(slot=SLOT)
    late = PortfolioSnapshot.objects.get()
    portfolio_snapshot(slot=SLOT - timedelta(minutes=5))
    late.delete()
    portfolio_fill_gaps(until=SLOT)

    assert late.is_backfilled is True
    assert figures(PortfolioSnapshot.objects.get(timestamp=SLOT)) == figures(late)


def test_history_from_before_the_first_snapshot_on_demand() -> None:
    two_bots()

    made = portfolio_backfill(first=utc("2026-11-18 00:00"), last=utc("2026-11-20 00:00"))

    assert made == 2 * 288 + 1
    assert PortfolioSnapshot.objects.get(timestamp=utc("2026-11-19 10:00")).bots_in_trade == 1
    assert PortfolioSnapshot.objects.get(timestamp=utc("2026-11-19 09:55")).bots_in_trade == 0


def test_unlike_currencies_are_never_added() -> None:
    two_bots()
    euro = make_bot(bot_id="euro", currency="EUR", initial_capital=Decimal(500))
    deal(euro, "buy", "1", "100", "2026-11-20 07:00", symbol="BTCEUR")
    deal(euro, "buy", "1", "77", "2026-11-20 07:00", symbol="ETHUSDT", fee="5")

    assert portfolio_snapshot(slot=SLOT) == 2

    row = PortfolioSnapshot.objects.get(currency="EUR")
    assert set(row.bot_metrics) == {"euro"}
    assert (row.total_equity, row.portfolio_exposure, row.total_realized_pnl) == (500, 100, 0)
    assert row.bot_metrics["euro"]["left_out"] == ["ETHUSDT"]
    assert set(PortfolioSnapshot.objects.get(currency="USDT").bot_metrics) == {"told", "silent"}


def test_demo_bots_count_only_where_there_is_no_live_one() -> None:
    make_bot(bot_id="backtest", deployment_mode="backtest")
    make_bot(bot_id="gone", status="archived")
    make_bot(bot_id="stopped", status="stopped")
    demo = make_bot(bot_id="demo")
    portfolio_snapshot(slot=SLOT)
    row = PortfolioSnapshot.objects.get()
    assert (set(row.bot_metrics), row.active_bots) == ({"demo", "stopped"}, 1)
    row.delete()

    make_bot(bot_id="real", deployment_mode="live", currency="EUR")
    portfolio_snapshot(slot=SLOT)

    row = PortfolioSnapshot.objects.get()
    assert (row.currency, row.bot_metrics["real"]["deployment_mode"]) == ("EUR", "live")
    assert demo.bot_id not in row.bot_metrics


def test_a_currency_whose_bots_are_gone_keeps_its_series(clock: time_machine.Traveller) -> None:
    bot = make_bot(currency="EUR")
    portfolio_snapshot(slot=SLOT)
    Bot.objects.filter(pk=bot.pk).update(status="archived")
    clock.move_to(SLOT + timedelta(minutes=5))

    assert portfolio_snapshot(slot=SLOT + timedelta(minutes=5)) == 0
    assert portfolio_fill_gaps(until=SLOT + timedelta(minutes=5)) == 1

    row = PortfolioSnapshot.objects.latest("timestamp")
    assert (row.currency, row.total_equity, row.active_bots) == ("EUR", 0, 0)


def test_value_at_risk_comes_from_the_daily_returns_of_all_together() -> None:
    one, other = make_bot(), make_bot()
    bad_days = {7: Decimal(-40), 8: Decimal(-20)}
    for n in range(1, 41):
        day = (SLOT - timedelta(days=n)).date()
        for bot, pnl, equity in ((one, Decimal(1), Decimal(100)), (other, bad_days.get(n, Decimal(-1)), Decimal(300))):
            RiskMetrics.objects.create(
                bot=bot, date=day, starting_equity=equity, ending_equity=equity, daily_pnl=pnl, inputs_hash="x"
            )

    portfolio_snapshot(slot=SLOT)

    # 40 returns of both together: -39 / 400 = -0.0975, -19 / 400 = -0.0475 and 38 of 0. Rank 39 x 5 % = 1.95 lies
    # between the second and the third: -0.0475 x 0.05 = -0.002375, of an equity of 20000.
    assert PortfolioSnapshot.objects.get().portfolio_var_95 == pytest.approx(Decimal("47.5"), abs=Decimal("1e-9"))
    PortfolioSnapshot.objects.all().delete()
    RiskMetrics.objects.filter(date__lte=(SLOT - timedelta(days=30)).date()).delete()
    portfolio_snapshot(slot=SLOT)
    # 29 returns are too few.
    assert PortfolioSnapshot.objects.get().portfolio_var_95 is None


def test_total_pnl_of_bots_follows_their_closed_trades() -> None:
    bot, idle = make_bot(), make_bot(total_pnl=Decimal(5))
    TradeFactory(bot=bot, gross_pnl=Decimal("1.25"), fees=Decimal("0.25"))
    TradeFactory(bot=bot, gross_pnl=Decimal(-3))
    TradeFactory(bot=bot, gross_pnl=Decimal(50), exit_time=None)
    TradeFactory(bot=bot, gross_pnl=Decimal(50), symbol="ETHBTC")

    assert bots_refresh_total_pnl() == 2

    assert list(Bot.objects.filter(pk__in=[bot.pk, idle.pk]).values_list("total_pnl", flat=True)) == [-2, 0]
    assert bots_refresh_total_pnl() == 0


def test_the_present_portfolio_as_the_api_shows_it() -> None:
    two_bots()

    current = portfolio_current()

    (portfolio,) = current["portfolios"]
    assert current["as_of"] == "2026-11-20T09:00:01Z"
    assert (portfolio["currency"], portfolio["total_equity"], portfolio["bots_in_trade"]) == (
        "USDT",
        "20477",
        2,
    )
    assert portfolio["bot_metrics"]["told"] == {
        "deployment_mode": "demo", "status": "active", "equity": "10230", "balance": "10200", "unrealized_pnl": "30",
        "realized_pnl": "-0.3", "margin_used": "50", "exposure": "330", "open_positions": 1, "daily_pnl": "10",
        "weekly_pnl": "930", "monthly_pnl": "1430", "left_out": [],
    }  # fmt: skip


def test_the_number_of_queries_does_not_grow_with_bots_or_slots() -> None:
    def queries(first: datetime) -> int:
        PortfolioSnapshot.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            portfolio_backfill(first=first, last=SLOT)
        return len(captured)

    two_bots()
    few = queries(SLOT)
    for _ in range(3):
        deal(make_bot(), "buy", "1", "100", "2026-11-20 08:00")

    assert queries(SLOT - timedelta(hours=10)) == few

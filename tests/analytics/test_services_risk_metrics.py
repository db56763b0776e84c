"""Daily risk metrics, from rows of the ledger to the stored row; the figures are worked out by hand."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import RiskMetrics
from analytics.services.risk_metrics import (
    Refreshed,
    risk_metrics_backfill,
    risk_metrics_compute_day,
)
from marketdata.models import Candle
from tests.analytics.metrics_history import DAY, TODAY, balance, trade, trader
from tests.factories import BotFactory, CashFlowFactory, FillFactory, utc
from tradingdb.lib.errors import NotFound, ValidationFailed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(TODAY, tick=False):
        yield


def near(text: str) -> Any:
    """A figure that was computed in floats."""
    return pytest.approx(Decimal(text), abs=Decimal("1e-10"))


def figures(row: RiskMetrics) -> dict[str, Any]:
    """All that was computed, as the database holds it."""
    volatile = {"_state", "id", "created_at", "calculated_at"}
    return {name: value for name, value in vars(row).items() if name not in volatile}


def yesterday() -> RiskMetrics:
    bot = trader()
    assert risk_metrics_compute_day(day=DAY) == Refreshed(written=1)
    return RiskMetrics.objects.get(bot=bot, date=DAY)


def test_returns_and_ratios_of_yesterday_equal_the_calculation_by_hand() -> None:
    row = yesterday()

    # Equity at the end of the day. 16th: 1010 after 1000, +1 %. 17th: carried, 0 %. 18th: 1525.15 with 500 paid in,
    # 1025.15 / 1010 = +1.5 %. 19th: 1494.647 / 1525.15 = -2 %.
    assert (row.starting_equity, row.ending_equity) == (Decimal("1525.15"), Decimal("1494.647"))
    assert row.daily_pnl == Decimal("-30.503")
    assert row.daily_pnl_pct == row.daily_return == Decimal("-0.02")
    # Mean 0.00125, squared deviations 0.00071875, sample variance a third of it, standard deviation 0.015478479684.
    # Sharpe 0.00125 / 0.015478479684 x 19.104973174543. Below zero lies -0.02 alone: root(0.0004 / 4) = 0.01.
    assert row.volatility == near("0.295715939149")
    assert row.sharpe_ratio == near("1.542865769472")
    assert row.sortino_ratio == near("2.388121646818")
    # 1.01 x 1.015 x 0.98 = 1.004647 in 4 days; to the power of 365 / 4.
    assert row.cagr == near("0.526620605118")
    assert row.calmar_ratio == near("26.331030255896")
    assert (row.max_drawdown, row.max_drawdown_pct) == (Decimal("30.503"), Decimal("0.02"))
    assert (row.current_drawdown, row.max_drawdown_days) == (Decimal("0.02"), 1)
    assert (row.var_95, row.cvar_95) == (None, None)
    assert (row.is_provisional, row.provisional_reasons) == (True, ["missing_balance"])
    assert row.calculated_at == TODAY


def test_trades_and_exposure_of_yesterday_equal_the_calculation_by_hand() -> None:
    row = yesterday()

    # 00:00 belongs to the 19th, 23:59:59.999999 of the 18th does not: +10, 0 and -4 are of the day.
    assert (row.total_trades, row.winning_trades, row.losing_trades, row.breakeven_trades) == (3, 1, 1, 1)
    assert row.win_rate == Decimal("0.333333333333")
    assert (row.gross_profit, row.gross_loss, row.net_profit) == (10, 4, 6)
    assert row.profit_factor == Decimal("2.5")
    assert (row.avg_win, row.avg_loss, row.largest_win, row.largest_loss) == (10, -4, 10, -4)
    assert (row.shortest_trade_hours, row.avg_holding_time_hours, row.longest_trade_hours) == (1, 5, 12)
    # Over the history +5, +10, 0, -4: mean 2.75; mean win 7.5 to mean loss 4; squared deviations 110.75,
    # SQN = 2 x 2.75 / root(110.75 / 3).
    assert row.expectancy == Decimal("2.75")
    assert row.payoff_ratio == Decimal("1.875")
    assert row.sqn == Decimal("0.905214390380")
    assert (row.max_consecutive_wins, row.max_consecutive_losses) == (2, 1)
    # 2 held at 100 from 06:00 to before 18:00: 144 of 288 samples with 200; the first 72 at an equity of 1525.15,
    # leverage 0.131134642494, the others at 1600, 0.125. 72 x 0.256134642494 / 288.
    assert (row.max_exposure, row.avg_position_size) == (200, 200)
    assert row.max_leverage == Decimal("0.131134642494")
    assert row.avg_leverage == Decimal("0.064033660624")


def test_computing_again_writes_nothing_and_from_scratch_the_same() -> None:
    bot = trader()
    risk_metrics_compute_day(day=DAY)
    first = RiskMetrics.objects.get(bot=bot)

    assert risk_metrics_compute_day(day=DAY) == Refreshed(unchanged=1)
    again = RiskMetrics.objects.get(bot=bot)
    RiskMetrics.objects.all().delete()
    risk_metrics_compute_day(day=DAY)
    anew = RiskMetrics.objects.get(bot=bot)

    assert vars(again) | {"_state": None} == vars(first) | {"_state": None}
    assert figures(anew) == figures(first)


def test_facts_after_the_day_change_nothing() -> None:
    bot = trader()
    risk_metrics_compute_day(day=DAY)

    balance(bot, "2026-11-20 08:00", "9999")
    trade(bot, "2026-11-20 01:00", "2026-11-20 02:00", gross="77")
    CashFlowFactory(bot=bot, occurred_at=utc("2026-11-20 00:00"))

    assert risk_metrics_compute_day(day=DAY) == Refreshed(unchanged=1)


def test_each_day_of_a_range_is_what_that_day_alone_gives() -> None:
    bot = trader()

    assert risk_metrics_backfill(first=date(2026, 1, 1), last=DAY) == Refreshed(written=4)

    together = {row.date: figures(row) for row in RiskMetrics.objects.all()}
    assert sorted(together) == [DAY - timedelta(days=n) for n in (3, 2, 1, 0)]
    RiskMetrics.objects.all().delete()
    for day in together:
        risk_metrics_compute_day(day=day, bot_id=bot.bot_id)
    assert {row.date: figures(row) for row in RiskMetrics.objects.all()} == together


def test_a_year_in_many_windows_and_batches_equals_one_day_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = trader()
    risk_metrics_compute_day(day=DAY)
    alone = figures(RiskMetrics.objects.get(date=DAY))
    RiskMetrics.objects.all().delete()
    balance(BotFactory(bot_id="older"), "2025-11-19 12:00", "10000")
    monkeypatch.setattr("analytics.services.risk_metrics.CELLS_AT_ONCE", 1000)

    assert risk_metrics_backfill(first=date(2025, 1, 1), last=DAY) == Refreshed(written=366 + 4)

    assert figures(RiskMetrics.objects.get(bot=bot, date=DAY)) == alone


def test_a_day_that_is_not_over_is_refused() -> None:
    bot = trader()

    with pytest.raises(ValidationFailed, match="2026-11-20 is not over"):
        risk_metrics_compute_day(day=TODAY.date(), bot_id=bot.bot_id)
    with pytest.raises(ValidationFailed, match="2026-11-19 is after 2026-11-18"):
        risk_metrics_backfill(first=DAY, last=DAY - timedelta(days=1))
    with pytest.raises(NotFound, match="nobody"):
        risk_metrics_compute_day(day=DAY, bot_id="nobody")

    assert RiskMetrics.objects.exists() is False


def test_only_bots_with_facts_by_then_have_a_row_and_archived_ones_only_by_name() -> None:
    trader()
    BotFactory()
    later = BotFactory()
    balance(later, "2026-11-20 00:00", "10000")
    archived = BotFactory(status="archived")
    balance(archived, "2026-11-19 01:00", "10000")

    assert risk_metrics_compute_day(day=DAY) == Refreshed(written=1)
    assert risk_metrics_compute_day(day=DAY, bot_id=archived.bot_id) == Refreshed(written=1)


def test_funding_is_a_result_and_an_adjustment_is_not() -> None:
    bot = BotFactory(initial_capital=Decimal(1000))
    CashFlowFactory(bot=bot, kind="funding", amount=Decimal(-7), occurred_at=utc("2026-11-19 08:00"))
    CashFlowFactory(bot=bot, kind="adjustment", amount=Decimal(50), occurred_at=utc("2026-11-19 09:00"))
    CashFlowFactory(bot=bot, kind="withdrawal", amount=Decimal(-200), occurred_at=utc("2026-11-19 10:00"))
    balance(bot, "2026-11-19 12:00", "843")

    risk_metrics_compute_day(day=DAY)

    # 843 - 1000 - (50 - 200) = -7: the funding that was paid.
    row = RiskMetrics.objects.get(bot=bot)
    assert (row.daily_pnl, row.daily_return) == (Decimal(-7), Decimal("-0.007"))


def test_of_balances_with_the_same_time_the_same_one_counts_whatever_came_first() -> None:
    one, other = BotFactory(), BotFactory()
    for bot, order in ((one, (1, 2)), (other, (2, 1))):
        for n in order:
            balance(bot, "2026-11-19 12:00", str(1000 * n), balance_id=f"balance {n}")

    risk_metrics_compute_day(day=DAY)

    assert [row.ending_equity for row in RiskMetrics.objects.all()] == [2000, 2000]


def test_a_trade_in_another_currency_is_converted_where_a_candle_knows_the_rate() -> None:
    bot = BotFactory()
    balance(bot, "2026-11-19 12:00", "10000")
    candle = {"interval": "1h", "open_price": 1, "high_price": 99999, "low_price": 1, "volume": 1}
    Candle.objects.create(symbol="BTCUSDT", timestamp=utc("2026-11-19 01:00"), close_price=20000, **candle)
    Candle.objects.create(symbol="BTCUSDT", timestamp=utc("2026-11-19 02:00"), close_price=21000, **candle)
    Candle.objects.create(symbol="BTCUSDT", timestamp=utc("2026-11-19 04:00"), close_price=99999, **candle)
    trade(bot, "2026-11-19 00:00", "2026-11-19 03:00", symbol="ETHBTC", gross="0.002")
    trade(bot, "2026-11-19 00:00", "2026-11-19 03:00", symbol="ETHUSDT", gross="1")

    risk_metrics_compute_day(day=DAY)

    # 0.002 BTC x 21000 = 42 USDT, and 1.
    row = RiskMetrics.objects.get(bot=bot)
    assert (row.total_trades, row.net_profit) == (2, 43)
    assert "unlike_currency" not in row.provisional_reasons


def test_a_trade_in_another_currency_without_a_rate_is_left_out_and_said() -> None:
    bot = BotFactory()
    balance(bot, "2026-11-18 12:00", "10000")
    risk_metrics_backfill(first=DAY - timedelta(days=1), last=DAY)

    trade(bot, "2026-11-18 23:00", "2026-11-19 03:00", symbol="ETHBTC", gross="0.002")
    trade(bot, "2026-11-19 00:00", "2026-11-19 03:00", symbol="ETHUSDT", gross="1")

    assert risk_metrics_backfill(first=DAY - timedelta(days=1), last=DAY) == Refreshed(written=1, unchanged=1)
    before, row = RiskMetrics.objects.order_by("date")
    assert (row.total_trades, row.net_profit) == (1, 1)
    assert "unlike_currency" in row.provisional_reasons
    assert "unlike_currency" not in before.provisional_reasons


def test_a_holding_in_another_currency_is_no_exposure_and_said() -> None:
    bot = BotFactory()
    balance(bot, "2026-11-18 12:00", "10000")
    FillFactory(bot=bot, symbol="ETHBTC", executed_at=utc("2026-11-19 12:00"))

    risk_metrics_backfill(first=DAY - timedelta(days=1), last=DAY)

    before, row = RiskMetrics.objects.order_by("date")
    assert (row.max_exposure, "unlike_currency" in row.provisional_reasons) == (0, True)
    assert "unlike_currency" not in before.provisional_reasons


def test_the_number_of_queries_does_not_grow_with_bots_or_days() -> None:
    def queries(first: date) -> int:
        RiskMetrics.objects.all().delete()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            risk_metrics_backfill(first=first, last=DAY)
        return len(captured)

    trader()
    one_bot_one_day = queries(DAY)
    for _ in range(3):
        trader()

    assert queries(DAY) == one_bot_one_day
    assert queries(DAY - timedelta(days=3)) == one_bot_one_day


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_row() -> None:
    trader()

    def compute(_: int) -> Refreshed:
        try:
            return risk_metrics_compute_day(day=DAY)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compute, range(2)))

    assert sum(results, Refreshed()) == Refreshed(written=1, unchanged=1)
    assert RiskMetrics.objects.count() == 1

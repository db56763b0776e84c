"""The sweep: what is missing is made, what a late fact has made stale is made again, and nothing else is touched."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from analytics.models import RiskMetrics
from analytics.services.risk_metrics import (
    Refreshed,
    risk_metrics_backfill,
    risk_metrics_compute_day,
    risk_metrics_refresh_stale,
)
from bots.models import AccountBalance, Bot, Fill, Trade
from tests.analytics.metrics_history import DAY, TODAY, balance, trade, trader
from tests.factories import CashFlowFactory, FillFactory, utc

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(TODAY, tick=False):
        yield


def test_a_late_fact_makes_its_day_and_all_later_ones_stale() -> None:
    bot = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)
    was = {row.date: row for row in RiskMetrics.objects.all()}

    with time_machine.travel(TODAY + timedelta(hours=1), tick=False):
        trade(bot, "2026-11-18 10:00", "2026-11-18 11:00", gross="-2")
        assert risk_metrics_refresh_stale() == Refreshed(written=2)

    for row in RiskMetrics.objects.all():
        assert (row.inputs_hash != was[row.date].inputs_hash) == (row.date >= date(2026, 11, 18))
        assert row.calculated_at == (TODAY + timedelta(hours=1) if row.date >= date(2026, 11, 18) else TODAY)
    late = RiskMetrics.objects.get(date=date(2026, 11, 18))
    # +5 and -2 instead of +5 alone.
    assert (late.total_trades, late.net_profit) == (2, 3)


def test_days_after_one_that_was_computed_by_hand_are_not_forgotten() -> None:
    bot = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)

    with time_machine.travel(TODAY + timedelta(hours=1), tick=False):
        trade(bot, "2026-11-18 10:00", "2026-11-18 11:00", gross="-2")
    with time_machine.travel(TODAY + timedelta(hours=2), tick=False):
        assert risk_metrics_compute_day(day=date(2026, 11, 18)) == Refreshed(written=1)
        assert risk_metrics_refresh_stale() == Refreshed(written=1)


def late_fill(bot: Bot) -> None:
    FillFactory(bot=bot, symbol="ETHUSDT", executed_at=utc("2026-11-19 10:00"))


def late_balance(bot: Bot) -> None:
    balance(bot, "2026-11-19 23:59:59.5", "1500", created_at=TODAY + timedelta(hours=1))


def late_deposit(bot: Bot) -> None:
    CashFlowFactory(bot=bot, amount=Decimal(5), occurred_at=utc("2026-11-19 10:00"))


@pytest.mark.parametrize("arrive", [late_fill, late_balance, late_deposit])
def test_every_kind_of_late_fact_is_seen(arrive: Any) -> None:
    bot = trader()
    other = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)
    was = {row.bot_id: row.inputs_hash for row in RiskMetrics.objects.filter(date=DAY)}

    with time_machine.travel(TODAY + timedelta(hours=1), tick=False):
        arrive(bot)
        assert risk_metrics_refresh_stale() == Refreshed(written=1)

    assert RiskMetrics.objects.get(bot=bot, date=DAY).inputs_hash != was[bot.bot_id]
    assert RiskMetrics.objects.get(bot=other, date=DAY).inputs_hash == was[other.bot_id]


def test_the_sweep_looks_once_at_what_is_right_and_then_leaves_it() -> None:
    bot = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)

    with time_machine.travel(TODAY + timedelta(minutes=10), tick=False):
        Trade.objects.filter(bot=bot, exit_time=utc("2026-11-19 00:00")).update(updated_at=TODAY + timedelta(minutes=9))
        assert risk_metrics_refresh_stale() == Refreshed(unchanged=1)
    with time_machine.travel(TODAY + timedelta(minutes=11), tick=False):
        assert risk_metrics_refresh_stale() == Refreshed()


def test_the_sweep_makes_what_is_missing_once_the_day_is_over_for_a_minute() -> None:
    trader()

    with time_machine.travel(utc("2026-11-20 00:00:59"), tick=False):
        assert risk_metrics_refresh_stale() == Refreshed(written=3)
    with time_machine.travel(utc("2026-11-20 00:01"), tick=False):
        assert risk_metrics_refresh_stale() == Refreshed(written=1)
        assert risk_metrics_refresh_stale() == Refreshed()
    assert list(RiskMetrics.objects.values_list("date", flat=True).order_by("date")) == [
        DAY - timedelta(days=n) for n in (3, 2, 1, 0)
    ]


def test_history_from_before_the_first_day_makes_all_days_anew() -> None:
    bot = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)

    trade(bot, "2026-11-14 10:00", "2026-11-14 11:00", gross="3")

    assert risk_metrics_refresh_stale() == Refreshed(written=6)
    assert RiskMetrics.objects.count() == 6


def test_a_late_fact_from_before_the_lookback_is_found_when_all_are_looked_at() -> None:
    bot = trader()
    risk_metrics_backfill(first=DAY - timedelta(days=3), last=DAY)
    RiskMetrics.objects.update(calculated_at=utc("2026-11-16 00:00"))
    for facts in (Fill.objects, Trade.objects, AccountBalance.objects, bot.cash_flows):
        known_at = {Fill: "received_at", Trade: "updated_at"}.get(facts.model, "created_at")
        facts.update(**{known_at: utc("2026-11-10 00:00")})
    Trade.objects.filter(exit_time=utc("2026-11-19 00:00")).update(
        gross_pnl=Decimal(12), updated_at=utc("2026-11-17 00:00")
    )

    assert risk_metrics_refresh_stale() == Refreshed()
    assert risk_metrics_refresh_stale(lookback=None) == Refreshed(written=1)

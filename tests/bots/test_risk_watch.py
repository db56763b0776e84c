"""The watch over limits: what moves without a fill, and what ends by itself."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.models import Bot, ControlState, Position, RiskLatch, RiskLimit
from bots.services.control import control_set
from bots.services.limits import risk_latch_end, risk_limits_begin
from bots.services.risk_watch import Drawdown, portfolio_drawdowns_judge, risk_watch
from tests.bots.test_limits import ask, limit, now_filled, state_of
from tests.factories import BotFactory

__all__ = ["limit"]
pytestmark = pytest.mark.usefixtures("ledger_holds")


def test_marks_that_move_break_a_limit_without_a_fill(bot: Bot) -> None:
    limit("gross_exposure", "1000", action="REDUCING")
    now_filled(bot, "a", "buy", "7")
    assert risk_watch() == 0
    Position.objects.update(current_price=150, marked_at=timezone.now(), unrealized_pnl=350)

    assert risk_watch() == 1
    assert risk_watch() == 0

    assert state_of(bot) == "REDUCING"
    assert RiskEvent.objects.get().current_value == 1050


def test_told_equity_that_falls_breaks_the_limit_of_the_day(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"), current_equity=9400)

    assert (risk_watch(), risk_watch()) == (1, 0)

    assert state_of(bot) == "REDUCING"
    assert RiskLatch.objects.get().effect == "pause"


def test_pause_ends_at_its_time_and_not_before(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"), current_equity=9400)
    risk_watch()
    until = RiskLatch.objects.get().until
    assert until is not None
    Bot.objects.update(current_equity=10000)

    assert risk_watch(now=until - timedelta(seconds=1)) == 0
    assert state_of(bot) == "REDUCING"
    assert risk_watch(now=until) == 1

    assert state_of(bot) == "ACTIVE"
    assert ask(bot, "a", "buy", "1") == []
    assert RiskLatch.objects.get().ended_by == "its time has come"


def test_pause_that_somebody_made_stricter_stays_when_its_time_has_come(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"), current_equity=9400)
    risk_watch()
    control_set(scope="bot", target=bot.bot_id, state="HALTED", reason="I look into it", actor=SYSTEM)

    assert risk_watch(now=timezone.now() + timedelta(days=2)) == 0

    assert state_of(bot) == "HALTED"


def test_weekly_pause_ends_on_monday(bot: Bot) -> None:
    Bot.objects.update(max_weekly_loss_pct=Decimal("0.05"), current_equity=9000)

    risk_watch(now=datetime(2026, 11, 20, 12, tzinfo=UTC))

    assert RiskLatch.objects.get().until == datetime(2026, 11, 23, 0, 1, tzinfo=UTC)


def test_half_size_ends_when_half_of_the_loss_is_back(bot: Bot) -> None:
    limit("weekly_loss_limit", "0.04", scope="bot", action="half_size")
    for equity, is_open, worst in (
        (9500, True, "0.05"),
        (9000, True, "0.1"),
        (9400, True, "0.1"),
        (9500, False, "0.1"),
    ):
        Bot.objects.update(current_equity=equity)
        risk_watch()
        latch = RiskLatch.objects.get()
        assert (latch.ended_at is None, latch.worst_loss_pct) == (is_open, Decimal(worst)), equity
    assert latch.ended_by == "half of the loss is back"


def test_loss_of_the_next_day_is_a_breach_of_its_own(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"), current_equity=9400)
    now = timezone.now()
    risk_watch(now=now)

    risk_watch(now=now + timedelta(days=1, minutes=5))

    assert RiskEvent.objects.filter(level="breach").count() == 2
    assert state_of(bot) == "REDUCING"
    Bot.objects.update(current_equity=10000)
    risk_watch(now=now.replace(hour=0, minute=1, second=0, microsecond=0) + timedelta(days=2))
    assert state_of(bot) == "ACTIVE"


def test_restriction_without_an_end_outlasts_the_pause_that_came_before(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"), current_equity=9400)
    risk_watch()
    Bot.objects.update(max_drawdown_pct=Decimal("0.1"), current_equity=8000)
    risk_watch()
    Bot.objects.update(current_equity=10000)

    assert risk_watch(now=timezone.now() + timedelta(days=2)) == 0

    assert state_of(bot) == "REDUCING"


def test_person_ends_a_latch_before_its_time(bot: Bot) -> None:
    limit("weekly_loss_limit", "0.04", scope="bot", action="half_size")
    Bot.objects.update(current_equity=9500)
    risk_watch()

    ended = risk_latch_end(latch_id=RiskLatch.objects.get().pk, actor=SYSTEM, reason="new money")

    assert ended.ended_by == "system: new money"


def test_portfolio_below_its_peak_restricts_every_bot_of_its_mode(db: None) -> None:
    bots = [BotFactory(), BotFactory(), BotFactory(deployment_mode="live"), BotFactory(status="stopped")]
    row = limit("portfolio_drawdown", "0.2", scope="all", currency="USDT", action="HALTED")
    now = timezone.now()

    def judge(equity: int) -> int:
        return portfolio_drawdowns_judge([Drawdown("demo", "USDT", Decimal(equity), Decimal(1000))], now=now)

    assert [judge(900), judge(830), judge(800), judge(700)] == [0, 0, 2, 0]

    assert [state_of(bot) for bot in bots] == ["HALTED", "HALTED", "ACTIVE", "ACTIVE"]
    found = RiskEvent.objects.filter(limit_id=row.pk).order_by("id").values_list("level", "current_value")
    assert list(found) == [("warning", Decimal("0.17")), ("breach", Decimal("0.2"))]


def test_every_installation_begins_with_what_the_old_monitors_did(db: None) -> None:
    RiskLatch.objects.all().delete()
    RiskLimit.objects.all().delete()

    assert (risk_limits_begin(), risk_limits_begin()) == (14, 0)

    own = RiskLimit.objects.filter(limit_value__isnull=True, is_active=True, deployment_mode="live")
    assert dict(own.values_list("kind", "action")) == {
        "position_limit": "block", "leverage_limit": "block", "daily_loss_limit": "pause_until_next_day",
        "weekly_loss_limit": "pause_until_monday", "max_drawdown": "REDUCING",
    }  # fmt: skip
    assert ControlState.objects.count() == 0


def test_watch_forgets_what_nobody_sees_any_more(bot: Bot, settings: Any) -> None:
    row = limit("gross_exposure", "500")
    now_filled(bot, "a", "buy", "7")
    RiskLimit.objects.filter(pk=row.pk).update(is_active=False)

    risk_watch(now=timezone.now() + timedelta(minutes=6))

    event = RiskEvent.objects.get()
    assert (event.is_over, event.resolved) == (False, False)

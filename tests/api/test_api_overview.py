"""What staff see of everything at once: live, portfolio, daily figures."""

from datetime import date, timedelta
from typing import Any

import pytest

from analytics.models import PortfolioSnapshot, RiskMetrics
from bots.api import live
from bots.models import Bot, ControlState
from tests.api.conftest import Caller
from tests.factories import NOON, BotFactory, PositionFactory


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits for a worker that no test starts."""
    monkeypatch.setattr(live, "has_worker", lambda: False)


def test_the_live_snapshot_holds_what_is_open(viewer: Caller, bot: Bot):
    position = PositionFactory(bot=bot, current_price="110", marked_at=NOON)
    PositionFactory(bot=bot, symbol="ETHUSDT", size=0, status="closed", closed_at=NOON)
    ControlState.objects.create(scope="bot", target=bot.bot_id, state="HALTED", reason="test")

    body = viewer.get("/live").json()

    assert body["type"] == "snapshot"
    assert [row["position_id"] for row in body["positions"]] == [position.position_id]
    assert (body["positions"][0]["unrealized_pnl"], body["positions"][0]["current_price"]) == ("10", "110")
    assert [row["bot_id"] for row in body["bots"]] == [bot.bot_id]
    assert [(halt["target"], halt["state"]) for halt in body["halts"]] == [(bot.bot_id, "HALTED")]
    assert body["totals"]["open_positions"] == 1
    assert body["sources"] == {"postgres": True, "redis": True, "celery": False, "influx": False}
    assert body["as_of"].endswith("Z")


def test_the_live_version_grows(viewer: Caller):
    assert viewer.get("/live").json()["version"] <= viewer.get("/live").json()["version"]


def test_the_live_snapshot_says_when_redis_is_away(viewer: Caller, monkeypatch):
    monkeypatch.setattr(live, "stored_prices", lambda: None)

    body = viewer.get("/live").json()

    assert (body["sources"]["redis"], body["prices"]) == (False, {})


def test_no_worker_is_noticed():
    from bots.api.live import has_worker

    assert has_worker() is False


def metrics(bot: Bot, day: date, **columns: Any) -> RiskMetrics:
    return RiskMetrics.objects.create(
        bot=bot, date=day, starting_equity=100, ending_equity="100.5", inputs_hash="x", **columns
    )


def test_daily_figures_are_filtered_by_day_bot_and_definition(viewer: Caller, bot: Bot):
    other = BotFactory()
    for day in range(1, 6):
        metrics(bot, date(2026, 11, day), daily_pnl="0.5")
    metrics(bot, date(2026, 11, 1), definition="freqtrade-compat")
    metrics(other, date(2026, 11, 2))

    def days(**query: Any) -> list[str]:
        return [row["date"] for row in viewer.get("/metrics/daily", bot_id=bot.bot_id, **query).json()["items"]]

    assert days(start="2026-11-02", end="2026-11-04") == ["2026-11-04", "2026-11-03", "2026-11-02"]
    assert days(definition="freqtrade-compat") == ["2026-11-01"]
    assert days(end="2026-11-01T00:00:00Z", definition="canonical-1") == ["2026-11-01"]
    (row,) = viewer.get("/metrics/daily", start="2026-11-05").json()["items"]
    assert (row["bot_id"], row["daily_pnl"], row["sharpe_ratio"], row["ending_equity"]) == (
        bot.bot_id,
        "0.5",
        None,
        "100.5",
    )
    assert viewer.get("/metrics/daily", start="yesterday").status_code == 422


def test_daily_figures_come_in_pages(viewer: Caller, bot: Bot):
    for day in range(1, 6):
        metrics(bot, date(2026, 11, day))

    first = viewer.get("/metrics/daily", limit=3).json()
    second = viewer.get("/metrics/daily", limit=3, cursor=first["next"]).json()

    assert [row["date"][-2:] for row in first["items"] + second["items"]] == ["05", "04", "03", "02", "01"]
    assert second["next"] is None


def test_snapshots_of_the_portfolio_come_newest_first(viewer: Caller):
    for minutes in (0, 5, 10):
        PortfolioSnapshot.objects.create(
            timestamp=NOON + timedelta(minutes=minutes),
            total_equity=minutes,
            total_balance=0,
            bot_metrics={"a": {"x": "1"}},
        )

    body = viewer.get("/portfolio/snapshots", end="2026-11-19T12:10:00Z").json()

    assert [(row["timestamp"], row["total_equity"]) for row in body["items"]] == [
        ("2026-11-19T12:05:00Z", "5"),
        ("2026-11-19T12:00:00Z", "0"),
    ]
    assert body["items"][0]["bot_metrics"] == {"a": {"x": "1"}}
    assert viewer.get("/portfolio/snapshots", currency="EUR").json()["items"] == []


def test_the_portfolio_of_now(viewer: Caller, bot: Bot):
    body = viewer.get("/portfolio/current").json()

    assert body["as_of"].endswith("Z")
    assert [portfolio["currency"] for portfolio in body["portfolios"]] == ["USDT"]
    assert list(body["portfolios"][0]["bot_metrics"]) == [bot.bot_id]

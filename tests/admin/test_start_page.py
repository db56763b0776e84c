"""The figures on top of the admin's start page: of all bots, and of like money alone."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from analytics.admin.start_page import BOTS_SHOWN, pnl_of_day, pnl_tiles, tiles
from bots.models import Bot, IngestConflict, ParkedFact, ReconciliationCase
from tests.factories import BotFactory, TradeFactory, UnattributedFillFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def midnight() -> datetime:
    return datetime.combine(timezone.now().date(), time.min, tzinfo=UTC)


def figures(now: datetime) -> dict[str, str]:
    """Return what each P&L tile says of its money, with its value as plain text."""
    return {
        tile["note"]: tile["value"].split("title=")[1].split('"')[1] for tile in pnl_tiles(all_bots(), pnl_of_day(now))
    }


def all_bots() -> list[Bot]:
    return list(Bot.objects.all())


def test_every_bot_counts_however_many_are_shown(midnight):
    for number in range(BOTS_SHOWN + 3):
        bot = BotFactory(bot_id=f"bot_{number:03}")
        TradeFactory(bot=bot, entry_time=midnight, exit_time=midnight, gross_pnl=Decimal(2), fees=0)

    up = next(tile for tile in tiles(all_bots(), pnl_of_day(midnight), midnight) if tile["name"] == "Bots up")

    assert figures(midnight) == {"USDT, demo; closed since 00:00Z": f"{2 * (BOTS_SHOWN + 3)}"}
    assert up["value"] == f"0 of {BOTS_SHOWN + 3}"


def test_unlike_money_is_never_added_up(midnight):
    demo, live = BotFactory(), BotFactory(deployment_mode="live")
    TradeFactory(bot=demo, symbol="BTCUSDT", entry_time=midnight, exit_time=midnight, gross_pnl=Decimal(5), fees=0)
    TradeFactory(bot=demo, symbol="ETHBTC", entry_time=midnight, exit_time=midnight, gross_pnl=Decimal("0.01"), fees=0)
    TradeFactory(bot=live, symbol="BTCUSDT", entry_time=midnight, exit_time=midnight, gross_pnl=Decimal(-3), fees=0)

    assert figures(midnight) == {
        "BTC, demo; closed since 00:00Z": "0.01",
        "USDT, demo; closed since 00:00Z": "5",
        "USDT, live; closed since 00:00Z": "-3",
    }


def test_what_waits_for_people_is_counted_with_the_age_of_the_oldest(midnight):
    bot = BotFactory()
    for hours in (2, 30):
        since, name = midnight - timedelta(hours=hours), f"n{hours}"
        ReconciliationCase.objects.create(bot=bot, kind="overfill", subject_id=name, opened_at=since)
        UnattributedFillFactory(account=bot.account, exchange_trade_id=name, received_at=since)
        conflict = {"natural_id": name, "stored_body": {}, "received_body": {}, "received_hash": b"x"}
        IngestConflict.objects.create(bot=bot, kind="fill", received_at=since, **conflict)
        parked = {"fact_id": name, "order_id": name, "body": {}, "content_hash": b"x"}
        ParkedFact.objects.create(bot=bot, kind="fill", received_at=since, **parked)

    found = {tile["name"]: tile for tile in tiles([], {}, midnight)}

    for name in ("Open cases", "Inbox", "Open conflicts", "Parked facts"):
        assert ">2<" in found[name]["value"], name
        assert found[name]["note"] == "the oldest for 1 d", name


def test_nothing_that_waits_is_a_plain_zero(midnight):
    found = {tile["name"]: tile for tile in tiles([], {}, midnight)}

    assert [(found[name]["value"], found[name]["note"]) for name in ("Open cases", "Inbox", "Parked facts")] == [
        ("0", "")
    ] * 3

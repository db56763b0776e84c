"""The figures on top of the admin's start page: of all bots, and of like money alone."""

from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from django.utils import timezone

from analytics.admin.start_page import BOTS_SHOWN, pnl_of_day, pnl_tiles, tiles
from bots.models import Bot
from tests.factories import BotFactory, TradeFactory

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

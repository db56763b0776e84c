"""A bot whose metrics are worked out by hand, for tests of what is computed and of what makes it stale."""

from datetime import date
from decimal import Decimal
from typing import Any

import time_machine

from bots.models import AccountBalance, Bot, Trade
from tests.factories import AccountBalanceFactory, BotFactory, CashFlowFactory, FillFactory, TradeFactory, utc

DAY = date(2026, 11, 19)
TODAY = utc("2026-11-20 09:00")


def trade(bot: Bot, entry: str, exit: str | None, gross: str = "0", fees: str = "0", **columns: Any) -> Trade:
    times = {"entry_time": utc(entry), "exit_time": exit and utc(exit)}
    return TradeFactory(bot=bot, gross_pnl=Decimal(gross), fees=Decimal(fees), **times, **columns)


def balance(bot: Bot, at: str, equity: str, **columns: Any) -> AccountBalance:
    """A balance that arrived when it was made."""
    columns.setdefault("created_at", utc(at))
    return AccountBalanceFactory(bot=bot, timestamp=utc(at), equity=Decimal(equity), **columns)


def trader() -> Bot:
    """Four days of a bot that began with 1000 USDT, known in time; the 19th is worked out in the first test."""
    with time_machine.travel(utc("2026-11-19 23:00"), tick=False):
        return _trader()


def _trader() -> Bot:
    bot = BotFactory(initial_capital=Decimal(1000))
    CashFlowFactory(bot=bot, kind="initial", amount=Decimal(1000), occurred_at=utc("2026-11-17 08:00"))
    balance(bot, "2026-11-16 10:00", "1001")
    balance(bot, "2026-11-16 23:00", "1010")
    # No balance on the 17th: midnight is the 18th.
    balance(bot, "2026-11-18 00:00", "7")
    CashFlowFactory(bot=bot, amount=Decimal(500), occurred_at=utc("2026-11-18 09:00"))
    balance(bot, "2026-11-18 23:59:59.999999", "1525.15")
    balance(bot, "2026-11-19 12:00", "1600")
    balance(bot, "2026-11-19 23:59:59", "1494.647")
    balance(bot, "2026-11-20 00:00", "1700")
    trade(bot, "2026-11-18 20:00", "2026-11-18 23:59:59.999999", gross="5")
    trade(bot, "2026-11-18 22:00", "2026-11-19 00:00", gross="11", fees="1")
    trade(bot, "2026-11-19 11:00", "2026-11-19 12:00", gross="2", fees="2")
    trade(bot, "2026-11-19 11:59:59.999999", "2026-11-19 23:59:59.999999", gross="-3.5", fees="0.5")
    trade(bot, "2026-11-19 23:00", "2026-11-20 00:00", gross="100")
    trade(bot, "2026-11-19 23:00", None, gross="50")
    two = Decimal(2)
    FillFactory(bot=bot, side="buy", quantity=two, price=Decimal(100), executed_at=utc("2026-11-19 06:00"))
    FillFactory(bot=bot, side="sell", quantity=two, price=Decimal(110), executed_at=utc("2026-11-19 18:00"))
    return bot

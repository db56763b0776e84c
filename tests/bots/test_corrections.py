"""Corrections add facts and edit none; the figures come out as if the wrong fill had never been."""

from decimal import Decimal
from typing import Any

import pytest

from audit.models import UserAction
from audit.services.actions import SYSTEM
from bots.models import Bot, Fill, Order, Position, Trade
from bots.services.corrections import fill_correct
from bots.services.plan import Outcome
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

pytestmark = pytest.mark.usefixtures("ledger_holds")


def correct(bot: Bot, fill_id: str, **right: Any) -> Outcome:
    return fill_correct(bot_id=bot.bot_id, fill_id=fill_id, right=right or None, reason="statement", actor=SYSTEM)


def round_trip(bot: Bot, price: str, quantity: str = "2", fee: str = "0.1") -> None:
    """Enter twice and leave with everything."""
    place(bot, "in", "buy", "5")
    add_fill(bot, "f1", "in", "100", "1", 1, fee="0.1")
    add_fill(bot, "f2", "in", price, quantity, 2, fee=fee)
    place(bot, "out", "sell", "5")
    add_fill(bot, "f3", "out", "120", "3", 3, fee="0.2")


def add_fill_out(bot: Bot) -> None:
    """Leave with 3 at 110."""
    place(bot, "out", "sell", "3")
    add_fill(bot, "out", "out", "110", "3", 9)


def net(bot: Bot) -> Decimal:
    return sum((trade.pnl_usd or Decimal(0) for trade in Trade.objects.filter(bot=bot)), Decimal(0))


def test_a_wrong_price_is_taken_back_and_the_right_one_added(bot: Bot) -> None:
    other = BotFactory(max_positions=100)
    round_trip(bot, "110")
    round_trip(other, "111", fee="0.15")
    before = Fill.objects.filter(bot=bot, fill_id="f2").values().get()

    outcome = correct(bot, "f2", price=Decimal(111), fee=Decimal("0.15"))

    void, fix = Fill.objects.filter(bot=bot, source="correction").order_by("id")
    assert [fill["fill_id"] for fill in outcome.body["fills"]] == [void.fill_id, fix.fill_id]
    assert (void.side, void.price, void.quantity, void.fee) == ("sell", 110, 2, Decimal("-0.1"))
    assert (fix.side, fix.price, fix.quantity, fix.fee) == ("buy", 111, 2, Decimal("0.15"))
    assert Order.objects.get(order_id=fix.order_id).order_metadata == {"corrects": "f2", "reason": "statement"}
    assert net(bot) == net(other)
    assert not Position.objects.open().exists()
    after = Fill.objects.filter(bot=bot, fill_id="f2").values().get()
    told = ("price", "quantity", "fee", "side", "executed_at", "content_hash", "order_id", "source")
    assert {name: after[name] for name in told} == {name: before[name] for name in told}
    assert Order.objects.get(bot=bot, order_id="in").filled_quantity == 3
    action = UserAction.objects.get(action="fill.correct")
    assert (action.resource_id, action.reason) == (f"{bot.bot_id} f2", "statement")


def test_a_fill_that_never_happened_leaves_nothing_but_the_two(bot: Bot) -> None:
    place(bot, "in", "buy", "5")
    add_fill(bot, "f1", "in", "100", "1", 1)

    correct(bot, "f1")

    assert Fill.objects.count() == 2
    assert not Position.objects.open().exists()
    assert net(bot) == 0


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_wrong_quantity_leaves_the_right_position_open(bot: Bot, side: str) -> None:
    place(bot, "in", side, "5")
    add_fill(bot, "f1", "in", "100", "3", 1)

    correct(bot, "f1", quantity=Decimal(2))

    position = Position.objects.open().get()
    assert (position.size, position.side, position.avg_entry_price) == (2, {"buy": "long", "sell": "short"}[side], 100)


def test_a_fill_is_corrected_once_and_its_correction_again(bot: Bot) -> None:
    place(bot, "in", "buy", "5")
    add_fill(bot, "f1", "in", "100", "3", 1)
    void, fix = (fill["fill_id"] for fill in correct(bot, "f1", price=Decimal(101)).body["fills"])

    with pytest.raises(Conflict):
        correct(bot, "f1", price=Decimal(102))
    with pytest.raises(ValidationFailed):
        correct(bot, void, price=Decimal(102))
    correct(bot, fix, price=Decimal(102))

    assert Fill.objects.count() == 5
    add_fill_out(bot)
    assert (Position.objects.open().count(), net(bot)) == (0, 3 * (110 - 102))


@pytest.mark.parametrize("right", [{"price": Decimal("100.0")}, {"symbol": "ETHUSDT"}, {"exchange_trade_id": "x"}])
def test_what_changes_nothing_or_is_no_figure_is_refused(bot: Bot, right: dict[str, Any]) -> None:
    place(bot, "in", "buy", "5")
    add_fill(bot, "f1", "in", "100", "3", 1)

    with pytest.raises(ValidationFailed):
        correct(bot, "f1", **right)
    assert Fill.objects.count() == 1


def test_a_correction_needs_a_fill_and_a_reason(bot: Bot) -> None:
    with pytest.raises(NotFound):
        correct(bot, "nothing", price=Decimal(1))
    with pytest.raises(ValidationFailed):
        fill_correct(bot_id=bot.bot_id, fill_id="f1", right=None, reason=" ", actor=SYSTEM)

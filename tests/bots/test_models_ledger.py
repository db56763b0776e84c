"""Columns that the older systems brought to the ledger's tables."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bots.choices import ACTIVE_ORDER_STATUSES, TERMINAL_ORDER_STATUSES, OrderStatus
from bots.models import Bot, Order, Position, Trade
from tests.bots.ledger_tools import START, add_fill, at, place, tell
from tests.factories import NOON, BotFactory, OrderFactory, SignalFactory, TradeFactory
from tests.rules import assert_refused

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(hours=2)


@pytest.mark.parametrize("status", TERMINAL_ORDER_STATUSES)
def test_an_order_that_ended_says_when(status: str) -> None:
    filled = {"filled_quantity": Decimal(2), "filled_at": NOON} if status == OrderStatus.FILLED else {}

    row = OrderFactory(status=status, reported_status=status, reported_at=LATER, **filled)

    row.refresh_from_db()
    assert row.closed_at == (NOON if status == OrderStatus.FILLED else LATER)


@pytest.mark.parametrize("status", ACTIVE_ORDER_STATUSES)
def test_an_active_order_has_not_ended(status: str) -> None:
    row = OrderFactory(status=status, reported_status=status, reported_at=LATER)

    row.refresh_from_db()
    assert row.closed_at is None


def test_the_end_of_an_order_follows_what_is_told(bot: Bot) -> None:
    place(bot, "filled", "buy", "1")
    place(bot, "cancelled", "buy", "1")
    place(bot, "refused", "buy", "1", status="rejected", created_at=at(1))
    ends = Order.objects.order_by("order_id").values_list("closed_at", flat=True)
    before = list(ends.all())

    add_fill(bot, "f", "filled", "100", "1", 3)
    tell(bot, "cancelled", status="cancelled", at=at(4))

    minutes = [START + timedelta(minutes=minute) for minute in (4, 3, 1)]
    assert before == [None, None, minutes[2]]
    assert list(ends.all()) == minutes


ORDER_TIMES = ("buy_order_created", "buy_order_closed", "sell_order_created", "sell_order_closed")


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_order_of_a_trade_ends_after_it_was_made(side: str) -> None:
    times = {f"{side}_order_created": LATER, f"{side}_order_closed": NOON}

    assert_refused("trades_orders_end_after_start", TradeFactory, **times)


@pytest.mark.parametrize(
    "columns", [{}, dict.fromkeys(ORDER_TIMES, NOON), {"buy_order_created": NOON}, {"sell_order_closed": NOON}], ids=str
)
def test_a_trade_may_know_all_some_or_none_of_its_order_times(columns: dict[str, Any]) -> None:
    row = TradeFactory(**columns, extra_metadata={"exit_reason": "EXIT_SIGNAL"})

    row.refresh_from_db()
    assert {name: getattr(row, name) for name in ORDER_TIMES} == dict.fromkeys(ORDER_TIMES) | columns
    assert row.extra_metadata == {"exit_reason": "EXIT_SIGNAL"}


def test_a_bot_with_the_longest_name_of_a_strategy_gets_its_fills_in() -> None:
    """The position takes the name from the bot where the order has none: both columns must be as wide."""
    bot = BotFactory(strategy_name="S" * 100)
    place(bot, "o", "buy", "1")

    outcome = add_fill(bot, "f", "o", "100", "1")

    assert outcome.status == 201
    assert Position.objects.get().strategy == Trade.objects.get().strategy == "S" * 100


def test_a_signal_keeps_its_parameters_and_what_an_importer_mapped() -> None:
    row = SignalFactory(strategy="S" * 100, parameters={"fast": 9}, extra_metadata={"signal_type": "buy"})

    row.refresh_from_db()
    assert (row.strategy, row.parameters, row.extra_metadata) == ("S" * 100, {"fast": 9}, {"signal_type": "buy"})

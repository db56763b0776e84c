"""The order in which fills arrive, and how often, changes nothing in the end: the product's first promise."""

import random
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bots.models import Bot, Fill, Order, Position, Trade
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory
from tests.reference import Execution, hold

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Deal:
    """One fill of a random history."""

    number: int
    side: str
    price: str
    quantity: str
    fee: str
    fee_currency: str | None
    minute: int

    @property
    def order_id(self) -> str:
        # Several fills share an order, so that partial fills of one order interleave with others.
        return f"{self.side}-{self.number // 4}"


def deals(size: int) -> st.SearchStrategy[list[Deal]]:
    """Histories with flips, partials and fees; two fills can share a moment."""
    one = st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.decimals("0.0001", "90000", places=4),
        st.decimals("0.001", "9", places=3),
        st.decimals("-0.01", "2", places=4),
        st.sampled_from([None, "USDT", "BTC"]),
        st.integers(0, size // 2),
    )
    return st.lists(one, min_size=1, max_size=size).map(
        lambda rows: [
            Deal(number, side, str(price), str(quantity), str(fee), currency, minute)
            for number, (side, price, quantity, fee, currency, minute) in enumerate(rows)
        ]
    )


def report(bot: Bot, history: list[Deal]) -> None:
    """Place the orders, then report the fills in the order given."""
    for deal in history:
        add_fill(
            bot, f"f{deal.number:04}", deal.order_id, deal.price, deal.quantity, deal.minute,
            fee=deal.fee, fee_currency=deal.fee_currency,
        )  # fmt: skip


def place_all(bot: Bot, history: list[Deal]) -> None:
    totals: dict[str, Decimal] = {}
    for deal in history:
        totals[deal.order_id] = totals.get(deal.order_id, Decimal(0)) + Decimal(deal.quantity)
    for order_id, total in totals.items():
        place(bot, order_id, order_id.partition("-")[0], str(total))


POSITION = (
    "symbol", "side", "size", "quantity", "avg_entry_price", "cost_basis", "entry_notional", "exit_notional",
    "realized_pnl", "unrealized_pnl", "current_price", "fees", "status", "opened_at", "closed_at",
    "opening_fill_id", "closing_fill_id",
    "last_fill_id", "fill_count", "entry_trade_ids", "exit_trade_ids",
)  # fmt: skip
TRADE = (
    "side", "quantity", "entry_price", "exit_price", "entry_time", "exit_time", "gross_pnl", "fees", "pnl_usd",
    "pnl_pct", "exit_reason", "holding_time_seconds", "position_size_usd",
)  # fmt: skip
ORDER = ("order_id", "status", "filled_quantity", "remaining_quantity", "avg_fill_price", "fees", "filled_at", "flags")
FILL = ("fill_id", "closed_quantity", "closing_fee_quote", "fee_quote", "realized_pnl")


def ledger(bot: Bot) -> dict[str, list[Any]]:
    """Everything that is derived, without the ids that hold the bot's name and the times of writing."""
    return {
        "positions": list(
            Position.objects.filter(bot=bot).order_by("opened_at", "opening_fill_id").values_list(*POSITION)
        ),
        "trades": sorted(Trade.objects.filter(bot=bot).values_list(*TRADE), key=repr),
        "orders": list(Order.objects.filter(bot=bot).order_by("order_id").values_list(*ORDER)),
        "fills": list(Fill.objects.filter(bot=bot).order_by("fill_id").values_list(*FILL)),
    }


def check_against_fractions(bot: Bot, history: list[Deal]) -> None:
    held_by_the_book = hold(
        Execution((deal.minute, f"f{deal.number:04}"), deal.side, Fraction(deal.price), Fraction(deal.quantity))
        for deal in history
    )
    open_position = Position.objects.open().filter(bot=bot).first()
    held = Decimal(0) if open_position is None else open_position.size * (1 if open_position.side == "long" else -1)
    assert Fraction(held) == held_by_the_book.size
    total = sum((position.realized_pnl for position in Position.objects.filter(bot=bot)), Decimal(0))
    assert abs(Fraction(total) - held_by_the_book.realized) < Fraction(1, 10**18)


@given(history=deals(24), random_source=st.randoms(use_true_random=False))
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_of_arrival_and_any_repetition_give_the_same_ledger(
    history: list[Deal], random_source: random.Random
) -> None:
    straight, shuffled = BotFactory(), BotFactory()
    place_all(straight, history)
    place_all(shuffled, history)
    report(straight, sorted(history, key=lambda deal: (deal.minute, deal.number)))
    arrivals = history * 3
    random_source.shuffle(arrivals)

    report(shuffled, arrivals)

    assert ledger(shuffled) == ledger(straight)
    check_against_fractions(shuffled, history)


def swinging_history(source: random.Random, size: int) -> list[Deal]:
    """A history that leans against what is held, as real bots do: it flips and rests flat again and again."""
    held, history = Decimal(0), []
    for number in range(size):
        quantity = Decimal(source.randrange(1, 5000)) / 1000
        towards_flat = "sell" if held > 0 else "buy"
        away = "buy" if held > 0 else "sell"
        side = towards_flat if source.random() < 0.6 else away
        if held and side == towards_flat and source.random() < 0.3:
            quantity = abs(held)
        held += quantity if side == "buy" else -quantity
        price, fee = f"{source.uniform(20, 60000):.4f}", f"{source.uniform(-0.05, 3):.4f}"
        currency = source.choice([None, "USDT", "BTC"])
        history.append(Deal(number, side, price, str(quantity), fee, currency, number - number % 3))
    return history


# Each fill is committed, as those of bots are: rows that one transaction wrote again and again are only in the way.
@pytest.mark.django_db(transaction=True)
def test_five_hundred_fills_shuffled_and_sent_three_times() -> None:
    source = random.Random(1)
    history = swinging_history(source, 500)
    straight, shuffled = BotFactory(), BotFactory()
    place_all(straight, history)
    report(straight, history)
    arrivals = history * 3
    source.shuffle(arrivals)

    # Many of the fills come before their orders.
    report(shuffled, arrivals[:400])
    place_all(shuffled, history)
    report(shuffled, arrivals[400:])

    assert ledger(shuffled) == ledger(straight)
    check_against_fractions(shuffled, history)
    # The history is a real one.
    assert Fill.objects.filter(bot=straight, opened_position_id__isnull=False).count() > 40
    assert Position.objects.filter(bot=straight, status="closed").count() > 100

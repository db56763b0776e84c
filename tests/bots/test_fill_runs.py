"""Fills of one order told together leave what they leave one by one, whatever they do to the position."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots.api.inputs import OperationIn
from bots.api.operations import read_operation
from bots.models import Bot, Fill, Order, OrderEvent, Position, Signal, Trade
from bots.services.batch import Batch
from bots.services.context import run_for
from bots.services.stretches import stretches_of
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db

BEGIN = timezone.now().replace(microsecond=0) - timedelta(hours=2)
WRITTEN = {"id", "updated_at", "last_updated", "received_at", "created_at", "account_id"}
Told = list[dict[str, Any]]


def order(order_id: str, side: str, quantity: str, **told: Any) -> dict[str, Any]:
    data = {"order_id": order_id, "symbol": "BTCUSDT", "side": side, "order_type": "market", "quantity": quantity}
    return {"op": "order", "data": data | {"intent": "report", "created_at": BEGIN.isoformat()} | told}


def fill(fill_id: str, order_id: str, price: str, quantity: str, second: int, **told: Any) -> dict[str, Any]:
    at = BEGIN + timedelta(seconds=second)
    data = {"fill_id": fill_id, "order_id": order_id, "price": price, "quantity": quantity}
    return {"op": "fill", "data": data | {"executed_at": at.isoformat()} | told}


def tell(bot: Bot, operations: Told) -> list[dict[str, Any]]:
    """Tell operations in one batch and return their results."""
    read = [read_operation(OperationIn(**operation)) for operation in operations]
    results: list[dict[str, Any]] = run_for(bot.bot_id, Batch(read).plan).body["results"]
    return results


def rows(bot: Bot) -> dict[str, Any]:
    """Everything that facts leave behind, without the bot's name, the ids made of it and the times of writing."""
    left = {}
    for model in (Order, OrderEvent, Fill, Position, Trade, Signal):
        columns = [field.attname for field in model._meta.concrete_fields if field.attname not in WRITTEN | {"bot_id"}]
        found = [dict(zip(columns, row, strict=True)) for row in model.objects.filter(bot=bot).values_list(*columns)]
        left[model.__name__] = sorted(repr(_unnamed(row)) for row in found)
    return left


def _unnamed(row: dict[str, Any]) -> dict[str, Any]:
    """Leave of an id that holds the bot's name only whether it is there."""
    hashed = ("position_id", "opened_position_id", "trade_id", "execution_trade_id")
    unnamed = {name: bool(value) if name in hashed else value for name, value in row.items()}
    # After a late fill the version says when it was written.
    return unnamed | ({"version": "late"} if row.get("version", 0) > 1_000_000 else {})


def check(operations: Told, *, statuses: Sequence[int] = ()) -> None:
    """Tell the same to two bots, together and one by one, and compare what they leave."""
    together, alone = BotFactory(), BotFactory()
    told = tell(together, operations)
    one_by_one = [result for operation in operations for result in tell(alone, [operation])]
    assert told == one_by_one
    assert rows(together) == rows(alone)
    if statuses:
        assert [result["status"] for result in told] == list(statuses)


def test_fills_of_an_order_open_and_close_a_position() -> None:
    check(
        [
            order("o1", "buy", "3"),
            *(fill(f"a{n}", "o1", f"10{n}", "1", n, fee="0.1", fee_currency="USDT") for n in range(3)),
            order("o2", "sell", "3"),
            *(fill(f"b{n}", "o2", f"11{n}", "1", 10 + n, fee="0.001", fee_currency="BTC") for n in range(3)),
        ],
        statuses=[201] * 8,
    )


def test_fills_cross_zero_and_go_flat_within_a_run() -> None:
    check(
        [
            order("o1", "buy", "3"),
            fill("a0", "o1", "100", "1", 0),
            fill("a1", "o1", "101", "1", 1),
            order("o2", "sell", "5"),
            fill("b0", "o2", "102", "0.5", 10),
            fill("b1", "o2", "103", "2.5", 11, fee="0.3", fee_currency="USDT"),
            fill("b2", "o2", "104", "1", 12),
            order("o3", "buy", "4"),
            fill("c0", "o3", "105", "2", 20),
            fill("c1", "o3", "106", "1", 21),
        ],
        statuses=[201] * 10,
    )


def test_an_order_told_to_be_filled_waits_for_all_its_fills() -> None:
    check(
        [
            {"op": "signal", "data": {"signal_id": "s1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100",
                                      "strategy": "x", "timestamp": BEGIN.isoformat()}},
            order("o1", "buy", "3", status="filled", signal_id="s1"),
            fill("a0", "o1", "100", "1", 0),
            fill("a1", "o1", "101", "1", 1),
            fill("a2", "o1", "102", "1", 2),
        ],
        statuses=[201] * 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "remarkable",
    [
        pytest.param([fill("a1", "o1", "101", "5", 1)], id="more than was ordered"),
        pytest.param([fill("a1", "o1", "101", "1", -5)], id="late"),
        pytest.param([fill("a1", "o1", "101", "1", 1, fee="1", fee_currency="XYZ")], id="fee of no known worth"),
        pytest.param([fill("old", "o1", "99", "1", -60)], id="told before"),
        pytest.param([fill("old", "o1", "98", "1", -60)], id="told before with other content"),
        pytest.param([fill("a1", "o1", "101", "1", 1, exchange_trade_id="x0")], id="execution known"),
        pytest.param([fill("a1", "nowhere", "101", "1", 1), fill("a2", "nowhere", "101", "1", 2)], id="parked"),
    ],
)
def test_what_is_remarkable_is_told_one_by_one(remarkable: Told) -> None:
    before = [order("o1", "buy", "4"), fill("old", "o1", "99", "1", -60, exchange_trade_id="x0")]
    operations = [fill("a0", "o1", "100", "1", 0), *remarkable, fill("a9", "o1", "103", "1", 9)]
    together, alone = BotFactory(), BotFactory()
    for bot in (together, alone):
        tell(bot, before)

    told = tell(together, operations)

    assert told == [result for operation in operations for result in tell(alone, [operation])]
    assert rows(together) == rows(alone)


def test_random_histories() -> None:
    source = random.Random(7)
    operations: Told = []
    second, held = 0, Decimal(0)
    for number in range(40):
        quantities = [Decimal(source.randrange(1, 3000)) / 1000 for _ in range(source.randrange(1, 6))]
        # It leans against what is held, so that it flips and closes again and again.
        side = "sell" if held > 0 else "buy"
        held += sum(quantities) if side == "buy" else -sum(quantities)
        operations.append(order(f"o{number}", side, str(sum(quantities))))
        for place, quantity in enumerate(quantities):
            second += source.randrange(0, 3)
            price, fee = f"{source.uniform(20, 60000):.4f}", f"{source.uniform(-0.05, 3):.4f}"
            told = {"fee": fee, "fee_currency": source.choice([None, "USDT", "BTC"])}
            operations.append(fill(f"f{number}-{place}", f"o{number}", price, str(quantity), second, **told))
    together, alone = BotFactory(), BotFactory()

    for at in range(0, len(operations), 17):
        tell(together, operations[at : at + 17])
    for operation in operations:
        tell(alone, [operation])

    assert rows(together) == rows(alone)
    assert Position.objects.filter(bot=together, status="closed").count() > 15


def test_a_position_has_the_words_of_the_order_that_opened_it() -> None:
    words = [{"leverage": "2", "strategy": "a"}, {"leverage": "5", "strategy": "b", "order_purpose": "stop_loss"}]
    check(
        [
            *(order(f"o{n}", "buy", "2", **words[n]) for n in range(2)),
            order("o2", "sell", "4", **words[1]),
            *(fill(f"f{n}", f"o{n // 2}", "100", "1", n) for n in range(4)),
            *(fill(f"f{n}", "o2", "100", "1", n) for n in range(4, 8)),
        ],
        statuses=[201] * 11,
    )

    for trade in Trade.objects.all():
        assert (trade.leverage, trade.strategy, trade.exit_reason) == (2, "a", "stop_loss")


def lives(source: random.Random) -> Told:
    """Many orders of several symbols, told of and filled side by side: some late, twice, too much, or before they are
    there; some refused or cancelled."""
    operations: Told = []
    waiting: list[Told] = []
    for number in range(45):
        symbol, side = source.choice(["BTCUSDT", "ETHUSDT", "XYZUSDT"]), source.choice(["buy", "sell"])
        quantities = [source.randrange(1, 40) for _ in range(source.randrange(1, 6))]
        ordered = sum(quantities) - source.choice([0, 0, 0, 0, 0, 0, 1])
        name = f"o{number}"
        signal = {"signal_id": f"s{number % 7}"} if source.random() < 0.5 else {}
        words = {
            "order_purpose": source.choice([None, "exit", "stop_loss"]),
            "leverage": source.choice([None, "2", "5"]),
        }
        words |= {"strategy": source.choice(["", "a", "b"])}
        one = [order(name, side, str(max(ordered, 1)), symbol=symbol, **signal, **words)]
        if source.random() < 0.6:
            told = {"order_id": name, "status": "submitted", "at": (BEGIN + timedelta(seconds=number)).isoformat()}
            one.append({"op": "order_update", "data": told})
        for place, quantity in enumerate(quantities):
            more = {"fee": f"{source.uniform(-0.05, 3):.4f}", "fee_currency": source.choice([None, "USDT", "BTC"])}
            if source.random() < 0.7:
                more["exchange_trade_id"] = f"x{number}-{place if source.random() < 0.97 else 0}"
            price = f"{source.uniform(20, 600):.4f}"
            one.append(fill(f"f{number}-{place}", name, price, str(quantity), 0, **more))
            if source.random() < 0.04:
                one.append(fill(f"f{number}-{place}", name, price, str(quantity + source.choice([0, 1])), 0, **more))
        if source.random() < 0.15:
            told = {"order_id": name, "status": "cancelled", "at": (BEGIN + timedelta(seconds=number * 3)).isoformat()}
            one.insert(source.randrange(1, len(one) + 1), {"op": "order_update", "data": told})
        if source.random() < 0.1:
            one.append(one.pop(0))
        waiting.append(one)
        while len(waiting) > 4 or (number == 44 and waiting):
            some = source.choice(waiting)
            operations.append(some.pop(0))
            waiting = [told for told in waiting if told]
    happen(source, operations)
    return operations


def happen(source: random.Random, operations: Told) -> None:
    """Let fills happen in the order in which they are told, but for some that are late."""
    moments: dict[str, str] = {}
    for second, operation in enumerate(operations):
        if operation["op"] == "fill":
            late = source.randrange(1, 60) if source.random() < 0.04 else 0
            at = BEGIN + timedelta(seconds=second - late)
            operation["data"]["executed_at"] = moments.setdefault(operation["data"]["fill_id"], at.isoformat())


@pytest.mark.parametrize("seed", range(3))
def test_random_lives_of_many_orders(seed: int) -> None:
    source = random.Random(seed)
    operations = lives(source)
    together, alone = BotFactory(), BotFactory()
    for bot in (together, alone):
        for number in range(7):
            told = {
                "signal_id": f"s{number}",
                "symbol": "BTCUSDT",
                "signal_type": "long",
                "price": "1",
                "strategy": "x",
            }
            tell(bot, [{"op": "signal", "data": told | {"timestamp": BEGIN.isoformat()}}])

    results, at = [], 0
    while at < len(operations):
        size = source.randrange(1, 60)
        results += tell(together, operations[at : at + size])
        at += size
    one_by_one = [result for operation in operations for result in tell(alone, [operation])]

    assert results == one_by_one
    assert rows(together) == rows(alone)


def test_a_run_reads_and_writes_its_rows_once(django_assert_max_num_queries: Any) -> None:
    bot = BotFactory()
    orders = [order(f"o{n}", "buy", "2", symbol=f"{'AB'[n % 2]}USDT") for n in range(20)]
    tell(bot, orders)
    fills = [fill(f"{place}{n}", f"o{n}", "100", "1", n) for place in "ab" for n in range(20)]
    fills = sorted(fills, key=lambda told: told["data"]["executed_at"])

    # Forty fills of twenty orders: transaction, scope, bot, locks, orders, fills known, and one statement a table.
    with django_assert_max_num_queries(20):
        results = tell(bot, fills)

    assert {result["status"] for result in results} == {201}
    assert {made.filled_quantity for made in Order.objects.filter(bot=bot)} == {2}
    assert [position.version for position in Position.objects.filter(bot=bot)] == [20, 20]


def test_a_batch_of_all_kinds_takes_few_statements(django_assert_max_num_queries: Any) -> None:
    bot = BotFactory()
    operations: Told = []
    for number in range(10):
        at = (BEGIN + timedelta(seconds=number)).isoformat()
        signal = {"signal_id": f"s{number}", "symbol": "BTCUSDT", "signal_type": "long", "price": "1", "strategy": "x"}
        money = {"total_balance": "9", "available_balance": "9", "equity": f"{number}", "timestamp": at}
        event = {"event_id": f"e{number}", "event_type": "LOOP", "event_level": "INFO", "message": "m"}
        update = {"order_id": f"o{number}", "status": "submitted", "at": at}
        operations += [
            {"op": "signal", "data": signal},
            order(f"o{number}", "buy", "2"),
            {"op": "order_update", "data": update},
            fill(f"a{number}", f"o{number}", "10", "1", number),
            fill(f"b{number}", f"o{number}", "11", "1", number),
            {"op": "balance", "data": money | {"balance_id": f"b{number}"}},
            {"op": "event", "data": event},
        ]

    with django_assert_max_num_queries(36):
        results = tell(bot, operations)

    assert {result["status"] for result in results} == {200, 201}
    bot.refresh_from_db()
    assert bot.current_equity == 9


def test_what_is_told_of_an_order_keeps_its_order() -> None:
    report, news, filled, other = (
        read_operation(OperationIn(**told)).fact
        for told in (
            order("o1", "buy", "2"),
            {"op": "order_update", "data": {"order_id": "o1", "status": "cancelled"}},
            fill("a", "o1", "100", "1", 0, exchange_trade_id="x"),
            fill("b", "o2", "100", "1", 0, exchange_trade_id="x"),
        )
    )

    assert stretches_of([(0, report), (1, news), (2, filled)]) == [(0,), (1,), (2,)]
    assert stretches_of([(0, filled), (1, news), (2, report)]) == [(0,), (1,), (2,)]
    # What a fill of another order passes is sorted by kind; a fill, or an execution, that stands twice waits.
    assert stretches_of([(0, replace_id(filled, "z")), (1, replace_order(report, "o9"))]) == [(1,), (0,)]
    assert stretches_of([(0, filled), (1, other)]) == [(0,), (1,)]
    assert stretches_of([(0, filled), (1, filled)]) == [(0,), (1,)]
    assert stretches_of([(0, filled), (1, replace_id(filled, "z"))]) == [(0, 1)]
    # Nothing passes what stands by itself.
    assert stretches_of([(0, filled), (1, None), (2, replace_order(report, "o9"))]) == [(0,), (1,), (2,)]


def replace_id(fact: Any, fill_id: str) -> Any:
    return replace(fact, fill_id=fill_id, exchange_trade_id=None)


def replace_order(fact: Any, order_id: str) -> Any:
    return replace(fact, order_id=order_id)

"""The history the demo begins with: deterministic, exact, flat at its end."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from demo_series import waves

from demo.candles import CandleSet, read_library
from demo.history import DEFAULT_DAYS, HistoryOp, history, history_start
from demo.registry import BOTS, LXALGO, SHORTSELLER

END = datetime(2026, 11, 20, 9, 30, 17, tzinfo=UTC)
REAL_CANDLES = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def sample() -> list[HistoryOp]:
    return list(history(read_library().sets, end=END, bots=BOTS))


def of_bot(ops: Sequence[HistoryOp], bot_id: str) -> list[HistoryOp]:
    return [op for op in ops if op.bot_id == bot_id]


def assert_consistent(ops: Sequence[HistoryOp]) -> None:
    """Walk one bot's operations: every balance is capital plus cash flows, every order filled once, flat at the end."""
    orders: dict[str, dict[str, Any]] = {}
    filled: Counter[str] = Counter()
    sizes: dict[str, Fraction] = defaultdict(Fraction)
    costs: dict[str, Fraction] = defaultdict(Fraction)
    cash = Fraction(10_000)
    for op in ops:
        data = op.data
        if op.op == "order":
            orders[data["order_id"]] = data
        elif op.op == "fill":
            order = orders[data["order_id"]]
            symbol, quantity, price = order["symbol"], Fraction(data["quantity"]), Fraction(data["price"])
            filled[data["order_id"]] += quantity
            signed = quantity if order["side"] == "buy" else -quantity
            before = sizes[symbol]
            sizes[symbol] += signed
            cash -= signed * price + Fraction(data["fee"])
            costs[symbol] = average_cost(before, costs[symbol], signed, price)
        elif op.op == "balance":
            total, unrealised = Fraction(data["total_balance"]), Fraction(data["unrealized_pnl"])
            assert total == cash + sum(costs.values())
            assert Fraction(data["equity"]) == total + unrealised
            assert Fraction(data["available_balance"]) + Fraction(data["locked_balance"]) == total
            assert Fraction(data["available_balance"]) >= 0
    assert {order_id: Fraction(order["quantity"]) for order_id, order in orders.items()} == filled
    assert set(sizes.values()) == {Fraction(0)}
    assert Fraction(ops[-1].data["equity"]) == cash


def average_cost(size: Fraction, cost: Fraction, signed: Fraction, price: Fraction) -> Fraction:
    if size * signed >= 0:
        return cost + signed * price
    left = size + signed
    return cost * left / size if left * size > 0 else left * price


def test_the_same_arguments_give_the_same_history(sample):
    assert list(history(read_library().sets, end=END, bots=BOTS)) == sample


@pytest.mark.parametrize("bot", BOTS, ids=lambda bot: bot.bot_id)
def test_every_balance_is_exact_and_every_position_closed(sample, bot):
    assert_consistent(of_bot(sample, bot.bot_id))


def test_each_bots_operations_are_in_order_of_time_and_end_at_the_end(sample):
    for bot in BOTS:
        times = [op.at for op in of_bot(sample, bot.bot_id)]
        assert all(earlier < later for earlier, later in pairwise(times))
        assert times[0] >= history_start(END)
        assert END - timedelta(hours=1) < times[-1] <= END


def test_the_sample_trades_on_more_than_sixty_days_with_few_operations(sample):
    days = {op.at.date() for op in sample if op.op == "fill"}

    assert len(days) > 60
    assert len(sample) < 10_000
    for bot in BOTS:
        entries = Counter(
            op.at.date()
            for op in of_bot(sample, bot.bot_id)
            if op.op == "order" and op.data["order_purpose"] == "entry"
        )
        assert sum(entries.values()) > 20
        assert max(entries.values()) <= 8


def test_balances_come_at_least_every_four_hours(sample):
    for bot in BOTS:
        times = [op.at for op in of_bot(sample, bot.bot_id) if op.op == "balance"]
        longest = max(later - earlier for earlier, later in pairwise(times))
        assert longest < timedelta(hours=4, minutes=1)
        assert times[-1] - times[0] > timedelta(days=DEFAULT_DAYS - 1)


def test_ids_are_unique_and_short(sample):
    ids = Counter(
        (op.bot_id, op.op, value) for op in sample for name, value in op.data.items() if name == f"{op.op}_id"
    )

    assert len(ids) == len(sample)
    assert set(ids.values()) == {1}
    assert max(len(value) for _, _, value in ids) <= 100


def test_operations_have_the_shape_of_a_batch(sample):
    assert {op.op for op in sample} == {"signal", "order", "fill", "balance", "event"}
    orders = [op.data for op in sample if op.op == "order"]
    assert {order["intent"] for order in orders} == {"report"}
    assert sample[0].as_batch() == {"op": "event", "data": sample[0].data}
    signals = {(op.bot_id, op.data["signal_id"]) for op in sample if op.op == "signal"}
    linked = {(op.bot_id, op.data["signal_id"]) for op in sample if op.op == "order" and "signal_id" in op.data}
    assert linked == signals


def test_the_sample_has_partial_exits_scale_ins_and_flips(sample):
    lx = of_bot(sample, LXALGO.bot_id)
    purposes = Counter(op.data["order_purpose"] for op in lx if op.op == "order")

    assert purposes["scale_out"] > 5
    assert purposes["scale_in"] > 5
    assert flips(lx) > 5


def flips(ops: Sequence[HistoryOp]) -> int:
    """How many single fills crossed zero."""
    orders = {op.data["order_id"]: op.data for op in ops if op.op == "order"}
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    count = 0
    for op in ops:
        if op.op != "fill":
            continue
        order = orders[op.data["order_id"]]
        signed = Decimal(op.data["quantity"]) * (1 if order["side"] == "buy" else -1)
        before = sizes[order["symbol"]]
        sizes[order["symbol"]] += signed
        count += before * sizes[order["symbol"]] < 0
    return count


def test_orders_are_filled_in_one_to_three_parts(sample):
    parts = Counter(Counter(op.data["order_id"] for op in sample if op.op == "fill").values())

    assert set(parts) == {1, 2, 3}


def test_no_number_has_more_than_eighteen_decimals_or_an_exponent(sample):
    names = {"price", "quantity", "fee", "equity", "total_balance", "available_balance", "unrealized_pnl"}
    numbers = [value for op in sample for name, value in op.data.items() if name in names]

    assert numbers
    assert not [n for n in numbers if "E" in n.upper() or len(n.partition(".")[2]) > 18]


def test_every_exit_says_why(sample):
    words = {"stop_loss", "take_profit", "trailing_stop", "time_exit", "signal_reversal", "market_close"}
    reasons = {op.data["order_metadata"].get("exit_reason") for op in sample if op.op == "order"}

    assert reasons - {None} == words


def test_a_short_ring_is_flat_before_it_begins_again():
    ring = waves(count=80)
    ops = list(history([ring], end=END, days=20, bots=[SHORTSELLER]))

    closes = [
        op.data["order_metadata"]["candle_time"]
        for op in ops
        if op.op == "order" and op.data["order_metadata"].get("exit_reason") == "market_close"
    ]
    assert_consistent(ops)
    assert closes
    assert set(closes) == {ring.candles[-1].timestamp.isoformat().replace("+00:00", "Z")}


def test_a_naive_end_is_refused_and_no_quote_means_no_history():
    unquoted = CandleSet("GOOGL", "1h", waves().candles)

    assert list(history([unquoted], end=END, bots=BOTS)) == []
    with pytest.raises(ValueError, match="no offset"):
        list(history([waves()], end=END.replace(tzinfo=None), bots=BOTS))


@pytest.mark.skipif(not REAL_CANDLES.is_dir(), reason="real candles in ../shared/data are absent")
def test_five_minute_bitcoin_gives_a_lively_consistent_history():
    library = read_library(REAL_CANDLES)
    bitcoin = [candle_set for candle_set in library.sets if candle_set.symbol == "BTCUSDT"]

    ops = list(history(bitcoin, end=END, bots=BOTS))

    assert [len(candle_set.candles) for candle_set in bitcoin] == [10_999]
    assert len({op.at.date() for op in ops if op.op == "fill"}) > 60
    assert len(ops) < 10_000
    assert flips(of_bot(ops, LXALGO.bot_id)) > 5
    for bot in BOTS:
        assert_consistent(of_bot(ops, bot.bot_id))

"""Fills and what follows from them."""

from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync

from audit.models import RiskEvent
from bots.api import inputs
from bots.errors import DuplicateExecution
from bots.models import (
    Bot,
    ControlState,
    Fill,
    IngestConflict,
    Order,
    OrderEvent,
    ParkedFact,
    Position,
    ReconciliationCase,
    Trade,
)
from bots.services import aorder_add_fill
from marketdata.models import Candle
from tests.bots.ledger_tools import START, add_fill, place, tell
from tradingdb.lib.errors import Conflict, NotFound

pytestmark = pytest.mark.usefixtures("ledger_holds")


def test_first_fill_opens_position_and_trade(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")

    outcome = add_fill(bot, "f1", "o1", "100.5", "2", fee="0.2")

    assert outcome.status == 201
    position = Position.objects.get(bot=bot)
    assert (position.side, position.size, position.avg_entry_price) == ("long", Decimal(2), Decimal("100.5"))
    assert (position.cost_basis, position.fees, position.status) == (Decimal(201), Decimal("0.2"), "open")
    trade = Trade.objects.get(bot=bot)
    assert (trade.side, trade.quantity, trade.entry_price, trade.exit_time) == (
        "long",
        Decimal(2),
        Decimal("100.5"),
        None,
    )
    assert trade.pnl_usd == Decimal("-0.2")
    order = Order.objects.get(bot=bot)
    assert (order.status, order.filled_quantity, order.remaining_quantity) == ("filled", Decimal(2), Decimal(0))
    assert (order.position_id, order.trade_id) == (position.position_id, trade.trade_id)
    assert outcome.body["position"]["position_id"] == position.position_id
    assert outcome.body["order"]["avg_fill_price"] == "100.5"


def test_weighted_entry_partial_exit_and_close(bot: Bot) -> None:
    place(bot, "in", "buy", "3")
    add_fill(bot, "f1", "in", "100", "1", 1, fee="0.1")
    add_fill(bot, "f2", "in", "103", "2", 2, fee="0.2")
    place(bot, "out", "sell", "3", order_purpose="take_profit")

    add_fill(bot, "f3", "out", "110", "1", 3, fee="0.1")

    position = Position.objects.get(bot=bot)
    # Average cost (100 + 2 * 103) / 3 = 102; one of three leaves: 110 - 102 = 8.
    assert (position.size, position.avg_entry_price, position.realized_pnl) == (Decimal(2), Decimal(102), Decimal(8))
    assert position.cost_basis == Decimal(204)

    add_fill(bot, "f4", "out", "99", "2", 4, fee="0.2")

    position.refresh_from_db()
    assert (position.status, position.size, position.closed_at, position.cost_basis) == (
        "closed", Decimal(0), START.replace(minute=4), Decimal(0),
    )  # fmt: skip
    # 8 + 2 * (99 - 102) = 2, with fees of 0.6.
    assert (position.realized_pnl, position.fees) == (Decimal(2), Decimal("0.6"))
    assert (position.entry_trade_ids, position.exit_trade_ids) == (["f1", "f2"], ["f3", "f4"])
    trade = Trade.objects.get(bot=bot)
    assert (trade.gross_pnl, trade.pnl_usd, trade.exit_reason) == (Decimal(2), Decimal("1.4"), "take_profit")
    # (110 + 2 * 99) / 3 = 102.666…, rounded half even at 18 places.
    assert trade.exit_price == Decimal("102.666666666666666667")
    assert trade.holding_time_seconds == 180


def test_fill_that_crosses_zero_closes_one_and_opens_the_opposite(bot: Bot) -> None:
    place(bot, "in", "buy", "2")
    add_fill(bot, "f1", "in", "50", "2", 1)
    place(bot, "flip", "sell", "5")

    outcome = add_fill(bot, "f2", "flip", "60", "5", 2, fee="1")

    long, short = Position.objects.filter(bot=bot).order_by("opened_at")
    assert (long.side, long.status, long.realized_pnl, long.fees) == ("long", "closed", Decimal(20), Decimal("0.4"))
    assert (short.side, short.status, short.size, short.fees) == ("short", "open", Decimal(3), Decimal("0.6"))
    assert short.avg_entry_price == Decimal(60)
    fill = Fill.objects.get(fill_id="f2")
    assert (fill.position_id, fill.opened_position_id) == (long.position_id, short.position_id)
    assert (fill.closed_quantity, fill.closing_fee_quote, fill.realized_pnl) == (
        Decimal(2),
        Decimal("0.4"),
        Decimal(20),
    )
    assert outcome.body["position"]["position_id"] == short.position_id
    assert Trade.objects.get(position_id=long.position_id).exit_reason == "signal_reversal"


def test_short_round_trip_earns_when_the_price_falls(bot: Bot) -> None:
    place(bot, "in", "sell", "4", leverage="10")
    add_fill(bot, "f1", "in", "25", "4", 1)
    place(bot, "out", "buy", "4")

    add_fill(bot, "f2", "out", "20", "4", 2)

    trade = Trade.objects.get(bot=bot)
    assert (trade.side, trade.gross_pnl, trade.pnl_pct, trade.leverage) == (
        "short",
        Decimal(20),
        Decimal("0.2"),
        Decimal(10),
    )


def test_same_fill_twice_counts_once(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    first = add_fill(bot, "f1", "o1", "100", "1")

    again = add_fill(bot, "f1", "o1", "100.000", "1.0")

    assert (again.status, again.replayed) == (200, True)
    assert again.body["fill"] == first.body["fill"]
    assert Fill.objects.count() == 1
    assert Order.objects.get().filled_quantity == Decimal(1)


@pytest.mark.parametrize(
    "change",
    [
        {"price": "101"},
        {"quantity": "2"},
        {"minute": 1},
        {"fee": "1"},
        {"liquidity": "maker"},
        {"exchange_trade_id": "x"},
    ],
)
def test_same_id_with_other_content_is_kept_as_conflict_and_changes_nothing(bot: Bot, change: dict[str, str]) -> None:
    place(bot, "o1", "buy", "3")
    add_fill(bot, "f1", "o1", "100", "1")
    body: dict[str, object] = {"price": "100", "quantity": "1", **change}

    for _ in range(2):
        with pytest.raises(Conflict):
            add_fill(bot, "f1", "o1", **body)  # type: ignore[arg-type]

    conflict = IngestConflict.objects.get()
    assert (conflict.kind, conflict.natural_id, conflict.received_count) == ("fill", "f1", 2)
    assert conflict.stored_body["price"] == "100"
    assert Position.objects.get().size == Decimal(1)


def test_same_execution_under_another_fill_id_is_refused_and_kept(bot: Bot) -> None:
    place(bot, "o1", "buy", "3")
    add_fill(bot, "f1", "o1", "100", "1", exchange_trade_id="x1")

    with pytest.raises(DuplicateExecution):
        add_fill(bot, "f2", "o1", "100", "1", exchange_trade_id="x1")

    assert Fill.objects.count() == 1
    assert IngestConflict.objects.get().natural_id == "f2"


def test_overfill_is_stored_flagged_and_restricts_the_bot(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")

    outcome = add_fill(bot, "f1", "o1", "100", "1.5")
    add_fill(bot, "f2", "o1", "100", "0.5", 1)

    assert outcome.body["flags"] == ["overfill"]
    order = Order.objects.get()
    assert (order.filled_quantity, order.remaining_quantity, order.status, order.flags) == (
        Decimal(2), Decimal(0), "filled", ["overfill"],
    )  # fmt: skip
    assert Position.objects.get().size == Decimal(2)
    case = ReconciliationCase.objects.get()
    assert (case.kind, case.subject_id, case.status) == ("overfill", "o1", "open")
    assert ControlState.objects.get(scope="bot", target=bot.bot_id).state == "REDUCING"
    assert RiskEvent.objects.filter(risk_type="overfill").count() == 2


def test_order_filled_to_the_last_digit_is_not_overfilled(bot: Bot) -> None:
    place(bot, "o1", "buy", "0.300000000000000001")
    add_fill(bot, "f1", "o1", "10", "0.1", 1)

    outcome = add_fill(bot, "f2", "o1", "10", "0.200000000000000001", 2)

    assert (outcome.body["flags"], Order.objects.get().flags, ReconciliationCase.objects.count()) == ([], [], 0)


def test_fill_before_its_order_is_parked_and_applied_with_it(bot: Bot) -> None:
    early = add_fill(bot, "f1", "o1", "100", "1", fee="0.25")
    again = add_fill(bot, "f1", "o1", "100", "1", fee="0.25")

    assert (early.status, early.body["state"]) == (202, "parked")
    assert (again.status, again.replayed) == (200, True)
    assert Fill.objects.count() == 0

    place(bot, "o1", "buy", "1")

    assert ParkedFact.objects.get().state == "applied"
    assert Order.objects.get().status == "filled"
    assert Position.objects.get().fees == Decimal("0.25")
    late = add_fill(bot, "f1", "o1", "100", "1", fee="0.25")
    assert (late.status, late.replayed) == (200, True)
    with pytest.raises(Conflict):
        add_fill(bot, "f1", "o1", "100", "2", fee="0.25")


def test_parked_fill_of_a_known_execution_is_kept_as_conflict_and_the_order_is_stored(bot: Bot) -> None:
    place(bot, "known", "buy", "1")
    add_fill(bot, "early", "late", "100", "1", exchange_trade_id="x1")
    add_fill(bot, "twin", "late", "100", "1", exchange_trade_id="x1")
    add_fill(bot, "other", "late", "100", "1", exchange_trade_id="x2")
    add_fill(bot, "direct", "known", "100", "1", exchange_trade_id="x2")

    outcome = place(bot, "late", "buy", "5")

    assert outcome.status == 201
    assert set(Fill.objects.values_list("fill_id", flat=True)) == {"direct", "early"}
    states = dict(ParkedFact.objects.values_list("fact_id", "state"))
    assert states == {"early": "applied", "twin": "refused", "other": "refused"}
    assert set(IngestConflict.objects.values_list("natural_id", flat=True)) == {"twin", "other"}
    assert Position.objects.get().size == Decimal(2)


def test_parked_fill_with_other_content_is_a_conflict(bot: Bot) -> None:
    add_fill(bot, "f1", "o1", "100", "1")

    with pytest.raises(Conflict):
        add_fill(bot, "f1", "o1", "100", "2")

    assert ParkedFact.objects.get().body["quantity"] == "1"


def test_parked_fill_told_again_for_a_known_order_is_a_conflict(bot: Bot) -> None:
    place(bot, "known", "buy", "1")
    add_fill(bot, "f1", "unknown", "100", "1")

    with pytest.raises(Conflict):
        add_fill(bot, "f1", "known", "100", "1")

    # What was acknowledged first is what counts.
    place(bot, "unknown", "buy", "1")
    assert (Fill.objects.get().order_id, ParkedFact.objects.get().state) == ("unknown", "applied")


def test_fill_that_arrives_late_is_folded_in_its_place(bot: Bot) -> None:
    place(bot, "in", "buy", "2")
    place(bot, "out", "sell", "2")
    add_fill(bot, "f1", "in", "100", "1", 1)
    add_fill(bot, "f3", "out", "120", "2", 3)
    assert Position.objects.filter(bot=bot).count() == 2

    add_fill(bot, "f2", "in", "110", "1", 2)

    position = Position.objects.get(bot=bot)
    assert (position.status, position.realized_pnl, position.quantity) == ("closed", Decimal(30), Decimal(2))
    assert Trade.objects.get(bot=bot).gross_pnl == Decimal(30)
    assert {fill.position_id for fill in Fill.objects.all()} == {position.position_id}
    assert {order.position_id for order in Order.objects.all()} == {position.position_id}


def test_late_fill_keeps_notes_and_stops_of_the_position(bot: Bot) -> None:
    place(bot, "in", "buy", "2")
    add_fill(bot, "f2", "in", "110", "1", 2)
    Position.objects.update(stop_loss=Decimal(90), notes="watch this")
    Trade.objects.update(notes="good one")

    add_fill(bot, "f1", "in", "100", "1", 1)

    position = Position.objects.get()
    assert (position.opening_fill_id, position.stop_loss, position.notes) == ("f1", Decimal(90), "watch this")
    assert Trade.objects.get().notes == "good one"


def test_fees_in_base_and_third_currency_are_converted_where_a_rate_is_known(bot: Bot) -> None:
    place(bot, "o1", "buy", "4")
    Candle.objects.create(
        symbol="BNBUSDT", exchange="bybit", interval="1m", timestamp=START,
        open_price=300, high_price=300, low_price=300, close_price=300, volume=1,
    )  # fmt: skip

    add_fill(bot, "f1", "o1", "100", "1", 1, fee="0.001", fee_currency="BTC")
    add_fill(bot, "f2", "o1", "100", "1", 2, fee="0.01", fee_currency="BNB")
    unknown = add_fill(bot, "f3", "o1", "100", "1", 3, fee="5", fee_currency="XYZ")
    add_fill(bot, "f4", "o1", "100", "1", 4, fee="0.5", fee_currency="USDT")

    assert [fill.fee_quote for fill in Fill.objects.order_by("fill_id")] == [
        Decimal("0.1"), Decimal(3), Decimal(0), Decimal("0.5"),
    ]  # fmt: skip
    assert unknown.body["flags"] == ["fee_not_converted"]
    assert Position.objects.get().fees == Decimal("3.6")


def test_fill_of_a_cancelled_order_is_stored_and_opens_a_case(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    tell(bot, "o1", status="cancelled", at=START.isoformat())

    outcome = add_fill(bot, "f1", "o1", "100", "1", 5)

    assert outcome.body["flags"] == ["after_order_ended"]
    assert (outcome.body["order"]["status"], outcome.body["order"]["filled_quantity"]) == ("cancelled", "1")
    assert Position.objects.get().size == Decimal(1)
    assert ReconciliationCase.objects.get().kind == "fill_after_terminal"


def test_fill_executed_before_the_cancel_is_no_breach(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    tell(bot, "o1", status="cancelled", at=START.isoformat())

    outcome = add_fill(bot, "f1", "o1", "100", "1", -5)

    assert outcome.body["flags"] == []


def test_status_moves_by_fills_are_in_the_history(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    add_fill(bot, "f1", "o1", "100", "1", 1)
    add_fill(bot, "f2", "o1", "100", "1", 2)

    moves = list(OrderEvent.objects.order_by("id").values_list("from_status", "to_status", "fill_id"))

    assert moves == [
        (None, "pending", None),
        ("pending", "partially_filled", "f1"),
        ("partially_filled", "filled", "f2"),
    ]


def test_awkward_ratios_stay_exact_over_the_whole_round_trip(bot: Bot) -> None:
    place(bot, "in", "buy", "3")
    add_fill(bot, "f1", "in", "0.1", "3", 1)
    for number in range(3):
        place(bot, f"out{number}", "sell", "1")
        add_fill(bot, f"x{number}", f"out{number}", "0.2", "1", 2 + number)

    trade = Trade.objects.get()

    assert trade.gross_pnl == Decimal("0.3")


def test_unknown_bot_is_not_found(db: None) -> None:
    ghost = Bot(bot_id="ghost")

    with pytest.raises(NotFound):
        add_fill(ghost, "f1", "o1", "1", "1")


def test_async_form_writes_in_the_same_transaction(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")
    body = {"fill_id": "f1", "order_id": "o1", "price": "100", "quantity": "1", "executed_at": START.isoformat()}

    outcome = async_to_sync(aorder_add_fill)(bot_id=bot.bot_id, fill=inputs.FillIn.model_validate(body).to_domain())

    assert outcome.status == 201
    assert Position.objects.get().size == Decimal(1)

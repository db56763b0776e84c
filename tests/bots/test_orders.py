"""Orders: the table of moves, admission, and what is told of them."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import transaction

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.choices import ControlLevel, ControlScope, OrderStatus
from bots.ledger.orders import MOVES, may_move, status_of
from bots.models import Bot, ControlState, Order, OrderEvent, ParkedFact, Position, ReconciliationCase
from bots.services.cases import case_update
from tests.bots.ledger_tools import START, add_fill, at, place, tell
from tests.factories import AccountBalanceFactory
from tradingdb.lib.errors import Conflict, RiskRejected

ENDS = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REJECTED,
    OrderStatus.EXPIRED,
    OrderStatus.FAILED,
    OrderStatus.DEACTIVATED,
)

pytestmark = pytest.mark.usefixtures("ledger_holds")


def ask(bot: Bot, order_id: str, side: str, quantity: str, **fields: object) -> None:
    place(bot, order_id, side, quantity, intent="request", **fields)


def rules_of(error: RiskRejected) -> list[str]:
    reasons = error.detail["reasons"]
    assert isinstance(reasons, list)
    return [reason["rule"] for reason in reasons]


def moment(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def halt(scope: str, target: str, state: str) -> None:
    ControlState.objects.create(scope=scope, target=target, state=state, reason="test", changed_at=START)


def test_every_status_has_a_row_in_the_table_and_ends_stay_ends() -> None:
    assert set(MOVES) == set(OrderStatus)
    assert all(MOVES[end] == frozenset() for end in ENDS)
    assert all(not may_move(end, OrderStatus.SUBMITTED) for end in ENDS)
    assert may_move(OrderStatus.UNTRIGGERED, OrderStatus.TRIGGERED)
    assert not may_move(OrderStatus.TRIGGERED, OrderStatus.UNTRIGGERED)


@pytest.mark.parametrize(
    ("reported", "filled", "status"),
    [
        ("submitted", "0", "submitted"),
        ("submitted", "1", "partially_filled"),
        ("submitted", "2", "filled"),
        ("submitted", "3", "filled"),
        ("cancelled", "1", "cancelled"),
        # Real world possibility: the cancel was told first, the fill that beat it comes later.
        ("cancelled", "2", "filled"),
        ("filled", "0", "submitted"),
        ("filled", "1", "partially_filled"),
        ("untriggered", "0", "untriggered"),
    ],
)
def test_status_follows_from_what_was_told_and_filled(reported: str, filled: str, status: str) -> None:
    assert status_of(OrderStatus(reported), filled=Decimal(filled), quantity=Decimal(2)) == status


def test_invalid_move_is_kept_in_the_history_and_changes_nothing(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")
    tell(bot, "o1", status="cancelled", at=at(1))

    outcome = tell(bot, "o1", status="submitted", at=at(2))

    assert (outcome.status, outcome.body["flags"]) == (200, ["invalid_transition"])
    assert Order.objects.get().status == "cancelled"
    last = OrderEvent.objects.order_by("-id").first()
    assert last is not None
    assert (last.to_status, last.was_applied, last.flags) == ("submitted", False, ["invalid_transition"])


def test_news_older_than_what_is_known_is_stale(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")
    tell(bot, "o1", status="triggered", at=at(5))

    outcome = tell(bot, "o1", status="submitted", at=at(4))

    assert outcome.body["flags"] == ["stale"]
    assert Order.objects.get().status == "triggered"


@pytest.mark.parametrize("first", [2, 4])
def test_an_end_told_twice_was_at_the_earlier_moment_and_says_so_of_fills_in_any_order(bot: Bot, first: int) -> None:
    facts = {
        "cancelled": lambda: tell(bot, "o1", status="cancelled", at=at(first)),
        "again": lambda: tell(bot, "o1", status="cancelled", at=at(6 - first)),
        "fill": lambda: add_fill(bot, "f1", "o1", "10", "1", 3),
    }
    for number, order in enumerate(permutations(facts)):
        with transaction.atomic():
            place(bot, "o1", "buy", "2")
            for name in order:
                facts[name]()

            row = Order.objects.get()
            cases = ReconciliationCase.objects.filter(kind="fill_after_terminal", subject_id="o1")
            assert (number, row.reported_at, row.closed_at) == (number, moment(2), moment(2))
            assert (row.status, row.flags, cases.count()) == ("cancelled", ["after_order_ended"], 1)
            transaction.set_rollback(True)


def test_a_status_told_again_was_still_so_at_the_later_moment(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")
    for minute in (5, 3):
        tell(bot, "o1", status="submitted", at=at(minute))

    outcome = tell(bot, "o1", status="triggered", at=at(4))

    assert outcome.body["flags"] == ["stale"]
    assert (Order.objects.get().status, Order.objects.get().reported_at) == ("submitted", moment(5))


def test_a_closed_case_stays_closed_when_the_end_is_told_again(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    tell(bot, "o1", status="cancelled", at=at(2))
    add_fill(bot, "f1", "o1", "10", "1", 3)
    changes = {"status": "resolved", "resolution": "the exchange was late"}
    case_update(case_id=ReconciliationCase.objects.get().pk, changes=changes, actor=SYSTEM)

    tell(bot, "o1", status="cancelled", at=at(9))

    assert [case.status for case in ReconciliationCase.objects.all()] == ["resolved"]


def test_news_before_its_order_is_parked_and_applied_with_it(bot: Bot) -> None:
    parked = tell(bot, "o1", status="submitted", exchange_order_id="x1", at=at(1))
    again = tell(bot, "o1", status="submitted", exchange_order_id="x1", at=at(1))

    assert (parked.status, again.status, again.replayed) == (202, 200, True)

    place(bot, "o1", "buy", "1", created_at=at(0))

    order = Order.objects.get()
    assert (order.status, order.exchange_order_id, ParkedFact.objects.get().state) == ("submitted", "x1", "applied")


def test_the_same_news_of_two_unknown_orders_waits_for_both(bot: Bot) -> None:
    answers = [tell(bot, order_id, status="cancelled", at=at(1)) for order_id in ("o1", "o2", "o1")]

    assert [(answer.status, answer.replayed) for answer in answers] == [(202, False), (202, False), (200, True)]
    for order_id in ("o1", "o2"):
        place(bot, order_id, "buy", "1")
    assert set(Order.objects.values_list("status", flat=True)) == {"cancelled"}


def test_order_told_to_be_filled_waits_for_its_fills(bot: Bot) -> None:
    place(bot, "o1", "buy", "1", status="filled")

    assert Order.objects.get().flags == ["awaiting_fills"]

    add_fill(bot, "f1", "o1", "10", "1")

    order = Order.objects.get()
    assert (order.status, order.flags) == ("filled", [])


def test_order_told_to_be_partly_filled_waits_for_the_first_of_its_fills(bot: Bot) -> None:
    place(bot, "o1", "buy", "2", status="partially_filled")
    assert (Order.objects.get().status, Order.objects.get().flags) == ("submitted", ["awaiting_fills"])

    add_fill(bot, "f1", "o1", "10", "1")

    assert (Order.objects.get().status, Order.objects.get().flags) == ("partially_filled", [])


def test_same_order_again_is_a_replay_and_other_content_a_conflict(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")

    again = place(bot, "o1", "buy", "1.00")

    assert (again.status, again.replayed) == (200, True)
    with pytest.raises(Conflict):
        place(bot, "o1", "sell", "1")
    assert Order.objects.get().side == "buy"


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        (ControlScope.ALL, ""),
        (ControlScope.BOT, None),
        (ControlScope.SYMBOL, "BTCUSDT"),
        (ControlScope.EXCHANGE, "bybit"),
    ],
)
def test_halt_of_any_scope_refuses_requests_and_stores_them_as_rejected(
    bot: Bot, scope: str, target: str | None
) -> None:
    halt(scope, bot.bot_id if target is None else target, ControlLevel.HALTED)

    with pytest.raises(RiskRejected) as caught:
        ask(bot, "o1", "buy", "1")

    assert rules_of(caught.value) == ["control_state"]
    order = Order.objects.get()
    assert (order.status, order.error_code) == ("rejected", "risk_rejected")
    assert RiskEvent.objects.get().risk_type == "control_state"


def test_refused_order_is_refused_again_and_leaves_one_row(bot: Bot) -> None:
    halt(ControlScope.ALL, "", ControlLevel.HALTED)

    for _ in range(2):
        with pytest.raises(RiskRejected):
            ask(bot, "o1", "buy", "1")

    assert (Order.objects.count(), RiskEvent.objects.count()) == (1, 1)


def test_fill_parked_for_an_order_that_is_then_refused_counts_all_the_same(bot: Bot) -> None:
    add_fill(bot, "f1", "o1", "100", "1")
    halt(ControlScope.ALL, "", ControlLevel.HALTED)

    with pytest.raises(RiskRejected):
        ask(bot, "o1", "buy", "2")

    order = Order.objects.get()
    assert (order.status, order.filled_quantity, order.flags) == ("rejected", Decimal(1), ["after_order_ended"])
    assert Position.objects.get().size == Decimal(1)
    assert ParkedFact.objects.get().state == "applied"


def test_reducing_admits_only_what_shrinks_a_position(bot: Bot) -> None:
    place(bot, "in", "buy", "2")
    add_fill(bot, "f1", "in", "100", "2")
    halt(ControlScope.BOT, bot.bot_id, ControlLevel.REDUCING)

    ask(bot, "out", "sell", "1.5")

    for order_id, side, quantity in (("more", "buy", "1"), ("flip", "sell", "2.5")):
        with pytest.raises(RiskRejected):
            ask(bot, order_id, side, quantity)
    assert Order.objects.get(order_id="out").status == "pending"


def test_the_strictest_of_several_restrictions_is_in_force(bot: Bot) -> None:
    place(bot, "in", "buy", "2")
    add_fill(bot, "f1", "in", "100", "2")
    halt(ControlScope.ALL, "", ControlLevel.ACTIVE)
    halt(ControlScope.BOT, bot.bot_id, ControlLevel.HALTED)
    halt(ControlScope.SYMBOL, "BTCUSDT", ControlLevel.REDUCING)

    with pytest.raises(RiskRejected):
        ask(bot, "out", "sell", "1")


def test_report_under_a_halt_is_stored_and_leaves_a_risk_event(bot: Bot) -> None:
    halt(ControlScope.ALL, "", ControlLevel.HALTED)

    outcome = place(bot, "o1", "buy", "1")
    before = place(bot, "o0", "buy", "1", created_at=(START - timedelta(hours=1)).isoformat())

    assert (outcome.status, before.status) == (201, 201)
    assert list(RiskEvent.objects.values_list("order_id", "risk_type")) == [("o1", "halt_not_obeyed")]


def test_limits_refuse_with_value_and_limit(bot: Bot) -> None:
    Bot.objects.update(max_positions=1, leverage_limit=3, max_daily_loss_pct=Decimal("0.05"), current_equity=9000)
    AccountBalanceFactory(bot=bot, equity=Decimal(10000))
    place(bot, "eth", "buy", "1", symbol="ETHUSDT")
    add_fill(bot, "f1", "eth", "100", "1")

    with pytest.raises(RiskRejected) as caught:
        ask(bot, "o1", "buy", "1", leverage="5")

    # The fill found the loss and let the bot only reduce until tomorrow.
    assert caught.value.detail["reasons"] == [
        {"rule": "control_state", "current": "REDUCING", "limit": "ACTIVE"},
        {"rule": "leverage_limit", "current": "5", "limit": "3"},
        {"rule": "position_limit", "current": "1", "limit": "1"},
        {"rule": "daily_loss_limit", "current": "0.1", "limit": "0.05"},
    ]
    # A limit never keeps a bot from getting out.
    ask(bot, "out", "sell", "1", symbol="ETHUSDT")


def test_paused_bot_may_only_reduce(bot: Bot) -> None:
    Bot.objects.update(status="paused")

    with pytest.raises(RiskRejected):
        ask(bot, "o1", "buy", "1")

    assert Position.objects.count() == 0


def test_reduce_only_order_must_reduce(bot: Bot) -> None:
    with pytest.raises(RiskRejected) as caught:
        ask(bot, "o1", "sell", "1", reduce_only=True)

    assert rules_of(caught.value) == ["reduce_only"]

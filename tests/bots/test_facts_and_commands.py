"""Law 1: a fact is stored whatever rule it breaks, and flagged; a command can be refused, with a typed error."""

from datetime import timedelta
from decimal import Decimal

import pytest

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.models import (
    AccountBalance,
    Bot,
    ControlState,
    Fill,
    IngestConflict,
    Order,
    ParkedFact,
    Position,
    ReconciliationCase,
)
from bots.selectors.conflicts import stored_body
from bots.services.control import control_set
from tests.bots.ledger_tools import START, add_fill, at, place, tell
from tests.bots.test_facts import record_balance, send_batch
from tests.factories import BotFactory
from tradingdb.lib.errors import RiskRejected

pytestmark = pytest.mark.usefixtures("ledger_holds")
SCOPES = [("all", ""), ("bot", "bot"), ("symbol", "BTCUSDT"), ("exchange", "bybit")]


def halt(bot: Bot, scope: str, target: str, minute: float) -> None:
    """Halt as of a minute after the start."""
    target = bot.bot_id if target == "bot" else target
    control_set(scope=scope, target=target, state="HALTED", reason="news", actor=SYSTEM)
    ControlState.objects.update(changed_at=START + timedelta(minutes=minute))


def cases() -> set[tuple[str, str]]:
    return set(ReconciliationCase.objects.values_list("kind", "subject_id"))


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_a_fill_after_a_halt_counts_and_is_flagged(bot: Bot, scope: str, target: str) -> None:
    place(bot, "o1", "buy", "3", created_at=at(0))
    halt(bot, scope, target, minute=5)

    before = add_fill(bot, "f1", "o1", "100", "1", 4)
    after = add_fill(bot, "f2", "o1", "100", "1", 6)

    assert (before.body["flags"], after.body["flags"]) == ([], ["after_halt"])
    assert (after.status, Fill.objects.get(fill_id="f2").flags) == (201, ["after_halt"])
    assert Position.objects.get().size == 2
    # The order was at the exchange before: nobody disobeyed.
    assert not RiskEvent.objects.exists()


def test_a_halt_of_something_else_flags_nothing(bot: Bot) -> None:
    place(bot, "o1", "buy", "3", created_at=at(0))
    for scope, target in (("bot", BotFactory().bot_id), ("symbol", "ETHUSDT"), ("exchange", "okx")):
        halt(bot, scope, target, minute=5)

    assert add_fill(bot, "f2", "o1", "100", "1", 6).body["flags"] == []


def test_an_order_placed_after_a_halt_is_stored_with_a_risk_event_and_a_request_is_refused(bot: Bot) -> None:
    halt(bot, "bot", "bot", minute=5)

    place(bot, "reported", "buy", "1", created_at=at(6))
    with pytest.raises(RiskRejected) as refused:
        place(bot, "asked", "buy", "1", intent="request")

    assert refused.value.code == "risk_rejected"
    assert set(Order.objects.values_list("order_id", "status")) == {("reported", "pending"), ("asked", "rejected")}
    types = set(RiskEvent.objects.values_list("order_id", "risk_type"))
    assert types == {("reported", "halt_not_obeyed"), ("asked", "control_state")}


def test_a_parked_fill_after_a_halt_is_flagged_when_its_order_comes(bot: Bot) -> None:
    add_fill(bot, "f1", "o1", "100", "1", 6)
    halt(bot, "all", "", minute=5)

    place(bot, "o1", "buy", "1", created_at=at(0))

    assert ParkedFact.objects.get().state == "applied"
    assert Fill.objects.get().flags == ["after_halt"]


def test_a_fill_of_a_cancelled_order_counts_and_opens_a_case(bot: Bot) -> None:
    place(bot, "o1", "buy", "3", created_at=at(0))
    tell(bot, "o1", status="cancelled", at=at(5))

    outcome = add_fill(bot, "f1", "o1", "100", "1", 6)

    assert (outcome.status, outcome.body["flags"]) == (201, ["after_order_ended"])
    assert (Position.objects.get().size, cases()) == (1, {("fill_after_terminal", "o1")})


def test_the_same_is_seen_when_the_cancel_comes_after_the_fill(bot: Bot) -> None:
    place(bot, "o1", "buy", "3", created_at=at(0))
    add_fill(bot, "f1", "o1", "100", "1", 4)
    add_fill(bot, "f2", "o1", "100", "0.5", 6)

    tell(bot, "o1", status="cancelled", at=at(5))

    assert (Order.objects.get().status, Order.objects.get().flags) == ("cancelled", ["after_order_ended"])
    case = ReconciliationCase.objects.get()
    assert (case.kind, case.subject_id, case.reported) == ("fill_after_terminal", "o1", {"quantity": "0.5"})


def test_a_cancel_after_the_last_fill_is_nothing_strange(bot: Bot) -> None:
    place(bot, "o1", "buy", "3", created_at=at(0))
    add_fill(bot, "f1", "o1", "100", "1", 4)

    tell(bot, "o1", status="cancelled", at=at(5))

    assert (Order.objects.get().flags, cases()) == ([], set())


def test_an_overfill_counts_opens_one_case_and_lets_the_bot_only_reduce(bot: Bot) -> None:
    place(bot, "o1", "buy", "1")
    for number in range(3):
        add_fill(bot, f"f{number}", "o1", "100", "1", number)

    assert (Position.objects.get().size, cases()) == (3, {("overfill", "o1")})
    with pytest.raises(RiskRejected):
        place(bot, "more", "buy", "1", intent="request")
    assert place(bot, "less", "sell", "1", intent="request").status == 201


def test_a_balance_below_zero_is_stored_flagged_and_opens_a_case(bot: Bot) -> None:
    outcome = record_balance(bot, total_balance="-5", available_balance="-5", equity="-5")

    assert (outcome.status, outcome.body["flags"]) == (201, ["negative_balance"])
    assert cases() == {("negative_balance", "")}
    # The case is as old as our knowledge of it, not as the balance.
    case = ReconciliationCase.objects.get()
    assert case.opened_at > START + timedelta(days=1)
    assert case.reported["balance_id"] == outcome.body["balance_id"]


def test_a_newest_balance_below_zero_lets_the_bot_only_reduce(bot: Bot) -> None:
    place(bot, "in", "buy", "1")
    add_fill(bot, "f1", "in", "100", "1")
    below = {"total_balance": "5", "available_balance": "-5", "locked_balance": "10", "equity": "5"}
    record_balance(bot, **below)

    state = ControlState.objects.get(scope="bot", target=bot.bot_id)
    assert (state.state, state.reason) == ("REDUCING", "Balance b1 is below zero: available -5.")
    with pytest.raises(RiskRejected):
        place(bot, "more", "buy", "1", intent="request")
    assert place(bot, "less", "sell", "1", intent="request").status == 201

    # Whoever releases it has seen this balance: that it is told again restricts nothing.
    ControlState.objects.update(state="ACTIVE")
    record_balance(bot, **below)
    assert ControlState.objects.get().state == "ACTIVE"


@pytest.mark.parametrize("is_halted", [True, False])
def test_a_balance_below_zero_neither_loosens_a_halt_nor_restricts_by_history(bot: Bot, is_halted: bool) -> None:
    if is_halted:
        ControlState.objects.create(scope="bot", target=bot.bot_id, state="HALTED", reason="test", changed_at=START)
    else:
        record_balance(bot, balance_id="newer", timestamp=at(9))

    outcome = record_balance(bot, equity="-1", timestamp=at(2))

    assert "negative_balance" in outcome.body["flags"]
    assert cases() == {("negative_balance", "")}
    assert list(ControlState.objects.values_list("state", flat=True)) == (["HALTED"] if is_halted else [])


def test_a_balance_older_than_the_newest_is_stored_flagged_and_not_the_equity(bot: Bot) -> None:
    record_balance(bot, balance_id="new", timestamp=at(10))

    late = record_balance(bot, balance_id="old", timestamp=at(5), equity="1", unrealized_pnl="-899")

    assert (late.status, late.body["flags"]) == (201, ["stale"])
    bot.refresh_from_db()
    assert (bot.current_equity, AccountBalance.objects.count()) == (Decimal(900), 2)


def test_a_fill_before_its_order_waits_and_is_applied_with_it(bot: Bot) -> None:
    early = add_fill(bot, "f1", "o1", "100", "1")

    assert (early.status, early.body["state"]) == (202, "parked")
    place(bot, "o1", "buy", "1")
    assert (ParkedFact.objects.get().state, Order.objects.get().status) == ("applied", "filled")


def test_an_execution_of_another_bot_is_kept_as_a_conflict_and_counts_once(bot: Bot) -> None:
    other = BotFactory(account=bot.account, max_positions=100)
    place(other, "theirs", "buy", "1")
    place(bot, "mine", "buy", "1")
    add_fill(other, "f1", "theirs", "100", "1", exchange_trade_id="x1")
    fill = {"fill_id": "f2", "order_id": "mine", "price": "100", "quantity": "1", "executed_at": at(0)}

    (result,) = send_batch(bot, ("fill", fill | {"exchange_trade_id": "x1"}))

    assert (result["status"], result["code"]) == (409, "duplicate_execution")
    conflict = IngestConflict.objects.get()
    # What the other bot calls it no row of this bot says; staff see the fill itself.
    assert (conflict.bot, conflict.stored_body) == (bot, {"symbol": "BTCUSDT", "exchange_trade_id": "x1"})
    seen = stored_body(bot_id=bot.bot_id, kind="fill", kept=conflict.stored_body)
    assert (seen["bot_id"], seen["fill_id"]) == (other.bot_id, "f1")
    assert (Fill.objects.count(), Position.objects.count()) == (1, 1)

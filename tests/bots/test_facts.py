"""Signals, balances, events, heartbeats and batches through the services."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from audit.models import SystemEvent
from bots.api import inputs
from bots.api.operations import read_operation
from bots.ledger.facts import Heartbeat
from bots.models import AccountBalance, Bot, CashFlow, Fill, IngestKey, Order, ReconciliationCase, Signal
from bots.services.balances import balance_record
from bots.services.batch import Batch
from bots.services.context import bot_context
from bots.services.events import events_record
from bots.services.heartbeats import bot_record_heartbeat
from bots.services.plan import Outcome, run
from bots.services.signals import signal_record
from config_app.models import BotConfiguration
from tests.bots.ledger_tools import at, place
from tradingdb.lib.errors import Conflict

SIGNAL = {"signal_id": "s1", "symbol": "BTCUSDT", "signal_type": "long", "price": "100", "strategy": "x"}
BALANCE = {"balance_id": "b1", "total_balance": "900", "available_balance": "900", "equity": "900", "timestamp": at(1)}

pytestmark = pytest.mark.usefixtures("ledger_holds")


def record_signal(bot: Bot, **fields: Any) -> Outcome:
    signal = inputs.SignalIn.model_validate(SIGNAL | fields)
    return signal_record(bot_id=bot.bot_id, signal=signal.to_domain())


def record_balance(bot: Bot, **fields: Any) -> Outcome:
    balance = inputs.BalanceIn.model_validate(BALANCE | fields)
    return balance_record(bot_id=bot.bot_id, balance=balance.to_domain())


def record_events(bot: Bot, *events: dict[str, Any]) -> Outcome:
    base = {"event_type": "INFO", "event_level": "INFO", "message": "hello"}
    models = [inputs.EventIn.model_validate(base | event) for event in events]
    return events_record(bot_id=bot.bot_id, events=[model.to_domain() for model in models])


def send_batch(bot: Bot, *operations: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    read = [read_operation(inputs.OperationIn(op=op, data=data)) for op, data in operations]  # type: ignore[arg-type]
    context = bot_context(bot.bot_id)
    batch = Batch(read)
    results: list[dict[str, Any]] = run(lambda: batch.plan(context)).body["results"]
    return results


def test_signal_is_stored_once(bot: Bot) -> None:
    first, again = record_signal(bot), record_signal(bot, price="100.0")

    assert (first.status, again.status, again.replayed) == (201, 200, True)
    with pytest.raises(Conflict):
        record_signal(bot, signal_type="short")
    assert Signal.objects.get().signal_type == "long"


def test_balance_is_stored_once_and_only_the_newest_is_the_equity(bot: Bot) -> None:
    record_balance(bot)
    again = record_balance(bot)
    record_balance(bot, balance_id="b0", equity="1", timestamp=at(0))

    assert (again.status, again.replayed) == (200, True)
    assert AccountBalance.objects.count() == 2
    bot.refresh_from_db()
    assert bot.current_equity == Decimal(900)
    with pytest.raises(Conflict):
        # Another time under the same id is other content, although the table's own key would let it in.
        record_balance(bot, timestamp=at(2))


def test_balance_below_zero_is_stored_flagged_and_opens_a_case(bot: Bot) -> None:
    outcome = record_balance(bot, total_balance="-5", equity="-5")

    assert outcome.body["flags"] == ["negative_balance", "balance_mismatch"]
    assert ReconciliationCase.objects.get().kind == "negative_balance"


@pytest.mark.parametrize(("kind", "amount"), [("deposit", Decimal(50)), ("withdrawal", Decimal(-50))])
def test_deposits_and_withdrawals_become_cash_flows(bot: Bot, kind: str, amount: Decimal) -> None:
    for _ in range(2):
        record_balance(bot, snapshot_type=kind, amount="50")

    flow = CashFlow.objects.get()
    assert (flow.kind, flow.amount, flow.cash_flow_id) == (kind, amount, "b1")


def test_events_are_stored_together_and_once(bot: Bot) -> None:
    first = record_events(bot, {"event_id": "e1"}, {"event_id": "e2", "details": {"a": 1}})
    more = record_events(bot, {"event_id": "e1"}, {"event_id": "e3"})

    assert first.body == {"received": 2, "stored": 2, "replayed": 0}
    assert more.body == {"received": 2, "stored": 1, "replayed": 1}
    with pytest.raises(Conflict):
        record_events(bot, {"event_id": "e4"}, {"event_id": "e1", "message": "other"})
    assert set(SystemEvent.objects.values_list("event_id", flat=True)) == {"e1", "e2", "e3"}
    assert IngestKey.objects.count() == 3


def test_heartbeat_tells_permit_and_versions(bot: Bot) -> None:
    BotConfiguration.objects.create(bot=bot, config_key="risk_params", config_value={}, version=3)

    outcome = bot_record_heartbeat(bot_id=bot.bot_id, beat=Heartbeat(equity=Decimal("9.5"), error_count=2))

    assert outcome.body["permit"]["state"] == "ACTIVE"
    assert (outcome.body["halt"], outcome.body["config_versions"]) == (None, {"risk_params": 3})
    bot.refresh_from_db()
    assert (bot.current_equity, bot.error_count, bot.liveness(bot.last_heartbeat or bot.created_at)) == (
        Decimal("9.5"), 2, "up",
    )  # fmt: skip


def test_batch_applies_each_operation_on_its_own(bot: Bot) -> None:
    order = {"order_id": "o1", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "2"}
    fill = {"fill_id": "f1", "order_id": "o1", "price": "10", "quantity": "1", "executed_at": at(0)}

    results = send_batch(
        bot,
        ("order", order),
        ("fill", fill),
        ("fill", fill),
        ("fill", {**fill, "price": "11"}),
        ("fill", {**fill, "fill_id": "f2", "quantity": "-1"}),
        ("fill", {**fill, "fill_id": "f3", "order_id": "unknown"}),
        ("order_update", {"order_id": "o1", "status": "submitted"}),
    )

    assert [result["status"] for result in results] == [201, 201, 200, 409, 422, 202, 200]
    assert [result.get("code") for result in results][3:5] == ["conflict", "validation_error"]
    assert [result["id"] for result in results] == ["o1", "f1", "f1", "f1", "f2", "f3", "o1"]
    assert Order.objects.get().filled_quantity == Decimal(1)


def test_operation_that_the_database_refuses_fails_alone(bot: Bot) -> None:
    # A rule that only the database knows; it goes with the test's transaction.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE signals ADD CONSTRAINT no_doge CHECK (symbol <> 'DOGEUSDT')")
    place(bot, "o1", "buy", "2")
    fill = {"fill_id": "f1", "order_id": "o1", "price": "10", "quantity": "1", "executed_at": at(0)}

    results = send_batch(
        bot,
        ("fill", fill),
        ("signal", {**SIGNAL, "symbol": "DOGEUSDT"}),
        ("fill", {**fill, "fill_id": "f2"}),
    )

    assert [(result["status"], result.get("code")) for result in results] == [
        (201, None), (422, "not_stored"), (201, None),
    ]  # fmt: skip
    assert (Signal.objects.count(), Fill.objects.count()) == (0, 2)
    assert Order.objects.get().status == "filled"

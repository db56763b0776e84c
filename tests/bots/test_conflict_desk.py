"""Conflicts are decided once: ours, theirs, or both; whatever follows is facts, never an edit."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.models import SystemEvent, UserAction
from audit.services.actions import SYSTEM, Actor
from bots.models import (
    AccountBalance,
    Bot,
    Fill,
    IngestConflict,
    Order,
    Position,
    ReconciliationCase,
    Signal,
    Trade,
)
from bots.services.conflict_desk import conflict_decide
from bots.services.trades import NewTrade, trade_record
from tests.api.test_api_races import at_once
from tests.bots.ledger_tools import START, add_fill, place
from tests.bots.test_facts import record_balance, record_events, record_signal
from tests.factories import BotFactory, UserFactory
from tradingdb.lib.errors import Conflict, DomainError, NotFound, ValidationFailed

pytestmark = pytest.mark.usefixtures("ledger_holds")


def decide(decision: str, actor: Actor = SYSTEM) -> IngestConflict:
    conflict_decide(
        conflict_id=IngestConflict.objects.get().pk, decision=decision, resolution="looked it up", actor=actor
    )
    return IngestConflict.objects.get()


def fills_disagree(bot: Bot) -> None:
    place(bot, "o1", "buy", "3")
    add_fill(bot, "f1", "o1", "100", "1")
    with pytest.raises(Conflict):
        add_fill(bot, "f1", "o1", "101", "1", fee="0.1")


def test_ours_is_right_and_nothing_changes(bot: Bot) -> None:
    person = UserFactory(role="trader")
    fills_disagree(bot)

    row = decide("kept", Actor(person))

    assert (row.status, row.decision, row.resolution, row.resolved_by) == ("resolved", "kept", "looked it up", person)
    assert Fill.objects.get().price == 100
    action = UserAction.objects.get(action="conflict.resolve")
    assert (action.user, action.after["decision"], action.reason) == (person, "kept", "looked it up")


def test_the_received_fill_is_right_and_corrects_ours(bot: Bot) -> None:
    fills_disagree(bot)

    row = decide("corrected")

    fix = Fill.objects.get(fill_id=row.stored_as)
    assert (fix.price, fix.quantity, fix.fee, fix.source) == (101, 1, Decimal("0.1"), "correction")
    assert Position.objects.open().get().size == 1
    assert Order.objects.get(order_id=fix.order_id).order_metadata["conflict"] == str(row.pk)
    assert Order.objects.get(order_id="o1").filled_quantity == 1
    assert not ReconciliationCase.objects.exists()


def test_both_fills_are_real(bot: Bot) -> None:
    fills_disagree(bot)

    row = decide("both")

    assert {(fill.fill_id, fill.price) for fill in Fill.objects.all()} == {("f1", 100), (row.stored_as, 101)}
    assert Position.objects.open().get().size == 2
    assert Order.objects.get().filled_quantity == 2


def test_a_decision_stands(bot: Bot) -> None:
    fills_disagree(bot)
    decide("both")

    assert decide("both").decision == "both"
    with pytest.raises(Conflict):
        decide("corrected")
    assert (Fill.objects.count(), UserAction.objects.filter(action="conflict.resolve").count()) == (2, 1)


def test_an_execution_under_two_ids_is_one_fill_whichever_is_right(bot: Bot) -> None:
    other = BotFactory(account=bot.account, max_positions=100)
    place(other, "theirs", "buy", "1")
    place(bot, "mine", "buy", "1")
    add_fill(other, "f1", "theirs", "100", "1", exchange_trade_id="x1")
    with pytest.raises(Conflict) as refused:
        add_fill(bot, "f2", "mine", "100", "1", exchange_trade_id="x1")
    # What another bot calls its fill is nobody's business.
    assert "f1" not in f"{refused.value.message} {refused.value.__dict__}"
    assert "f1" not in str(IngestConflict.objects.get().stored_body)

    with pytest.raises(ValidationFailed):
        decide("both")
    row = decide("corrected")

    assert row.stored_as == "f2"
    assert [(p.bot_id, p.size) for p in Position.objects.open()] == [(bot.bot_id, 1)]
    assert Fill.objects.get(bot=bot).exchange_trade_id is None


def test_other_facts_are_stored_under_a_new_id(bot: Bot) -> None:
    trade: dict[str, Any] = {
        "trade_id": "t1", "symbol": "BTCUSDT", "side": "long", "quantity": 1, "entry_price": 100, "entry_time": START,
    }  # fmt: skip
    pairs: dict[str, Any] = {
        "order": lambda n: place(bot, "o1", "buy", str(n), intent="request"),
        "signal": lambda n: record_signal(bot, price=str(n)),
        "balance": lambda n: record_balance(bot, margin_used=str(n)),
        "event": lambda n: record_events(bot, {"event_id": "e1", "message": str(n)}),
        "trade": lambda n: trade_record(bot_id=bot.bot_id, trade=NewTrade(body=trade | {"n": n}, **trade)),
    }
    models = {"order": Order, "signal": Signal, "balance": AccountBalance, "event": SystemEvent, "trade": Trade}
    for kind, send in pairs.items():
        send(1)
        with pytest.raises(Conflict):
            send(2)
        row = IngestConflict.objects.get(kind=kind)
        conflict_decide(conflict_id=row.pk, decision="both", resolution="both came", actor=SYSTEM)
        row.refresh_from_db()
        names = set(models[kind]._default_manager.values_list(f"{kind}_id", flat=True))
        assert names == {row.natural_id, row.stored_as}, kind
    assert Order.objects.exclude(order_id="o1").get().intent == "report"


def test_another_kind_of_fact_that_is_wrong_opens_a_case(bot: Bot) -> None:
    record_balance(bot)
    with pytest.raises(Conflict):
        record_balance(bot, margin_used="5")

    row = decide("corrected")

    case = ReconciliationCase.objects.get()
    assert (case.kind, case.subject_id, case.status, row.stored_as) == ("content_conflict", "b1", "open", None)
    assert (case.expected["margin_used"], case.reported["margin_used"]) == ("5", "0")
    assert AccountBalance.objects.count() == 1


def test_a_decision_needs_words_a_word_of_the_list_and_a_conflict(bot: Bot) -> None:
    fills_disagree(bot)
    pk = IngestConflict.objects.get().pk

    wrong: list[tuple[dict[str, Any], type[DomainError]]] = [
        ({"resolution": " "}, ValidationFailed),
        ({"decision": "perhaps"}, ValidationFailed),
        ({"conflict_id": 0}, NotFound),
    ]
    for changes, error in wrong:
        told: dict[str, Any] = {"conflict_id": pk, "decision": "kept", "resolution": "x", **changes}
        with pytest.raises(error):
            conflict_decide(**told, actor=SYSTEM)
    assert IngestConflict.objects.get().status == "open"
    with pytest.raises(IntegrityError, match="ingest_conflicts_open_is_undecided"), transaction.atomic():
        IngestConflict.objects.update(decision="kept")


def test_a_correction_of_what_is_still_parked_waits_for_its_order(bot: Bot) -> None:
    add_fill(bot, "f1", "o1", "100", "1")
    with pytest.raises(Conflict):
        add_fill(bot, "f1", "o1", "101", "1")

    with pytest.raises(NotFound):
        decide("corrected")

    assert IngestConflict.objects.get().status == "open"


@pytest.mark.django_db(transaction=True)
def test_eight_people_decide_at_once_and_one_decision_counts() -> None:
    bot = BotFactory(max_positions=100)
    fills_disagree(bot)
    pk = IngestConflict.objects.get().pk

    def act(number: int) -> str:
        if number > 5:
            with pytest.raises(Conflict):
                add_fill(bot, "f1", "o1", "101", "1", fee="0.1")
            return "bot"
        decision = ("corrected", "both", "kept")[number % 3]
        try:
            conflict_decide(conflict_id=pk, decision=decision, resolution="x", actor=SYSTEM)
        except DomainError as e:
            return e.code
        return decision

    answers = at_once(act)

    row = IngestConflict.objects.get()
    assert {answer for answer in answers if answer not in ("bot", "conflict")} == {row.decision}
    assert Fill.objects.count() == {"corrected": 3, "both": 2, "kept": 1}[str(row.decision)]
    assert UserAction.objects.filter(action="conflict.resolve").count() == 1

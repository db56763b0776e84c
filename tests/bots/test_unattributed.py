"""The inbox: fills whose bot is not known are kept once, and become fills of a bot exactly once."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from audit.models import UserAction
from audit.services.actions import SYSTEM, Actor
from bots.models import Bot, Fill, Order, Position, ReconciliationCase, UnattributedFill
from bots.services.plan import Outcome
from bots.services.unattributed import (
    AccountFill,
    AlreadySettled,
    account_record_fill,
    unattributed_assign,
    unattributed_dismiss,
    unattributed_reopen,
    unattributed_settle,
)
from tests.api.test_api_races import at_once
from tests.bots.ledger_tools import START, add_fill, place
from tests.factories import BotFactory, ExchangeAccountFactory, UserFactory
from tradingdb.lib.errors import Conflict, DomainError, NotFound, ValidationFailed

pytestmark = pytest.mark.usefixtures("ledger_holds")


def receive(bot: Bot, execution: str = "x1", **changes: Any) -> Outcome:
    """Put an execution into the inbox of a bot's account."""
    told: dict[str, Any] = {
        "exchange_trade_id": execution, "symbol": "BTCUSDT", "side": "buy", "price": Decimal(100),
        "quantity": Decimal(2), "executed_at": START, "fee": Decimal("0.1"), "fee_currency": "USDT", **changes,
    }  # fmt: skip
    return account_record_fill(account_id=bot.account.account_id, fill=AccountFill(body=told, source="stream", **told))


def waiting() -> UnattributedFill:
    return UnattributedFill.objects.get()


def case() -> ReconciliationCase:
    return ReconciliationCase.objects.get(kind="unattributed")


def test_an_execution_is_kept_once_and_opens_a_case_of_the_account(bot: Bot) -> None:
    first, again = receive(bot), receive(bot, price=Decimal("100.00"))

    assert (first.status, again.status, again.replayed) == (201, 200, True)
    assert (waiting().status, waiting().source, waiting().other_bodies) == ("open", "stream", [])
    assert (case().account, case().bot, case().symbol) == (bot.account, bot, "BTCUSDT")
    assert (Fill.objects.count(), Position.objects.count()) == (0, 0)


def test_other_content_of_the_same_execution_is_kept_beside_the_first(bot: Bot) -> None:
    receive(bot)
    for _ in range(2):
        receive(bot, price=Decimal(101))

    row = waiting()
    assert (row.price, [body["price"] for body in row.other_bodies]) == (100, ["101"])
    found = ReconciliationCase.objects.get(kind="content_conflict")
    assert (found.expected["price"], found.reported["price"], found.subject_id) == ("100", "101", "x1")


def test_what_is_a_fill_already_is_not_put_into_the_inbox(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    add_fill(bot, "f1", "o1", "100", "2", exchange_trade_id="x1")

    assert receive(bot).body == {"state": "known", "bot_id": bot.bot_id, "fill_id": "f1"}
    assert not ReconciliationCase.objects.exists()
    receive(bot, quantity=Decimal(3))
    assert ReconciliationCase.objects.get().kind == "content_conflict"
    assert not UnattributedFill.objects.exists()


def test_an_unknown_account_is_named(bot: Bot) -> None:
    told = {"exchange_trade_id": "x", "symbol": "BTCUSDT", "side": "buy", "price": 1, "quantity": 1}
    with pytest.raises(NotFound):
        account_record_fill(account_id="nobody", fill=AccountFill(body=told, executed_at=START, **told))  # type: ignore[arg-type]


def test_assigning_makes_a_fill_and_the_order_it_must_have_had(bot: Bot) -> None:
    person = UserFactory(role="trader")
    receive(bot, exchange_order_id="ex-9")

    outcome = unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, reason="its client id", actor=Actor(person))

    row, fill, order = waiting(), Fill.objects.get(), Order.objects.get()
    assert outcome.status == 201
    assert (row.status, row.bot, row.fill_id, row.resolved_by) == ("assigned", bot, fill.fill_id, person)
    assert (row.reason, row.note) == ("its client id", "")
    assert (fill.price, fill.quantity, fill.fee, fill.exchange_trade_id, fill.source) == (
        100, 2, Decimal("0.1"), "x1", "inbox",
    )  # fmt: skip
    assert (order.status, order.intent, order.exchange_order_id, order.source) == ("filled", "report", "ex-9", "inbox")
    assert Position.objects.get().size == 2
    action = UserAction.objects.get(action="unattributed_fill.assign")
    assert (action.user, action.reason, action.after["fill_id"]) == (person, "its client id", fill.fill_id)
    # Nothing closes a case but a person.
    assert (case().status, case().gone_since is not None) == ("open", True)


@pytest.mark.parametrize("told", [{"exchange_order_id": "ex-9"}, {"client_order_id": "cl-9"}])
def test_assigning_finds_the_order_that_the_exchange_names(bot: Bot, told: dict[str, str]) -> None:
    place(bot, "other", "buy", "5")
    place(bot, "o1", "buy", "5", **told)
    receive(bot, **told)

    unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, reason="seen", actor=SYSTEM)

    assert Fill.objects.get().order_id == "o1"
    assert Order.objects.count() == 2


def test_assigning_takes_the_order_that_a_person_names(bot: Bot) -> None:
    place(bot, "o1", "buy", "5")
    place(bot, "sells", "sell", "5")
    receive(bot)

    for wrong in ("sells", "nothing"):
        with pytest.raises(ValidationFailed):
            unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, order_id=wrong, reason="x", actor=SYSTEM)
    unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, order_id="o1", reason="x", actor=SYSTEM)

    assert (Fill.objects.get().order_id, Order.objects.count()) == ("o1", 2)


def test_two_fills_of_one_unknown_order_overfill_nothing(bot: Bot) -> None:
    receive(bot, "x1", exchange_order_id="ex-9")
    receive(bot, "x2", exchange_order_id="ex-9")

    for row in UnattributedFill.objects.all():
        unattributed_assign(row_id=row.pk, bot_id=bot.bot_id, reason="x", actor=SYSTEM)

    assert Counter(Order.objects.values_list("status", flat=True)) == {"filled": 2}
    assert not ReconciliationCase.objects.filter(kind="overfill").exists()


def test_a_bot_of_another_account_gets_nothing(bot: Bot) -> None:
    receive(bot)

    with pytest.raises(ValidationFailed):
        unattributed_assign(row_id=waiting().pk, bot_id=BotFactory().bot_id, reason="x", actor=SYSTEM)
    with pytest.raises(ValidationFailed):
        unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, reason="  ", actor=SYSTEM)
    with pytest.raises(NotFound):
        unattributed_assign(row_id=0, bot_id=bot.bot_id, reason="x", actor=SYSTEM)
    assert (waiting().status, Fill.objects.count()) == ("open", 0)


def test_the_report_of_its_bot_settles_the_row_by_itself(bot: Bot) -> None:
    receive(bot)
    place(bot, "o1", "buy", "2")

    add_fill(bot, "f1", "o1", "100", "2", exchange_trade_id="x1")

    row = waiting()
    assert (row.status, row.bot, row.fill_id, row.resolved_by) == ("assigned", bot, "f1", None)
    assert row.note == f"Reported by bot {bot.bot_id} as fill f1."
    assert (case().status, case().gone_since is not None) == ("open", True)
    with pytest.raises(AlreadySettled):
        unattributed_assign(row_id=row.pk, bot_id=bot.bot_id, reason="x", actor=SYSTEM)
    assert not ReconciliationCase.objects.filter(kind="content_conflict").exists()


def test_a_report_with_other_figures_settles_the_row_and_opens_a_case(bot: Bot) -> None:
    receive(bot)
    place(bot, "o1", "buy", "2")

    add_fill(bot, "f1", "o1", "100.5", "2", exchange_trade_id="x1")

    found = ReconciliationCase.objects.get(kind="content_conflict")
    assert (found.bot, found.subject_id) == (bot, "f1")
    assert (found.expected["price"], found.reported["price"]) == ("100.5", "100")


def test_the_case_stays_as_long_as_one_fill_waits(bot: Bot) -> None:
    receive(bot, "x1")
    receive(bot, "x2")
    unattributed_dismiss(row_id=UnattributedFill.objects.get(exchange_trade_id="x1").pk, reason="x", actor=SYSTEM)
    assert case().gone_since is None

    unattributed_dismiss(row_id=UnattributedFill.objects.get(exchange_trade_id="x2").pk, reason="x", actor=SYSTEM)
    assert case().gone_since is not None
    receive(bot, "x3")
    assert (ReconciliationCase.objects.count(), case().gone_since) == (1, None)


def test_dismissing_needs_a_reason_and_can_be_taken_back(bot: Bot) -> None:
    receive(bot)
    with pytest.raises(ValidationFailed):
        unattributed_dismiss(row_id=waiting().pk, reason=" ", actor=SYSTEM)
    unattributed_dismiss(row_id=waiting().pk, reason="a test of the exchange", actor=SYSTEM)

    assert (waiting().status, waiting().reason) == ("dismissed", "a test of the exchange")
    with pytest.raises(AlreadySettled):
        unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, reason="x", actor=SYSTEM)
    unattributed_reopen(row_id=waiting().pk, reason="it was none", actor=SYSTEM)
    assert (waiting().status, waiting().reason, case().gone_since) == ("open", "", None)
    with pytest.raises(Conflict):
        unattributed_reopen(row_id=waiting().pk, reason="again", actor=SYSTEM)
    assert [a.action for a in UserAction.objects.order_by("id")] == [
        "unattributed_fill.dismiss", "unattributed_fill.reopen",
    ]  # fmt: skip


def test_what_was_dismissed_and_then_reported_is_a_fill_after_all(bot: Bot) -> None:
    receive(bot)
    unattributed_dismiss(row_id=waiting().pk, reason="not ours", actor=SYSTEM)
    place(bot, "o1", "buy", "2")

    add_fill(bot, "f1", "o1", "100", "2", exchange_trade_id="x1")

    assert (waiting().status, waiting().reason) == ("assigned", "not ours")
    assert waiting().note.startswith("It had been dismissed. Reported by")


def test_a_row_and_a_fill_stored_at_the_same_moment_are_brought_together_later(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    add_fill(bot, "f1", "o1", "100", "2", exchange_trade_id="x1")
    # As it is when neither transaction sees the other.
    told = {"exchange_trade_id": "x1", "symbol": "BTCUSDT", "side": "buy", "price": 100, "quantity": 2}
    UnattributedFill.objects.create(account=bot.account, executed_at=START, body={}, content_hash=b"x", **told)

    assert (unattributed_settle(), unattributed_settle()) == (1, 0)
    assert (waiting().status, waiting().fill_id) == ("assigned", "f1")


def test_assigning_what_just_became_a_fill_settles_the_row(bot: Bot) -> None:
    place(bot, "o1", "buy", "2")
    add_fill(bot, "f1", "o1", "100", "2", exchange_trade_id="x1")
    told = {"exchange_trade_id": "x1", "symbol": "BTCUSDT", "side": "buy", "price": 100, "quantity": 2}
    UnattributedFill.objects.create(account=bot.account, executed_at=START, body={}, content_hash=b"x", **told)

    with pytest.raises(AlreadySettled):
        unattributed_assign(row_id=waiting().pk, bot_id=bot.bot_id, reason="x", actor=SYSTEM)

    assert (waiting().status, waiting().fill_id, Fill.objects.count()) == ("assigned", "f1", 1)


@pytest.mark.django_db(transaction=True)
def test_two_people_and_the_bot_at_once_make_one_fill() -> None:
    account = ExchangeAccountFactory()
    one, other = (BotFactory(account=account, max_positions=100) for _ in range(2))
    place(one, "o1", "buy", "2")
    for number in range(5):
        receive(one, f"x{number}")
        row = UnattributedFill.objects.get(exchange_trade_id=f"x{number}")

        def act(who: int, number: int = number, row_id: int = row.pk) -> str:
            try:
                if who < 2:
                    bot = (one, other)[who]
                    unattributed_assign(row_id=row_id, bot_id=bot.bot_id, reason="mine", actor=SYSTEM)
                elif who == 2:
                    unattributed_dismiss(row_id=row_id, reason="nobody's", actor=SYSTEM)
                else:
                    add_fill(one, f"f{number}", "o1", "100", "2", exchange_trade_id=f"x{number}")
            except DomainError as e:
                return e.code
            return "done"

        answers = at_once(act, times=4)

        row.refresh_from_db()
        fill = Fill.objects.get(exchange_trade_id=f"x{number}")
        assert (row.status, row.bot_id, row.fill_id) == ("assigned", fill.bot_id, fill.fill_id), answers
        assert set(answers) <= {"done", "already_settled", "duplicate_execution"}
    assert Fill.objects.count() == 5
    assert sum(Position.objects.values_list("size", flat=True)) == 10


@pytest.mark.django_db(transaction=True)
def test_one_execution_from_eight_streams_at_once_is_one_row() -> None:
    bot = BotFactory()

    outcomes = at_once(lambda _: receive(bot))

    assert Counter(outcome.status for outcome in outcomes) == {201: 1, 200: 7}
    assert (UnattributedFill.objects.count(), ReconciliationCase.objects.count()) == (1, 1)

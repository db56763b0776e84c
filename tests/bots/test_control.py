"""The one door for control states: what it refuses, what it keeps, what a bot hears and says of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.choices import ControlLevel
from bots.ledger.facts import Heartbeat
from bots.models import Bot, ControlChange, ControlReceipt, ControlState, Order, ReconciliationCase
from bots.selectors.control import accepted_since, progress_of
from bots.services.context import bot_context, run_for
from bots.services.control import control_set, restrict
from bots.services.heartbeats import bot_record_heartbeat
from bots.services.permits import get_permit
from bots.services.plan import Outcome, drive
from tests.bots.ledger_tools import place
from tests.factories import BotFactory
from tradingdb.lib.errors import PermissionDenied

pytestmark = pytest.mark.usefixtures("ledger_holds")


def halt(state: str = "HALTED", *, scope: str = "all", target: str = "", reason: str = "enough") -> ControlState:
    return control_set(scope=scope, target=target, state=state, reason=reason, actor=SYSTEM, on_release=lambda: None)


def beat(bot: Bot, **said: Any) -> dict[str, Any]:
    return bot_record_heartbeat(bot_id=bot.bot_id, beat=Heartbeat(**said)).body


def test_a_halt_by_hand_is_as_exact_and_stands_in_the_history(bot: Bot) -> None:
    control_set(scope="all", target="", state="REDUCING", reason="careful", actor=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE control_states SET state = 'HALTED', reason = 'by hand'")
        cursor.execute("DELETE FROM control_states")

    rows = list(ControlChange.objects.order_by("id").values_list("state", "previous_state", "version", "reason"))
    assert rows == [
        ("REDUCING", "ACTIVE", 1, "careful"),
        ("HALTED", "REDUCING", 2, "by hand"),
        ("ACTIVE", "HALTED", 3, "The row was deleted."),
    ]
    names = list(ControlChange.objects.order_by("id").values_list("changed_by_name", flat=True))
    assert all(name.startswith("SQL: ") for name in names[1:])


@pytest.mark.parametrize("statement", ["UPDATE control_changes SET state = 'ACTIVE'", "DELETE FROM control_changes"])
def test_the_history_is_never_rewritten(bot: Bot, statement: str) -> None:
    halt()

    with pytest.raises(DatabaseError, match="never rewritten"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(("before", "after"), [("HALTED", "ACTIVE"), ("HALTED", "REDUCING"), ("REDUCING", "ACTIVE")])
def test_who_does_not_say_who_may_release_releases_nothing(bot: Bot, before: str, after: str) -> None:
    control_set(scope="all", target="", state=before, reason="x", actor=SYSTEM)

    with pytest.raises(PermissionDenied):
        control_set(scope="all", target="", state=after, reason="x", actor=SYSTEM)

    assert ControlState.objects.get().state == before


def test_the_counter_hands_out_numbers_one_after_the_other(bot: Bot) -> None:
    """A session that kept a stock of numbers would give an order a smaller one than a halt before it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seqcache FROM pg_sequence WHERE seqrelid = 'trading.orders_id_seq'::regclass")
        assert cursor.fetchone() == (1,)


# --- what bots hear and say


def test_a_bot_is_told_once_and_what_it_says_is_noted(bot: Bot) -> None:
    row = halt()
    change = ControlChange.objects.get()
    assert [(one.bot_id, one.stage) for one in progress_of(change)] == [(bot.bot_id, "requested")]

    told = beat(bot)
    beat(bot)
    (received,) = progress_of(change)
    beat(bot, acknowledged_halt=told["halt"]["id"])
    (obeyed,) = progress_of(change)

    assert told["halt"] == {"id": row.server_seq, "scope": "all", "reason": "enough", "since": told["halt"]["since"]}
    assert (received.stage, received.told_by, obeyed.stage) == ("received", "heartbeat", "done")
    assert obeyed.received_at == received.received_at <= obeyed.done_at
    assert obeyed.has_open_orders is False


def test_a_number_that_was_never_told_acknowledges_nothing(bot: Bot) -> None:
    halt()
    beat(bot)

    for number in (0, 10**12):
        beat(bot, acknowledged_halt=number)

    assert not ControlReceipt.objects.exclude(done_at=None).exists()


def test_one_word_stands_for_all_that_was_told_before(bot: Bot) -> None:
    first, second = halt(), halt("REDUCING", scope="bot", target=bot.bot_id)
    other = BotFactory()
    halt(scope="bot", target=other.bot_id)
    answer = beat(bot)

    assert [(one["id"], one["state"]) for one in answer["halts"]] == [
        (first.server_seq, "HALTED"), (second.server_seq, "REDUCING"),
    ]  # fmt: skip
    beat(bot, acknowledged_halt=second.server_seq)

    done = ControlReceipt.objects.exclude(done_at=None).values_list("bot_id", "change_id")
    assert set(done) == {(bot.bot_id, first.server_seq), (bot.bot_id, second.server_seq)}


def test_a_halted_symbol_is_told_and_takes_no_permit(bot: Bot) -> None:
    row = halt(scope="symbol", target="BTCUSDT")

    answer = beat(bot)

    assert (answer["permit"]["state"], answer["halt"]) == ("ACTIVE", None)
    assert [(one["id"], one["scope"], one["target"]) for one in answer["halts"]] == [
        (row.server_seq, "symbol", "BTCUSDT")
    ]


def test_who_asks_for_a_permit_was_told(bot: Bot) -> None:
    halt()

    outcome = run_for(bot.bot_id, lambda context: _permit(context))

    assert outcome.body["state"] == "HALTED"
    assert ControlReceipt.objects.get().told_by == "permit"


def _permit(context: Any) -> Any:
    return Outcome(200, (yield from get_permit(context)))


# --- from within a plan


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        (None, "REDUCING", "REDUCING"), (None, "HALTED", "HALTED"), ("ACTIVE", "HALTED", "HALTED"),
        ("REDUCING", "HALTED", "HALTED"), ("HALTED", "REDUCING", "HALTED"), ("REDUCING", "REDUCING", "REDUCING"),
    ],
)  # fmt: skip
def test_a_plan_makes_its_bot_stricter_only(bot: Bot, before: str | None, wanted: str, after: str) -> None:
    mine = {"scope": "bot", "target": bot.bot_id}
    if before is not None:
        halt(before, **mine)

    def plan() -> Any:
        asked = restrict(**mine, state=ControlLevel(wanted), reason="limit", by="limits", now=timezone.now())
        (rows,) = yield [asked]
        return Outcome(200, {"changed": len(rows)})

    changed = run_for(bot.bot_id, lambda context: plan()).body["changed"]

    row, change = ControlState.objects.get(), ControlChange.objects.first()
    assert change is not None
    assert (row.state, bool(changed), change.pk) == (after, before != after, row.server_seq)
    assert (change.changed_by_name == "limits") is bool(changed)


# --- orders made under a halt


def test_an_order_made_under_a_halt_is_raised_also_when_it_is_told_after_the_release(bot: Bot) -> None:
    halt(reason="flash crash")
    during = timezone.now()
    halt("ACTIVE")

    place(bot, "during", "buy", "1", created_at=during.isoformat())
    place(bot, "after", "buy", "1")
    place(bot, "before", "buy", "1", created_at=(during - timedelta(hours=1)).isoformat())

    event, case = RiskEvent.objects.get(), ReconciliationCase.objects.get()
    assert (event.order_id, event.risk_type, event.details["severity"]) == ("during", "halt_not_obeyed", "critical")
    assert [halt["reason"] for halt in event.details["halts"]] == ["flash crash"]
    assert (case.kind, case.subject_id, case.status) == ("halt_not_obeyed", "during", "open")
    assert Order.objects.count() == 3
    assert accepted_since(ControlChange.objects.get(state="HALTED")) == 0


def test_the_first_of_two_halts_counts(bot: Bot) -> None:
    halt()
    between = timezone.now()
    halt(scope="bot", target=bot.bot_id)

    place(bot, "between", "buy", "1", created_at=between.isoformat())

    assert [one["scope"] for one in RiskEvent.objects.get().details["halts"]] == ["all"]


def test_a_disobedience_is_told_live(bot: Bot) -> None:
    halt()

    outcome = place(bot, "o1", "buy", "1")

    (update,) = [update for update in outcome.updates if update["kind"] == "risk"]
    assert (update["bot_id"], update["symbol"], update["data"]["severity"]) == (bot.bot_id, "BTCUSDT", "critical")


@pytest.mark.parametrize("status", ["stopped", "archived"])
def test_a_stopped_bot_disobeys_too_but_not_with_what_it_made_before(bot: Bot, status: str) -> None:
    before = timezone.now()
    bot.status = status
    bot.save()

    place(bot, "before", "buy", "1", status="cancelled", created_at=before.isoformat())
    place(bot, "after", "buy", "1", status="cancelled")

    assert list(RiskEvent.objects.values_list("order_id", flat=True)) == ["after"]


def test_the_permit_of_a_plan_is_read_without_a_write_when_nothing_is_restricted(bot: Bot) -> None:
    assert drive(get_permit(bot_context(bot.bot_id)))["state"] == "ACTIVE"
    assert not ControlReceipt.objects.exists()

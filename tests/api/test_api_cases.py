"""What people look through and settle."""

from datetime import timedelta

import pytest

from audit.models import RiskEvent, UserAction
from bots.errors import DuplicateExecution
from bots.models import Bot, IngestConflict, ParkedFact, ReconciliationCase
from tests.api.conftest import Caller
from tests.bots.ledger_tools import add_fill, place
from tests.factories import NOON, BotFactory
from tradingdb.lib.errors import Conflict


@pytest.fixture
def case(bot: Bot) -> ReconciliationCase:
    return ReconciliationCase.objects.create(
        kind="position_mismatch",
        bot=bot,
        symbol="BTCUSDT",
        expected={"size": "1"},
        reported={"size": "2"},
        opened_at=NOON,
    )


def test_cases_show_what_the_contract_names(viewer: Caller, case: ReconciliationCase):
    (row,) = viewer.get("/reconciliation/cases").json()["items"]

    assert (row["kind"], row["status"], row["opened_at"]) == ("position_mismatch", "open", "2026-11-19T12:00:00Z")
    assert (row["bot_id"], row["symbol"], row["expected"]) == (case.bot_id, "BTCUSDT", {"size": "1"})
    assert viewer.get("/reconciliation/cases", kind="overfill").json()["items"] == []
    assert len(viewer.get("/reconciliation/cases", status="open", bot_id=case.bot_id).json()["items"]) == 1


def test_a_case_says_whose_account_it_is_of_and_who_looks_into_it(trader: Caller, case: ReconciliationCase):
    account = case.bot.account
    ReconciliationCase.objects.update(account=account)

    answer = trader.patch(f"/reconciliation/cases/{case.pk}", {"status": "investigating"}).json()

    (row,) = trader.get("/reconciliation/cases").json()["items"]
    assert row == answer
    assert (row["account_id"], row["owner"]) == (account.account_id, ReconciliationCase.objects.get().owner.email)


def test_a_case_is_closed_with_a_resolution_and_a_name(trader: Caller, case: ReconciliationCase):
    path = f"/reconciliation/cases/{case.pk}"

    refused = trader.patch(path, {"status": "resolved"})
    looked = trader.patch(path, {"status": "investigating", "cause": "late fill"})
    closed = trader.patch(path, {"status": "resolved", "resolution": "fill arrived"})

    assert (refused.status_code, looked.json()["status"]) == (422, "investigating")
    assert (closed.json()["status"], closed.json()["resolution"]) == ("resolved", "fill arrived")
    case.refresh_from_db()
    assert case.resolved_by.role == "trader"
    assert case.resolved_at is not None
    last = UserAction.objects.filter(action="case.update").order_by("-id").first()
    assert (last.before, last.after) == (
        {"status": "investigating", "resolution": ""},
        {"status": "resolved", "resolution": "fill arrived"},
    )


def test_a_closed_case_opens_again_unless_a_newer_one_is_open(trader: Caller, case: ReconciliationCase):
    path = f"/reconciliation/cases/{case.pk}"
    trader.patch(path, {"status": "resolved", "resolution": "done"})

    assert trader.patch(path, {"status": "open"}).json()["resolved_at"] is None
    trader.patch(path, {"status": "resolved"})
    ReconciliationCase.objects.create(kind=case.kind, bot=case.bot, symbol=case.symbol)
    assert trader.patch(path, {"status": "open"}).status_code == 409
    case.refresh_from_db()
    assert case.status == "resolved"


@pytest.mark.parametrize("number", ["0", "99999999", "9" * 19, "9" * 40, "-1", "abc", "1.5"])
def test_cases_that_are_not_there(trader: Caller, number: str):
    assert trader.patch(f"/reconciliation/cases/{number}", {"cause": "x"}).status_code in (404, 422)


def test_a_risk_event_is_closed_once(trader: Caller, viewer: Caller, bot: Bot):
    event = RiskEvent.objects.create(
        bot_id=bot.bot_id, symbol="BTCUSDT", risk_type="position_limit", current_value=4, limit_value=3,
        action_taken="new_trades_blocked",
    )  # fmt: skip
    path = f"/risk/events/{event.pk}/resolve"

    (row,) = viewer.get("/risk/events", resolved="false").json()["items"]
    first = trader.post(path, {"notes": "raised the limit"})
    again = trader.post(path, {"notes": "other words"})

    assert (row["risk_type"], row["current_value"], row["limit_value"]) == ("position_limit", "4", "3")
    assert (row["action_taken"], row["resolved"]) == ("new_trades_blocked", False)
    assert (first.json()["resolved"], first.json()["resolution_notes"]) == (True, "raised the limit")
    assert again.json() == first.json()
    assert again["Idempotent-Replay"] == "true"
    assert viewer.get("/risk/events", resolved="false").json()["items"] == []
    assert trader.post("/risk/events/0/resolve", {"notes": "x"}).status_code == 404
    assert trader.post(path, {}).status_code == 422
    assert viewer.get("/risk/events", resolved="maybe").status_code == 422


@pytest.mark.unsound_ledger("a parked fact is called applied by hand")
def test_conflicts_and_parked_facts_are_listed(viewer: Caller, bot: Bot):
    IngestConflict.objects.create(
        bot=bot,
        kind="fill",
        natural_id="f1",
        stored_body={"price": "1"},
        received_body={"price": "2"},
        received_hash=b"x",
    )
    for number, state in enumerate(("parked", "applied")):
        ParkedFact.objects.create(
            bot=bot, kind="fill", fact_id=f"f{number}", order_id="o1", body={"a": 1}, content_hash=b"x", state=state,
            applied_at=NOON if state == "applied" else None, received_at=NOON + timedelta(seconds=number),
        )  # fmt: skip

    (conflict,) = viewer.get("/conflicts").json()["items"]
    parked = viewer.get("/parked").json()["items"]

    assert (conflict["stored_body"], conflict["received_body"], conflict["status"]) == (
        {"price": "1"},
        {"price": "2"},
        "open",
    )
    assert "received_hash" not in conflict
    assert [row["fact_id"] for row in parked] == ["f1", "f0"]
    assert [row["fact_id"] for row in viewer.get("/parked", status="parked").json()["items"]] == ["f0"]


def test_actions_of_people_are_listed_and_filtered(trader: Caller, viewer: Caller):
    trader.post("/control", {"scope": "all", "state": "HALTED", "reason": "test"})

    (row,) = viewer.get("/audit/actions", action="control.halted").json()["items"]

    assert (row["resource_type"], row["resource_id"], row["reason"]) == ("control", "all:", "test")
    assert row["after"]["state"] == "HALTED"
    assert viewer.get("/audit/actions", user_email=row["user_email"], resource_type="control").json()["items"] == [row]
    assert viewer.get("/audit/actions", action="nothing").json() == {"items": [], "next": None}


def test_staff_see_the_fill_of_another_bot_that_an_execution_is_stored_as(viewer: Caller, bot: Bot):
    twin = BotFactory(account=bot.account)
    stranger = BotFactory()
    for owner, name in ((bot, "mine"), (stranger, "foreign")):
        place(owner, "o1", "buy", "1")
        add_fill(owner, name, "o1", "100", "1", exchange_trade_id="x1")
    place(twin, "o1", "buy", "1")
    with pytest.raises(DuplicateExecution):
        add_fill(twin, "theirs", "o1", "101", "1", exchange_trade_id="x1")
    add_fill(twin, "own", "o1", "7", "1")
    with pytest.raises(Conflict):
        add_fill(twin, "own", "o1", "8", "1")

    newest, oldest = viewer.get("/conflicts").json()["items"]

    assert IngestConflict.objects.get(natural_id="theirs").stored_body == {
        "symbol": "BTCUSDT", "exchange_trade_id": "x1",
    }  # fmt: skip
    assert (oldest["stored_body"]["bot_id"], oldest["stored_body"]["fill_id"]) == (bot.bot_id, "mine")
    assert (oldest["stored_body"]["price"], oldest["received_body"]["price"]) == ("100", "101")
    assert newest["stored_body"]["price"] == "7"
    assert (newest["decision"], newest["stored_as"]) == (None, None)

"""The desk: control states, cases, conflicts, risk events, each changed by a button that asks."""

import pytest
from django.utils import timezone

from audit.models import RiskEvent, UserAction
from bots.errors import DuplicateExecution
from bots.models import AccountBalance, Bot, ControlState, Fill, IngestConflict, ReconciliationCase, UnattributedFill
from bots.selectors.inbox import likely_bot
from tests.bots.ledger_tools import add_fill, place
from tests.factories import NOON, BotFactory, OrderFactory, UnattributedFillFactory
from tradingdb.lib.errors import Conflict

HALT = {"scope": "bot", "target": "bot_1", "state": "HALTED", "reason": "odd fills"}


def last_action():
    return UserAction.objects.exclude(action__startswith="login").order_by("-id").first()


def symbol_state():
    return ControlState.objects.get(scope="symbol", target="BTCUSDT")


def test_trader_halts_a_bot_with_a_reason(trader, house):
    answer = trader.send("bots_controlstate_restrict", **HALT)

    row = ControlState.objects.get(scope="bot", target="bot_1")
    assert answer.status_code == 302
    assert (row.state, row.reason, row.changed_by) == ("HALTED", "odd fills", trader.user)
    assert last_action().action == "control.halted"


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"target": "nobody"}, {"scope": "all"}, {"state": "ACTIVE"}])
def test_a_halt_that_makes_no_sense_changes_nothing(trader, house, wrong):
    answer = trader.send("bots_controlstate_restrict", **HALT | wrong)

    assert answer.status_code in (200, 409)
    assert 'role="alert"' in answer.content.decode()
    assert ControlState.objects.count() == 1


def test_viewer_halts_nothing(viewer, house):
    assert viewer.send("bots_controlstate_restrict", **HALT).status_code == 403
    assert ControlState.objects.count() == 1


def test_admin_releases_with_a_reason(admin, house):
    answer = admin.send("bots_controlstate_release", symbol_state().pk, reason="explained")

    assert answer.status_code == 302
    assert symbol_state().state == "ACTIVE"
    assert last_action().action == "control.release"


def test_trader_releases_nothing(trader, house):
    answer = trader.send("bots_controlstate_release", symbol_state().pk, reason="explained")

    assert answer.status_code == 403
    assert symbol_state().state == "HALTED"


def test_case_shows_both_sides_and_what_differs(viewer, house):
    case = ReconciliationCase.objects.get()
    page = viewer.open("bots_reconciliationcase_change", case.pk).content.decode()

    assert "<th>The fills say</th><th>Told</th>" in page
    assert '<tr class="differs"><th scope="row">size</th>' in page


def test_trader_takes_a_case_and_closes_it_with_words(trader, house):
    case = ReconciliationCase.objects.get()
    trader.send("bots_reconciliationcase_investigate", case.pk)
    case.refresh_from_db()
    assert (case.status, case.owner) == ("investigating", trader.user)

    empty = trader.send("bots_reconciliationcase_close", case.pk, cause="restart", resolution="")
    case.refresh_from_db()
    assert (empty.status_code, case.status) == (200, "investigating")

    trader.send("bots_reconciliationcase_close", case.pk, cause="restart", resolution="position adopted")

    case.refresh_from_db()
    assert (case.status, case.resolved_by, case.cause) == ("resolved", trader.user, "restart")
    assert last_action().reason == "position adopted"


def test_a_closed_case_can_be_opened_again(trader, house):
    case = ReconciliationCase.objects.get()
    trader.send("bots_reconciliationcase_close", case.pk, cause="a", resolution="b")

    trader.send("bots_reconciliationcase_reopen", case.pk)

    case.refresh_from_db()
    assert (case.status, case.resolved_at) == ("open", None)


def test_conflict_shows_both_bodies_and_marks_what_differs(viewer, house):
    page = viewer.open("bots_ingestconflict_change", IngestConflict.objects.get().pk).content.decode()

    assert (
        '<tr class="differs"><th scope="row">price</th><td class="mark">≠</td><td>100</td><td>101</td><td>+1</td></tr>'
        in page
    )
    assert '<tr class=""><th scope="row">side</th><td class="mark"></td><td>buy</td><td>buy</td><td></td></tr>' in page


def test_trader_judges_a_conflict_once(trader, house):
    conflict = IngestConflict.objects.get()
    trader.send("bots_ingestconflict_resolve", conflict.pk, resolution="the ledger is right")
    trader.send("bots_ingestconflict_resolve", conflict.pk, resolution="no, the other")

    conflict.refresh_from_db()
    assert (conflict.status, conflict.resolution, conflict.resolved_by) == (
        "resolved", "the ledger is right", trader.user,
    )  # fmt: skip
    assert UserAction.objects.filter(action="conflict.resolve").count() == 1


@pytest.mark.parametrize(("button", "decision"), [("correct", "corrected"), ("keep_both", "both")])
def test_admin_lets_the_received_fill_in_and_trader_does_not(admin, trader, house, button, decision):
    received = {"fill_id": "exit1-f", "order_id": "exit1", "price": "111", "quantity": "2", "fee": "0.5",
                "fee_currency": "USDT", "executed_at": "2026-11-19T12:05:00Z"}  # fmt: skip
    stored = {**received, "price": "110.123456789", "realized_pnl": "20.24"}
    conflict = IngestConflict.objects.create(
        bot=house.bot, kind="fill", natural_id="exit1-f", received_hash=b"y", stored_body=stored, received_body=received
    )
    refused = trader.send(f"bots_ingestconflict_{button}", conflict.pk, resolution="statement")
    assert (refused.status_code, Fill.objects.count()) == (403, 3)

    admin.send(f"bots_ingestconflict_{button}", conflict.pk, resolution="statement")

    conflict.refresh_from_db()
    page = admin.open("bots_ingestconflict_change", conflict.pk).content.decode()
    assert (conflict.decision, conflict.resolved_by) == (decision, admin.user)
    assert Fill.objects.get(fill_id=conflict.stored_as).price == 111
    assert "<td>+0.876543211</td>" in page
    # What only we derive is no difference between two bodies.
    assert "realized_pnl" not in page


def test_what_follows_from_fills_is_no_difference_between_two_orders(viewer, house):
    with pytest.raises(Conflict):
        place(house.bot, "entry2", "sell", "7")
    told = IngestConflict.objects.get(kind="order", natural_id="entry2")
    IngestConflict.objects.filter(pk=told.pk).update(
        stored_body=told.stored_body | {"reported_status": "pending", "status": "filled"},
        received_body=told.received_body | {"status": None},
    )

    page = viewer.open("bots_ingestconflict_change", told.pk).content.decode()

    assert '<tr class=""><th scope="row">status</th>' in page
    assert '<tr class="differs"><th scope="row">quantity</th>' in page


def test_an_execution_that_another_bot_has_leads_to_its_fill_and_is_never_both(admin, house):
    twin = BotFactory(account=house.bot.account)
    Fill.objects.filter(pk=house.fill.pk).update(exchange_trade_id="x1")
    place(twin, "o1", "sell", "2")
    with pytest.raises(DuplicateExecution):
        add_fill(twin, "theirs", "o1", "111", "2", exchange_trade_id="x1")
    conflict = IngestConflict.objects.get(natural_id="theirs")

    page = admin.open("bots_ingestconflict_change", conflict.pk).content.decode()

    assert f"bot={house.bot.bot_id}&amp;id={house.fill.fill_id}" in page
    for field, ours, theirs in (("bot_id", house.bot.bot_id, twin.bot_id), ("price", "110.123456789", "111")):
        assert f'<th scope="row">{field}</th><td class="mark">≠</td><td>{ours}</td><td>{theirs}</td>' in page
    assert "/correct/" in page
    assert "/keep-both/" not in page


@pytest.mark.parametrize(
    ("kind", "subject", "title"),
    [
        ("overfill", "entry1", "Its fills"),
        ("fill_after_terminal", "entry1", "Its fills"),
        ("negative_balance", "", "Newest balances"),
        ("ledger_mismatch", "", "Positions in BTCUSDT"),
        ("content_conflict", "entry1-f", ">Fill<"),
        ("content_conflict", "entry1", ">Order<"),
        ("pnl_mismatch", "", ">Trade<"),
    ],
)
def test_a_case_shows_the_rows_it_speaks_of(viewer, house, kind, subject, title):
    AccountBalance.objects.update(timestamp=timezone.now())
    subject = house.trade.trade_id if kind == "pnl_mismatch" else subject
    case = ReconciliationCase.objects.create(kind=kind, bot=house.bot, symbol="BTCUSDT", subject_id=subject)

    page = viewer.open("bots_reconciliationcase_change", case.pk).content.decode()

    assert title in page.replace("\n", "").replace("  ", "")


def inbox_row(bot, **columns):
    return UnattributedFillFactory(account=bot.account, **columns)


def test_trader_assigns_a_fill_of_the_inbox_to_a_bot_of_its_account(trader, house):
    row = inbox_row(house.bot, client_order_id="bot_1:entry:17")
    BotFactory()
    form = trader.open("bots_unattributedfill_assign", row.pk).context["form"]
    assert (list(form.fields["bot"].queryset), form.initial["bot"]) == ([house.bot], "bot_1")

    answer = trader.send("bots_unattributedfill_assign", row.pk, bot="bot_1", order_id="", reason="client id")

    row.refresh_from_db()
    assert (answer.status_code, row.status, row.bot, row.resolved_by) == (302, "assigned", house.bot, trader.user)
    assert Fill.objects.get(fill_id=row.fill_id).exchange_trade_id == row.exchange_trade_id
    assert (last_action().action, last_action().reason) == ("unattributed_fill.assign", "client id")


def test_a_bot_of_another_account_is_not_offered(trader, house):
    row = inbox_row(house.bot)

    answer = trader.send("bots_unattributedfill_assign", row.pk, bot=BotFactory().pk, reason="x")

    row.refresh_from_db()
    assert (answer.status_code, row.status) == (200, "open")


def test_trader_dismisses_a_fill_with_a_reason_and_opens_it_again(trader, house):
    row = inbox_row(house.bot)
    trader.send("bots_unattributedfill_dismiss", row.pk, reason="")
    row.refresh_from_db()
    assert row.status == "open"

    trader.send("bots_unattributedfill_dismiss", row.pk, reason="moved by hand")
    row.refresh_from_db()
    assert (row.status, row.reason) == ("dismissed", "moved by hand")
    trader.send("bots_unattributedfill_reopen", row.pk, reason="no, it was the bot")

    row.refresh_from_db()
    assert row.status == "open"
    assert last_action().action == "unattributed_fill.reopen"


def test_likely_bot_is_the_one_whose_order_the_exchange_names(house):
    row = inbox_row(house.bot, exchange_order_id="ex1", client_order_id="bot_1:x:1")
    BotFactory(account=house.bot.account, bot_id="bot_2")
    assert likely_bot(row) == "bot_1"
    OrderFactory(bot_id="bot_2", exchange_order_id="ex1")
    assert likely_bot(row) == "bot_2"
    assert likely_bot(inbox_row(house.bot)) is None


def test_cases_are_sorted_by_age_and_filtered_by_what_is_gone(viewer, house):
    old = ReconciliationCase.objects.get()
    ReconciliationCase.objects.filter(pk=old.pk).update(opened_at=NOON)
    gone = ReconciliationCase.objects.create(
        kind="overfill", bot=house.bot, account=house.bot.account, gone_since=NOON, subject_id="o"
    )

    page = viewer.open("bots_reconciliationcase_changelist")
    column = 1 + next(i for i, name in enumerate(page.context["cl"].list_display) if name == "age")
    by_age = [viewer.open("bots_reconciliationcase_changelist", o=f"{sign}{column}") for sign in ("", "-")]
    still = viewer.open("bots_reconciliationcase_changelist", gone="no")

    assert ">None<" not in page.content.decode()
    assert [list(page.context["cl"].result_list) for page in by_age] in ([[gone, old], [old, gone]],)
    assert list(still.context["cl"].result_list) == [old]


def test_trader_closes_a_risk_event(trader, house):
    event = RiskEvent.objects.get()

    trader.send("audit_riskevent_resolve", event.pk, notes="limit was right")

    event.refresh_from_db()
    assert (event.resolved, event.resolution_notes) == (True, "limit was right")
    assert last_action().action == "risk_event.resolve"


@pytest.mark.parametrize(
    ("view", "model", "fields"),
    [
        ("bots_reconciliationcase_close", ReconciliationCase, {"cause": "a", "resolution": "b"}),
        ("bots_ingestconflict_resolve", IngestConflict, {"resolution": "a"}),
        ("bots_unattributedfill_assign", UnattributedFill, {"bot": "bot_1", "reason": "a"}),
        ("bots_unattributedfill_dismiss", UnattributedFill, {"reason": "a"}),
        ("audit_riskevent_resolve", RiskEvent, {"notes": "a"}),
    ],
)
def test_viewer_closes_nothing(viewer, house, view, model, fields):
    row = model.objects.get()
    before = model.objects.values().get()

    assert viewer.send(view, row.pk, **fields).status_code == 403
    assert model.objects.values().get() == before


def test_sidebar_counts_what_waits_for_people(viewer, house):
    items = {
        item["title"]: item.get("badge")
        for group in viewer.open("index").context["sidebar_navigation"]
        for item in group["items"]
        if item["has_permission"]
    }

    assert items["Cases"] == "1"
    assert items["Conflicts"] == "1"
    assert items["Fills"] is None
    assert items["Live dashboard"] is None
    assert {"Users", "Personal tokens", "Bot tokens"} & set(items) == set()


def test_banner_says_mode_and_halt(admin, house):
    def banner():
        return admin.open("index").context["environment"]

    assert banner() == ("● DEMO", "warning")

    Bot.objects.update(deployment_mode="live")
    assert banner() == ("⚠ LIVE", "danger")

    ControlState.objects.create(scope="all", state="HALTED", reason="x")
    assert banner() == ("⚠ LIVE · HALTED", "danger")


def test_banner_is_not_shown_to_strangers(client, db):
    assert client.get("/account/login/").context.get("environment") is None

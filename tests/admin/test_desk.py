"""The desk: control states, cases, conflicts, risk events, each changed by a button that asks."""

import pytest

from audit.models import RiskEvent, UserAction
from bots.models import Bot, ControlState, IngestConflict, ReconciliationCase
from tests.factories import PASSWORD

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


def test_admin_releases_with_the_password(admin, house):
    answer = admin.send("bots_controlstate_release", symbol_state().pk, reason="explained", password=PASSWORD)

    assert answer.status_code == 302
    assert symbol_state().state == "ACTIVE"
    assert last_action().action == "control.release"


def test_a_wrong_password_releases_nothing(admin, house):
    answer = admin.send("bots_controlstate_release", symbol_state().pk, reason="explained", password="guess")

    assert answer.status_code == 409
    assert "The password is wrong." in answer.content.decode()
    assert symbol_state().state == "HALTED"


def test_trader_releases_nothing(trader, house):
    answer = trader.send("bots_controlstate_release", symbol_state().pk, reason="explained", password=PASSWORD)

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

    assert '<tr class="differs"><th scope="row">price</th><td class="mark">≠</td><td>100</td><td>101</td></tr>' in page
    assert '<tr class=""><th scope="row">side</th><td class="mark"></td><td>buy</td><td>buy</td></tr>' in page


def test_trader_judges_a_conflict_once(trader, house):
    conflict = IngestConflict.objects.get()
    trader.send("bots_ingestconflict_resolve", conflict.pk, resolution="the ledger is right")
    trader.send("bots_ingestconflict_resolve", conflict.pk, resolution="no, the other")

    conflict.refresh_from_db()
    assert (conflict.status, conflict.resolution, conflict.resolved_by) == (
        "resolved", "the ledger is right", trader.user,
    )  # fmt: skip
    assert UserAction.objects.filter(action="conflict.resolve").count() == 1


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
    assert client.get("/admin/login/").context["environment"] is None

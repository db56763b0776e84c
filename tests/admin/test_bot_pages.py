"""Bots: buttons that ask for a reason, limits that only admins change, tokens shown once."""

import re
from decimal import Decimal

import pytest

from audit.models import UserAction
from bots.models import Bot, BotToken
from tests.factories import BotFactory, ExchangeAccountFactory

LIMITS = {
    "bot_name": "Bot one", "description": "", "max_positions": "3", "leverage_limit": "1", "max_daily_loss_pct": "",
    "max_weekly_loss_pct": "", "max_drawdown_pct": "",
}  # fmt: skip


def bot():
    return Bot.objects.get(bot_id="bot_1")


def last_action():
    return UserAction.objects.exclude(action__startswith="login").order_by("-id").first()


def test_pause_asks_first_and_changes_nothing_by_looking(trader, house):
    page = trader.open("bots_bot_pause", "bot_1")

    assert page.status_code == 200
    assert "gets no permit for new orders" in page.content.decode()
    assert bot().status == "active"


def test_pause_needs_a_reason(trader, house):
    page = trader.send("bots_bot_pause", "bot_1", reason=" ")

    assert page.status_code == 200
    assert "This field is required." in page.content.decode()
    assert bot().status == "active"


def test_trader_pauses_and_resumes_with_a_reason(trader, house, django_capture_on_commit_callbacks, monkeypatch):
    told = []
    monkeypatch.setattr("bots.services.registry.publish", lambda updates: told.extend(updates))
    with django_capture_on_commit_callbacks(execute=True):
        answer = trader.send("bots_bot_pause", "bot_1", reason="odd fills")

    action = last_action()
    assert (answer.status_code, answer.url) == (302, "/admin/bots/bot/bot_1/change/")
    assert bot().status == "paused"
    assert (action.action, action.reason, action.user) == ("bot.pause", "odd fills", trader.user)
    assert (action.before, action.after) == ({"status": "active"}, {"status": "paused"})
    assert [(update["kind"], update["data"]["status"]) for update in told] == [("bot", "paused")]

    trader.send("bots_bot_resume", "bot_1", reason="explained")

    assert bot().status == "active"
    assert last_action().action == "bot.resume"


@pytest.mark.parametrize("button", ["pause", "resume", "stop", "new_token"])
def test_viewer_has_no_buttons(viewer, house, button):
    page = viewer.open("bots_bot_change", "bot_1").content.decode()
    answer = viewer.send(f"bots_bot_{button}", "bot_1", reason="mine", scopes="read", days="1")

    assert f"/bot_1/{button.replace('_', '-')}/" not in page
    assert answer.status_code == 403
    assert bot().status == "active"
    assert BotToken.objects.count() == 1


@pytest.mark.parametrize("button", ["stop", "new_token"])
def test_trader_neither_stops_nor_makes_tokens(trader, house, button):
    answer = trader.send(f"bots_bot_{button}", "bot_1", reason="mine", scopes="read", days="1")

    assert answer.status_code == 403
    assert bot().status == "active"
    assert BotToken.objects.count() == 1


def test_only_buttons_that_make_sense_are_offered(admin, house):
    active = admin.open("bots_bot_change", "bot_1").content.decode()
    Bot.objects.update(status="stopped")
    stopped = admin.open("bots_bot_change", "bot_1").content.decode()

    names = ("pause", "resume", "stop")
    assert [name for name in names if f"/bot_1/{name}/" in active] == ["pause", "stop"]
    assert [name for name in names if f"/bot_1/{name}/" in stopped] == ["resume"]


def test_a_button_that_makes_no_sense_does_nothing_when_it_is_sent_anyway(admin, house):
    Bot.objects.update(status="archived")

    answer = admin.send("bots_bot_pause", "bot_1", reason="late click")

    assert "not possible as things are now" in admin.get(answer.url).content.decode()
    assert bot().status == "archived"


def test_admin_changes_a_limit_with_a_reason_and_nothing_else(admin, house):
    Bot.objects.update(current_equity=Decimal(777), error_count=5)

    answer = admin.send(
        "bots_bot_change", "bot_1", **LIMITS | {"max_daily_loss_pct": "0.05"}, reason="smaller", status="stopped",
        current_equity="1", error_count="0",
    )  # fmt: skip

    after, action = bot(), last_action()
    assert answer.status_code == 302
    assert after.max_daily_loss_pct == Decimal("0.05")
    assert (after.status, after.current_equity, after.error_count) == ("active", Decimal(777), 5)
    assert (action.action, action.reason) == ("bot.update", "smaller")
    assert (action.before, action.after) == ({"max_daily_loss_pct": None}, {"max_daily_loss_pct": "0.05"})


def test_a_limit_without_a_reason_is_refused(admin, house):
    answer = admin.send("bots_bot_change", "bot_1", **LIMITS | {"max_positions": "9"})

    assert answer.status_code == 200
    assert "reason" in answer.context["adminform"].form.errors
    assert bot().max_positions == 3


def test_trader_changes_no_limit(trader, house):
    answer = trader.send("bots_bot_change", "bot_1", **LIMITS | {"max_positions": "9"}, reason="more")

    assert answer.status_code == 403
    assert bot().max_positions == 3


def test_saving_without_a_change_leaves_no_action(admin, house):
    before = UserAction.objects.count()

    answer = admin.send("bots_bot_change", "bot_1", **LIMITS, reason="just looking")

    assert answer.status_code == 302
    assert UserAction.objects.count() == before


def test_admin_registers_a_bot_with_its_initial_capital(admin, db):
    account = ExchangeAccountFactory(exchange="okx", currency="USDC")
    form = LIMITS | {
        "bot_id": "bot_9", "bot_type": "custom", "strategy_name": "x", "deployment_mode": "demo", "account": account.pk,
        "currency": "USDC", "initial_capital": "2500.5",
    }  # fmt: skip

    answer = admin.send("bots_bot_add", **form)

    made = Bot.objects.get(bot_id="bot_9")
    assert (answer.status_code, answer.url) == (302, "/admin/bots/bot/")
    assert (made.exchange, made.account, made.currency) == ("okx", account, "USDC")
    assert [(flow.kind, flow.amount) for flow in made.cash_flows.all()] == [("initial", Decimal("2500.5"))]
    assert last_action().action == "bot.register"


def test_a_new_bot_is_no_live_bot_by_default(admin, db):
    assert admin.open("bots_bot_add").context["adminform"].form["deployment_mode"].value() == "demo"


def test_token_is_shown_once_and_never_stored(admin, db):
    made = BotFactory(bot_id="bot_5")

    page = admin.send("bots_bot_new_token", made.pk, scopes=["read", "ledger:write"], days="30")

    row = BotToken.objects.get()
    [secret] = re.findall(rf"tdb_demo_{row.prefix}\.[\w-]+", page.content.decode())
    assert page["Cache-Control"].startswith("no-store")
    assert row.scopes == ["read", "ledger:write"]
    assert (row.expires_at - row.created_at).days == 30
    for view, pk in (("bots_bottoken_change", row.pk), ("bots_bot_change", made.pk)):
        assert secret not in admin.open(view, pk).content.decode()
    assert secret.partition(".")[2] not in str(list(UserAction.objects.values()))


def test_a_third_token_is_refused_with_the_services_words(admin, house):
    admin.send("bots_bot_new_token", "bot_1", scopes=["read"], days="30")

    page = admin.send("bots_bot_new_token", "bot_1", scopes=["read"], days="30")

    assert page.status_code == 409
    assert "revoke one first" in page.content.decode()
    assert BotToken.objects.count() == 2


def test_revoking_a_token_asks_and_is_kept(admin, house):
    asked = admin.open("bots_bottoken_revoke", house.token.row.pk)
    answer = admin.send("bots_bottoken_revoke", house.token.row.pk)

    house.token.row.refresh_from_db()
    assert asked.status_code == 200
    assert answer.status_code == 302
    assert house.token.row.revoked_at is not None
    assert last_action().action == "token.revoke"
    assert "/revoke/" not in admin.open("bots_bottoken_change", house.token.row.pk).content.decode()


def test_bot_page_leads_to_everything_the_bot_has(viewer, house):
    page = viewer.open("bots_bot_change", "bot_1").content.decode()

    for table in ("position", "trade", "order", "fill", "signal", "accountbalance", "cashflow", "reconciliationcase"):
        assert f"/admin/bots/{table}/?bot__bot_id__exact=bot_1" in page
    assert "/admin/bots/bottoken/?" not in page
    assert house.trade.trade_id in page


def test_trade_page_leads_to_fills_position_and_orders(viewer, house):
    page = viewer.open("bots_trade_change", house.trade.pk).content.decode()

    assert "/admin/bots/bot/bot_1/change/" in page
    for row_id in ("entry1-f", "exit1-f", "entry1", "exit1", house.trade.position_id):
        assert f">{row_id}</span></a>" in page
    assert "entry2" not in page


def test_fill_page_leads_back_to_order_position_and_trade(viewer, house):
    page = viewer.open("bots_fill_change", house.fill.pk).content.decode()

    assert f"/admin/bots/order/{house.order.pk}/change/" in page
    assert f"/admin/bots/trade/{house.trade.pk}/change/" in page
    assert '0.5 <span class="unit">USDT</span>' in page


def test_order_page_shows_fills_and_history(viewer, house):
    page = viewer.open("bots_order_change", house.order.pk).content.decode()

    assert f"/admin/bots/fill/{house.fill.pk}/change/" in page
    assert "Status history" in page
    assert "submitted" in page

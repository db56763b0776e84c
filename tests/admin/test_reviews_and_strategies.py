"""What staff write about trades and strategies, through the pages."""

import json

import pytest

from audit.models import UserAction
from bots.models import Strategy, TradeReview
from tests.factories import OrderBookSnapshotFactory, TradeFactory

SETTINGS = {
    "description": "Buys what rises.", "type": "trend_following", "status": "testing", "symbols": '["ETHUSDT"]',
    "timeframes": '["1h"]', "parameters": '{"fast": 5}', "risk_parameters": "{}",
}  # fmt: skip
VERDICT = {"verdict": "against_plan", "tags": "late,large", "note": "Entered after the signal was gone."}


def last_action():
    return UserAction.objects.exclude(action__startswith="login").order_by("-id").first()


def test_admin_adds_a_strategy_and_it_is_recorded(admin, house):
    answer = admin.send("bots_strategy_add", name="Breakout", **SETTINGS)

    row = Strategy.objects.get(name="Breakout")
    action = last_action()
    assert answer.status_code == 302
    assert (row.status, row.symbols, row.parameters, row.risk_parameters) == ("testing", ["ETHUSDT"], {"fast": 5}, {})
    assert (action.action, action.resource_id, action.user) == ("strategy.create", "Breakout", admin.user)
    assert action.after["symbols"] == ["ETHUSDT"]


def test_admin_changes_a_strategy_with_a_reason_but_not_its_name(admin, house):
    row = Strategy.objects.get(name="x")

    answer = admin.send("bots_strategy_change", row.pk, name="y", reason="too slow", **SETTINGS)

    row.refresh_from_db()
    action = last_action()
    assert answer.status_code == 302
    assert (row.name, row.timeframes, row.status) == ("x", ["1h"], "testing")
    assert (action.action, action.reason, action.before["status"]) == ("strategy.update", "too slow", "inactive")


@pytest.mark.parametrize(
    "wrong",
    [{"symbols": '["eth usdt"]'}, {"symbols": '"ETHUSDT"'}, {"parameters": "[1]"}, {"timeframes": "[60]"},
     {"type": "magic"}, {"parameters": "{fast: 5}"}],
    ids=json.dumps,
)  # fmt: skip
def test_a_strategy_that_makes_no_sense_is_explained_and_not_stored(admin, house, wrong):
    answer = admin.send("bots_strategy_add", name="Breakout", **SETTINGS | wrong)

    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not Strategy.objects.filter(name="Breakout").exists()


@pytest.mark.parametrize("who", ["trader", "viewer"])
def test_only_admins_change_strategies(who, request, house):
    browser = request.getfixturevalue(who)
    row = Strategy.objects.get(name="x")

    assert browser.open("bots_strategy_change", row.pk).status_code == 200
    assert browser.send("bots_strategy_change", row.pk, reason="mine", **SETTINGS).status_code == 403
    assert browser.send("bots_strategy_add", name="Mine", **SETTINGS).status_code == 403
    assert list(Strategy.objects.values_list("name", "status")) == [("x", "inactive")]


def test_a_strategys_page_shows_who_runs_it_and_what_came_of_it(admin, house):
    page = admin.open("bots_strategy_change", Strategy.objects.get(name="x").pk).content.decode()

    for text in ("bot_1", "s1", house.trade.trade_id):
        assert text in page


def test_trader_reviews_a_trade_from_its_page(trader, house):
    asks = trader.open("bots_trade_review", house.trade.pk)
    answer = trader.send("bots_trade_review", house.trade.pk, **VERDICT)

    review = TradeReview.objects.get(reviewer=trader.user)
    assert "under your name" in asks.content.decode()
    assert answer.status_code == 302
    assert (review.trade, review.verdict, review.tags) == (house.trade, "against_plan", ["late", "large"])
    assert last_action().action == "trade_review.create"
    assert VERDICT["note"] in trader.open("bots_trade_change", house.trade.pk).content.decode()


def test_a_second_review_by_the_same_person_is_refused(trader, house):
    trader.send("bots_trade_review", house.trade.pk, **VERDICT)

    answer = trader.send("bots_trade_review", house.trade.pk, **VERDICT | {"verdict": "unclear"})

    assert answer.status_code == 409
    assert "You have reviewed" in answer.content.decode()
    assert TradeReview.objects.get(reviewer=trader.user).verdict == "against_plan"


def test_reviewer_changes_the_review_and_nobody_else_does(trader, admin, house):
    trader.send("bots_trade_review", house.trade.pk, **VERDICT)
    review = TradeReview.objects.get(reviewer=trader.user)
    change = VERDICT | {"verdict": "unclear", "reason": "second look"}

    foreign = admin.send("bots_tradereview_change", review.pk, **change)
    review.refresh_from_db()
    kept = review.verdict
    own = trader.send("bots_tradereview_change", review.pk, **change)

    review.refresh_from_db()
    assert (foreign.status_code, kept) == (403, "against_plan")
    assert (own.status_code, review.verdict, review.tags) == (302, "unclear", ["late", "large"])
    assert (last_action().before, last_action().after) == ({"verdict": "against_plan"}, {"verdict": "unclear"})
    assert last_action().reason == "second look"


def test_viewer_reviews_nothing(viewer, house):
    trade = TradeFactory()

    assert viewer.send("bots_trade_review", trade.pk, **VERDICT).status_code == 403
    assert not TradeReview.objects.filter(trade=trade).exists()


def test_review_of_a_trade_that_is_no_more_still_opens(admin, house):
    review = TradeReview.objects.get()
    TradeReview.objects.update(trade=None)

    page = admin.open("bots_tradereview_change", review.pk)
    rows = admin.open("bots_tradereview_changelist")

    assert (page.status_code, rows.status_code) == (200, 200)
    assert review.reviewed_trade_id in page.content.decode()


def test_order_book_shows_its_best_prices_and_levels(admin, house):
    book = OrderBookSnapshotFactory(symbol="ETHUSDT", bids=[["2000.25", "3"], [2000, 4]], asks=[])

    row = admin.open("marketdata_orderbooksnapshot_changelist", symbol="ethusdt").content.decode()
    page = admin.open("marketdata_orderbooksnapshot_change", book.pk).content.decode()

    assert "2,000.25" in row
    assert "Best levels (of 2 bids and 0 asks)" in page
    assert 'title="2000"' in page

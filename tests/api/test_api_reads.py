"""What bots and people read: lists, pages, filters, wire form."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.services.actions import SYSTEM
from bots.models import Bot, Signal
from config_app.services.configurations import configuration_activate
from tests.api.conftest import Caller
from tests.factories import (
    NOON,
    AccountBalanceFactory,
    BotFactory,
    FillFactory,
    OrderFactory,
    PositionFactory,
    TradeFactory,
)

LISTS = ["/signals", "/orders", "/fills", "/positions", "/trades", "/balances"]


def ids(response, name: str) -> list[str]:
    assert response.status_code == 200, response.content
    return [row[name] for row in response.json()["items"]]


def test_me_tells_the_bot_its_limits_and_its_scopes(api: Caller, bot: Bot):
    body = api.get("/me").json()

    assert body["bot_id"] == bot.bot_id
    assert body["account_id"] == bot.account.account_id
    assert body["status"] == "active"
    assert body["initial_capital"] == "10000"
    assert body["limits"] == {
        "max_positions": 10,
        "leverage_limit": 10,
        "max_daily_loss_pct": None,
        "max_weekly_loss_pct": None,
        "max_drawdown_pct": None,
    }
    assert body["scopes"] == ["ledger:write", "market:write", "read"]
    assert body["liveness"] == "new"
    assert body["expires_at"].endswith("Z")


def test_config_tells_the_active_version_of_each_key(api: Caller, viewer: Caller, bot: Bot):
    for value in ({"a": 1}, {"a": 2.5}):
        configuration_activate(
            bot_id=bot.bot_id, config_key="risk", config_type="risk_params", value=value, actor=SYSTEM
        )

    expected = {"risk": {"version": 2, "config_type": "risk_params", "value": {"a": 2.5}}}
    assert api.get("/config").json() == expected
    assert viewer.get("/config", bot_id=bot.bot_id).json() == expected
    assert viewer.get("/config").status_code == 422
    assert viewer.get("/config", bot_id="nobody").status_code == 404


def test_rows_are_in_the_wire_form_of_the_contract(api: Caller, bot: Bot):
    fill = FillFactory(bot=bot, price="0.00125000", quantity="2000000", fee="-0.5", fee_currency="USDT")

    (row,) = api.get("/fills").json()["items"]

    assert row["fill_id"] == fill.fill_id
    assert (row["price"], row["quantity"], row["fee"], row["fee_currency"]) == ("0.00125", "2000000", "-0.5", "USDT")
    assert row["executed_at"] == "2026-11-19T12:00:00Z"
    assert row["bot_id"] == bot.bot_id


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_is_an_empty_page(api: Caller, path: str):
    assert api.get(path).json() == {"items": [], "next": None}


@pytest.mark.parametrize("path", LISTS)
def test_every_list_takes_every_filter_of_the_contract(api: Caller, path: str):
    side = "long" if path in ("/signals", "/positions", "/trades") else "buy"
    status = {"/signals": "executed", "/orders": "filled"}.get(path, "open")

    response = api.get(
        path, symbol="BTCUSDT", side=side, status=status, start="2026-01-01T00:00:00Z", end="2026-02-01T00:00:00+01:00"
    )

    assert response.json() == {"items": [], "next": None}


def test_pages_follow_each_other_without_gap_or_double(api: Caller, bot: Bot):
    # Ten of them share their time, so the id has to decide.
    made = [OrderFactory(bot=bot, created_at=NOON + timedelta(seconds=max(0, i - 10))) for i in range(25)]
    OrderFactory()

    seen, cursor, sizes = [], None, []
    while True:
        page = api.get("/orders", limit=7, **({"cursor": cursor} if cursor else {})).json()
        seen += [row["order_id"] for row in page["items"]]
        sizes.append(len(page["items"]))
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == [order.order_id for order in reversed(made)]
    assert sizes == [7, 7, 7, 4]


def test_a_page_that_ends_exactly_has_no_next(api: Caller, bot: Bot):
    for _ in range(3):
        OrderFactory(bot=bot)

    assert api.get("/orders", limit=3).json()["next"] is None
    assert api.get("/orders", limit=2).json()["next"] is not None


@pytest.mark.parametrize(
    "cursor",
    ["x", "", "é", "💥", "AAAA", "bnVsbA", "W10", "WzEsMl0", "WyIyMDI2LTExLTIwVDA5OjMwOjAwIiwxXQ",
     "WyIyMDI2LTExLTIwVDA5OjMwOjAwWiIsMTAwMDAwMDAwMDAwMDAwMDAwMDAwMDBd", "WyIyMDI2LTExLTIwVDA5OjMwOjAwWiIsdHJ1ZV0",
     "W1tbW1tbW1tbW1tbW1tbW1s", "a" * 500, "%00", "Li4vLi4v"],
)  # fmt: skip
def test_a_made_up_cursor_is_422(api: Caller, cursor: str):
    response = api.get("/orders", cursor=cursor)

    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", "cursor"]


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "1001"}, {"limit": "ten"}, {"limit": "1_0"}, {"limit": "٣"}, {"limit": " 5"},
     {"limit": "9" * 30}, {"limit": ["1", "2"]}, {"symbol": "btc"}, {"symbol": ""}, {"symbol": "BTC\x00"},
     {"side": "long"}, {"status": "bogus"}, {"start": "2026-11-20"}, {"start": "1763631000"},
     {"end": "2026-11-20T09:30:00"}, {"unknown": "1"}, {"symbols": "BTCUSDT"}],
)  # fmt: skip
def test_wrong_parameters_are_422_and_say_where(api: Caller, query: dict[str, object]):
    response = api.get("/orders", **query)

    assert response.status_code == 422
    assert response.json()["code"] == "validation_error"
    assert response.json()["errors"][0]["loc"][0] == "query"


def test_lists_are_filtered_by_symbol_side_status_and_time(api: Caller, bot: Bot):
    first = OrderFactory(bot=bot, symbol="BTCUSDT", side="buy", created_at=NOON)
    second = OrderFactory(bot=bot, symbol="ETHUSDT", side="sell", created_at=NOON + timedelta(hours=1))
    third = OrderFactory(
        bot=bot, symbol="ETHUSDT", side="buy", created_at=NOON + timedelta(hours=2), status="cancelled"
    )

    assert ids(api.get("/orders", symbol="ETHUSDT"), "order_id") == [third.order_id, second.order_id]
    assert ids(api.get("/orders", side="buy"), "order_id") == [third.order_id, first.order_id]
    assert ids(api.get("/orders", status="cancelled"), "order_id") == [third.order_id]
    between = {"start": "2026-11-19T12:00:00Z", "end": "2026-11-19T14:00:00Z"}
    assert ids(api.get("/orders", **between), "order_id") == [second.order_id, first.order_id]


def test_positions_and_trades_are_open_or_closed(api: Caller, bot: Bot):
    held = PositionFactory(bot=bot)
    flat = PositionFactory(bot=bot, symbol="ETHUSDT", size=0, status="closed", closed_at=NOON + timedelta(hours=1))
    running = TradeFactory(bot=bot, exit_time=None)
    done = TradeFactory(bot=bot)

    assert ids(api.get("/positions", status="open"), "position_id") == [held.position_id]
    assert ids(api.get("/positions", status="closed"), "position_id") == [flat.position_id]
    assert set(ids(api.get("/positions"), "position_id")) == {held.position_id, flat.position_id}
    assert ids(api.get("/trades", status="open"), "trade_id") == [running.trade_id]
    assert ids(api.get("/trades", status="closed"), "trade_id") == [done.trade_id]
    (row,) = api.get("/trades", status="closed").json()["items"]
    assert (row["status"], row["net_pnl"], row["gross_pnl"]) == ("closed", "10", "10")


def test_signals_are_told_by_type_and_by_what_became_of_them(api: Caller, bot: Bot):
    for number, (kind, executed) in enumerate((("long", True), ("close_long", False))):
        Signal.objects.create(
            signal_id=f"s{number}",
            bot=bot,
            symbol="BTCUSDT",
            signal_type=kind,
            price=1,
            strategy="x",
            executed=executed,
        )

    assert ids(api.get("/signals", side="long"), "signal_id") == ["s0"]
    assert ids(api.get("/signals", status="executed"), "signal_id") == ["s0"]
    assert ids(api.get("/signals", status="pending"), "signal_id") == ["s1"]


def test_balances_come_newest_first(api: Caller, bot: Bot):
    old = AccountBalanceFactory(bot=bot)
    new = AccountBalanceFactory(bot=bot, timestamp=NOON + timedelta(days=40))

    assert ids(api.get("/balances"), "balance_id") == [new.balance_id, old.balance_id]
    assert ids(api.get("/balances", symbol="BTCUSDT"), "balance_id") == []


def test_a_list_costs_two_queries_whatever_its_length(api: Caller, bot: Bot):
    api.get("/positions")
    for number in range(5):
        PositionFactory(bot=bot, symbol=f"S{number}")

    with CaptureQueriesContext(connection) as queries:
        rows = api.get("/positions", status="open").json()["items"]

    # The token, and the rows; what opens and ends the bot's scope reads no table of ours.
    reads = [query["sql"] for query in queries if ' FROM "' in query["sql"]]
    assert (len(rows), len(reads)) == (5, 2)
    assert len(queries) <= 7


def test_the_first_page_of_a_bot_uses_an_index(bot: Bot):
    from bots.selectors.lists import ORDERS

    # Enough rows of enough bots that one index is the best by far.
    bots = [bot, *(BotFactory() for _ in range(9))]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders (bot_id, symbol, order_id, order_type, side, quantity, created_at) "
            "SELECT b.id, 'BTCUSDT', 'o' || n, 'market', 'buy', 1, now() - n * INTERVAL '1 minute' "
            "FROM unnest(%s::varchar[]) AS b(id), generate_series(1, 300) n",
            [[each.bot_id for each in bots]],
        )
        cursor.execute("ANALYZE orders")
    plan = ORDERS.select({"bot_id": bot.bot_id}).values("order_id")[:10].explain()

    assert "idx_orders_bot_id" in plan


def test_bots_are_listed_for_staff(viewer: Caller, bot: Bot):
    paused = BotFactory(status="paused")

    assert set(ids(viewer.get("/bots"), "bot_id")) == {bot.bot_id, paused.bot_id}
    assert ids(viewer.get("/bots", status="paused"), "bot_id") == [paused.bot_id]
    assert viewer.get("/bots", status="bogus").status_code == 422
    assert viewer.get("/bots/nobody").status_code == 404

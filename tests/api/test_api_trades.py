"""Whole round trips: computed, compared, kept exactly once."""

from decimal import Decimal
from typing import Any

import pytest

from bots.models import Bot, IngestConflict, ReconciliationCase, Trade
from tests.api.conftest import Caller
from tests.factories import BotFactory, TradeFactory

TRADE: dict[str, Any] = {
    "trade_id": "t1",
    "symbol": "BTCUSDT",
    "side": "long",
    "quantity": "0.5",
    "entry_price": "100000.5",
    "entry_time": "2026-11-19T09:30:00Z",
    "exit_price": "100100.5",
    "exit_time": "2026-11-19T10:30:30Z",
    "fees": "1.25",
}


def test_the_figures_of_a_trade_are_computed(api: Caller, bot: Bot):
    response = api.post("/trades", {**TRADE, "pnl_usd": "48.75", "exit_reason": "take_profit", "strategy": "x"})

    body = response.json()
    assert response.status_code == 201
    assert "Idempotent-Replay" not in response
    assert (body["gross_pnl"], body["fees"], body["net_pnl"]) == ("50", "1.25", "48.75")
    assert (body["pnl_pct"], body["position_size_usd"]) == ("0.000974995125", "50000.25")
    assert (body["status"], body["side"], body["origin"]) == ("closed", "long", "reported")
    assert (body["holding_time_seconds"], body["flags"], body["reported_pnl"]) == (3630, [], "48.75")
    stored = Trade.objects.get(bot=bot, trade_id="t1")
    assert (stored.gross_pnl, stored.pnl_usd, stored.source) == (50, Decimal("48.75"), "api")
    assert ReconciliationCase.objects.count() == 0


@pytest.mark.parametrize(
    ("side", "stored", "gross"), [("buy", "long", "50"), ("sell", "short", "-50"), ("short", "short", "-50")]
)
def test_the_seeds_four_words_for_a_side_are_understood(api: Caller, side: str, stored: str, gross: str):
    body = api.post("/trades", {**TRADE, "side": side}).json()

    assert (body["side"], body["gross_pnl"]) == (stored, gross)


def test_every_digit_of_a_product_is_kept(api: Caller):
    sent = {**TRADE, "quantity": "1.000000000000000001", "entry_price": "0.100000000000000003", "fees": None}
    sent |= {"exit_price": "12345678901.100000000000000004"}

    api.post("/trades", sent)

    stored = Trade.objects.get()
    assert f"{stored.gross_pnl:f}" == "12345678901.000000012345678902000000000000000001"


def test_an_open_trade_has_no_result_yet(api: Caller):
    sent = {name: value for name, value in TRADE.items() if not name.startswith("exit")}

    body = api.post("/trades", sent).json()

    assert (body["status"], body["exit_time"], body["gross_pnl"], body["net_pnl"]) == ("open", None, "0", "-1.25")


def test_the_same_trade_again_is_a_replay_whatever_its_spelling(api: Caller):
    first = api.post("/trades", TRADE)
    again = api.post(
        "/trades",
        {**TRADE, "quantity": "0.50", "fees": 1.25, "entry_time": "2026-11-19T12:30:00+03:00", "pnl_usd": None},
    )

    assert (first.status_code, again.status_code) == (201, 200)
    assert again["Idempotent-Replay"] == "true"
    assert again.json() == first.json()
    assert (Trade.objects.count(), IngestConflict.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [{"quantity": "0.6"}, {"side": "short"}, {"symbol": "ETHUSDT"}, {"exit_price": "100100.6"}, {"fees": "1.26"},
     {"pnl_usd": "48.75"}, {"strategy": "other"}, {"exit_time": "2026-11-19T10:30:31Z"}, {"notes": "hm"}],
)  # fmt: skip
def test_other_content_under_the_same_id_is_a_conflict_and_changes_nothing(
    api: Caller, bot: Bot, change: dict[str, Any]
):
    before = api.post("/trades", TRADE).json()

    refused = [api.post("/trades", {**TRADE, **change}) for _ in range(2)]

    assert {response.status_code for response in refused} == {409}
    assert refused[0].json()["code"] == "conflict"
    assert api.get("/trades").json()["items"] == [before]
    conflict = IngestConflict.objects.get()
    assert (conflict.kind, conflict.natural_id, conflict.received_count) == ("trade", "t1", 2)
    assert conflict.stored_body == before
    name, value = next(iter(change.items()))
    assert conflict.received_body[name] == value


def test_a_reported_result_that_disagrees_is_kept_flagged_and_opens_one_case(api: Caller, bot: Bot):
    body = api.post("/trades", {**TRADE, "pnl_usd": "48.76"}).json()
    api.post("/trades", {**TRADE, "pnl_usd": "48.76"})

    assert (body["net_pnl"], body["reported_pnl"], body["flags"]) == ("48.75", "48.76", ["pnl_mismatch"])
    case = ReconciliationCase.objects.get()
    assert (case.kind, case.bot_id, case.symbol, case.subject_id) == ("pnl_mismatch", bot.bot_id, "BTCUSDT", "t1")
    assert (case.expected, case.reported) == ({"net_pnl": "48.75"}, {"net_pnl": "48.76"})


@pytest.mark.parametrize(
    ("reported", "flags"), [("48.75004", []), ("48.7501", ["pnl_mismatch"]), ("-48.75", ["pnl_mismatch"])]
)
def test_a_millionth_is_tolerated(api: Caller, reported: str, flags: list[str]):
    assert api.post("/trades", {**TRADE, "pnl_usd": reported}).json()["flags"] == flags


def test_ids_belong_to_their_bot(api: Caller):
    TradeFactory(bot=BotFactory(), trade_id="t1")

    assert api.post("/trades", TRADE).status_code == 201


def test_an_id_of_a_trade_derived_from_fills_is_a_conflict(api: Caller, bot: Bot):
    TradeFactory(bot=bot, trade_id="t1")

    assert api.post("/trades", TRADE).status_code == 409
    assert Trade.objects.get(bot=bot).quantity == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"exit_price": None}, ["body"]),
        ({"exit_time": "2026-11-19T09:29:59Z"}, ["body"]),
        ({"quantity": "0"}, ["body", "quantity"]),
        ({"quantity": "-1"}, ["body", "quantity"]),
        ({"quantity": "0.1234567890123456789"}, ["body", "quantity"]),
        ({"quantity": "1e20", "entry_price": "1"}, ["body", "quantity"]),
        ({"quantity": "9" * 20, "entry_price": "9" * 20}, ["body"]),
        ({"entry_price": "NaN"}, ["body", "entry_price"]),
        ({"entry_price": True}, ["body", "entry_price"]),
        ({"entry_time": "2026-11-19T09:30:00"}, ["body", "entry_time"]),
        ({"entry_time": 1763631000}, ["body", "entry_time"]),
        ({"exit_time": "2099-01-01T00:00:00Z"}, ["body", "exit_time"]),
        ({"side": "LONG"}, ["body", "side"]),
        ({"symbol": "\u0412TCUSDT"}, ["body", "symbol"]),
        ({"trade_id": ""}, ["body", "trade_id"]),
        ({"trade_id": "x" * 101}, ["body", "trade_id"]),
        ({"exit_reason": "bored"}, ["body", "exit_reason"]),
        ({"bot_id": "other"}, ["body", "bot_id"]),
        ({"pnl": "1"}, ["body", "pnl"]),
        ({"strategy_params": {"a": "\x00"}}, ["body"]),
    ],
)
def test_a_malformed_trade_is_422_and_says_where(api: Caller, change: dict[str, Any], place: list[str]):
    response = api.post("/trades", {**TRADE, **change})

    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == place
    assert Trade.objects.count() == 0

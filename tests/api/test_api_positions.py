"""What bots set on their positions, and what they believe they hold."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bots.models import Bot, Position, ReconciliationCase
from tests.api.conftest import Caller, bot_caller
from tests.factories import NOON, BotFactory, FillFactory, PositionFactory, UnattributedFillFactory, utc

AS_OF = "2026-11-19T13:00:00Z"


def test_stops_and_notes_are_set_and_the_rest_stays(api: Caller, bot: Bot):
    position = PositionFactory(bot=bot, take_profit="120")

    response = api.patch(
        f"/positions/{position.position_id}",
        {"stop_loss": "95.50", "trailing_stop": {"distance": "2"}, "position_metadata": {"why": "test", "rsi": 60.8}},
    )

    body = response.json()
    assert response.status_code == 200
    assert (body["stop_loss"], body["take_profit"], body["trailing_stop"]) == ("95.5", "120", {"distance": "2"})
    assert body["position_metadata"] == {"why": "test", "rsi": 60.8}
    assert (body["size"], body["avg_entry_price"], body["version"]) == ("1", "100", 2)


def test_the_same_stops_again_are_a_replay(api: Caller, bot: Bot):
    position = PositionFactory(bot=bot)
    path, body = f"/positions/{position.position_id}", {"stop_loss": "95.5", "trailing_stop": "1.5"}
    first = api.patch(path, body)

    again = api.patch(path, {"stop_loss": 95.5, "trailing_stop": "1.5"})

    assert "Idempotent-Replay" not in first
    assert (again.status_code, again["Idempotent-Replay"]) == (200, "true")
    assert again.json() == first.json()
    assert first.json()["trailing_stop"] == {"distance": "1.5"}


def test_null_takes_a_stop_away(api: Caller, bot: Bot):
    position = PositionFactory(bot=bot, stop_loss="95", take_profit="120")

    body = api.patch(f"/positions/{position.position_id}", {"stop_loss": None}).json()

    assert (body["stop_loss"], body["take_profit"]) == (None, "120")


def test_a_ladder_takes_the_place_of_a_single_target(api: Caller, bot: Bot):
    position = PositionFactory(bot=bot, take_profit="120")
    ladder = [{"price": "110", "share": "0.5"}, {"price": "120", "share": "0.5"}]

    api.patch(f"/positions/{position.position_id}", {"take_profit": ladder})

    position.refresh_from_db()
    assert (position.take_profit, position.take_profit_levels) == (None, ladder)
    api.patch(f"/positions/{position.position_id}", {"take_profit": "130"})
    position.refresh_from_db()
    assert (position.take_profit, position.take_profit_levels) == (130, None)


def test_positions_of_others_and_of_nobody_are_told_alike(api: Caller):
    foreign = PositionFactory(bot=BotFactory())

    answers = [api.patch(f"/positions/{name}", {"stop_loss": "1"}) for name in (foreign.position_id, "nothing")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    foreign.refresh_from_db()
    assert foreign.stop_loss is None


@pytest.mark.parametrize(
    "body", [{}, {"size": "5"}, {"stop_loss": "0"}, {"stop_loss": "-1"}, {"stop_loss": []}, {"take_profit": True},
             {"position_metadata": []}, {"trailing_stop": [1]}, []]
)  # fmt: skip
def test_what_cannot_be_set_is_422(api: Caller, bot: Bot, body: Any):
    position = PositionFactory(bot=bot)

    assert api.patch(f"/positions/{position.position_id}", body).status_code == 422
    assert Position.objects.get().version == 1


def report(*positions: tuple[str, str, str], as_of: str = AS_OF) -> dict[str, Any]:
    rows = [{"symbol": symbol, "side": side, "size": size} for symbol, side, size in positions]
    return {"positions": rows, "as_of": as_of}


def test_what_agrees_opens_no_case(api: Caller, bot: Bot):
    PositionFactory(bot=bot, symbol="BTCUSDT", size="0.5")
    PositionFactory(bot=bot, symbol="ETHUSDT", side="short", size="2")
    PositionFactory(bot=BotFactory(), symbol="SOLUSDT")

    response = api.post(
        "/positions/reported",
        report(("BTCUSDT", "long", "0.50"), ("ETHUSDT", "short", "2.0000000000001"), ("SOLUSDT", "long", "0")),
    )

    assert (response.status_code, response.json()) == (200, {"matched": 3, "cases": []})
    assert ReconciliationCase.objects.count() == 0


def test_each_difference_opens_one_case_and_seeing_it_again_refreshes_it(api: Caller, bot: Bot):
    PositionFactory(bot=bot, symbol="BTCUSDT", size="0.5")
    PositionFactory(bot=bot, symbol="ETHUSDT", side="short", size="2")
    PositionFactory(bot=bot, symbol="SOLUSDT", size="3")
    told = report(("BTCUSDT", "short", "0.5"), ("SOLUSDT", "long", "3"), ("XRPUSDT", "long", "10"))

    first = api.post("/positions/reported", told).json()
    again = api.post("/positions/reported", told).json()

    assert first["matched"] == 1
    summary = {case["symbol"]: (case["kind"], case["expected"], case["reported"]) for case in first["cases"]}
    assert summary == {
        "BTCUSDT": (
            "position_mismatch",
            {"side": "long", "size": "0.5"},
            {"side": "short", "size": "0.5", "as_of": AS_OF},
        ),
        "ETHUSDT": (
            "position_mismatch",
            {"side": "short", "size": "2"},
            {"side": "flat", "size": "0", "as_of": AS_OF},
        ),
        "XRPUSDT": (
            "position_mismatch",
            {"side": "flat", "size": "0"},
            {"side": "long", "size": "10", "as_of": AS_OF},
        ),
    }
    assert [case["id"] for case in again["cases"]] == [case["id"] for case in first["cases"]]
    assert all(case["last_seen_at"] > case["opened_at"] for case in again["cases"])
    assert ReconciliationCase.objects.count() == 3


def test_a_report_is_compared_with_what_was_held_at_its_time(api: Caller, bot: Bot):
    # Held 1 until 13:30, then bought another one, which a report of 13:00 cannot know.
    PositionFactory(bot=bot, symbol="BTCUSDT", size="2")
    FillFactory(bot=bot, symbol="BTCUSDT", side="buy", quantity=1, executed_at=NOON)
    FillFactory(bot=bot, symbol="BTCUSDT", side="buy", quantity=1, executed_at=NOON + timedelta(minutes=90))

    assert api.post("/positions/reported", report(("BTCUSDT", "long", "1"))).json()["matched"] == 1
    later = report(("BTCUSDT", "long", "2"), as_of="2026-11-19T14:00:00Z")
    assert api.post("/positions/reported", later).json()["matched"] == 1


def test_both_sides_of_a_hedge_count_together(api: Caller, bot: Bot):
    PositionFactory(bot=bot, symbol="BTCUSDT", size="1")

    told = report(("BTCUSDT", "long", "3"), ("BTCUSDT", "short", "2"))

    assert api.post("/positions/reported", told).json() == {"matched": 1, "cases": []}


def test_what_all_bots_of_an_account_hold_counts_together(api: Caller, bot: Bot):
    other = BotFactory(account=bot.account)
    PositionFactory(bot=bot, symbol="BTCUSDT", size="1")
    PositionFactory(bot=other, symbol="BTCUSDT", side="short", size="3")
    PositionFactory(bot=other, symbol="ETHUSDT", size="2")

    account = report(("BTCUSDT", "short", "2"), ("ETHUSDT", "long", "2"))
    assert api.post("/positions/reported", account).json() == {"matched": 2, "cases": []}
    own = api.post("/positions/reported", report(("BTCUSDT", "long", "1"), ("ETHUSDT", "long", "2"))).json()

    (case,) = own["cases"]
    assert (own["matched"], case["symbol"], case["bot_id"]) == (1, "BTCUSDT", None)
    assert case["expected"] == {"side": "short", "size": "2"}
    # The other bot sees the same difference of the same account: one case.
    bot_caller(other).post("/positions/reported", report(("ETHUSDT", "long", "2")))
    assert ReconciliationCase.objects.get().account == bot.account


def test_a_difference_that_is_gone_is_marked_and_the_case_stays_open(api: Caller, bot: Bot):
    PositionFactory(bot=bot, symbol="BTCUSDT", size="1")
    api.post("/positions/reported", report(as_of="2026-11-19T13:00:00.5Z"))

    # Older than what the case was seen with: it says nothing about now.
    older = api.post("/positions/reported", report(("BTCUSDT", "long", "1"), as_of=AS_OF)).json()
    assert (older["matched"], ReconciliationCase.objects.get().gone_since) == (1, None)
    for minute in ("01", "02"):
        api.post("/positions/reported", report(("BTCUSDT", "long", "1"), as_of=f"2026-11-19T13:{minute}:00Z"))
    case = ReconciliationCase.objects.get()
    assert (case.status, case.gone_since) == ("open", utc("2026-11-19 13:01"))

    (back,) = api.post("/positions/reported", report(as_of="2026-11-19T13:03:00Z")).json()["cases"]
    assert (back["id"], back["gone_since"]) == (case.pk, None)


def test_a_case_of_a_symbol_that_nobody_holds_any_more_is_marked_too(api: Caller, bot: Bot):
    api.post("/positions/reported", report(("XRPUSDT", "long", "1")))

    body = api.post("/positions/reported", report(as_of="2026-11-19T14:00:00Z")).json()

    assert (body, ReconciliationCase.objects.get().gone_since) == (
        {"matched": 0, "cases": []}, utc("2026-11-19 14:00"),
    )  # fmt: skip


def test_a_case_says_what_waits_without_a_bot(api: Caller, bot: Bot):
    UnattributedFillFactory(account=bot.account, side="sell", quantity=2)
    UnattributedFillFactory(account=bot.account, quantity=5, status="dismissed", reason="x", resolved_at=NOON)

    (case,) = api.post("/positions/reported", report(("BTCUSDT", "short", "2"))).json()["cases"]

    assert case["expected"] == {"side": "flat", "size": "0", "unattributed": "-2"}


def test_the_account_knows_when_it_was_compared_last(api: Caller, bot: Bot):
    for as_of in ("2026-11-19T14:00:00Z", AS_OF):
        api.post("/positions/reported", report(as_of=as_of))

    bot.account.refresh_from_db()
    assert bot.account.positions_reported_at == utc("2026-11-19 14:00")


def test_a_resolved_case_gives_way_to_a_new_one(api: Caller, bot: Bot):
    told = report(("XRPUSDT", "long", "10"))
    first = api.post("/positions/reported", told).json()["cases"][0]["id"]
    ReconciliationCase.objects.update(status="resolved", resolved_at=NOON)

    second = api.post("/positions/reported", told).json()["cases"][0]["id"]

    assert second != first


@pytest.mark.parametrize(
    "body",
    [{"positions": []}, {"as_of": AS_OF}, report(("BTCUSDT", "buy", "1")), report(("BTCUSDT", "long", "-1")),
     report(as_of="2099-01-01T00:00:00Z"), {**report(), "extra": 1}],
)  # fmt: skip
def test_a_malformed_report_is_422(api: Caller, body: dict[str, Any]):
    assert api.post("/positions/reported", body).status_code == 422


def test_an_empty_report_says_everything_is_flat(api: Caller, bot: Bot):
    PositionFactory(bot=bot, symbol="BTCUSDT", size=Decimal("0.5"))

    body = api.post("/positions/reported", report()).json()

    assert (body["matched"], [case["symbol"] for case in body["cases"]]) == (0, ["BTCUSDT"])

"""Metrics, figures of bots, snapshots and balances, worked out from the facts again: what differs is named."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics.models import PortfolioSnapshot, RiskMetrics
from analytics.services.rebuild import balances_compare, bots_rebuild, metrics_rebuild, snapshots_compare
from bots.models import Bot, Fill, Trade
from tests.bots.ledger_tools import START, add_fill, place
from tests.bots.rich_ledger import FREE, Ledger, balance, execute, ledger, registered, scratch  # noqa: F401 (fixtures)
from tests.ledger_checks import assert_ledger_holds

pytestmark = pytest.mark.django_db

DAY = "bot_id = 'rich_001' AND date = '2026-03-01'"


def metrics() -> list[tuple[object, ...]]:
    return list(RiskMetrics.objects.order_by("bot_id", "date").values_list())


def named(differences: object) -> set[tuple[str, str, str, str]]:
    return {(one.bot_id, one.kind, one.id, one.field) for one in differences}  # type: ignore[attr-defined]


def test_a_sound_ledger_has_no_difference_and_stays_untouched(scratch: Ledger) -> None:
    before = metrics()

    assert metrics_rebuild() == []
    assert bots_rebuild() == []
    assert snapshots_compare(since=START - timedelta(days=1)) == []
    assert metrics() == before
    assert PortfolioSnapshot.objects.count() > 10


SPOILT = {
    "a figure": (f"UPDATE risk_metrics SET net_profit = net_profit + 1 WHERE {DAY}", {"net_profit"}),
    "a ratio": (f"UPDATE risk_metrics SET win_rate = 0.123 WHERE {DAY}", {"win_rate"}),
    "inputs": (f"UPDATE risk_metrics SET inputs_hash = repeat('0', 64) WHERE {DAY}", {"inputs_hash"}),
    "a lost row": (f"DELETE FROM risk_metrics WHERE {DAY}", {"row"}),
    "a row too many": (
        "INSERT INTO risk_metrics (bot_id, date, definition, inputs_hash, starting_equity, ending_equity)"
        " SELECT 'rich_001', '2020-01-01', definition, inputs_hash, 1, 1 FROM risk_metrics LIMIT 1",
        {"row"},
    ),
}


@pytest.mark.parametrize(("statement", "fields"), SPOILT.values(), ids=SPOILT)
def test_spoilt_metrics_are_named_and_corrected(scratch: Ledger, statement: str, fields: set[str]) -> None:
    before = metrics()
    execute(FREE, statement)
    spoilt = metrics()

    found = metrics_rebuild(check=True)

    day = "2020-01-01" if "2020" in statement else "2026-03-01"
    assert named(found) == {("rich_001", "metrics", day, field) for field in fields}
    assert metrics() == spoilt
    assert metrics_rebuild(bot_id="plain_001") == []
    assert metrics_rebuild() == found
    assert metrics_rebuild() == []
    assert len(metrics()) == len(before)
    assert_ledger_holds()


def test_a_late_fact_makes_a_row_stale_which_is_no_difference_and_is_corrected(scratch: Ledger) -> None:
    before = RiskMetrics.objects.get(bot=scratch.rich, date="2026-03-01").inputs_hash
    place(scratch.rich, "later", "sell", "0.1", symbol="ETHUSDT")
    add_fill(scratch.rich, "e-late", "later", "3200", "0.1", 12)

    assert metrics_rebuild(check=True) == []
    assert RiskMetrics.objects.get(bot=scratch.rich, date="2026-03-01").inputs_hash == before
    metrics_rebuild()
    assert RiskMetrics.objects.get(bot=scratch.rich, date="2026-03-01").inputs_hash != before


def test_figures_of_a_bots_row_follow_its_balances_and_trades(scratch: Ledger) -> None:
    good = Bot.objects.values_list("current_equity", "total_pnl").get(pk="rich_001")
    Bot.objects.filter(pk="rich_001").update(current_equity=Decimal(5), total_pnl=Decimal(7))

    found = bots_rebuild(check=True)

    assert named(found) == {("rich_001", "bot", "rich_001", name) for name in ("current_equity", "total_pnl")}
    assert {Decimal(one.stored or 0) for one in found} == {Decimal(5), Decimal(7)}
    assert bots_rebuild() == found
    assert Bot.objects.values_list("current_equity", "total_pnl").get(pk="rich_001") == good
    Bot.objects.filter(pk="rich_001").update(total_pnl=Decimal(7))
    Trade.objects.filter(bot_id="rich_001").update(updated_at=timezone.now())
    # The job that adds up has not been there yet.
    assert bots_rebuild(check=True) == []


def test_a_snapshot_that_says_otherwise_is_named_and_stays(scratch: Ledger) -> None:
    snapshot = PortfolioSnapshot.objects.order_by("timestamp").last()
    assert snapshot is not None
    snapshot.bot_metrics["rich_001"]["realized_pnl"] = "12345"
    snapshot.save()

    found = snapshots_compare(since=START - timedelta(days=1))

    assert named(found) == {("rich_001", "snapshot", f"{snapshot.timestamp:%Y-%m-%dT%H:%MZ}", "realized_pnl")}
    assert found[0].stored == "12345"
    assert snapshots_compare(since=START - timedelta(days=1), bot_id="plain_001") == []
    snapshot.refresh_from_db()
    assert snapshot.bot_metrics["rich_001"]["realized_pnl"] == "12345"
    # A fact that came after the snapshot explains why it knew less.
    Fill.objects.filter(bot_id="rich_001").update(received_at=timezone.now())
    assert snapshots_compare(since=START - timedelta(days=1)) == []


def test_what_a_bot_told_of_its_balance_is_held_against_its_ledger(db: None) -> None:
    bot = registered("told_001", initial_capital=Decimal(1000))
    place(bot, "in", "buy", "1")
    place(bot, "out", "sell", "1")
    add_fill(bot, "f1", "in", "100", "1", 1, fee="0.5", fee_currency="USDT")
    add_fill(bot, "f2", "out", "130", "1", 2)
    balance(bot, "b1", "1200", 3, snapshot_type="deposit", amount="200")
    # 1000 + 200 paid in + 30 gained - 0.5 of fees.
    (gap,) = balances_compare(bot_id="told_001")
    assert (gap.bot_id, gap.currency, gap.reported, gap.by_ledger) == ("told_001", "USDT", 1200, Decimal("1229.5"))

    balance(bot, "b2", "1229.5", 4)

    assert balances_compare(bot_id="told_001") == []


def test_the_command_tells_differences_of_every_kind(scratch: Ledger) -> None:
    execute(f"UPDATE risk_metrics SET net_profit = net_profit + 1 WHERE {DAY}")
    told = StringIO()

    with pytest.raises(CommandError, match="figures that differ: 1") as caught:
        call_command("rebuild_ledger", "--check", stdout=told)

    assert caught.value.returncode == 1
    lines = told.getvalue().splitlines()
    assert lines[0].startswith("rich_001 metrics 2026-03-01: net_profit is ")
    assert lines[1].startswith("plain_001: the balance told at 2026-03-03T12:00:00Z is -1")
    assert "the ledger comes to" in lines[1]
    call_command("rebuild_ledger", stdout=told)
    call_command("rebuild_ledger", "--check", stdout=told)
    assert told.getvalue().splitlines()[-1].endswith("figures that differ: 0")


# One of each kind that the command works out, planted together, and the figure that must be named.
PLANTED = {
    "order": ("UPDATE orders SET fees = 9 WHERE bot_id = 'rich_001' AND order_id = 'in'", "fees"),
    "fill": ("UPDATE fills SET realized_pnl = 7 WHERE bot_id = 'rich_001' AND fill_id = 'f5'", "realized_pnl"),
    "position": (
        "UPDATE positions SET cost_basis = 1 WHERE bot_id = 'rich_001' AND symbol = 'BTCUSDT' AND status = 'open'",
        "cost_basis",
    ),
    "trade": (
        "UPDATE trades SET exit_price = 2 WHERE bot_id = 'rich_001' AND symbol = 'BTCUSDT' AND side = 'long'"
        " AND exit_time IS NOT NULL",
        "exit_price",
    ),
    "metrics": (f"UPDATE risk_metrics SET total_trades = total_trades + 1 WHERE {DAY}", "total_trades"),
    "bot": ("UPDATE bots SET current_equity = 5 WHERE bot_id = 'rich_001'", "current_equity"),
}


@pytest.mark.parametrize("kinds", [*([kind] for kind in PLANTED), list(PLANTED)], ids=" ".join)
def test_what_is_planted_is_reported_as_json_and_corrected(scratch: Ledger, kinds: list[str]) -> None:
    execute(FREE, *(PLANTED[kind][0] for kind in kinds))
    checked, corrected, clean = StringIO(), StringIO(), StringIO()

    with pytest.raises(CommandError) as caught:
        call_command("rebuild_ledger", "--dry-run", "--json", stdout=checked)
    call_command("rebuild_ledger", "--json", stdout=corrected)
    call_command("rebuild_ledger", "--check", "--json", stdout=clean)

    found, done, after = (json.loads(text.getvalue()) for text in (checked, corrected, clean))
    assert caught.value.returncode == 1
    assert {*found["kinds"]} >= {*kinds}
    for one in (found, done):
        planted = {(kind, PLANTED[kind][1]) for kind in kinds}
        assert planted <= {(each["kind"], each["field"]) for each in one["differences"]}
        assert one["count"] == sum(one["kinds"].values()) == len(one["differences"])
    assert (found["check"], done["check"]) == (True, False)
    assert (after["count"], after["kinds"], after["differences"]) == (0, {}, [])
    assert_ledger_holds()


def test_a_told_balance_that_was_changed_by_hand_stands_beside_what_the_ledger_comes_to(scratch: Ledger) -> None:
    told = StringIO()
    call_command("rebuild_ledger", "--check", "--json", stdout=told)
    (before,) = (one for one in json.loads(told.getvalue())["balances"] if one["bot_id"] == "plain_001")
    execute("UPDATE account_balance SET total_balance = total_balance + 1 WHERE bot_id = 'plain_001'")

    told = StringIO()
    call_command("rebuild_ledger", "--check", "--json", stdout=told)

    (after,) = (one for one in json.loads(told.getvalue())["balances"] if one["bot_id"] == "plain_001")
    assert Decimal(after["told"]) == Decimal(before["told"]) + 1
    assert after["by_ledger"] == before["by_ledger"]

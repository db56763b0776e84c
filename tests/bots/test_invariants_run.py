"""How invariants are run: in one snapshot, in whole or since the last sweep, by command and over the API."""

import json
import random
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

import bots.services.invariants.run as runs
from audit.choices import RunKind
from audit.models import InvariantRun, SystemEvent
from audit.services.actions import SYSTEM
from audit.services.invariant_runs import last_run, ledger_state, looked_at, run_record, runs_remove_old
from bots.ledger.shapes import stamp
from bots.models import Position
from bots.services.invariants.base import SHOWN, Findings, Invariant
from bots.services.invariants.replay import NAME as REPLAY
from bots.services.invariants.run import invariants, invariants_run, invariants_sweep, last_report
from bots.services.invariants.window import Window
from bots.services.rebuild import ledger_rebuild
from bots.services.registry import bot_update
from tests.bots.ledger_tools import add_fill, at, place, tell
from tests.bots.rich_ledger import Ledger, execute, ledger, registered, scratch  # noqa: F401 (fixtures)
from tests.ledger_checks import assert_ledger_holds, ledger_holds, red  # noqa: F401 (a fixture)
from tradingdb.lib.errors import Conflict

pytestmark = pytest.mark.django_db

WRONG_PNL = "UPDATE positions SET realized_pnl = realized_pnl + 1 WHERE bot_id = 'rich_001' AND symbol = 'BTCUSDT'"


def test_a_sweep_looks_only_at_what_was_touched_since(scratch: Ledger) -> None:
    execute(WRONG_PNL)
    now = timezone.now()

    before, after = (invariants_run(since=now + timedelta(minutes=minutes)) for minutes in (-1, 5))

    assert {"exact_replay", "I09_realized_pnl_is_cash_flow_plus_cost_basis"} <= red(before)
    assert red(after) == set()
    assert red(invariants_run(since=now + timedelta(minutes=5), whole=["exact_replay"])) == {"exact_replay"}


# --- what is no breach


def test_a_late_fact_makes_metrics_stale_and_not_wrong(scratch: Ledger) -> None:
    place(scratch.rich, "later", "sell", "0.1", symbol="ETHUSDT")
    add_fill(scratch.rich, "e-late", "later", "3200", "0.1", 12)

    assert_ledger_holds()


def test_a_lower_limit_does_not_turn_positions_red_that_were_admitted_before(scratch: Ledger) -> None:
    bot = registered("modest_001")
    for symbol in ("AUSDT", "BUSDT"):
        place(bot, symbol, "buy", "1", symbol=symbol, intent="request")
        add_fill(bot, symbol, symbol, "10", "1", 50, exchange_trade_id=symbol)

    bot_update(bot_id=bot.bot_id, changes={"max_positions": 1}, actor=SYSTEM)

    assert Position.objects.open().filter(bot=bot).count() > 1
    assert_ledger_holds()


@pytest.mark.usefixtures("ledger_holds")
def test_reported_orders_may_open_more_than_the_limit() -> None:
    bot = registered("eager_001", max_positions=1)
    for symbol in ("AUSDT", "BUSDT"):
        place(bot, symbol, "buy", "1", symbol=symbol)
        add_fill(bot, symbol, symbol, "10", "1")

    assert Position.objects.open().filter(bot=bot).count() == 2


# --- reports


def test_a_report_counts_every_row_and_shows_the_first_twenty(scratch: Ledger) -> None:
    bot = scratch.plain
    for number in range(SHOWN + 3):
        place(bot, f"many-{number:02}", "buy", "1", symbol="LTCUSDT")
    execute("UPDATE orders SET fees = 1 WHERE order_id LIKE 'many-%'")

    found = invariants_run()["invariants"]["I05_order_fees_are_sum_of_fill_fees"]

    assert found["count"] == SHOWN + 3
    assert [row["id"] for row in found["rows"]] == [f"many-{number:02}" for number in range(SHOWN)]
    assert found["rows"][0] == {
        "kind": "order",
        "bot_id": "plain_001",
        "id": "many-00",
        "stored": "1",
        "sum_of_fills": "0",
    }


Reds = dict[str, int]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> tuple[Reds, list[tuple[str, datetime | None]]]:
    """Two invariants that break as often as they are told to, and what they were asked."""
    reds: Reds = {}
    asked: list[tuple[str, datetime | None]] = []

    def one(name: str) -> Invariant:
        def find(window: Window | None) -> Findings:
            asked.append((name, window and window.since))
            return {"count": reds.get(name, 0), "rows": [{"id": number} for number in range(reds.get(name, 0))]}

        return Invariant(name, "", find)

    monkeypatch.setattr(runs, "invariants", lambda: [one("first"), one("second")])
    return reds, asked


def alerts() -> list[tuple[str, str, str]]:
    events = SystemEvent.objects.filter(component="invariants").order_by("pk")
    return [(event.event_type, event.event_level, event.message.split()[0]) for event in events]


def test_a_sweep_begins_at_the_last_run_and_asks_all_of_what_was_broken(
    scratch: Ledger, answers: tuple[Reds, list[tuple[str, datetime | None]]]
) -> None:
    reds, asked = answers
    reports = []
    for red_ones in ({}, {"first": 2}, {}, {}):
        reds.clear()
        reds.update(red_ones)
        reports.append(invariants_sweep())

    times = [datetime.fromisoformat(report["at"]) for report in reports]
    assert asked == [
        ("first", None), ("second", None), ("first", times[0]), ("second", times[0]),
        ("first", None), ("second", times[1]), ("first", times[2]), ("second", times[2]),
    ]  # fmt: skip
    assert [report["ok"] for report in reports] == [True, False, True, True]
    assert last_report() == reports[3]
    rows = InvariantRun.objects.order_by("at")
    assert [row.kind for row in rows] == ["full", "incremental", "incremental", "incremental"]


def test_what_breaks_and_what_is_mended_is_told_once(
    scratch: Ledger, answers: tuple[Reds, list[tuple[str, datetime | None]]]
) -> None:
    reds, _ = answers
    told = []
    for red_ones in ({}, {"first": 2}, {"first": 1}, {"first": 1, "second": 1}, {"second": 1}, {}):
        reds.clear()
        reds.update(red_ones)
        invariants_sweep()
        told.append(len(alerts()))

    assert told == [0, 1, 1, 2, 3, 4]
    assert alerts() == [
        ("INVARIANT_BROKEN", "CRITICAL", "first"),
        ("INVARIANT_BROKEN", "CRITICAL", "second"),
        ("INVARIANT_MENDED", "INFO", "first"),
        ("INVARIANT_MENDED", "INFO", "second"),
    ]
    runs_of = list(InvariantRun.objects.order_by("at"))
    began = {name: runs_of[number].at.isoformat() for name, number in (("first", 1), ("second", 3))}
    assert [run.red_since for run in runs_of] == [
        {}, {"first": began["first"]}, {"first": began["first"]}, began, {"second": began["second"]}, {},
    ]  # fmt: skip
    assert runs_of[1].found == {"first": [{"id": 0}, {"id": 1}]}


def test_a_run_keeps_what_it_found_within_bounds(scratch: Ledger) -> None:
    rows = [{"id": number, "text": "x" * 30_000} for number in range(5)]
    counts = {"long": 5, "short": 1, "well": 0, REPLAY: 3}

    run = run_record(
        at=timezone.now(), duration=timedelta(seconds=1.5), kind=RunKind.FULL, counts=counts,
        found={"long": rows, "short": [{"id": 1}], "well": [], REPLAY: []}, replay=REPLAY,
    )  # fmt: skip

    assert len(run.found["long"]) == 3
    assert set(run.found) == {"long", "short", REPLAY}
    assert (run.duration_ms, run.replay_differences, run.ok) == (1500, 3, False)
    assert run.version


def test_a_long_run_that_was_overtaken_tells_what_it_found_and_mends_nothing(scratch: Ledger) -> None:
    now = timezone.now()
    for minutes, kind, counts in (
        (2, RunKind.INCREMENTAL, {"touched": 1, "hidden": 0, "well": 0}),
        (0, RunKind.FULL, {"touched": 0, "hidden": 1, "well": 0}),
    ):
        run_record(
            at=now + timedelta(minutes=minutes), duration=timedelta(0), kind=kind, counts=counts,
            found={name: [{"of": kind}] * count for name, count in counts.items()}, replay=REPLAY,
        )  # fmt: skip

    assert alerts() == [("INVARIANT_BROKEN", "CRITICAL", name) for name in ("touched", "hidden")]
    last = last_run()
    assert last.counts == {"touched": 1, "hidden": 1, "well": 0}
    assert last.found == {"touched": [{"of": "incremental"}], "hidden": [{"of": "full"}]}
    assert looked_at() == now + timedelta(minutes=2)
    assert last_report()["at"] == stamp(now + timedelta(minutes=2))


def test_the_state_is_red_when_broken_never_looked_at_or_looked_at_too_long_ago(scratch: Ledger) -> None:
    now = timezone.now()
    assert (ledger_state(now).ok, ledger_state(now).note) == (False, "never looked at")

    def record(at_: datetime, **counts: int) -> None:
        run_record(
            at=at_, duration=timedelta(0), kind=RunKind.FULL, counts=counts, found={name: [] for name in counts},
            replay=REPLAY,
        )  # fmt: skip

    record(now - timedelta(minutes=3), one=0, two=0)
    assert (ledger_state(now).ok, ledger_state(now).note) == (True, "2 hold")
    assert ledger_state(now + timedelta(seconds=1)).note == "not looked at for 3 min"
    record(now, **dict.fromkeys("abcd", 1))
    assert (ledger_state(now).ok, ledger_state(now).note) == (False, "a, b, c and 1 more broken")


def test_runs_go_after_ninety_days(scratch: Ledger) -> None:
    now = timezone.now()
    for days in (91, 89):
        run_record(
            at=now - timedelta(days=days), duration=timedelta(0), kind=RunKind.FULL, counts={}, found={}, replay=REPLAY
        )

    assert runs_remove_old(now=now) == 1
    assert InvariantRun.objects.get().at == now - timedelta(days=89)


# --- command and API


def test_verify_ledger_says_what_is_broken_and_exits_with_one(scratch: Ledger) -> None:
    told = StringIO()
    call_command("verify_ledger", stdout=told)
    lines = told.getvalue().splitlines()
    assert lines[-1] == f"All {len(invariants())} invariants hold."
    assert len(lines) == len(invariants()) + 1

    execute(WRONG_PNL)
    told = StringIO()
    with pytest.raises(CommandError, match="invariants are broken") as caught:
        call_command("verify_ledger", stdout=told)

    assert caught.value.returncode == 1
    assert "bot_id rich_001, symbol BTCUSDT" in told.getvalue()
    assert any(
        line.split() == ["3", "I10_position_pnl_and_fees_are_sums_over_fills"] for line in told.getvalue().splitlines()
    )


def test_verify_ledger_prints_the_report_as_json(scratch: Ledger) -> None:
    told = StringIO()
    call_command("verify_ledger", "--json", stdout=told)

    report = json.loads(told.getvalue())

    assert report == last_report()
    assert (report["ok"], set(report)) == (True, {"at", "ok", "invariants"})
    execute(WRONG_PNL)
    told = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_ledger", "--json", stdout=told)
    assert json.loads(told.getvalue())["ok"] is False


def test_every_invariant_stands_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "invariants.md").read_text()

    assert [one.name for one in invariants() if f"`{one.name}`" not in text] == []
    assert [one.meaning for one in invariants() if one.meaning not in text] == []


# --- any life of orders


@pytest.mark.parametrize("seed", range(6))
def test_whatever_bots_report_the_ledger_holds_and_follows_its_fills(db: None, seed: int) -> None:
    source = random.Random(seed)
    bot = registered(f"any_{seed}")
    for number in range(70):
        order_id, minute = f"o{source.randrange(20)}", source.randint(0, 40)
        try:
            match source.choice(["order", "fill", "fill", "news"]):
                case "order":
                    status = source.choice([None, None, "submitted", "cancelled", "filled", "rejected", "untriggered"])
                    told = {"status": status, "symbol": source.choice(["BTCUSDT", "ETHUSDT", "XRPUSDT"])}
                    place(bot, order_id, source.choice(["buy", "sell"]), str(source.randint(1, 6)), **told)
                case "fill":
                    fee = {
                        "fee": source.choice([None, "0.1", "-0.01"]),
                        "fee_currency": source.choice([None, "BTC", "DOGE"]),
                    }
                    price, quantity = str(source.randint(90, 110)), str(source.randint(1, 4))
                    add_fill(bot, f"f{number:02}", order_id, price, quantity, minute, **fee)
                case "news":
                    status = source.choice(["submitted", "cancelled", "filled", "partially_filled", "expired"])
                    tell(bot, order_id, status=status, at=at(minute))
        except Conflict:
            # Another order under the same id.
            continue

    assert_ledger_holds()
    assert ledger_rebuild(check=True).differences == []

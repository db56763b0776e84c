"""How invariants are run: in one snapshot, in whole or since the last sweep, by command and over the API."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisAway

import bots.services.invariants.run as runs
from audit.services.actions import SYSTEM
from bots.ledger import fold
from bots.ledger.fold import EXACT, EXACT_STEP, Effect, Execution, PositionState
from bots.live.client import sync_client
from bots.models import Position
from bots.services.invariants.base import SHOWN, Findings, Invariant
from bots.services.invariants.replay import Chain
from bots.services.invariants.run import invariants, invariants_run, invariants_sweep, last_report
from bots.services.rebuild import ledger_rebuild
from bots.services.registry import bot_update
from tests.bots.ledger_tools import add_fill, at, place, tell
from tests.bots.rich_ledger import Ledger, execute, ledger, registered, scratch  # noqa: F401 (fixtures)
from tests.ledger_checks import assert_ledger_holds, ledger_holds  # noqa: F401 (a fixture)
from tradingdb.lib.errors import Conflict

pytestmark = pytest.mark.django_db

WRONG_PNL = "UPDATE positions SET realized_pnl = realized_pnl + 1 WHERE bot_id = 'rich_001' AND symbol = 'BTCUSDT'"


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> Iterator[None]:
    """Give each test its own keys in Redis."""
    settings.REDIS_PREFIX = f"test-{uuid4().hex}:"
    yield
    for key in sync_client().scan_iter(match=f"{settings.REDIS_PREFIX}*", count=1000):
        sync_client().delete(key)


def red(report: runs.Report) -> set[str]:
    return {name for name, found in report["invariants"].items() if found["count"]}


# --- the exact replay


def test_an_average_price_bug_passes_every_identity_and_fails_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    reduce = fold._reduce

    def reduce_at_mean_of_all_entries(state: PositionState, execution: Execution, direction: Any) -> Effect:
        """The bug: the average forgets that something was sold, and later entries average with what is gone."""
        effect = reduce(state, execution, direction)
        after = effect.reduced
        if after is None or not after.is_open:
            return effect
        mean = EXACT.divide(state.entry_notional, state.quantity)
        cost = EXACT.multiply(mean, effect.closed_quantity).quantize(EXACT_STEP, context=EXACT)
        gain = EXACT.subtract(EXACT.multiply(execution.price, effect.closed_quantity), cost)
        wrong = fold.replace(
            after, cost_basis=state.cost_basis - cost, realized_pnl=EXACT.add(state.realized_pnl, gain)
        )
        return Effect(execution, wrong, effect.entered, effect.closed_quantity, effect.closing_fee, gain)

    monkeypatch.setattr(fold, "_reduce", reduce_at_mean_of_all_entries)
    bot = registered("wrong_001")
    for number, (side, price, quantity) in enumerate(
        [("buy", "100", "2"), ("sell", "110", "1"), ("buy", "130", "1"), ("sell", "120", "1")]
    ):
        place(bot, f"o{number}", side, quantity)
        add_fill(bot, f"f{number}", f"o{number}", price, quantity, number)

    report = invariants_run()

    # Of 100 and 130, one each is held at 115; the mean of all three entries is 110.
    assert red(report) == {"exact_replay"}
    rows = {
        row["field"]: (Decimal(row["stored"]), Decimal(row["exact"]))
        for row in report["invariants"]["exact_replay"]["rows"]
    }
    assert rows == {"cost_basis": (Decimal(120), Decimal(115)), "realized_pnl": (Decimal(20), Decimal(15))}


EXECUTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.decimals("0.000000000000000001", "90000", places=18),
        st.decimals("0.000000000000000001", "9", places=18),
        st.decimals("-0.01", "2", places=18),
    ),
    max_size=40,
)


def both(rows: list[tuple[str, Decimal, Decimal, Decimal]]) -> tuple[dict[str, PositionState], Chain]:
    """Fold and replay the same executions."""
    states: dict[str, PositionState] = {}
    chain = Chain()
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    executions = [Execution(f"f{n:05}", moment, *row) for n, row in enumerate(rows)]
    for effect in fold.fold(executions):
        for state in (effect.reduced, effect.entered):
            if state is not None:
                states[state.opening_fill_id] = state
    for one in executions:
        price, quantity = (int(value.scaleb(18, EXACT)) for value in (one.price, one.quantity))
        chain.add(one.fill_id, one.side, price=price, quantity=quantity, fee=int(one.fee.scaleb(36, EXACT)))
    return states, chain


def assert_same(states: dict[str, PositionState], chain: Chain) -> None:
    assert list(chain.positions) == list(states)
    for opening_fill_id, held in chain.positions.items():
        state = states[opening_fill_id]
        assert (held.side, held.fills) == (state.side, state.fill_count)
        assert Fraction(held.size, 10**18) == Fraction(state.size)
        for name in ("cost_basis", "realized_pnl", "fees"):
            exact = Fraction(getattr(held, name)) / 10**36
            assert abs(exact - Fraction(getattr(state, name))) <= Fraction(held.fills, 10**36)


@given(rows=EXECUTIONS)
@settings(max_examples=150, deadline=None)
def test_replay_and_fold_agree_on_any_history(rows: list[tuple[str, Decimal, Decimal, Decimal]]) -> None:
    assert_same(*both(rows))


def test_a_position_that_never_rests_stays_exact_and_its_fractions_short() -> None:
    source = random.Random(7)
    rows = [("buy", Decimal("50000.123456789"), Decimal(1000), Decimal(0))]
    for _ in range(3000):
        price, quantity = Decimal(source.randrange(1, 10**9)).scaleb(-4), Decimal(source.randrange(1, 10**5)).scaleb(-5)
        rows.append((source.choice(["buy", "sell"]), price, quantity, Decimal("0.01")))

    states, chain = both(rows)

    assert_same(states, chain)
    assert chain.held is not None
    assert Fraction(chain.held.cost_basis).denominator.bit_length() < 5000


def test_a_sweep_replays_only_what_was_touched_since(scratch: Ledger) -> None:
    execute(WRONG_PNL)
    now = timezone.now()

    before, after = (invariants_run(since=now + timedelta(minutes=minutes)) for minutes in (-1, 5))

    assert "exact_replay" in red(before)
    # The identities look at everything, always.
    assert "exact_replay" not in red(after)
    assert "I09_realized_pnl_is_cash_flow_plus_cost_basis" in red(after)


# --- what is no breach


def test_a_late_fact_makes_metrics_stale_and_not_wrong(scratch: Ledger) -> None:
    place(scratch.rich, "later", "sell", "0.1", symbol="ETHUSDT")
    add_fill(scratch.rich, "e-late", "later", "3200", "0.1", 12)

    assert_ledger_holds()


def test_a_lower_limit_does_not_turn_positions_red_that_were_admitted_before(scratch: Ledger) -> None:
    bot = scratch.plain
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


def test_a_sweep_keeps_its_report_and_the_next_one_begins_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime | None] = []

    def find(since: datetime | None) -> Findings:
        asked.append(since)
        return {"count": len(asked) == 2, "rows": []}

    monkeypatch.setattr(runs, "invariants", lambda: [Invariant("one", "", find)])

    reports = [invariants_sweep() for _ in range(3)]

    # Everything without a report, what is due after a good one, everything again after a bad one.
    assert asked == [None, datetime.fromisoformat(reports[0]["at"]), None]
    assert [report["ok"] for report in reports] == [True, False, True]
    assert last_report() == reports[2]


def test_without_redis_there_is_no_last_report_and_runs_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    class Away:
        def get(self, key: str) -> None:
            raise RedisAway("away")

        def set(self, key: str, value: str) -> None:
            raise RedisAway("away")

    monkeypatch.setattr(runs, "sync_client", Away)

    assert invariants_sweep()["ok"] is True
    assert last_report() is None
    assert "not kept" in caplog.text


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

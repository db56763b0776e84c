"""Every invariant is green on a rich ledger and red on the corruption it is there for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bots.services.invariants.rows import OWNED
from bots.services.invariants.run import Report, invariants, invariants_run
from tests.bots.rich_ledger import FREE, Ledger, execute, ledger, scratch  # noqa: F401 (fixtures)

pytestmark = pytest.mark.django_db


def red(report: Report) -> dict[str, list[dict[str, Any]]]:
    return {name: found["rows"] for name, found in report["invariants"].items() if found["count"]}


def test_all_invariants_hold_on_a_rich_ledger(ledger: Ledger) -> None:
    report = invariants_run()

    assert red(report) == {}
    assert report["ok"] is True
    assert red(invariants_run(since=BEFORE)) == {}
    assert list(report["invariants"]) == sorted(one.name for one in invariants())


# Before anything of the rich ledger.
BEFORE = datetime(2026, 2, 1, tzinfo=UTC)
RICH = "bot_id = 'rich_001'"
OPEN_BTC = f"{RICH} AND symbol = 'BTCUSDT' AND status = 'open'"
CLOSED_BTC = f"{RICH} AND symbol = 'BTCUSDT' AND status = 'closed' AND side = 'long'"
EXITED = f"{RICH} AND symbol = 'BTCUSDT' AND exit_time IS NOT NULL AND side = 'long'"


def order(order_id: str, change: str) -> str:
    return f"UPDATE orders SET {change} WHERE {RICH} AND order_id = '{order_id}'"


def fill(fill_id: str, change: str) -> str:
    return f"UPDATE fills SET {change} WHERE {RICH} AND fill_id = '{fill_id}'"


def position(change: str, where: str = CLOSED_BTC) -> str:
    return f"UPDATE positions SET {change} WHERE {where}"


def trade(change: str, where: str = EXITED) -> str:
    return f"UPDATE trades SET {change} WHERE {where}"


def money(balance_id: str, change: str) -> str:
    return f"UPDATE account_balance SET {change} WHERE {RICH} AND balance_id = '{balance_id}'"


def metrics(change: str) -> str:
    return f"UPDATE risk_metrics SET {change} WHERE {RICH} AND date = '2026-03-01'"


def snapshots(change: str) -> str:
    return f"UPDATE portfolio_snapshots SET {change} WHERE \"timestamp\" = '2026-03-01 12:20Z'"


ZEROS = "decode(repeat('00', 32), 'hex')"
SEAL = (
    "INSERT INTO seals (number, kind, sealed_at, cluster, low, high, running, waited, floor, rows, root, marks, "
    "previous, hash, key, signature) VALUES ({number}, 'seal', now(), '1', {low}, {low} + 1, '[]', '[]', 0, 0, '', '', "
    "{previous}, '\\x01', 'key', '')"
)
# A sweep reads the history of the orders it looks at; one of no order at all is found by the full run.
UNSEEN_BY_SWEEPS = [FREE, f"UPDATE order_events SET bot_id = 'ghost' WHERE {RICH}"]
CORRUPTIONS: list[tuple[str, list[str]]] = [
    ("I01_filled", [order("late-order", "filled_quantity = 9")]),
    ("I01_filled", [f"DELETE FROM fills WHERE {RICH} AND fill_id = 'f3'"]),
    (
        "I02_remaining",
        ["ALTER TABLE orders ALTER remaining_quantity DROP EXPRESSION", order("c5", "remaining_quantity = 0")],
    ),
    ("I02_remaining", ["DELETE FROM reconciliation_cases WHERE kind = 'overfill'"]),
    ("I03_order_status", [order("c5", "status = 'submitted'")]),
    ("I03_order_status", [order("in", "filled_at = filled_at + interval '1 second'")]),
    ("I03_order_status", [FREE, order("late-order", "status = 'filled', filled_at = now()")]),
    ("I03_order_history", [order("c1", "status = 'expired', reported_status = 'expired'")]),
    (
        "I03_order_history",
        [
            "INSERT INTO order_events (bot_id, order_id, from_status, to_status, at) VALUES "
            f"('rich_001', 'c1', 'cancelled', '{status}', now())"
            for status in ("submitted", "cancelled")
        ],
    ),
    ("I04_average", [order("in", "avg_fill_price = avg_fill_price + 0.000000000000000001")]),
    ("I04_average", [order("in", "filled_notional = filled_notional + 1")]),
    ("I04_average", [order("in", "avg_fill_price = NULL")]),
    ("I05_order_fees", [order("in", "fees = fees + 0.1")]),
    ("I05_order_fees", [fill("f3", "fee_quote = 0")]),
    ("I06_fill", [fill("f1", "symbol = 'ETHUSDT'")]),
    ("I06_fill", [fill("f1", "side = 'sell'")]),
    ("I06_fill", ["UPDATE exchange_accounts SET exchange = 'binance' WHERE account_id = 'rich_001'"]),
    ("I07_no_execution", ["DROP INDEX trading.fills_unique_execution", fill("f2", "exchange_trade_id = 'x1'")]),
    ("I07_no_execution", ["ALTER TABLE fills DROP CONSTRAINT fills_unique_per_bot", fill("f2", "fill_id = 'f1'")]),
    ("I08_position_size", [position("size = size + 1", OPEN_BTC)]),
    ("I08_position_size", [position("quantity = quantity + 1")]),
    ("I08_position_size", [position("side = 'short'")]),
    ("I08_position_size", [fill("f3", "quantity = 0.8")]),
    ("I09_realized", [position("realized_pnl = realized_pnl + 1")]),
    ("I09_realized", [position("cost_basis = cost_basis + 1", OPEN_BTC)]),
    ("I09_realized", [position("avg_entry_price = avg_entry_price + 0.000000000000000001", OPEN_BTC)]),
    ("I09_realized", [position("avg_entry_price = avg_entry_price + 0.000000000000000001")]),
    ("I09_realized", [position("unrealized_pnl = 0", OPEN_BTC)]),
    ("I09_realized", [position("unrealized_pnl = 1")]),
    ("I09_realized", [position("exit_notional = exit_notional + 1, realized_pnl = realized_pnl + 1")]),
    ("I10_position_pnl", [position("fees = fees - 0.1")]),
    ("I10_position_pnl", [position("fill_count = 1")]),
    ("I10_position_pnl", [fill("f4", "realized_pnl = realized_pnl + 1")]),
    ("I10_position_pnl", [fill("f5", "closing_fee_quote = 0")]),
    ("I11_no_fill", [fill("f3", "executed_at = executed_at - interval '1 hour'")]),
    ("I12_closed", [position("closed_at = closed_at + interval '1 second'")]),
    ("I12_closed", [position("opened_at = opened_at - interval '1 second'")]),
    (
        "I12_closed",
        [FREE, position("status = 'closed', closed_at = opened_at, closing_fill_id = last_fill_id", OPEN_BTC)],
    ),
    ("I12_closed", [position("closing_fill_id = opening_fill_id")]),
    (
        "I13_one_open",
        ["DROP INDEX trading.positions_one_open", position("status = 'open', size = 1, closed_at = NULL")],
    ),
    ("I14_closed_trade", [trade("exit_reason = NULL")]),
    ("I14_closed_trade", [trade("holding_time_seconds = holding_time_seconds + 1")]),
    ("I14_closed_trade", [FREE, trade("exit_price = NULL")]),
    ("I15_trade", [f"DELETE FROM trades WHERE {EXITED}"]),
    ("I15_trade", [f"DELETE FROM positions WHERE {CLOSED_BTC}"]),
    ("I15_trade", [trade("side = 'short'")]),
    ("I15_trade", [trade("exit_time = exit_time + interval '0.1 seconds'")]),
    ("I15_trade", [trade("position_id = NULL")]),
    ("I16_trade", [trade("gross_pnl = gross_pnl + 1")]),
    ("I16_trade", [trade("fees = fees + 1, gross_pnl = gross_pnl + 1")]),
    ("I16_trade", [trade("entry_price = entry_price + 0.000000000000000001")]),
    ("I16_trade", [trade("exit_price = exit_price + 0.000000000000000001")]),
    ("I16_trade", [trade("pnl_pct = pnl_pct + 0.000000000001")]),
    ("I16_trade", [trade("quantity = quantity + 1")]),
    ("I16_trade", [trade("gross_pnl = gross_pnl + 1", "bot_id = 'plain_001' AND trade_id = 't1'")]),
    *[("I17_ledger", [FREE, f"UPDATE {table} SET bot_id = 'ghost' WHERE {RICH}"]) for table in OWNED],
    ("I17_metrics", [FREE, f"UPDATE risk_metrics SET bot_id = 'ghost' WHERE {RICH}"]),
    ("I18_ledger", [FREE, fill("f1", "fee_rate = 'NaN'")]),
    ("I18_ledger", [FREE, "UPDATE market_data SET volume = 'NaN'"]),
    ("I18_ledger", [f"UPDATE bots SET latency_ms = 'Infinity' WHERE {RICH}"]),
    ("I18_computed", [FREE, metrics("sharpe_ratio = 'NaN'")]),
    ("I18_computed", [FREE, snapshots("portfolio_var_95 = 'NaN'")]),
    ("I19_equity", [money("b4", "equity = equity + 1")]),
    ("I20_available", [money("b4", "locked_balance = 69")]),
    ("I20_available", [money("b4", "locked_balance = -1, available_balance = total_balance + 1")]),
    ("I20_available", [money("b5", "flags = '{}'")]),
    ("I21_told", [f"DELETE FROM cash_flows WHERE {RICH} AND cash_flow_id = 'b2'"]),
    ("I21_told", [f"UPDATE cash_flows SET occurred_at = now() WHERE {RICH} AND cash_flow_id = 'b2'"]),
    ("I21_told", [f"UPDATE cash_flows SET currency = 'EUR' WHERE {RICH} AND cash_flow_id = 'b3'"]),
    ("I21_told", [f"DELETE FROM account_balance WHERE {RICH} AND balance_id = 'b3'"]),
    ("I22_initial", [f"DELETE FROM cash_flows WHERE {RICH} AND kind = 'initial'"]),
    ("I22_initial", [f"UPDATE bots SET initial_capital = 1 WHERE {RICH}"]),
    (
        "I22_initial",
        [
            "DROP INDEX trading.cash_flows_one_initial",
            f"UPDATE cash_flows SET kind = 'initial' WHERE {RICH} AND cash_flow_id = 'b2'",
        ],
    ),
    ("I23_metrics", [metrics("total_trades = total_trades + 1, breakeven_trades = 1")]),
    ("I23_metrics", [metrics("winning_trades = winning_trades - 1, losing_trades = losing_trades + 1")]),
    ("I24_metrics", [metrics("net_profit = net_profit + 1")]),
    ("I24_metrics", [metrics("gross_loss = gross_loss + 1")]),
    ("I25_metrics", [f"UPDATE risk_metrics SET inputs_hash = 'x' WHERE {RICH} AND date = '2026-03-04'"]),
    ("I25_metrics", [money("b4", "equity = equity + 1, unrealized_pnl = unrealized_pnl + 1")]),
    ("I26_metrics", ["DELETE FROM risk_metrics WHERE bot_id = 'plain_001' AND date = '2026-03-02'"]),
    (
        "I26_metrics",
        [
            f"DELETE FROM risk_metrics WHERE {RICH}",
            f"UPDATE trades SET updated_at = now() - interval '2 hours' WHERE {RICH}",
        ],
    ),
    ("I27_snapshots", [snapshots('"timestamp" = "timestamp" + interval \'1 second\'')]),
    (
        "I27_snapshots",
        [
            "DELETE FROM portfolio_snapshots WHERE \"timestamp\" = '2026-03-01 12:20Z'",
            "UPDATE portfolio_snapshots SET created_at = now() - interval '1 day'",
        ],
    ),
    ("I28_snapshot", [snapshots("total_equity = total_equity + 1, total_balance = total_balance + 1")]),
    ("I28_snapshot", [snapshots("bot_metrics = bot_metrics - 'rich_001'")]),
    ("I28_snapshot", [snapshots("bot_metrics = jsonb_set(bot_metrics, '{rich_001,equity}', '\"much\"')")]),
    ("I32_natural", ["DELETE FROM system_events"]),
    ("I32_natural", [f"DELETE FROM account_balance WHERE {RICH} AND balance_id = 'b1'"]),
    ("I32_natural", [f"UPDATE parked_facts SET fact_id = 'p9' WHERE {RICH} AND fact_id = 'p1'"]),
    ("I32_natural", [f"UPDATE parked_facts SET order_id = 'in' WHERE {RICH} AND fact_id = 'p2'"]),
    ("I32_natural", ["DELETE FROM ingest_conflicts"]),
    ("I33_times", [fill("f1", "executed_at = now() + interval '6 minutes'")]),
    ("I33_times", [order("c4", "created_at = '1999-12-31 23:59:59Z'")]),
    ("I33_times", [money("b1", "\"timestamp\" = '2099-01-01Z'")]),
    (
        "I34_one_active",
        [
            "DROP INDEX config.bot_configurations_one_active",
            f"UPDATE bot_configurations SET is_active = true WHERE {RICH}",
        ],
    ),
    ("I35_retired", [f"UPDATE bots SET status = 'archived' WHERE {RICH}"]),
    (
        "I36_open",
        [
            f"UPDATE bots SET max_positions = 0 WHERE {RICH}",
            "DELETE FROM user_actions",
            "UPDATE orders SET intent = 'request'",
        ],
    ),
    (
        "I29_audit",
        [SEAL.format(number=0, low=0, previous=ZEROS), SEAL.format(number=2, low=1, previous="'\\x01'")],
    ),
    (
        "I29_audit",
        [SEAL.format(number=0, low=0, previous=ZEROS), SEAL.format(number=1, low=2, previous="'\\x01'")],
    ),
    ("I30_audit", [SEAL.format(number=0, low=0, previous="'\\x01'")]),
    (
        "I30_audit",
        [SEAL.format(number=0, low=0, previous=ZEROS), SEAL.format(number=1, low=1, previous=ZEROS)],
    ),
    (
        "I31_every",
        [
            "ALTER TABLE fills DISABLE TRIGGER trail_row",
            "INSERT INTO fills (bot_id, account_id, fill_id, order_id, symbol, side, price, quantity, fee, "
            "fee_currency, executed_at, source, content_hash, fee_rate, fee_quote, flags) SELECT bot_id, account_id, "
            "'unseen', order_id, symbol, side, price, quantity, fee, fee_currency, executed_at, source, content_hash, "
            f"fee_rate, fee_quote, flags FROM fills WHERE {RICH} AND fill_id = 'f1'",
        ],
    ),
    (
        "I38_no_order",
        [
            "INSERT INTO control_states (scope, target, state, reason) VALUES ('all', '', 'HALTED', 'why')",
            "UPDATE orders SET control_seq = 0, intent = 'request', id = nextval('trading.orders_id_seq') + 1000"
            f" WHERE {RICH} AND order_id = 'in'",
        ],
    ),
    ("I37_nothing", [FREE, fill("f1", "order_id = 'nowhere'")]),
    ("I37_nothing", [fill("f1", "position_id = NULL")]),
    ("I37_nothing", [fill("f5", "opened_position_id = 'nowhere'")]),
    ("I37_nothing", [f"DELETE FROM fills WHERE {RICH} AND symbol = 'XRPUSDT'"]),
    ("I37_nothing", [order("in", "position_id = NULL, trade_id = NULL")]),
    ("I37_nothing", [order("in", "trade_id = 'nowhere'")]),
    ("I37_nothing", [position("entry_trade_ids = '{f1}'")]),
    ("I37_nothing", [f"UPDATE signals SET execution_order_id = 'nowhere' WHERE {RICH}"]),
    ("I37_nothing", [f"UPDATE signals SET execution_trade_id = 'nowhere' WHERE {RICH}"]),
    ("exact_replay", [position("realized_pnl = realized_pnl + 0.000000000000000001")]),
    ("exact_replay", [fill("f2", "price = price + 0.000000000000000001")]),
    ("exact_replay", [fill("f3", "fee = fee + 0.000000000000000001")]),
    ("exact_replay", [f"DELETE FROM positions WHERE {CLOSED_BTC}"]),
    ("exact_replay", [f"DELETE FROM fills WHERE {RICH} AND symbol = 'XRPUSDT'"]),
    ("exact_replay", [position("opening_fill_id = 'f2'")]),
]


@pytest.mark.parametrize(
    ("name", "statements"), [pytest.param(*c, id=f"{n:03}-{c[0]}") for n, c in enumerate(CORRUPTIONS)]
)
def test_each_corruption_turns_its_invariant_red(scratch: Ledger, name: str, statements: list[str]) -> None:
    execute(*statements)

    report = invariants_run()

    broken = {found: rows for found, rows in red(report).items() if found.startswith(name)}
    assert len(broken) == 1, list(red(report))
    assert report["ok"] is False
    (rows,) = broken.values()
    # Every row names what it speaks of.
    assert any(rows[0].get(key) for key in ("bot_id", "owner", "table", "currency", "error"))
    # A sweep since before all of it was written sees the same, through its window.
    assert statements == UNSEEN_BY_SWEEPS or any(found.startswith(name) for found in red(invariants_run(since=BEFORE)))


def test_every_invariant_has_a_corruption() -> None:
    named = {name for name, _ in CORRUPTIONS}

    assert [one.name for one in invariants() if not one.name.startswith(tuple(named))] == []

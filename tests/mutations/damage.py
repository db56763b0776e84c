"""Damage to a sound ledger, each in one way, beside the lists of tests/bots/test_invariants.py and test_rebuild.py.

NAMED: what the named invariant must find. DERIVED: what nothing but the rebuild from fills can know. REFUSED: what the
database does not let in, by the constraint that stands in the way. The ledger is that of tests/bots/rich_ledger.py.
"""

from tests.bots.rich_ledger import FREE

RICH = "bot_id = 'rich_001'"
PLAIN = "bot_id = 'plain_001'"
OPEN = f"{RICH} AND symbol = 'BTCUSDT' AND status = 'open'"
CLOSED = f"{RICH} AND symbol = 'BTCUSDT' AND status = 'closed' AND side = 'long'"
EXITED = f"{RICH} AND symbol = 'BTCUSDT' AND exit_time IS NOT NULL AND side = 'long'"
METRICS = f"{RICH} AND date = '2026-03-01'"


def _order(order_id: str, change: str) -> str:
    return f"UPDATE orders SET {change} WHERE {RICH} AND order_id = '{order_id}'"


def _fill(fill_id: str, change: str) -> str:
    return f"UPDATE fills SET {change} WHERE {RICH} AND fill_id = '{fill_id}'"


def _copy_of_fill(fill_id: str, as_id: str, **changes: str) -> str:
    """Insert a fill that is a copy of another one, with some columns otherwise."""
    names = (
        "bot_id", "account_id", "fill_id", "order_id", "symbol", "side", "price", "quantity", "executed_at",
        "fee_quote", "closed_quantity", "closing_fee_quote", "realized_pnl", "position_id",
    )  # fmt: skip
    values = [f"'{as_id}'" if name == "fill_id" else changes.get(name, name) for name in names]
    source = f"SELECT {', '.join(values)} FROM fills WHERE {RICH} AND fill_id = '{fill_id}'"
    return f"INSERT INTO fills ({', '.join(names)}) {source}"


NAMED: list[tuple[str, list[str]]] = [
    (
        "I31_every_order",
        [
            "ALTER TABLE changes DISABLE TRIGGER deny_change",
            "DELETE FROM changes WHERE table_name = 'orders' AND row_id = "
            f"(SELECT id::text FROM orders WHERE {RICH} AND order_id = 'in')",
        ],
    ),
    (
        "I38_no_order",
        [
            "INSERT INTO control_states (scope, target, state, reason) VALUES ('symbol', 'BTCUSDT', 'HALTED', 'x')",
            "UPDATE orders SET intent = 'request', control_seq = id, id = nextval('trading.orders_id_seq')"
            f" WHERE {RICH} AND order_id = 'in'",
        ],
    ),
    ("I01_filled", [_copy_of_fill("f1", "f1-again")]),
    ("I01_filled", [_fill("f2", "order_id = 'part'")]),
    ("I02_remaining", [FREE, _order("in", "quantity = 2.5")]),
    ("I03_order_history", [f"DELETE FROM order_events WHERE {RICH} AND order_id = 'c1'"]),
    ("I03_order_history", [f"UPDATE order_events SET to_status = 'pending' WHERE {RICH} AND to_status = 'triggered'"]),
    ("I03_order_status", [_order("c3", "filled_at = NULL")]),
    ("I05_order_fees", [_fill("f2", "fee_rate = fee_rate + 1")]),
    ("I05_order_fees", [_order("flip", "fees = 0")]),
    ("I06_fill", [_order("late-order", "side = 'sell'")]),
    (
        "I07_no_execution",
        ["DROP INDEX trading.fills_unique_execution", _copy_of_fill("f1", "f1-again", account_id="account_id"),
         "UPDATE fills SET exchange_trade_id = 'x1' WHERE fill_id = 'f1-again'"],
    ),
    ("I08_position_size", [_copy_of_fill("f8", "f8-again")]),
    ("I08_position_size", [f"DELETE FROM fills WHERE {RICH} AND fill_id = 'f8'"]),
    ("I10_position_pnl", [f"UPDATE positions SET realized_pnl = 0, fees = 0 WHERE {CLOSED}"]),
    ("I11_no_fill", [_fill("f2", "executed_at = executed_at + interval '1 day'")]),
    ("I11_no_fill", [f"UPDATE fills SET executed_at = executed_at - interval '1 day' WHERE {RICH} AND fill_id = 'f5'"]),
    (
        "I13_one_open",
        ["DROP INDEX trading.positions_one_open",
         f"UPDATE positions SET symbol = 'BTCUSDT' WHERE {RICH} AND symbol = 'XRPUSDT' AND status = 'open'"],
    ),
    ("I14_closed_trade", [f"UPDATE trades SET exit_time = NULL, exit_price = NULL WHERE {EXITED}"]),
    ("I15_trade", [f"UPDATE trades SET origin = 'reported' WHERE {EXITED}"]),
    ("I17_metrics", [FREE, "UPDATE risk_metrics SET bot_id = 'ghost' WHERE bot_id = 'plain_001'"]),
    ("I18_computed", [FREE, f"UPDATE risk_metrics SET net_profit = 'NaN' WHERE {METRICS}"]),
    ("I19_equity", [f"UPDATE account_balance SET unrealized_pnl = 0 WHERE {RICH} AND balance_id = 'b4'"]),
    ("I19_equity", [f"UPDATE account_balance SET total_balance = 7 WHERE {RICH} AND balance_id = 'b1'"]),
    ("I20_available", [f"UPDATE account_balance SET available_balance = 0 WHERE {RICH} AND balance_id = 'b1'"]),
    ("I22_initial", [f"UPDATE cash_flows SET amount = amount + 1 WHERE {RICH} AND kind = 'initial'"]),
    (
        "I23_metrics",
        [f"UPDATE risk_metrics SET total_trades = 0, winning_trades = 0, losing_trades = 0 WHERE {METRICS}"],
    ),
    ("I24_metrics", [f"UPDATE risk_metrics SET gross_profit = 0 WHERE {METRICS}"]),
    ("I25_metrics", [f"UPDATE risk_metrics SET inputs_hash = '' WHERE {PLAIN} AND date = '2026-03-04'"]),
    ("I27_snapshots", ["UPDATE portfolio_snapshots SET \"timestamp\" = \"timestamp\" - interval '61 seconds'"]),
    ("I28_snapshot", ["UPDATE portfolio_snapshots SET total_unrealized_pnl = total_unrealized_pnl + 1"]),
    ("I33_times", [f"UPDATE positions SET opened_at = '1990-01-01Z' WHERE {CLOSED}"]),
    (
        "I34_one_active",
        ["DROP INDEX config.bot_configurations_one_active",
         "INSERT INTO bot_configurations (bot_id, config_key, config_type, config_value, version, is_active)"
         f" SELECT bot_id, config_key, config_type, config_value, 9, true FROM bot_configurations WHERE {RICH}"
         " LIMIT 1"],
    ),
    ("I35_retired", [f"UPDATE bots SET status = 'stopped' WHERE {PLAIN}"]),
    (
        "I36_open",
        [f"UPDATE bots SET max_positions = 0 WHERE {PLAIN}", "DELETE FROM user_actions",
         f"UPDATE orders SET intent = 'request' WHERE {PLAIN}"],
    ),
    ("I37_nothing", [f"DELETE FROM positions WHERE {RICH} AND symbol = 'ETHUSDT'"]),
    ("exact_replay", [_fill("f7", "quantity = 5.2")]),
    ("exact_replay", [_fill("f5", "side = 'buy'")]),
]  # fmt: skip

# Identities hold with it; only who works everything out from the fills can tell.
DERIVED: list[str] = [
    f"UPDATE trades SET exit_reason = 'time_exit' WHERE {EXITED}",
    f"UPDATE positions SET leverage = 7 WHERE {CLOSED}",
    f"UPDATE trades SET leverage = 7 WHERE {EXITED}",
    f"UPDATE positions SET current_price = 1 WHERE {CLOSED}",
    f"UPDATE positions SET last_fill_id = 'f1' WHERE {CLOSED}",
    f"UPDATE trades SET avg_fill_price = 1 WHERE {EXITED}",
    f"UPDATE positions SET last_fill_at = opened_at WHERE {CLOSED}",
    # The round trip earned the same, but not at the same time.
    _fill("f6", "executed_at = executed_at - interval '1 minute'"),
]

REFUSED: list[tuple[str, str]] = [
    ("orders_filled_not_negative", _order("c4", "filled_quantity = -1")),
    ("orders_filled_when_nothing_remains", _order("c4", "status = 'filled'")),
    ("orders_filled_when_nothing_remains", _order("in", "status = 'submitted'")),
    ("orders_positive_quantity", _order("late-order", "quantity = 0, status = 'filled'")),
    ("orders_valid_status", _order("c4", "status = 'done'")),
    ("orders_unique_per_bot", _order("c4", "order_id = 'c5'")),
    ("fills_unique_per_bot", _fill("f2", "fill_id = 'f1'")),
    ("fills_unique_execution", _fill("f2", "exchange_trade_id = 'x1'")),
    ("fills_positive_price", _fill("f1", "price = 0")),
    ("fills_positive_quantity", _fill("f1", "quantity = 0")),
    ("fills_closed_within_quantity", _fill("f3", "closed_quantity = quantity + 1")),
    ("fills_valid_side", _fill("f1", "side = 'long'")),
    ("fills_valid_symbol", _fill("f1", "symbol = 'btc usdt'")),
    ("positions_one_open", f"UPDATE positions SET status = 'open', size = 1, closed_at = NULL WHERE {CLOSED}"),
    ("positions_closed_when_flat", f"UPDATE positions SET size = 1 WHERE {CLOSED}"),
    ("positions_closed_when_flat", f"UPDATE positions SET size = 0 WHERE {OPEN}"),
    ("positions_cost_not_negative", f"UPDATE positions SET cost_basis = -1 WHERE {OPEN}"),
    ("positions_close_after_open", f"UPDATE positions SET closed_at = opened_at - interval '1 s' WHERE {CLOSED}"),
    ("trades_exit_is_whole", f"UPDATE trades SET exit_price = NULL WHERE {EXITED}"),
    ("trades_exit_is_whole", f"UPDATE trades SET exit_time = entry_time - interval '1 s' WHERE {EXITED}"),
    ("trades_positive_quantity", f"UPDATE trades SET quantity = 0 WHERE {EXITED}"),
    ("cash_flows_one_initial", f"UPDATE cash_flows SET kind = 'initial' WHERE {RICH} AND cash_flow_id = 'b2'"),
    ("cash_flows_sign_matches_kind", f"UPDATE cash_flows SET amount = -amount WHERE {RICH} AND cash_flow_id = 'b2'"),
    ("parked_facts_applied_has_time", f"UPDATE parked_facts SET state = 'applied' WHERE {RICH} AND fact_id = 'p2'"),
    ("ingest_keys_unique", f"UPDATE ingest_keys SET natural_id = 'b1' WHERE {RICH} AND natural_id = 'b2'"),
    ("bots_leverage_at_least_one", f"UPDATE bots SET leverage_limit = 0 WHERE {RICH}"),
]  # fmt: skip

"""Every index that the older systems have on these tables is answered by one of ours.

One of ours answers when it starts with the same columns and holds every row that the old one holds, or every one of
the state people look for. Beside `bot_id` alone no index is repeated: many of ours start with it.
"""

import pytest
from django.db import connection

LEADING = """
    SELECT i.relname, x.indpred IS NOT NULL, array_agg(a.attname::text ORDER BY k.place)
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    CROSS JOIN LATERAL unnest(x.indkey::int[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE c.relnamespace = 'trading'::regnamespace AND c.relname = %s GROUP BY i.relname, x.indpred
"""
# table, the seed's index, its columns by our names
WHOLE = [
    ("bots", "idx_bots_status", "status"),
    ("bots", "idx_bots_type", "bot_type"),
    ("bots", "idx_bots_mode", "deployment_mode"),
    ("trades", "idx_trades_bot_id", "bot_id"),
    ("trades", "idx_trades_symbol", "symbol"),
    ("trades", "idx_trades_entry_time", "entry_time"),
    ("trades", "idx_trades_status", "status"),
    ("trades", "idx_trades_bot_symbol", "bot_id symbol"),
    ("trades", "idx_trades_bot_time", "bot_id entry_time"),
    ("trades", "idx_trades_strategy_params", "strategy_params"),
    ("trades", "idx_trades_entry_conditions", "entry_conditions"),
    ("trades", "ix_trading_trades_symbol", "symbol"),
    ("trades", "ix_trading_trades_strategy_name", "strategy"),
    ("positions", "idx_positions_bot_id", "bot_id"),
    ("positions", "idx_positions_symbol", "symbol"),
    ("positions", "idx_positions_bot_symbol", "bot_id symbol"),
    ("positions", "idx_positions_opened_at", "opened_at"),
    ("positions", "idx_positions_entry_trades", "entry_trade_ids"),
    ("positions", "idx_positions_strategy", "strategy"),
    ("positions", "idx_positions_entry_time", "opened_at"),
    ("positions", "ix_trading_positions_bot_id", "bot_id"),
    ("orders", "idx_orders_bot_id", "bot_id"),
    ("orders", "idx_orders_symbol", "symbol"),
    ("orders", "idx_orders_status", "status"),
    ("orders", "idx_orders_exchange_id", "exchange_order_id"),
    ("orders", "idx_orders_created_at", "created_at"),
    ("orders", "idx_orders_strategy", "strategy"),
    ("fills", "idx_trades_order", "bot_id order_id"),
    ("fills", "idx_trades_position", "bot_id position_id"),
    ("fills", "idx_trades_timestamp", "executed_at"),
    ("signals", "idx_signals_bot_id", "bot_id"),
    ("signals", "idx_signals_symbol", "symbol"),
    ("signals", "idx_signals_timestamp", "timestamp"),
    ("signals", "idx_signals_bot_symbol", "bot_id symbol timestamp"),
    ("signals", "idx_signals_indicators", "indicators"),
    ("signals", "idx_strategy_signals_strategy", "strategy"),
    ("account_balance", "idx_balance_bot_id", "bot_id"),
    ("account_balance", "idx_balance_timestamp", "timestamp"),
    ("account_balance", "idx_balance_bot_time", "bot_id timestamp"),
    ("risk_metrics", "idx_risk_metrics_bot_id", "bot_id"),
    ("risk_metrics", "idx_risk_metrics_date", "date"),
    ("risk_metrics", "idx_risk_metrics_bot_date", "bot_id date"),
    # The series of an exchange: the seeds forget it.
    ("market_data", "idx_market_data_symbol_interval", "exchange symbol interval timestamp"),
    ("market_data", "idx_candlesticks_symbol_timeframe", "exchange symbol interval"),
    ("market_data", "idx_market_data_timestamp", "timestamp"),
    ("order_book_snapshots", "idx_order_book_snapshots_symbol", "symbol"),
    ("order_book_snapshots", "idx_order_book_snapshots_timestamp", "timestamp"),
    ("technical_indicators", "idx_technical_indicators_lookup", "symbol timeframe indicator_name"),
    ("technical_indicators", "idx_technical_indicators_timestamp", "timestamp"),
    ("strategies", "idx_strategies_type_status", "type status"),
]
# Those that the seeds limit to some rows, and those that ours limits to the rows people look for.
SOME = [
    ("trades", "idx_trades_exit_time", "exit_time"),
    ("trades", "idx_trades_open", "bot_id symbol"),
    ("positions", "idx_positions_open", "bot_id symbol"),
    ("positions", "idx_positions_status", "status"),
    ("positions", "idx_positions_symbol_status", "symbol status"),
    ("orders", "idx_orders_position_id", "position_id"),
    ("orders", "idx_orders_active", "bot_id symbol"),
    ("orders", "idx_orders_symbol_status", "symbol status"),
    ("signals", "idx_signals_executed", "timestamp"),
    ("signals", "idx_strategy_signals_lookup", "symbol timestamp"),
    ("market_data", "idx_market_data_1h", "symbol timestamp"),
    ("market_data", "idx_market_data_4h", "symbol timestamp"),
    ("market_data", "idx_market_data_1d", "symbol timestamp"),
]


def starts(table: str, *, is_partial: bool) -> dict[str, list[str]]:
    """Return the columns of a table's indexes, by name."""
    with connection.cursor() as cursor:
        cursor.execute(LEADING, [table])
        return {name: columns for name, partial, columns in cursor.fetchall() if partial is is_partial}


@pytest.mark.django_db
@pytest.mark.parametrize(("table", "name", "columns"), WHOLE, ids=str)
def test_index_of_the_seeds_over_all_rows_is_answered(table: str, name: str, columns: str) -> None:
    wanted = columns.split()

    assert any(found[: len(wanted)] == wanted for found in starts(table, is_partial=False).values()), name


@pytest.mark.django_db
@pytest.mark.parametrize(("table", "name", "columns"), SOME, ids=str)
def test_index_of_the_seeds_over_some_rows_is_answered(table: str, name: str, columns: str) -> None:
    wanted = columns.split()

    assert any(found[: len(wanted)] == wanted for found in starts(table, is_partial=True).values()), name

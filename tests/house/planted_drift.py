"""Differences for the drift check to find: one for every kind of thing and every way it can be wrong.

Each is what is done behind the models' back, as SQL, and the beginning of every line that is to be said.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager
from typing import Protocol

import pytest
from django.db import connection

from tradingdb.management.catalog import Catalog
from tradingdb.management.expected import expected_catalog

MONTH = "trading.market_data_y2031m01"
MAKE_MONTH = (
    f"CREATE TABLE {MONTH} PARTITION OF trading.market_data FOR VALUES FROM ('2031-01-01+00') TO ('2031-02-01+00')"
)
PLANTED = {
    "schema too much": ("CREATE SCHEMA stray", ["stray: schema is not in the models"]),
    "table too much": ("CREATE TABLE trading.extra (n int)", ["trading.extra: table is not in the models"]),
    "table missing": ("DROP TABLE trading.parked_facts", ["trading.parked_facts: table is missing"]),
    "table in the wrong schema": (
        "ALTER TABLE trading.parked_facts SET SCHEMA public",
        ["public.parked_facts: table is not in the models", "trading.parked_facts: table is missing"],
    ),
    "table without a log": (
        "ALTER TABLE trading.ingest_keys SET UNLOGGED",
        ["trading.ingest_keys: table differs: kept is unlogged, expected none"],
    ),
    "table with options": (
        "ALTER TABLE trading.orders SET (autovacuum_enabled = off)",
        ["trading.orders: table differs: options is autovacuum_enabled=off, expected none"],
    ),
    "column too much": (
        "ALTER TABLE trading.orders ADD COLUMN extra int",
        ["trading.orders: column extra is not in the models"],
    ),
    "column missing": (
        "ALTER TABLE trading.orders DROP COLUMN commission",
        [
            "trading.orders: column commission is missing",
            "trading.orders: constraint orders_commission_check is missing",
        ],
    ),
    "column of another name": (
        "ALTER TABLE trading.bots RENAME COLUMN latency_ms TO latency",
        ["trading.bots: column latency_ms is missing", "trading.bots: column latency is not in the models"],
    ),
    "column type": (
        "ALTER TABLE trading.orders ALTER COLUMN stop_price TYPE numeric(20, 8)",
        ["trading.orders: column stop_price differs: type is numeric(20,8), expected numeric(38,18)"],
    ),
    "column type narrower text": (
        "ALTER TABLE trading.orders ALTER COLUMN client_order_id TYPE varchar(50)",
        [
            "trading.orders: column client_order_id differs: type is character varying(50), "
            "expected character varying(100)"
        ],
    ),
    "column allows NULL": (
        "ALTER TABLE trading.orders ALTER COLUMN quantity DROP NOT NULL",
        ["trading.orders: column quantity differs: null is allowed, expected refused"],
    ),
    "column refuses NULL": (
        "ALTER TABLE trading.orders ALTER COLUMN leverage SET NOT NULL",
        ["trading.orders: column leverage differs: null is refused, expected allowed"],
    ),
    "column without default": (
        "ALTER TABLE trading.orders ALTER COLUMN fees DROP DEFAULT",
        ["trading.orders: column fees differs: default is none, expected 0"],
    ),
    "column with another default": (
        "ALTER TABLE trading.orders ALTER COLUMN status SET DEFAULT 'filled'",
        [
            "trading.orders: column status differs: default is 'filled'::character varying, "
            "expected 'pending'::character varying"
        ],
    ),
    "column of another collation": (
        'ALTER TABLE trading.fills ALTER COLUMN fill_id TYPE varchar(100) COLLATE "POSIX"',
        ["trading.fills: column fill_id differs: collation is POSIX, expected C"],
    ),
    "column no longer computed": (
        "ALTER TABLE trading.orders ALTER COLUMN remaining_quantity DROP EXPRESSION",
        [
            "trading.orders: column remaining_quantity differs: default is none, expected GREATEST(",
            "trading.orders: column remaining_quantity differs: generated is none, expected stored",
        ],
    ),
    "column numbered otherwise": (
        "ALTER TABLE trading.orders ALTER COLUMN id SET GENERATED ALWAYS",
        ["trading.orders: column id differs: identity is always, expected by default"],
    ),
    "CHECK missing": (
        "ALTER TABLE trading.orders DROP CONSTRAINT orders_positive_quantity",
        ["trading.orders: constraint orders_positive_quantity is missing"],
    ),
    "CHECK of an amount missing": (
        "ALTER TABLE trading.orders DROP CONSTRAINT orders_price_check",
        ["trading.orders: constraint orders_price_check is missing"],
    ),
    "CHECK of another text": (
        "ALTER TABLE trading.orders DROP CONSTRAINT orders_positive_quantity, "
        "ADD CONSTRAINT orders_positive_quantity CHECK (quantity >= 0)",
        [
            "trading.orders: constraint orders_positive_quantity differs: definition is "
            "CHECK ((quantity >= (0)::numeric)), expected CHECK ((quantity > (0)::numeric))"
        ],
    ),
    "CHECK not looked at": (
        "ALTER TABLE trading.orders DROP CONSTRAINT orders_positive_quantity, "
        "ADD CONSTRAINT orders_positive_quantity CHECK (quantity > 0) NOT VALID",
        [
            "trading.orders: constraint orders_positive_quantity differs: definition is "
            "CHECK ((quantity > (0)::numeric)) NOT VALID, expected CHECK ((quantity > (0)::numeric))"
        ],
    ),
    "CHECK too much": (
        "ALTER TABLE trading.orders ADD CONSTRAINT stray CHECK (quantity < 5)",
        ["trading.orders: constraint stray is not in the models"],
    ),
    "unique missing": (
        "ALTER TABLE trading.signals DROP CONSTRAINT signals_unique_per_bot",
        ["trading.signals: constraint signals_unique_per_bot is missing"],
    ),
    "unique of other columns": (
        "ALTER TABLE trading.signals DROP CONSTRAINT signals_unique_per_bot, "
        "ADD CONSTRAINT signals_unique_per_bot UNIQUE (signal_id)",
        [
            "trading.signals: constraint signals_unique_per_bot differs: definition is UNIQUE (signal_id), "
            "expected UNIQUE (bot_id, signal_id)"
        ],
    ),
    "primary key of a time series without its time": (
        "ALTER TABLE trading.signals DROP CONSTRAINT signals_pkey",
        ["trading.signals: constraint signals_pkey is missing"],
    ),
    "exclusion too much": (
        "ALTER TABLE trading.bots ADD CONSTRAINT stray EXCLUDE USING btree (bot_name WITH =)",
        ["trading.bots: constraint stray is not in the models"],
    ),
    "composite foreign key missing": (
        "ALTER TABLE trading.fills DROP CONSTRAINT fills_order_of_same_bot",
        ["trading.fills: constraint fills_order_of_same_bot is missing"],
    ),
    "foreign key with another action": (
        "ALTER TABLE trading.fills DROP CONSTRAINT fills_order_of_same_bot, ADD CONSTRAINT fills_order_of_same_bot "
        "FOREIGN KEY (bot_id, order_id) REFERENCES trading.orders (bot_id, order_id) ON DELETE CASCADE",
        [
            "trading.fills: constraint fills_order_of_same_bot differs: definition is FOREIGN KEY (bot_id, order_id) "
            "REFERENCES orders(bot_id, order_id) ON DELETE CASCADE, expected FOREIGN KEY (bot_id, order_id) REFERENCES"
        ],
    ),
    "index missing": ("DROP INDEX trading.idx_orders_bot_id", ["trading.orders: index idx_orders_bot_id is missing"]),
    "index too much": (
        "CREATE INDEX stray ON trading.orders (flags)",
        ["trading.orders: index stray is not in the models"],
    ),
    "index of another order": (
        "DROP INDEX trading.idx_orders_bot_id; "
        "CREATE INDEX idx_orders_bot_id ON trading.orders (created_at DESC, bot_id)",
        [
            "trading.orders: index idx_orders_bot_id differs: definition is btree (created_at DESC, bot_id), "
            "expected btree (bot_id, created_at DESC)"
        ],
    ),
    "index of another direction": (
        "DROP INDEX trading.idx_orders_bot_id; CREATE INDEX idx_orders_bot_id ON trading.orders (bot_id, created_at)",
        [
            "trading.orders: index idx_orders_bot_id differs: definition is btree (bot_id, created_at), "
            "expected btree (bot_id, created_at DESC)"
        ],
    ),
    "index of other rows": (
        "DROP INDEX trading.idx_trades_open; "
        "CREATE INDEX idx_trades_open ON trading.trades (bot_id, symbol) WHERE exit_time IS NOT NULL",
        [
            "trading.trades: index idx_trades_open differs: definition is btree (bot_id, symbol) "
            "WHERE (exit_time IS NOT NULL), expected btree (bot_id, symbol) WHERE (exit_time IS NULL)"
        ],
    ),
    "index of another method": (
        "DROP INDEX trading.idx_fills_arrival; CREATE INDEX idx_fills_arrival ON trading.fills (received_at)",
        [
            "trading.fills: index idx_fills_arrival differs: definition is btree (received_at), "
            "expected brin (received_at)"
        ],
    ),
    "index of another operator class": (
        "DROP INDEX trading.idx_signals_indicators; "
        "CREATE INDEX idx_signals_indicators ON trading.signals USING gin (indicators)",
        [
            "trading.signals: index idx_signals_indicators differs: definition is gin (indicators), "
            "expected gin (indicators jsonb_path_ops)"
        ],
    ),
    "index no longer unique": (
        "DROP INDEX trading.positions_one_open; CREATE INDEX positions_one_open ON trading.positions (bot_id, symbol) "
        "WHERE status IN ('open', 'partially_closed')",
        ["trading.positions: index positions_one_open differs: definition is btree (bot_id, symbol) WHERE"],
    ),
    "policy": (
        "CREATE POLICY stray ON trading.orders FOR SELECT USING (true)",
        ["trading.orders: policy stray is not in the models"],
    ),
    "row security": (
        "ALTER TABLE trading.strategies ENABLE ROW LEVEL SECURITY",
        ["trading.strategies: table differs: row security is on, expected none"],
    ),
    "row security switched off": (
        "ALTER TABLE trading.orders DISABLE ROW LEVEL SECURITY",
        ["trading.orders: table differs: row security is none, expected on"],
    ),
    "policy that lets everything through": (
        "ALTER POLICY own_rows ON trading.orders USING (true)",
        ["trading.orders: policy own_rows differs: "],
    ),
    "policy that is gone": (
        "DROP POLICY own_account ON trading.fills",
        ["trading.fills: policy own_account is missing"],
    ),
    "trigger": (
        "CREATE TRIGGER stray BEFORE UPDATE ON trading.orders FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ["trading.orders: trigger stray is not in the models"],
    ),
    "rule that swallows rows": (
        "CREATE RULE stray AS ON INSERT TO trading.orders DO INSTEAD NOTHING",
        ["trading.orders: rule stray is not in the models"],
    ),
    "view": ("CREATE VIEW trading.stray AS SELECT 1 AS n", ["trading.stray: view is not in the models"]),
    "materialized view": (
        "CREATE MATERIALIZED VIEW trading.stray AS SELECT 1 AS n",
        ["trading.stray: materialized view is not in the models"],
    ),
    "sequence too much": ("CREATE SEQUENCE trading.stray", ["trading.stray: sequence is not in the models"]),
    "sequence that counts otherwise": (
        "ALTER SEQUENCE trading.market_data_id_seq INCREMENT 2",
        ["trading.market_data: sequence market_data_id_seq differs: counts is bigint from 1 by 2 "],
    ),
    "sequence that nothing owns": (
        "ALTER SEQUENCE trading.market_data_id_seq OWNED BY NONE",
        [
            "trading.market_data: sequence market_data_id_seq is missing",
            "trading.market_data_id_seq: sequence is not in the models",
        ],
    ),
    "view of another query": (
        "ALTER VIEW analytics.daily_ohlcv RENAME COLUMN coverage TO covered",
        [
            "analytics.daily_ohlcv: view differs: query is SELECT ",
            "analytics.daily_ohlcv: column coverage is missing",
            "analytics.daily_ohlcv: column covered is not in the models",
        ],
    ),
    "materialized view missing": (
        "DROP MATERIALIZED VIEW analytics.active_positions_summary",
        ["analytics.active_positions_summary: materialized view is missing"],
    ),
    "materialized view that became a view": (
        "DROP MATERIALIZED VIEW analytics.system_health_dashboard; "
        "CREATE VIEW analytics.system_health_dashboard AS SELECT 1 AS id",
        ["analytics.system_health_dashboard: materialized view is a view"],
    ),
    "index of a view missing": (
        "DROP INDEX analytics.idx_daily_perf_summary",
        ["analytics.daily_performance_summary: index idx_daily_perf_summary is missing"],
    ),
    "trigger missing": (
        "DROP TRIGGER note_updated_days ON trading.market_data",
        ["trading.market_data: trigger note_updated_days is missing"],
    ),
    "function too much": (
        "CREATE FUNCTION trading.stray(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
        ["trading.stray(n integer): function is not in the models"],
    ),
    "function of another text": (
        "CREATE OR REPLACE FUNCTION analytics.quote_currency(symbol text, bot_currency text) RETURNS text "
        "LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT bot_currency $$",
        ["analytics.quote_currency(symbol text, bot_currency text): function differs: definition is "],
    ),
}
# Where partitions are PostgreSQL's own; TimescaleDB looks after its chunks itself.
PLANTED_IN_PARTITIONS = {
    "trigger switched off": (
        "ALTER TABLE trading.market_data DISABLE TRIGGER note_updated_days",
        ["trading.market_data: trigger note_updated_days differs: state is switched off, expected none"],
    ),
    "index half made": (
        "DROP INDEX trading.idx_market_data_timestamp; "
        "CREATE INDEX idx_market_data_timestamp ON ONLY trading.market_data (timestamp DESC)",
        [
            "trading.market_data: index idx_market_data_timestamp differs: state is invalid, expected none",
            "trading.market_data_default: index idx_market_data_timestamp is missing",
        ],
    ),
    "default partition missing": (
        "DROP TABLE trading.market_data_default",
        ["trading.market_data_default: partition is missing"],
    ),
    "partition taken off": (
        f"{MAKE_MONTH}; ALTER TABLE trading.market_data DETACH PARTITION {MONTH}",
        [f"{MONTH}: table is not in the models"],
    ),
    "partition without a log": (
        f"CREATE UNLOGGED TABLE {MONTH} PARTITION OF trading.market_data "
        "FOR VALUES FROM ('2031-01-01+00') TO ('2031-02-01+00')",
        [f"{MONTH}: partition differs: kept is unlogged, expected none"],
    ),
    "partition with an index of its own": (
        f"{MAKE_MONTH}; CREATE INDEX stray ON {MONTH} (volume)",
        [f"{MONTH}: index stray is not in the models"],
    ),
    "partition with a rule of its own": (
        f"{MAKE_MONTH}; ALTER TABLE {MONTH} ADD CONSTRAINT stray CHECK (volume < 5)",
        [f"{MONTH}: constraint stray is not in the models"],
    ),
    "partition with another default": (
        f"{MAKE_MONTH}; ALTER TABLE {MONTH} ALTER COLUMN exchange DROP DEFAULT",
        [f"{MONTH}: column exchange differs: default is none, expected 'bybit'::character varying"],
    ),
}


class Blocker(Protocol):
    """pytest-django's guard of the database."""

    def unblock(self) -> AbstractContextManager[None]: ...


@pytest.fixture(scope="module")
def expected(django_db_setup: None, django_db_blocker: Blocker) -> Generator[Catalog]:
    """What the models make; the same for every planted difference."""
    with django_db_blocker.unblock():
        yield expected_catalog("default")


def run(sql: str) -> None:
    """Run SQL statements."""
    with connection.cursor() as cursor:
        for statement in sql.split("; "):
            cursor.execute(statement)

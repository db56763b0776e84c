"""Rules of single rows and of bots: owners, numbers, times, natural ids, configurations, limits."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from django.db import models

from bots.models import AccountBalance, Bot, CashFlow, Fill, Order, Position, Signal, Trade
from bots.services.invariants.base import Invariant, invariant
from bots.services.invariants.parts import ACTIVE, OPEN
from marketdata.models import Candle
from tradingdb.lib.times import CLOCK_TOLERANCE, EARLIEST

# Rows of a bot: the table, and the column that names a row for people.
OWNED = {
    "orders": "order_id",
    "order_events": "id",
    "fills": "fill_id",
    "positions": "position_id",
    "trades": "trade_id",
    "signals": "signal_id",
    "account_balance": "balance_id",
    "cash_flows": "cash_flow_id",
    "bot_configurations": "id",
}
WITHOUT_BOT = " UNION ALL ".join(
    f"""SELECT '{table}' AS "table", t.bot_id, t.{name}::text AS id FROM {table} t
    WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.bot_id = t.bot_id)"""  # no value stands in it  # nosec B608
    for table, name in OWNED.items()
)
# Time series: all rows once, then those around the last sweep; their own time has the index.
SERIES = {"account_balance": "timestamp", "market_data": "timestamp"}


def not_finite(*tables: type[models.Model]) -> str:
    """Return a query for the numbers of these tables that are none: NaN, and infinities where a column admits them."""
    return " UNION ALL ".join(_not_finite(model) for model in tables)


def _not_finite(model: type[models.Model]) -> str:
    table = model._meta.db_table
    exact, floats = _columns(model, models.DecimalField), _columns(model, models.FloatField)
    # Compared one by one first: a row that is well costs no more than this.
    broken = [f"'NaN'::numeric IN ({', '.join(exact)})"] if exact else []
    broken += [f"{name} IN ('NaN', 'Infinity', '-Infinity')" for name in floats]
    values = ", ".join(f"('{name}', {name}::text)" for name in (*exact, *floats))
    since = f' AND (%(recent)s::timestamptz IS NULL OR "{SERIES[table]}" >= %(recent)s)' if table in SERIES else ""
    pk = model._meta.pk
    assert pk is not None
    return f"""
        SELECT '{table}' AS "table", t.{pk.column}::text AS id, c.name AS "column", c.value
        FROM {table} t CROSS JOIN LATERAL (VALUES {values}) AS c(name, value)
        WHERE ({" OR ".join(broken)}) AND c.value IN ('NaN', 'Infinity', '-Infinity'){since}
    """  # no value stands in it  # nosec B608


def _columns(model: type[models.Model], kind: type[models.Field]) -> list[str]:
    fields = model._meta.concrete_fields
    return [str(field.column) for field in fields if isinstance(getattr(field, "output_field", field), kind)]


# A fact may be a little ahead of our clock when it comes; one that was written later has the time of that writing.
TIMES = (
    ("fills", "fill_id", "executed_at", "received_at"),
    ("orders", "order_id", "created_at", "received_at"),
    ("orders", "order_id", "reported_at", "updated_at"),
    ("order_events", "id", "at", "received_at"),
    ("signals", "signal_id", "timestamp", "created_at"),
    ("positions", "position_id", "opened_at", "updated_at"),
    ("positions", "position_id", "closed_at", "updated_at"),
    ("trades", "trade_id", "entry_time", "updated_at"),
    ("trades", "trade_id", "exit_time", "updated_at"),
    ("account_balance", "balance_id", "timestamp", "created_at"),
    ("cash_flows", "cash_flow_id", "occurred_at", "created_at"),
)
OUT_OF_BOUNDS = " UNION ALL ".join(
    f"""SELECT '{table}' AS "table", bot_id, {name}::text AS id, '{column}' AS "column", "{column}" AS value
    FROM {table}
    WHERE "{column}" < %(earliest)s OR "{column}" > greatest("{known}", now()) + %(tolerance)s"""  # nosec B608
    for table, name, column, known in TIMES
)
# A key or a parked fact leads to what came of it: its row, or the conflict it was kept as. Nothing waits for an order
# that is there.
KEYS = """
    SELECT 'balance' AS kind, k.bot_id, k.natural_id AS id, 'no such balance' AS problem
    FROM ingest_keys k LEFT JOIN account_balance a
        ON a.bot_id = k.bot_id AND a.balance_id = k.natural_id AND a."timestamp" = k.fact_at
    WHERE k.kind = 'balance' AND a.id IS NULL AND (%(recent)s::timestamptz IS NULL OR k.fact_at >= %(recent)s)
    UNION ALL
    SELECT 'event', k.bot_id, k.natural_id, 'no such event'
    FROM ingest_keys k LEFT JOIN system_events e
        ON e.bot_id = k.bot_id AND e.event_id = k.natural_id AND e.event_time = k.fact_at
    WHERE k.kind = 'event' AND e.id IS NULL AND (%(recent)s::timestamptz IS NULL OR k.fact_at >= %(recent)s)
    UNION ALL
    SELECT k.kind, k.bot_id, k.fact_id, 'applied, but no such fill'
    FROM parked_facts k LEFT JOIN trading.fills f ON f.bot_id = k.bot_id AND f.fill_id = k.fact_id
    WHERE k.kind = 'fill' AND k.state = 'applied' AND f.fill_id IS NULL
    UNION ALL
    SELECT k.kind, k.bot_id, k.fact_id, 'refused, but no such conflict'
    FROM parked_facts k LEFT JOIN ingest_conflicts c
        ON c.bot_id = k.bot_id AND c.kind = k.kind AND c.natural_id = k.fact_id
    WHERE k.state = 'refused' AND c.id IS NULL
    UNION ALL
    SELECT k.kind, k.bot_id, k.fact_id, 'waits for an order that is there'
    FROM parked_facts k JOIN trading.orders o USING (bot_id, order_id)
    WHERE k.state = 'parked'
"""
ACTIVE_VERSIONS = """
    SELECT bot_id, config_key, array_agg(version ORDER BY version) AS active_versions
    FROM bot_configurations WHERE is_active GROUP BY bot_id, config_key HAVING count(*) > 1
"""
RETIRED = f"""
    SELECT b.bot_id, b.status, 'order' AS kind, o.order_id AS id
    FROM bots b JOIN orders o USING (bot_id)
    WHERE b.status IN ('stopped', 'archived') AND o.status IN {ACTIVE}
    UNION ALL
    SELECT b.bot_id, b.status, 'position', p.position_id
    FROM bots b JOIN positions p USING (bot_id)
    WHERE b.status IN ('stopped', 'archived') AND p.status IN {OPEN}
"""  # no value stands in it  # nosec B608
# A rule of admission: the limit that counts is the one in force when the order was asked for, so the greatest that was
# ever set is taken. Symbols into which a fact came that nobody admitted (a reported order, a fill of an order that had
# ended or was full, one that only reduces) are left out.
POSITIONS = f"""
    SELECT h.bot_id, h.open_positions, l.limit_ever
    FROM (
        SELECT p.bot_id, count(*) AS open_positions FROM positions p
        WHERE p.status IN {OPEN} AND NOT EXISTS (
            SELECT 1 FROM orders o WHERE o.bot_id = p.bot_id AND o.symbol = p.symbol AND o.filled_quantity > 0
                AND (o.intent = 'report' OR o.reduce_only OR o.filled_quantity > o.quantity
                    OR o.reported_status IN ('cancelled', 'rejected', 'expired', 'failed', 'deactivated'))
        )
        GROUP BY p.bot_id
    ) h
    JOIN bots b USING (bot_id)
    CROSS JOIN LATERAL (
        SELECT greatest(
            b.max_positions, max((a.before ->> 'max_positions')::int), max((a.after ->> 'max_positions')::int)
        ) AS limit_ever
        FROM user_actions a WHERE a.resource_type = 'bot' AND a.resource_id = b.bot_id
    ) l
    WHERE h.open_positions > l.limit_ever
"""  # no value stands in it  # nosec B608

INVARIANTS: tuple[Invariant, ...] = (
    invariant("I17_ledger_rows_have_a_bot", "No row of the ledger is without its bot.", WITHOUT_BOT),
    invariant(
        "I18_ledger_numbers_are_finite",
        "No number of the ledger or of a candle is NaN or infinite.",
        not_finite(Order, Fill, Position, Trade, Signal, AccountBalance, CashFlow, Bot, Candle),
    ),
    invariant(
        "I32_natural_ids_lead_to_rows_of_the_same_bot",
        "Every key of a fact and every parked fact that is settled has its row; nothing is parked for a known order.",
        KEYS,
    ),
    invariant(
        "I33_times_are_inside_bounds",
        "No time lies before 2000, or further ahead than a bot's clock may be when the fact comes.",
        OUT_OF_BOUNDS,
        {"earliest": EARLIEST, "tolerance": CLOCK_TOLERANCE},
    ),
    invariant(
        "I34_one_active_version_per_config_key",
        "A configuration key of a bot has at most one active version.",
        ACTIVE_VERSIONS,
    ),
    invariant(
        "I35_retired_bot_has_nothing_open",
        "A stopped or archived bot has no active order and no open position.",
        RETIRED,
        tables={},
    ),
    invariant(
        "I36_open_positions_within_admission_limit",
        "Orders that were asked for opened no more positions than the bot's limit ever allowed.",
        POSITIONS,
        tables={},
    ),
)

"""What the bots' role may do in the database: the whole list. What stands nowhere here it may not.

Row security (the policies in the migrations) decides on which rows, these rights on which tables and columns.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from tradingdb.lib.db import SEARCH_PATH

Columns = Collection[str]


class Grant(NamedTuple):
    """One right as PostgreSQL keeps it; `column` is empty for the whole."""

    kind: str
    name: str
    column: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The rights on one table. `reads` None is every column, and `hides` takes some of them away.

    A row is inserted without its `id`, which the database counts: a bot that chose ids could take those of others.
    """

    reads: Columns | None = None
    hides: Columns = ()
    inserts: bool = False
    updates: Columns = ()
    deletes: bool = False

    def grants(self, table: str, is_generated: Mapping[str, bool]) -> Iterable[Grant]:
        """Yield what they come to on the columns that the table has; what the database computes nobody writes."""
        columns = set(is_generated)
        if self.reads is None and not self.hides:
            yield Grant("TABLE", table, "", "SELECT")
        else:
            reads = columns if self.reads is None else columns & {*self.reads}
            yield from (Grant("TABLE", table, column, "SELECT") for column in reads - {*self.hides})
        if self.inserts:
            yield from (
                Grant("TABLE", table, column, "INSERT") for column in columns - {"id"} if not is_generated[column]
            )
        yield from (Grant("TABLE", table, column, "UPDATE") for column in columns & {*self.updates})
        if self.deletes:
            yield Grant("TABLE", table, "", "DELETE")


TOKEN = ("prefix", "bot_id", "digest", "pepper", "scopes", "expires_at", "revoked_at", "last_used_at")
ALIVE = ("last_heartbeat", "started_at", "current_equity", "error_count", "latency_ms", "acknowledged_halt")
# What fills and later news change of an order; what was ordered stays.
ORDER_COURSE = (
    "status", "reported_status", "reported_at", "filled_quantity", "filled_notional", "avg_fill_price", "fees", "flags",
    "filled_at", "submitted_at", "updated_at", "exchange_order_id", "rejection_reason", "error_code", "retry_count",
    "position_id", "trade_id",
)  # fmt: skip
# Derived by the fold; every other column of a fill came from outside and never changes.
FILL_DERIVED = ("position_id", "opened_position_id", "closed_quantity", "closing_fee_quote", "realized_pnl")
POSITION_DERIVED = (
    "position_id", "side", "size", "quantity", "avg_entry_price", "cost_basis", "entry_notional", "exit_notional",
    "realized_pnl", "fees", "unrealized_pnl", "unrealized_pnl_pct", "current_price", "marked_at", "status", "opened_at",
    "closed_at", "last_updated", "updated_at", "opening_fill_id", "closing_fill_id", "last_fill_id", "last_fill_at",
    "fill_count", "version", "leverage", "strategy", "entry_trade_ids", "exit_trade_ids",
)  # fmt: skip
POSITION_SET = ("stop_loss", "take_profit", "take_profit_levels", "trailing_stop", "position_metadata")
TRADE_DERIVED = (
    "position_id", "trade_id", "side", "quantity", "entry_price", "avg_fill_price", "position_size_usd", "entry_time",
    "exit_time", "exit_price", "holding_time_seconds", "gross_pnl", "fees", "pnl_pct", "exit_reason", "updated_at",
    "leverage", "strategy", "is_paper_trade",
)  # fmt: skip
SIGNAL_COURSE = ("executed", "execution_order_id", "execution_time", "execution_trade_id")
CASE_SEEN = ("last_seen_at", "reported", "expected", "gone_since")
RESTRICTION = ("state", "reason", "changed_at", "changed_by_name", "changed_by_id", "version")
NOTHING: Columns = ()

TABLES = {
    # Shared
    "trading.market_data": Rights(),
    "trading.control_states": Rights(inserts=True, updates=RESTRICTION),
    # Which of its own orders were made while it was halted.
    "trading.control_changes": Rights(reads=("id", "scope", "target", "state", "version", "reason", "changed_at")),
    # Its own rows
    "trading.control_receipts": Rights(inserts=True, updates=("done_at",)),
    "trading.bots": Rights(hides=("api_key_hash",), updates=ALIVE),
    "trading.exchange_accounts": Rights(reads=("id", "account_id", "exchange", "currency", "is_active", "created_at")),
    "trading.bot_tokens": Rights(reads=TOKEN, updates=("last_used_at",)),
    "config.bot_configurations": Rights(),
    "trading.risk_metrics": Rights(),
    "trading.orders": Rights(inserts=True, updates=ORDER_COURSE),
    "trading.order_events": Rights(inserts=True),
    "trading.fills": Rights(inserts=True, updates=FILL_DERIVED),
    "trading.positions": Rights(inserts=True, updates=(*POSITION_DERIVED, *POSITION_SET), deletes=True),
    "trading.trades": Rights(inserts=True, updates=TRADE_DERIVED, deletes=True),
    # A trade that a late fill takes away lets go of its reviews; what people wrote in them no bot reads.
    "trading.trade_reviews": Rights(reads=("bot_id", "trade_id"), updates=("trade_id",)),
    "trading.signals": Rights(inserts=True, updates=SIGNAL_COURSE),
    "trading.account_balance": Rights(inserts=True),
    "trading.cash_flows": Rights(inserts=True),
    "trading.ingest_keys": Rights(inserts=True),
    "trading.parked_facts": Rights(inserts=True, updates=("state", "applied_at")),
    "trading.ingest_conflicts": Rights(inserts=True, updates=("received_count",)),
    "trading.reconciliation_cases": Rights(
        inserts=True, updates=("last_seen_at", "reported", "expected", "gone_since")
    ),
    # Audit: written, never changed
    "audit.system_events": Rights(inserts=True),
    "audit.risk_events": Rights(reads=NOTHING, inserts=True),
}
FUNCTIONS = (
    "trading.bot_of_token(text)",
    "trading.execution_is_known(text,text)",
    # Limits over all bots: a bot hears the sums that its order is judged by, and breaches are acted on in its name.
    "trading.risk_usage(text,timestamp with time zone,text,numeric,numeric,boolean)",
    "trading.risk_lock_all(text[])",
    "trading.risk_enforce(text,timestamp with time zone)",
    "trading.risk_refused(text,text,bigint,text,text,numeric,numeric,jsonb,timestamp with time zone)",
    "trading.risk_is_watched(text)",
)

# Rights that stand in the catalog, on anything in our schemas.
HELD = """
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname || '.' || c.relname, '', a.privilege_type
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    WHERE n.nspname = ANY (%(schemas)s) AND a.grantee = %(role)s::regrole
    UNION ALL
    SELECT 'TABLE', n.nspname || '.' || c.relname, t.attname, a.privilege_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
        aclexplode(t.attacl) a
    WHERE n.nspname = ANY (%(schemas)s) AND a.grantee = %(role)s::regrole AND NOT t.attisdropped
    UNION ALL
    SELECT 'SCHEMA', n.nspname, '', a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = ANY (%(schemas)s) AND a.grantee = %(role)s::regrole
    UNION ALL
    SELECT 'FUNCTION', format('%%s.%%s(%%s)', n.nspname, p.proname,
        replace(oidvectortypes(p.proargtypes), ', ', ',')), '', a.privilege_type
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) a
    WHERE n.nspname = ANY (%(schemas)s) AND a.grantee = %(role)s::regrole
"""
COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname, a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
# Tables that partition by time count their ids with a sequence of the old kind, which asks for a right of its own.
SEQUENCES = """
    SELECT s.nspname || '.' || q.relname FROM pg_depend d
    JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_namespace s ON s.oid = q.relnamespace
    JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'a' AND n.nspname || '.' || c.relname = ANY (%s)
"""


def grant_bot_rights(*, using: str = "default") -> list[Grant] | None:
    """Give the bots' role exactly what stands here, and return what had to change; None where there is no such role.

    Safe to run again and beside running bots: what is right already is left alone.
    """
    role = settings.BOT_ROLE
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None:
            return None
        # Two that grant at the same time would trip over each other's rows of the catalog.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('bot rights', 0))")
        due, held = wanted_grants(cursor), held_grants(cursor)
        changed = {(grant.kind, grant.name) for grant in due ^ held}
        for kind, name in sorted(changed):
            cursor.execute(f"REVOKE ALL ON {kind} {_name(cursor, kind, name)} FROM {_quoted(cursor, str(role))}")
            _grant(cursor, kind, name, [grant for grant in due if (grant.kind, grant.name) == (kind, name)])
        _keep_names_unshadowed(cursor)
        return sorted(due ^ held)


def wanted_grants(cursor: CursorWrapper) -> set[Grant]:
    """Return the rights of this list on what is in the database."""
    cursor.execute(COLUMNS, [list(TABLES)])
    found: dict[str, dict[str, bool]] = {}
    for table, column, is_generated in cursor.fetchall():
        found.setdefault(table, {})[column] = is_generated
    grants = set()
    for table, columns in found.items():
        grants |= {*TABLES[table].grants(table, columns)}
        grants.add(Grant("SCHEMA", table.partition(".")[0], "", "USAGE"))
    cursor.execute(SEQUENCES, [[table for table, rights in TABLES.items() if rights.inserts]])
    grants |= {Grant("SEQUENCE", name, "", "USAGE") for (name,) in cursor.fetchall()}
    for function in FUNCTIONS:
        cursor.execute("SELECT to_regprocedure(%s) IS NOT NULL", [function])
        if cursor.fetchone()[0]:
            grants.add(Grant("FUNCTION", function, "", "EXECUTE"))
    return grants


def held_grants(cursor: CursorWrapper) -> set[Grant]:
    """Return the rights that the bots' role has in our schemas."""
    cursor.execute(HELD, {"schemas": list(SEARCH_PATH), "role": _quoted(cursor, str(settings.BOT_ROLE))})
    return {Grant(*row) for row in cursor.fetchall()}


def _grant(cursor: CursorWrapper, kind: str, name: str, grants: list[Grant]) -> None:
    rights: dict[str, list[str]] = {}
    for grant in sorted(grants):
        rights.setdefault(grant.right, []).append(grant.column)
    for right, columns in rights.items():
        listed = f" ({', '.join(_quoted(cursor, column) for column in columns)})" if "" not in columns else ""
        on, to = f"{kind} {_name(cursor, kind, name)}", _quoted(cursor, str(settings.BOT_ROLE))
        cursor.execute(f"GRANT {right}{listed} ON {on} TO {to}")


def _keep_names_unshadowed(cursor: CursorWrapper) -> None:
    """Leave temporary tables to the owner: in a shared session one of another's could stand before a table of ours."""
    cursor.execute(
        "SELECT quote_ident(d.datname) FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
        "WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY' "
        "AND pg_has_role(d.datdba, 'USAGE')"
    )
    row = cursor.fetchone()
    if row is not None:
        cursor.execute(f"REVOKE TEMPORARY ON DATABASE {row[0]} FROM PUBLIC")


def _name(cursor: CursorWrapper, kind: str, name: str) -> str:
    """Return a name as SQL; a function's is written with the types of its arguments."""
    return name if kind == "FUNCTION" else ".".join(_quoted(cursor, part) for part in name.split("."))


def _quoted(cursor: CursorWrapper, name: str) -> str:
    return str(cursor.db.ops.quote_name(name))

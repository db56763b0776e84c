"""A ledger of a million fills: a few cycles told to the API, then copied inside the database to earlier times.

Every copied row is one that the API wrote, under other ids and at another time, and each copy is flat at its end; so
the books are sound, and made in a minute or two rather than in an hour.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

from bench.ledger_http import WebServer, request, send_all
from bench.ledger_rows import BenchBot
from bench.ledger_script import FILLS_PER_ORDER, OPERATIONS, Fact, Script, wire
from bench.write_plans import LARGE

SYMBOLS = 10
# Of the pattern that is copied: every symbol has whole cycles of eight fills, and is flat after them.
FILLS_PER_SYMBOL = 104
PATTERN = SYMBOLS * FILLS_PER_SYMBOL
# A copy takes half an hour, so a million fills are three weeks of a bot that trades day and night.
COPY_MINUTES = 30
# In the order in which they refer to each other, with the columns that differ from copy to copy.
COPIED = ("orders", "positions", "trades", "fills", "order_events")
IDS = frozenset({"order_id", "fill_id", "opening_fill_id", "closing_fill_id", "last_fill_id", "exchange_trade_id"})
MAPPED = {"position_id": "position", "opened_position_id": "position", "trade_id": "trade"}
LISTS = frozenset({"entry_trade_ids", "exit_trade_ids"})
COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'trading' AND table_name = %s AND is_generated = 'NEVER' AND is_identity = 'NO'
        AND column_name <> 'id'
    ORDER BY ordinal_position
"""
# Those that no constraint stands on.
INDEXES = """
    SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ('trading.' || %s)::regclass AND NOT i.indisunique
"""


@dataclass(frozen=True, slots=True)
class Growth:
    """Which bot has how many fills beside the pattern's own: `copies` copies of the pattern."""

    bot: BenchBot
    copies: int


def tell_pattern(bot: BenchBot, server: WebServer) -> None:
    """Tell the API the cycles that are copied, a symbol after another."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=COPY_MINUTES)
    connection = server.connect()
    try:
        for number in range(SYMBOLS):
            script = Script(f"p{number}", f"GROW{number}USDT", begin + timedelta(minutes=number * 2))
            orders, fills = script.fills(FILLS_PER_SYMBOL)
            facts: list[Fact] = []
            for at, order in enumerate(orders):
                facts += [order, *fills[at * FILLS_PER_ORDER : (at + 1) * FILLS_PER_ORDER]]
            body = json.dumps({"operations": [{"op": OPERATIONS[type(fact)], "data": wire(fact)} for fact in facts]})
            answer = send_all([connection], [[request("/batch", bot.token, body.encode())]]).expect(200)
            if b'"code"' in answer.last_body:
                raise RuntimeError(f"An operation of the pattern was refused: {answer.last_body[:500]!r}")
    finally:
        connection.close()


def grow(session: psycopg.Connection, pattern: BenchBot, wanted: Sequence[Growth]) -> None:
    """Copy the pattern's rows for every bot as often as it wants, the oldest copy first.

    Rows lie on disk as they would have come, the bots in turn.
    """
    session.execute("SET maintenance_work_mem = '256MB'")
    session.execute(
        "CREATE TEMP TABLE grown (bot_id text, copy int, account_id int, shift interval, old_position text, "
        "position text, trade text)"
    )
    found = session.execute(
        "SELECT position_id, symbol, opening_fill_id FROM positions WHERE bot_id = %s", [pattern.owner.bot_id]
    ).fetchall()
    with session.cursor().copy("COPY grown FROM STDIN") as copy:
        for row in _ids(found, wanted):
            copy.write_row(row)
    session.execute("CREATE TEMP TABLE copies AS SELECT DISTINCT bot_id, copy, account_id, shift FROM grown")
    session.execute("CREATE INDEX ON grown (bot_id, copy, old_position)")
    session.execute("ANALYZE grown, copies")
    for table in COPIED:
        # An index of a million rows is made in a second, and kept up for a million rows in ten. Either all of it is
        # done, or none.
        with session.transaction():
            session.execute("SET CONSTRAINTS ALL IMMEDIATE")
            indexes = session.execute(INDEXES, [table]).fetchall()
            for name, _ in indexes:
                session.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("trading", name)))
            session.execute(_copy_statement(session, table), {"bot": pattern.owner.bot_id})
            for _, definition in indexes:
                session.execute(definition)
    session.execute("DROP TABLE grown, copies")
    for table in LARGE:
        session.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))


def _ids(found: Sequence[tuple[str, str, str]], wanted: Sequence[Growth]) -> Iterator[tuple[object, ...]]:
    """Yield the ids that the fold gives to the positions of each copy."""
    from bots.ledger.fold import position_id_of, trade_id_of

    for growth in wanted:
        owner = growth.bot.owner
        for copy in range(growth.copies, 0, -1):
            shift = timedelta(minutes=COPY_MINUTES * copy)
            for old, symbol, opening in found:
                position = position_id_of(owner.bot_id, symbol, f"c{copy}-{opening}")
                yield owner.bot_id, copy, owner.account_id, shift, old, position, trade_id_of(position)


def _copy_statement(session: psycopg.Connection, table: str) -> sql.Composed:
    """Return the INSERT that copies a table's rows of the pattern for every copy that is wanted."""
    columns = session.execute(COLUMNS, [table]).fetchall()
    values = [_value(name, kind, table) for name, kind in columns]
    mapped = next((name for name, _ in columns if name == "position_id"), None)
    join = sql.SQL("LEFT JOIN grown g ON g.bot_id = c.bot_id AND g.copy = c.copy AND g.old_position = t.position_id")
    # Event ids count up with time.
    order = "at, t.id" if table == "order_events" else "id"
    return sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM copies c CROSS JOIN {table} t {join} "
        "WHERE t.bot_id = %(bot)s ORDER BY c.copy DESC, c.bot_id, t.{order}"
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        values=sql.SQL(", ").join(values),
        join=join if mapped else sql.SQL(""),
        order=sql.SQL(order),
    )


def _value(name: str, kind: str, table: str) -> sql.Composable:
    column = sql.SQL("t.{}").format(sql.Identifier(name))
    if name in ("bot_id", "account_id"):
        return sql.SQL("c.{}").format(sql.Identifier(name))
    if name in MAPPED:
        return sql.SQL("CASE WHEN {} IS NOT NULL THEN g.{} END").format(column, sql.Identifier(MAPPED[name]))
    if name in IDS:
        return sql.SQL("'c' || c.copy || '-' || {}").format(column)
    if name in LISTS:
        return sql.SQL("ARRAY(SELECT 'c' || c.copy || '-' || one FROM unnest({}) AS one)").format(column)
    if kind == "timestamp with time zone":
        return sql.SQL("{} - c.shift").format(column)
    return column

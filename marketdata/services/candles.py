"""Candles in and out of the database, in bulk: COPY, one insert of the new ones, one update of the changed ones."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import UniqueViolation
from typing_extensions import TypedDict  # pydantic reads it, and needs this one before Python 3.12

from marketdata.services.candle_rows import BadRow, Rows
from tradingdb.lib.retry import atomic_retried

STAGE = """
    CREATE TEMPORARY TABLE incoming_candles (
        "timestamp" timestamptz NOT NULL, open_price numeric NOT NULL, high_price numeric NOT NULL,
        low_price numeric NOT NULL, close_price numeric NOT NULL, volume numeric NOT NULL, quote_volume numeric,
        trades_count integer
    )
"""
# At once, not on commit: one transaction may load several series.
UNSTAGE = "DROP TABLE incoming_candles"
NAMES = ("open_price", "high_price", "low_price", "close_price", "volume", "quote_volume", "trades_count")
VALUES = ", ".join(NAMES)
COPY = f'COPY incoming_candles ("timestamp", {VALUES}) FROM STDIN'
COPY_NEW = f'COPY market_data (exchange, symbol, interval, data_source, "timestamp", {VALUES}) FROM STDIN'
# One load of a series at a time, so that the counts are exact.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('candles' || chr(31) || %s || chr(31) || %s || chr(31) || %s, 0))"
# The bounds let the planner read the series' own slice, whatever the size of the table.
SERIES = """
    m.exchange = %(exchange)s AND m.symbol = %(symbol)s AND m.interval = %(interval)s
    AND m."timestamp" BETWEEN %(first)s AND %(last)s
"""
IS_KNOWN = f"SELECT EXISTS (SELECT 1 FROM market_data m WHERE {SERIES})"  # noqa: S608 (names come from code)  # nosec B608
INSERT_NEW = f"""
    INSERT INTO market_data (exchange, symbol, interval, data_source, "timestamp", {VALUES})
    SELECT %(exchange)s, %(symbol)s, %(interval)s, %(source)s, i."timestamp", {", ".join(f"i.{name}" for name in NAMES)}
    FROM incoming_candles i
    WHERE NOT EXISTS (SELECT 1 FROM market_data m WHERE {SERIES} AND m."timestamp" = i."timestamp")
"""  # noqa: S608 (names come from code)  # nosec B608
# What a row does not tell stays as it is.
UPDATE_CHANGED = f"""
    UPDATE market_data m SET open_price = i.open_price, high_price = i.high_price, low_price = i.low_price,
        close_price = i.close_price, volume = i.volume, quote_volume = coalesce(i.quote_volume, m.quote_volume),
        trades_count = coalesce(i.trades_count, m.trades_count)
    FROM incoming_candles i
    WHERE {SERIES} AND m."timestamp" = i."timestamp" AND (
        m.open_price <> i.open_price OR m.high_price <> i.high_price OR m.low_price <> i.low_price
        OR m.close_price <> i.close_price OR m.volume <> i.volume
        OR m.quote_volume IS DISTINCT FROM coalesce(i.quote_volume, m.quote_volume)
        OR m.trades_count IS DISTINCT FROM coalesce(i.trades_count, m.trades_count)
    )
"""  # noqa: S608 (names come from code)  # nosec B608

MAX_READ = 10_000
READ_COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "quote_volume", "trades_count")
# PostgreSQL writes the JSON: rows through Python would cost more than twice as much.
ROW = """
    '["' || to_char(m."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '","'
    || trim_scale(m.open_price) || '","' || trim_scale(m.high_price) || '","' || trim_scale(m.low_price) || '","'
    || trim_scale(m.close_price) || '","' || trim_scale(m.volume) || '",'
    || coalesce('"' || trim_scale(m.quote_volume) || '"', 'null') || ','
    || coalesce(m.trades_count::text, 'null') || ']'
"""
READ = f"""
    SELECT coalesce(string_agg(r.row, ',' ORDER BY r.at), '') FROM (
        SELECT {ROW} AS row, m."timestamp" AS at FROM market_data m
        WHERE m.exchange = %(exchange)s AND m.symbol = %(symbol)s AND m.interval = %(interval)s
            AND (%(start)s::timestamptz IS NULL OR m."timestamp" >= %(start)s::timestamptz)
            AND (%(end)s::timestamptz IS NULL OR m."timestamp" < %(end)s::timestamptz)
        ORDER BY m."timestamp" {{direction}} LIMIT %(limit)s
    ) r
"""  # noqa: S608 (names come from code)  # nosec B608
# 100,000 rows in one statement may take longer than a request's bound on a busy server, however often they are sent.
LONG = "SET LOCAL statement_timeout = '60s'"


class Series(NamedTuple):
    """The candles of one symbol on one exchange in one interval."""

    exchange: str
    symbol: str
    interval: str


class RowError(TypedDict):
    """A row that was left out, counted from 1."""

    row: int
    msg: str


class Ingested(TypedDict):
    """What became of the rows of one call; the five counts add up: received is the sum of the other four."""

    received: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    errors: list[RowError]


@atomic_retried
def candles_ingest(*, series: Series, rows: Rows, source: str = "exchange") -> Ingested:
    """Store candles; the same again changes nothing, other values replace the old ones."""
    inserted, updated = _store(series, rows, source) if rows.lines else (0, 0)
    return {
        "received": rows.received,
        "inserted": inserted,
        "updated": updated,
        "unchanged": len(rows.lines) - inserted - updated + rows.repeated,
        "rejected": rows.rejected,
        "errors": [_error(bad) for bad in rows.errors],
    }


def _error(bad: BadRow) -> RowError:
    return {"row": bad.row, "msg": bad.msg}


def _store(series: Series, rows: Rows, source: str) -> tuple[int, int]:
    bounds = {"first": min(rows.lines), "last": max(rows.lines)}
    params = series._asdict() | bounds | {"source": source}
    with connection.cursor() as cursor:
        cursor.execute(LONG)
        cursor.execute(LOCK, series)
        cursor.execute(IS_KNOWN, params)
        if not cursor.fetchone()[0] and _append(cursor, series, rows, source):
            return len(rows.lines), 0
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            copy.write("".join(rows.lines.values()))
        cursor.execute(INSERT_NEW, params)
        inserted, updated = cursor.rowcount, 0
        if inserted < len(rows.lines):
            cursor.execute(UPDATE_CHANGED, params)
            updated = cursor.rowcount
        cursor.execute(UNSTAGE)
    return inserted, updated


def _append(cursor: CursorWrapper, series: Series, rows: Rows, source: str) -> bool:
    """Copy candles straight into the table, where nothing of their time is; False when somebody was quicker."""
    before = "\t".join((*series, source)) + "\t"
    try:
        with transaction.atomic(), cursor.copy(COPY_NEW) as copy:
            copy.write(before + before.join(rows.lines.values()))
    except UniqueViolation:
        # Written past our lock: by an importer, or by hand.
        return False
    return True


def candles_json(*, series: Series, start: datetime | None, end: datetime | None, limit: int) -> str:
    """Return `{"columns": […], "rows": [[…]]}` as JSON text, oldest first.

    From `start` on when it is given, else the newest ones; `end` is exclusive.
    """
    params = series._asdict() | {"start": start, "end": end, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(READ.format(direction="DESC" if start is None else "ASC"), params)
        rows = cursor.fetchone()[0]
    columns = ",".join(f'"{name}"' for name in READ_COLUMNS)
    return f'{{"columns":[{columns}],"rows":[{rows}]}}'

"""Adds candles up to UTC days: each day again whose candles have changed, and no other.

Where TimescaleDB's community edition keeps the aggregate, it is told to look for changes instead.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

Guard = Callable[[CursorWrapper], bool]

BATCH = 500
# How long one run may take; what is left waits for the next one.
RUN_SECONDS = 100.0
# What is older may have lost its candles to retention: refreshed, its days would be lost too.
REFRESHED_DAYS = timedelta(days=300)
# The end that the aggregate's policy keeps to; younger candles are read through it.
UNFINISHED = timedelta(hours=1)

HAS_AGGREGATE = "SELECT to_regclass('analytics.daily_ohlcv_aggregate') IS NOT NULL"
REFRESH_AGGREGATE = "CALL public.refresh_continuous_aggregate('analytics.daily_ohlcv_aggregate', %s, %s)"
COUNT_AGGREGATE = "SELECT count(*) FROM analytics.daily_ohlcv_aggregate"
COUNT = "SELECT count(*) FROM analytics.daily_candles"
# Days travel as text, offset and all: Django takes a time for UTC, whatever the session's time zone.
# A note comes in the transaction of its candles: who sees the one sees the others. So a note may go as soon as it is
# read; what is written after that leaves a note of its own.
TAKE = """
    WITH taken AS (
        SELECT DISTINCT day, exchange, symbol, "interval" FROM analytics.daily_candle_changes
        ORDER BY day, exchange, symbol, "interval" LIMIT %s
    ), removed AS (
        DELETE FROM analytics.daily_candle_changes c USING taken t
        WHERE c.day = t.day AND c.exchange = t.exchange AND c.symbol = t.symbol AND c."interval" = t."interval"
    )
    SELECT exchange, symbol, "interval", day::text FROM taken
"""
DAYS = """
    unnest(%(exchanges)s::text[], %(symbols)s::text[], %(intervals)s::text[], %(days)s::timestamptz[])
        AS t(exchange, symbol, "interval", day)
"""
# Fewer candles never replace more, so that a late one cannot wipe out a day that retention has emptied.
ADD_UP = f"""
    INSERT INTO analytics.daily_candles AS d
        (exchange, symbol, "interval", day, open, high, low, close, volume, candles, coverage, computed_at)
    SELECT t.exchange, t.symbol, t."interval", t.day, a.open, a.high, a.low, a.close, a.volume, a.candles,
        least(a.candles * analytics.interval_seconds(t."interval") / 86400.0, 1), now()
    FROM {DAYS}
    CROSS JOIN LATERAL (
        SELECT (array_agg(m.open_price ORDER BY m."timestamp"))[1] AS open, max(m.high_price) AS high,
            min(m.low_price) AS low, (array_agg(m.close_price ORDER BY m."timestamp" DESC))[1] AS close,
            sum(m.volume) AS volume, count(*) AS candles
        FROM trading.market_data m
        WHERE m.exchange = t.exchange AND m.symbol = t.symbol AND m."interval" = t."interval"
            AND m."timestamp" >= t.day AND m."timestamp" < t.day + INTERVAL '24 hours'
    ) a
    WHERE a.candles > 0
    ON CONFLICT (exchange, symbol, day, "interval") DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, candles = excluded.candles, coverage = excluded.coverage,
        computed_at = excluded.computed_at
    WHERE excluded.candles >= d.candles AND (d.open, d.high, d.low, d.close, d.volume, d.candles)
        IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.candles)
"""  # noqa: S608 (the text comes from code)  # nosec B608
# At most one of a day is shown at any moment, so the old one goes first.
CHOOSE = f"""
    UPDATE analytics.daily_candles d SET is_shown = %(is_shown)s
    FROM (
        SELECT DISTINCT ON (c.exchange, c.symbol, c.day) c.exchange, c.symbol, c.day, c.id
        FROM {DAYS}
        JOIN analytics.daily_candles c ON c.exchange = t.exchange AND c.symbol = t.symbol AND c.day = t.day
        ORDER BY c.exchange, c.symbol, c.day, c.coverage DESC, analytics.interval_seconds(c."interval"), c."interval"
    ) best
    WHERE d.exchange = best.exchange AND d.symbol = best.symbol AND d.day = best.day
        AND (d.id = best.id) = %(is_shown)s AND d.is_shown <> %(is_shown)s
"""  # noqa: S608 (the text comes from code)  # nosec B608


class DaysRemain(Exception):
    """The time of one run was over before all changed days were added up."""


def daily_candles_refresh(*, since: datetime | None, now: datetime, guard: Guard) -> int | None:
    """Add up every day that has changed; return how many days are kept, None when another run is at it.

    since: the last success. guard: called in each transaction; takes the lock, or returns False.
    Raises DaysRemain when the time of one run is over.
    """
    with connection.cursor() as cursor:
        cursor.execute(HAS_AGGREGATE)
        [(is_aggregate,)] = cursor.fetchall()
        if is_aggregate:
            # Outside a transaction, under TimescaleDB's own lock.
            cursor.execute(REFRESH_AGGREGATE, [since and now - REFRESHED_DAYS, now - UNFINISHED])
        elif not _add_up(guard):
            return None
        cursor.execute(COUNT_AGGREGATE if is_aggregate else COUNT)
        return int(cursor.fetchone()[0])


def _add_up(guard: Guard) -> bool:
    """Add up changed days, the oldest first, a batch in a transaction; False when another run is at it."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            if not guard(cursor):
                return False
            cursor.execute(TAKE, [BATCH])
            taken = cursor.fetchall()
            exchanges, symbols, intervals, days = ([row[column] for row in taken] for column in range(4))
            series = {"exchanges": exchanges, "symbols": symbols, "intervals": intervals, "days": days}
            cursor.execute(ADD_UP, series)
            for is_shown in (False, True):
                cursor.execute(CHOOSE, {**series, "is_shown": is_shown})
        if len(taken) < BATCH:
            return True
        if time.monotonic() > deadline:
            raise DaysRemain("There was no time for all days that have changed; the next run goes on.")

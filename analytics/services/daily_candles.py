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
# One statement sees notes and candles of one moment, and they come in one transaction: a note that is removed is done.
# Fewer candles never replace more, so that a late one cannot wipe out a day that retention has emptied.
ADD_UP = """
    WITH picked AS (
        SELECT DISTINCT day, exchange, symbol, "interval" FROM analytics.daily_candle_changes
        ORDER BY day, exchange, symbol, "interval" LIMIT %(limit)s
    ), removed AS (
        DELETE FROM analytics.daily_candle_changes c USING picked p
        WHERE c.day = p.day AND c.exchange = p.exchange AND c.symbol = p.symbol AND c."interval" = p."interval"
    ), stored AS (
        INSERT INTO analytics.daily_candles AS d
            (exchange, symbol, "interval", day, open, high, low, close, volume, candles, computed_at)
        SELECT p.exchange, p.symbol, p."interval", p.day, a.open, a.high, a.low, a.close, a.volume, a.candles, now()
        FROM picked p
        CROSS JOIN LATERAL (
            SELECT (array_agg(m.open_price ORDER BY m."timestamp"))[1] AS open, max(m.high_price) AS high,
                min(m.low_price) AS low, (array_agg(m.close_price ORDER BY m."timestamp" DESC))[1] AS close,
                sum(m.volume) AS volume, count(*) AS candles
            FROM trading.market_data m
            WHERE m.exchange = p.exchange AND m.symbol = p.symbol AND m."interval" = p."interval"
                AND m."timestamp" >= p.day AND m."timestamp" < p.day + INTERVAL '24 hours'
        ) a
        WHERE a.candles > 0
        ON CONFLICT (exchange, symbol, day, "interval") DO UPDATE SET
            open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
            volume = excluded.volume, candles = excluded.candles, computed_at = excluded.computed_at
        WHERE excluded.candles >= d.candles
            AND (d.open, d.high, d.low, d.close, d.volume, d.candles)
                IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
                    excluded.candles)
    )
    SELECT count(*) FROM picked
"""


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
            cursor.execute(ADD_UP, {"limit": BATCH})
            [(picked,)] = cursor.fetchall()
        if picked < BATCH:
            return True
        if time.monotonic() > deadline:
            raise DaysRemain("There was no time for all days that have changed; the next run goes on.")

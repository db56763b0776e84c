"""Which candle series there are, for the chart of the control room."""

from typing import NamedTuple

from django.db import connection

MOST = 200

# One probe of the unique index for each series, instead of reading every candle to find the few different names.
NAMES = """
    WITH RECURSIVE found AS (
        (SELECT exchange, symbol, "interval" FROM market_data ORDER BY exchange, symbol, "interval" LIMIT 1)
        UNION ALL
        SELECT further.* FROM found, LATERAL (
            SELECT m.exchange, m.symbol, m."interval" FROM market_data m
            WHERE (m.exchange, m.symbol, m."interval") > (found.exchange, found.symbol, found."interval")
            ORDER BY m.exchange, m.symbol, m."interval" LIMIT 1
        ) further
    )
    SELECT * FROM found LIMIT %s
"""


class SeriesName(NamedTuple):
    """What names one series of candles."""

    exchange: str
    symbol: str
    interval: str


def candle_series() -> list[SeriesName]:
    """Return the stored series, at most 200 of them, by exchange, symbol and interval."""
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [MOST])
        return [SeriesName(*row) for row in cursor.fetchall()]

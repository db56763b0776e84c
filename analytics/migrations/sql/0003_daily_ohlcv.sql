-- Of each (exchange, symbol, UTC day) the interval whose candles cover most of the day; the finest of equals.
WITH graded AS NOT MATERIALIZED (
    SELECT
        r.*,
        analytics.interval_seconds(r."interval") AS seconds,
        least(r.candles * analytics.interval_seconds(r."interval"), 86400) AS covered
    FROM {source} r
)
SELECT
    (to_char(g.day AT TIME ZONE 'UTC', 'YYYY-MM-DD') || '~' || g.symbol || '~' || g.exchange)::varchar(102) AS id,
    g.exchange,
    g.symbol,
    g.day,
    g.open::numeric(38, 18) AS open,
    g.high::numeric(38, 18) AS high,
    g.low::numeric(38, 18) AS low,
    g.close::numeric(38, 18) AS close,
    g.volume::numeric(76, 36) AS volume,
    g."interval",
    g.candles::integer AS candles,
    (g.covered / 86400.0)::numeric(24, 12) AS coverage
FROM graded g
WHERE NOT EXISTS (
    SELECT FROM graded better
    WHERE better.exchange = g.exchange AND better.symbol = g.symbol AND better.day = g.day
        AND (better.covered, -better.seconds, better."interval") > (g.covered, -g.seconds, g."interval")
)

-- Of each (exchange, symbol, UTC day) the interval whose candles cover most of it; the finest of equals.
SELECT DISTINCT ON (a.exchange, a.symbol, a.day)
    (to_char(a.day AT TIME ZONE 'UTC', 'YYYY-MM-DD') || '|' || a.symbol || '|' || a.exchange)::varchar(102) AS id,
    a.exchange,
    a.symbol,
    a.day,
    a.open::numeric(38, 18) AS open,
    a.high::numeric(38, 18) AS high,
    a.low::numeric(38, 18) AS low,
    a.close::numeric(38, 18) AS close,
    a.volume::numeric(76, 36) AS volume,
    a."interval",
    a.candles::integer AS candles,
    least(a.candles * analytics.interval_seconds(a."interval") / 86400.0, 1)::numeric(24, 12) AS coverage
FROM analytics.daily_ohlcv_aggregate a
ORDER BY a.exchange, a.symbol, a.day, coverage DESC, analytics.interval_seconds(a."interval"), a."interval"

-- What the job has chosen for each (exchange, symbol, UTC day).
SELECT
    (to_char(d.day AT TIME ZONE 'UTC', 'YYYY-MM-DD') || '|' || d.symbol || '|' || d.exchange)::varchar(102) AS id,
    d.exchange,
    d.symbol,
    d.day,
    d.open,
    d.high,
    d.low,
    d.close,
    d.volume,
    d."interval",
    d.candles,
    d.coverage
FROM analytics.daily_candles d
WHERE d.is_shown

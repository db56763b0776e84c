-- Current candles are read through it (real time); what the policy has stored is read from there.
CREATE MATERIALIZED VIEW analytics.daily_ohlcv_aggregate
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    exchange,
    symbol,
    "interval",
    time_bucket(INTERVAL '1 day', "timestamp") AS day,
    first(open_price, "timestamp") AS open,
    max(high_price) AS high,
    min(low_price) AS low,
    last(close_price, "timestamp") AS close,
    sum(volume) AS volume,
    count(*) AS candles
FROM trading.market_data
WHERE analytics.interval_seconds("interval") <= 86400
GROUP BY exchange, symbol, "interval", time_bucket(INTERVAL '1 day', "timestamp")
WITH NO DATA;
SELECT add_continuous_aggregate_policy(
    'analytics.daily_ohlcv_aggregate',
    start_offset => INTERVAL '3 days',
    end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '1 day'
);

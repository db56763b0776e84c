-- The candles that are there already.
INSERT INTO analytics.daily_candle_changes (exchange, symbol, "interval", day)
SELECT DISTINCT exchange, symbol, "interval", date_bin('1 day', "timestamp", TIMESTAMPTZ '2000-01-01 00:00:00Z')
FROM trading.market_data
WHERE analytics.interval_seconds("interval") <= 86400;

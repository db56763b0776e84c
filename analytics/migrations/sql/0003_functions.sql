-- The quote currency of a symbol: ETH/USDT:USDT and ETH-USDT say it, ETHUSDT ends with a known one, the longest that
-- fits; anything else is quoted in the bot's currency. bots/ledger/symbols.py has the same rule.
CREATE FUNCTION analytics.quote_currency(symbol text, bot_currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN strpos(split_part(symbol, ':', 1), '/') > 0 THEN split_part(split_part(symbol, ':', 1), '/', 2)
    WHEN strpos(split_part(symbol, ':', 1), '-') > 0 THEN split_part(split_part(symbol, ':', 1), '-', 2)
    WHEN strpos(split_part(symbol, ':', 1), '_') > 0 THEN split_part(split_part(symbol, ':', 1), '_', 2)
    ELSE coalesce(
        substring(
            split_part(symbol, ':', 1),
            '^.+?(USDT|USDC|BUSD|FDUSD|TUSD|DAI|USD|EUR|GBP|JPY|CHF|AUD|CAD|TRY|BRL|BTC|ETH|BNB|SOL|XRP)$'
        ),
        bot_currency
    )
END;

-- The length of a candle's interval, 300 for 5m; NULL for weeks, months and words that are none.
CREATE FUNCTION analytics.interval_seconds(candle_interval text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN candle_interval ~ '^[1-9][0-9]{0,4}[smhd]$' THEN left(candle_interval, -1)::bigint
        * CASE right(candle_interval, 1) WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 ELSE 86400 END
END;

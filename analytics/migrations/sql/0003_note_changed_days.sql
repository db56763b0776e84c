-- Candles note the days they change, in their own transaction, whoever writes them. Each statement appends and nobody
-- waits: two writers of one day leave two notes. Deleting notes nothing, for a day outlives its candles.
CREATE FUNCTION analytics.note_changed_days() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO analytics.daily_candle_changes (exchange, symbol, "interval", day)
    SELECT DISTINCT exchange, symbol, "interval", date_bin('1 day', "timestamp", TIMESTAMPTZ '2000-01-01 00:00:00Z')
    FROM changed_candles
    WHERE analytics.interval_seconds("interval") <= 86400;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_inserted_days AFTER INSERT ON trading.market_data
    REFERENCING NEW TABLE AS changed_candles FOR EACH STATEMENT EXECUTE FUNCTION analytics.note_changed_days();
CREATE TRIGGER note_updated_days AFTER UPDATE ON trading.market_data
    REFERENCING NEW TABLE AS changed_candles FOR EACH STATEMENT EXECUTE FUNCTION analytics.note_changed_days();
-- The candles that were there before.
INSERT INTO analytics.daily_candle_changes (exchange, symbol, "interval", day)
SELECT DISTINCT exchange, symbol, "interval", date_bin('1 day', "timestamp", TIMESTAMPTZ '2000-01-01 00:00:00Z')
FROM trading.market_data
WHERE analytics.interval_seconds("interval") <= 86400;

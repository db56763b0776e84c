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

-- A fill that its bot reports, or that staff make of an inbox row, settles that row, whatever way it comes in. It runs
-- as the owner: a bot's role sees neither the inbox nor cases of the account.
CREATE FUNCTION trading.settle_unattributed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was trading.unattributed_fills;
BEGIN
    SELECT * INTO was FROM trading.unattributed_fills u
    WHERE u.account_id = NEW.account_id AND u.symbol = NEW.symbol AND u.exchange_trade_id = NEW.exchange_trade_id
        AND u.status <> 'assigned'
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE trading.unattributed_fills u
    SET status = 'assigned', bot_id = NEW.bot_id, fill_id = NEW.fill_id, resolved_at = now(), resolved_by_id = NULL,
        note = CASE WHEN was.status = 'dismissed' THEN 'It had been dismissed. ' ELSE '' END
            || 'Reported by bot ' || NEW.bot_id || ' as fill ' || NEW.fill_id || '.'
    WHERE u.id = was.id;
    UPDATE trading.reconciliation_cases c SET gone_since = now()
    WHERE c.kind = 'unattributed' AND c.account_id = NEW.account_id AND c.symbol = NEW.symbol
        AND c.status <> 'resolved' AND c.gone_since IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM trading.unattributed_fills u
            WHERE u.account_id = NEW.account_id AND u.symbol = NEW.symbol AND u.status = 'open'
        );
    IF (was.side, was.price, was.quantity) IS DISTINCT FROM (NEW.side, NEW.price, NEW.quantity) THEN
        INSERT INTO trading.reconciliation_cases
            (kind, account_id, bot_id, symbol, subject_id, expected, reported, opened_at, last_seen_at)
        VALUES ('content_conflict', NEW.account_id, NEW.bot_id, NEW.symbol, NEW.fill_id,
            jsonb_build_object('side', NEW.side, 'price', trim_scale(NEW.price)::text,
                'quantity', trim_scale(NEW.quantity)::text),
            jsonb_build_object('side', was.side, 'price', trim_scale(was.price)::text,
                'quantity', trim_scale(was.quantity)::text),
            now(), now())
        ON CONFLICT (kind, account_id, bot_id, symbol, subject_id) WHERE status <> 'resolved'
        DO UPDATE SET last_seen_at = excluded.last_seen_at, gone_since = NULL;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER settle_unattributed AFTER INSERT ON trading.fills
FOR EACH ROW WHEN (NEW.exchange_trade_id IS NOT NULL) EXECUTE FUNCTION trading.settle_unattributed();

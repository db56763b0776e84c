-- Before a state changes: wait for the requests that were checked against the old one, then take a number. Orders take
-- theirs from the same counter while they hold the lock, so a greater number means checked after this change.
CREATE FUNCTION trading.control_state_numbered() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('control' || chr(31) || OLD.scope || chr(31) || OLD.target, 0));
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.scope, OLD.target) IS DISTINCT FROM (NEW.scope, NEW.target) THEN
        RAISE EXCEPTION 'the scope of a control state never changes'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'control_states_scope_stays', TABLE = 'control_states';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('control' || chr(31) || NEW.scope || chr(31) || NEW.target, 0));
    IF TG_OP = 'UPDATE' AND OLD.state <> NEW.state AND OLD.version = NEW.version THEN
        -- By hand, past the service: the history says so.
        NEW.version := OLD.version + 1;
        NEW.changed_by_id := NULL;
        NEW.changed_by_name := left('SQL: ' || session_user, 100);
        IF NEW.changed_at = OLD.changed_at THEN
            NEW.changed_at := now();
        END IF;
    END IF;
    NEW.server_seq := nextval('trading.orders_id_seq');
    RETURN NEW;
END
$$;

CREATE FUNCTION trading.control_state_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO trading.control_changes (id, scope, target, state, previous_state, version, reason, changed_by_name,
            changed_at)
        VALUES (nextval('trading.orders_id_seq'), OLD.scope, OLD.target, 'ACTIVE', OLD.state, OLD.version + 1,
            'The row was deleted.', left('SQL: ' || session_user, 100), now());
        RETURN NULL;
    END IF;
    INSERT INTO trading.control_changes (id, scope, target, state, previous_state, version, reason, changed_by_id,
        changed_by_name, changed_at)
    VALUES (NEW.server_seq, NEW.scope, NEW.target, NEW.state,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state ELSE 'ACTIVE' END, NEW.version, NEW.reason, NEW.changed_by_id,
        NEW.changed_by_name, NEW.changed_at);
    RETURN NULL;
END
$$;

-- What was once in force stays known; only the person behind it may be forgotten.
CREATE FUNCTION trading.control_change_stays() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        OLD.changed_by_id := NEW.changed_by_id;
        IF OLD IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the history of control states is never rewritten'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'control_changes_stay', TABLE = 'control_changes';
END
$$;

CREATE TRIGGER control_state_numbered BEFORE INSERT OR UPDATE OR DELETE ON trading.control_states
    FOR EACH ROW EXECUTE FUNCTION trading.control_state_numbered();
CREATE TRIGGER control_state_kept AFTER INSERT OR UPDATE OR DELETE ON trading.control_states
    FOR EACH ROW EXECUTE FUNCTION trading.control_state_kept();
CREATE TRIGGER control_change_stays BEFORE UPDATE OR DELETE ON trading.control_changes
    FOR EACH ROW EXECUTE FUNCTION trading.control_change_stays();

-- What is in force already gets its number now.
UPDATE trading.control_states SET version = version;

-- Note that a bot hears of every restriction in force. A server that only reads (its disk is low) still gives permits.
CREATE FUNCTION trading.control_told(of_bot text, of_exchange text, way text, at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_read_only') = 'on' THEN
        RETURN;
    END IF;
    INSERT INTO trading.control_receipts (change_id, bot_id, received_at, told_by)
    SELECT c.server_seq, of_bot, at, way FROM trading.control_states c
    WHERE c.state <> 'ACTIVE' AND (c.scope IN ('all', 'symbol') OR (c.scope = 'bot' AND c.target = of_bot)
            OR (c.scope = 'exchange' AND c.target = of_exchange))
        AND NOT EXISTS (SELECT FROM trading.control_receipts r WHERE r.bot_id = of_bot AND r.change_id = c.server_seq)
    ON CONFLICT (bot_id, change_id) DO NOTHING;
END
$$;

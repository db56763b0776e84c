-- What a breach does. Whoever runs it says which bot and symbol to look at, and no figure: those are worked out here, so
-- that a bot can neither restrict others nor excuse itself with numbers of its own.

-- The open positions that a limit counts, largest first.
CREATE FUNCTION trading.risk_positions(of_scope text, of_subject text, of_mode text, of_members text[])
RETURNS TABLE (bot_id text, symbol text, side text, size numeric, value numeric) LANGUAGE sql STABLE AS $$
    SELECT p.bot_id, p.symbol, p.side, p.size, p.size * coalesce(p.current_price, p.avg_entry_price)
    FROM trading.positions p JOIN trading.bots b ON b.bot_id = p.bot_id AND b.deployment_mode = of_mode
    WHERE p.status IN ('open', 'partially_closed') AND CASE of_scope
        WHEN 'bot' THEN b.bot_id = of_subject WHEN 'exchange' THEN b.exchange = of_subject
        WHEN 'symbol' THEN p.symbol = of_subject
        WHEN 'base_asset' THEN (trading.symbol_parts(p.symbol, b.currency))[1] = of_subject
        ELSE of_members IS NULL OR p.symbol = ANY (of_members) END
    ORDER BY 5 DESC, 1, 2
$$;

-- Keeps one open event a limit, subject, period and level; true when it was not so before: then something is done.
CREATE FUNCTION trading.risk_note(
    of_limit bigint, of_kind text, of_subject text, of_period text, of_level text, of_bot text, of_symbol text,
    of_used numeric, of_value numeric, of_action text, of_details jsonb, of_count integer, at timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    event_key text := left(concat_ws(' ', of_limit, of_subject, of_period, of_level), 250);
    seen record;
BEGIN
    SELECT e.id, e.is_over, e.last_seen_at INTO seen FROM audit.risk_events e
        WHERE e.repeat_key = event_key AND NOT e.resolved;
    IF FOUND AND seen.is_over AND seen.last_seen_at > at - interval '10 seconds' THEN
        RETURN false;
    END IF;
    IF FOUND THEN
        UPDATE audit.risk_events e SET is_over = true, last_seen_at = at, current_value = of_used,
            limit_value = of_value, threshold_pct = least(round(of_used / of_value * 100, 2), 9999999999),
            seen_count = e.seen_count + 1, positions_affected = of_count, details = of_details
        WHERE e.id = seen.id AND NOT e.resolved;
        RETURN NOT seen.is_over;
    END IF;
    INSERT INTO audit.risk_events (event_time, bot_id, symbol, order_id, risk_type, level, limit_id, subject, repeat_key,
        is_over, last_seen_at, current_value, limit_value, threshold_pct, action_taken, positions_affected, details)
    VALUES (at, of_bot, of_symbol, '', CASE WHEN of_kind IN ('gross_exposure', 'net_exposure') THEN 'exposure_limit'
            ELSE of_kind END, of_level, of_limit, of_subject, event_key, true, at, of_used, of_value,
        least(round(of_used / of_value * 100, 2), 9999999999), of_action, of_count, of_details)
    ON CONFLICT (repeat_key) WHERE NOT resolved AND repeat_key <> '' DO NOTHING;
    RETURN FOUND;
END $$;

-- Holds a bot back; only ever stricter. Returns the control state when that changed.
CREATE FUNCTION trading.risk_restrict(of_bot text, of_state text, why text, at timestamptz)
RETURNS SETOF trading.control_states LANGUAGE sql VOLATILE AS $$
    INSERT INTO trading.control_states AS c (scope, target, state, reason, changed_at, changed_by_name)
    VALUES ('bot', of_bot, of_state, why, at, 'risk limits')
    ON CONFLICT (scope, target) DO UPDATE SET state = excluded.state, reason = excluded.reason,
        changed_at = excluded.changed_at, changed_by_name = excluded.changed_by_name, changed_by_id = NULL,
        version = c.version + 1
    WHERE c.state = 'ACTIVE' OR (c.state = 'REDUCING' AND excluded.state = 'HALTED')
    RETURNING c.*
$$;

-- Does what a limit asks for when it is broken, to every bot that it is about, in the order of their names.
CREATE FUNCTION trading.risk_act(
    of_limit bigint, of_kind text, of_action text, bots text[], of_used numeric, of_base numeric, why text,
    at timestamptz
) RETURNS SETOF trading.control_states LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    one text;
    changed trading.control_states;
    ends timestamptz := CASE of_action
        WHEN 'pause_until_next_day' THEN date_trunc('day', at, 'UTC') + interval '1 day 1 minute'
        WHEN 'pause_until_monday' THEN date_trunc('week', at, 'UTC') + interval '7 days 1 minute' END;
BEGIN
    FOR one IN SELECT x FROM unnest(bots) x ORDER BY x LOOP
        IF of_action = 'half_size' THEN
            INSERT INTO trading.risk_latches
                (bot_id, risk_limit_id, effect, started_at, start_equity, worst_loss_pct, size_cap)
            SELECT one, of_limit, 'half_size', at, of_base, of_used, (
                -- Half of what is usual: the median of the last 30 days, or of what is allowed if that is less.
                SELECT least(u.usual, (SELECT min(l.limit_value) FROM trading.risk_limits_of(one, NULL) l
                    WHERE l.kind = 'order_notional_limit')) / 2
                FROM (
                    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o.quantity
                        * coalesce(o.avg_fill_price, o.price, o.stop_price, trading.risk_price(o.symbol))) AS usual
                    FROM trading.orders o WHERE o.bot_id = one AND NOT o.reduce_only AND o.error_code IS NULL
                        AND o.created_at > at - interval '30 days'
                ) u
            )
            ON CONFLICT (bot_id, risk_limit_id, effect) WHERE ended_at IS NULL DO NOTHING;
        ELSIF of_action <> 'block' THEN
            FOR changed IN SELECT * FROM trading.risk_restrict(
                one, CASE of_action WHEN 'HALTED' THEN 'HALTED' ELSE 'REDUCING' END, why, at
            ) LOOP
                IF ends IS NOT NULL THEN
                    INSERT INTO trading.risk_latches (bot_id, risk_limit_id, effect, started_at, until, control_version)
                    VALUES (one, of_limit, 'pause', at, ends, changed.version)
                    ON CONFLICT (bot_id, risk_limit_id, effect) WHERE ended_at IS NULL
                    DO UPDATE SET until = excluded.until, control_version = excluded.control_version;
                END IF;
                RETURN NEXT changed;
            END LOOP;
            -- A pause that holds the bot already lasts as long as this one, or no longer ends by itself.
            UPDATE trading.risk_latches x SET until = greatest(x.until, ends),
                control_version = CASE WHEN ends IS NOT NULL THEN x.control_version END
            WHERE x.bot_id = one AND x.effect = 'pause' AND x.ended_at IS NULL;
        END IF;
    END LOOP;
END $$;

-- Looks at every limit that a bot in a symbol can touch (without one: those of the bot alone), notes what is near its
-- limit or beyond it, and does what a breach asks for. Returns the control states that changed.
CREATE FUNCTION trading.risk_enforce_of(of_bot text, of_symbol text, at timestamptz)
RETURNS SETOF trading.control_states LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    u record;
    mode text;
    members text[];
    held jsonb;
    bots text[];
    is_broken boolean;
    why text;
BEGIN
    SELECT b.deployment_mode INTO mode FROM trading.bots b WHERE b.bot_id = of_bot;
    FOR u IN SELECT * FROM trading.risk_usage_of(of_bot, of_symbol, at, NULL, NULL, NULL) LOOP
        -- A limit that an order may use up is broken beyond it; a loss that may not be reached is broken there.
        is_broken := CASE WHEN u.kind LIKE '%\_loss\_limit' OR u.kind = 'max_drawdown' THEN u.used >= u.limit_value
            ELSE u.used > u.limit_value END AND u.used > 0;
        IF NOT is_broken THEN
            UPDATE audit.risk_events e SET is_over = false
            WHERE e.limit_id = u.limit_id AND e.subject = u.subject AND e.is_over AND NOT e.resolved
                AND (e.level = 'breach' OR u.used * 100 < u.limit_value * u.threshold_pct);
        END IF;
        CONTINUE WHEN u.used <= 0 OR u.used * 100 < u.limit_value * u.threshold_pct;
        SELECT g.symbols::text[] INTO members FROM trading.risk_groups g
            WHERE u.kind = 'correlated_exposure_limit' AND g.name = u.subject;
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]'), array_agg(DISTINCT p.bot_id) INTO held, bots
            FROM (SELECT * FROM trading.risk_positions(u.scope, u.subject, mode, members) LIMIT 100) p;
        bots := CASE WHEN u.scope = 'bot' THEN ARRAY[of_bot] ELSE coalesce(bots, ARRAY[of_bot]) END;
        why := format('%s of %s: %s of %s.', replace(u.kind, '_', ' '), u.subject, trim_scale(round(u.used, 8)),
            trim_scale(round(u.limit_value, 8)));
        CONTINUE WHEN NOT trading.risk_note(
            u.limit_id, u.kind, u.subject,
            CASE u.kind WHEN 'daily_loss_limit' THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                WHEN 'weekly_loss_limit' THEN to_char(at AT TIME ZONE 'UTC', 'IYYY-"W"IW')
                WHEN 'monthly_loss_limit' THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM') END,
            CASE WHEN is_broken THEN 'breach' ELSE 'warning' END,
            CASE WHEN u.scope = 'bot' THEN of_bot ELSE '*' END, CASE WHEN u.scope = 'symbol' THEN u.subject ELSE '' END,
            least(u.used, 1e19), u.limit_value,
            CASE WHEN NOT is_broken THEN 'alert_sent' WHEN u.action = 'half_size' THEN 'size_halved'
                WHEN u.action = 'block' THEN 'new_trades_blocked' WHEN u.action = 'HALTED' THEN 'trading_halted'
                ELSE 'reduce_only' END,
            jsonb_build_object('kind', u.kind, 'scope', u.scope, 'mode', mode, 'currency', u.currency,
                'action', u.action, 'looked_at', of_bot, 'positions', held),
            jsonb_array_length(held), at
        );
        CONTINUE WHEN NOT is_broken;
        RETURN QUERY SELECT * FROM trading.risk_act(
            u.limit_id, u.kind, u.action, bots, least(u.used, 1e11), u.base, why, at
        );
    END LOOP;
EXCEPTION WHEN data_exception THEN
    -- A fact is stored whatever its figures are; one that no limit can be reckoned with is for people.
    RAISE WARNING 'risk limits of % in % could not be worked out: %', of_bot, of_symbol, SQLERRM;
END $$;

-- The same for the bot that acts. A login of its own hears of itself alone.
CREATE FUNCTION trading.risk_enforce(of_symbol text, at timestamptz) RETURNS SETOF trading.control_states
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    acting text := {acting};
BEGIN
    RETURN QUERY SELECT c.* FROM trading.risk_enforce_of(acting, of_symbol, at) c
        WHERE c.target = acting OR NOT starts_with(session_user, 'bot:');
END $$;

-- An order of the acting bot that a rule refused: one open event a rule and symbol, counted when it comes again.
CREATE FUNCTION trading.risk_refused(
    of_rule text, of_kind text, of_limit bigint, of_symbol text, of_order text, of_used numeric, of_value numeric,
    of_details jsonb, at timestamptz
) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audit.risk_events AS e (event_time, bot_id, symbol, order_id, risk_type, level, limit_id, subject,
        repeat_key, last_seen_at, current_value, limit_value, action_taken, details)
    VALUES (at, {acting}, of_symbol, of_order, of_rule, 'refusal', of_limit, {acting},
        left(concat_ws(' ', {acting}, of_symbol, of_rule, of_kind, of_limit, 'refusal'), 250), at, of_used, of_value,
        'new_trades_blocked', of_details)
    ON CONFLICT (repeat_key) WHERE NOT resolved AND repeat_key <> '' DO UPDATE SET seen_count = e.seen_count + 1,
        last_seen_at = excluded.last_seen_at, order_id = excluded.order_id, current_value = excluded.current_value,
        limit_value = excluded.limit_value, details = excluded.details
$$;

-- What limits are compared with. Everything here reads; it runs as the owner, since the figures are over all bots, and a
-- bot is told no more than the sums its order is judged by.

-- Base and quote of a symbol, as bots/ledger/symbols.py has it; a test holds the two together.
CREATE FUNCTION trading.symbol_parts(of_symbol text, default_quote text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN strpos(s.pair, '/') > 0 THEN ARRAY[split_part(s.pair, '/', 1), split_part(s.pair, '/', 2)]
        WHEN strpos(s.pair, '-') > 0 THEN ARRAY[split_part(s.pair, '-', 1), split_part(s.pair, '-', 2)]
        WHEN strpos(s.pair, '_') > 0 THEN ARRAY[split_part(s.pair, '_', 1), split_part(s.pair, '_', 2)]
        ELSE coalesce(
            regexp_match(s.pair, '^(.+?)(FDUSD|USDT|USDC|BUSD|TUSD|DAI|USD|EUR|GBP|JPY|CHF|AUD|CAD|TRY|BRL|BTC|ETH|BNB|SOL|XRP)$'),
            ARRAY[s.pair, default_quote]
        )
    END
    FROM (SELECT split_part(of_symbol, ':', 1) AS pair) s
$$;

-- The last price that is known of a symbol: a mark, else what was paid last, else the last candle; NULL: none is.
CREATE FUNCTION trading.risk_price(of_symbol text) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT p.current_price FROM trading.positions p
            WHERE p.symbol = of_symbol AND p.status IN ('open', 'partially_closed')
            ORDER BY p.marked_at DESC NULLS LAST, p.last_fill_at DESC NULLS LAST LIMIT 1),
        (SELECT p.current_price FROM trading.positions p WHERE p.symbol = of_symbol ORDER BY p.opened_at DESC LIMIT 1),
        (SELECT m.close_price FROM trading.market_data m WHERE m.symbol = of_symbol ORDER BY m."timestamp" DESC LIMIT 1)
    )
$$;

-- Each bot's worst case in each symbol, in the quote currency: what it would hold if all its open orders to buy were
-- filled (high), or all to sell (low; below zero is short). The asked order counts in the columns that say so. Orders
-- that only reduce can never make it worse.
CREATE FUNCTION trading.risk_book(
    of_mode text, of_symbol text, ask_bot text, ask_symbol text, ask_side text, ask_value numeric
) RETURNS TABLE (
    bot_id text, symbol text, exchange text, base text, quote text,
    high numeric, low numeric, asked_high numeric, asked_low numeric
) LANGUAGE sql STABLE AS $$
    WITH held AS MATERIALIZED (
        SELECT b.bot_id, x.symbol, b.exchange, b.currency, sum(x.held + x.buys) AS high, sum(x.held - x.sells) AS low,
            sum(x.held + x.buys + x.ask_buys) AS asked_high, sum(x.held - x.sells - x.ask_sells) AS asked_low
        FROM (
            SELECT p.bot_id, p.symbol,
                CASE p.side WHEN 'long' THEN p.size ELSE -p.size END * coalesce(p.current_price, p.avg_entry_price) AS held,
                0 AS buys, 0 AS sells, 0 AS ask_buys, 0 AS ask_sells
            FROM trading.positions p
            WHERE p.status IN ('open', 'partially_closed') AND (of_symbol IS NULL OR p.symbol = of_symbol)
            UNION ALL
            SELECT o.bot_id, o.symbol, 0, CASE o.side WHEN 'buy' THEN v.value ELSE 0 END,
                CASE o.side WHEN 'sell' THEN v.value ELSE 0 END, 0, 0
            FROM trading.orders o
            CROSS JOIN LATERAL (
                SELECT coalesce(o.remaining_quantity * coalesce(o.price, o.stop_price, trading.risk_price(o.symbol)), 0)
            ) v(value)
            WHERE o.status IN ('pending', 'submitted', 'partially_filled', 'untriggered', 'triggered')
                AND NOT o.reduce_only AND (of_symbol IS NULL OR o.symbol = of_symbol)
            UNION ALL
            SELECT ask_bot, ask_symbol, 0, 0, 0, CASE ask_side WHEN 'buy' THEN ask_value ELSE 0 END,
                CASE ask_side WHEN 'sell' THEN ask_value ELSE 0 END
            WHERE ask_side IS NOT NULL
        ) x
        JOIN trading.bots b ON b.bot_id = x.bot_id AND b.deployment_mode = of_mode
        GROUP BY b.bot_id, x.symbol, b.exchange, b.currency
    ),
    -- Once a symbol, for it costs more than all the sums.
    named AS MATERIALIZED (
        SELECT d.symbol, d.currency, trading.symbol_parts(d.symbol, d.currency) AS parts
        FROM (SELECT DISTINCT h.symbol, h.currency FROM held h OFFSET 0) d
    )
    SELECT h.bot_id, h.symbol, h.exchange, n.parts[1], n.parts[2], h.high, h.low, h.asked_high, h.asked_low
    FROM held h JOIN named n ON n.symbol = h.symbol AND n.currency = h.currency
$$;

-- The active limits that an order or fill of a bot in a symbol can touch, each with what it counts here (its subject).
-- Without a symbol: those of the bot alone.
CREATE FUNCTION trading.risk_limits_of(of_bot text, of_symbol text) RETURNS TABLE (
    id bigint, kind text, scope text, subject text, currency text, deployment_mode text, limit_value numeric,
    own_value boolean, threshold_pct numeric, action text, least_gross numeric, members text[]
) LANGUAGE sql STABLE AS $$
    SELECT l.id, l.kind, l.scope, s.subject, l.currency, l.deployment_mode, v.value, l.limit_value IS NULL,
        l.threshold_pct, l.action, l.least_gross, g.symbols::text[]
    FROM trading.bots b
    JOIN trading.risk_limits l ON l.is_active AND l.deployment_mode = b.deployment_mode
    CROSS JOIN LATERAL (SELECT trading.symbol_parts(of_symbol, b.currency)) p(parts)
    LEFT JOIN trading.risk_groups g ON l.kind = 'correlated_exposure_limit' AND of_symbol = ANY (g.symbols)
    CROSS JOIN LATERAL (
        SELECT CASE l.scope WHEN 'bot' THEN b.bot_id WHEN 'exchange' THEN b.exchange WHEN 'symbol' THEN of_symbol
            WHEN 'base_asset' THEN p.parts[1] WHEN 'all' THEN coalesce(g.name, 'all') END
    ) s(subject)
    CROSS JOIN LATERAL (
        SELECT coalesce(l.limit_value, CASE l.kind WHEN 'position_limit' THEN b.max_positions
            WHEN 'leverage_limit' THEN b.leverage_limit WHEN 'daily_loss_limit' THEN b.max_daily_loss_pct
            WHEN 'weekly_loss_limit' THEN b.max_weekly_loss_pct WHEN 'max_drawdown' THEN b.max_drawdown_pct END)
    ) v(value)
    WHERE b.bot_id = of_bot AND v.value IS NOT NULL AND l.kind <> 'portfolio_drawdown'
        AND (l.scope = 'bot' OR of_symbol IS NOT NULL) AND (l.scope = 'all' OR l.target IN ('*', s.subject))
        AND (l.currency = '' OR l.currency = p.parts[2])
        AND (l.kind <> 'correlated_exposure_limit' OR g.name IS NOT NULL)
$$;

-- One after another wherever several bots are counted together: the order that is judged next sees the last one. The
-- keys are taken in their order, so that two that need several cannot wait for each other. Facts never wait here.
CREATE FUNCTION trading.risk_lock(of_bot text, of_symbols text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(k.key) FROM (
        SELECT DISTINCT hashtextextended('risk' || chr(31) || l.id || chr(31) || l.subject, 0) AS key
        FROM unnest(of_symbols) s(symbol) CROSS JOIN LATERAL trading.risk_limits_of(of_bot, s.symbol) l
        WHERE l.kind IN ('gross_exposure', 'net_exposure', 'concentration_limit', 'shared_position_limit',
            'correlated_exposure_limit')
        ORDER BY key
    ) k;
END $$;

-- What a bot lost in a period, as a share of the equity it began with: by the equity it told, or by its own fills and
-- marks, whichever is more. A drawdown is counted from the highest equity.
CREATE FUNCTION trading.risk_loss(of_bot text, of_kind text, at timestamptz, OUT share numeric, OUT base numeric)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    b trading.bots;
    start timestamptz := CASE of_kind WHEN 'weekly_loss_limit' THEN date_trunc('week', at, 'UTC')
        WHEN 'monthly_loss_limit' THEN date_trunc('month', at, 'UTC') ELSE date_trunc('day', at, 'UTC') END;
    told_before numeric;
    flows numeric;
    net numeric;
    marked_before numeric;
    marked numeric;
    by_ledger numeric;
    equity numeric;
BEGIN
    SELECT * INTO b FROM trading.bots x WHERE x.bot_id = of_bot;
    SELECT a.equity INTO told_before FROM trading.account_balance a
        WHERE a.bot_id = of_bot AND a."timestamp" < start ORDER BY a."timestamp" DESC LIMIT 1;
    base := coalesce(told_before, b.initial_capital);
    SELECT coalesce(sum(c.amount), 0) INTO flows FROM trading.cash_flows c
        WHERE c.bot_id = of_bot AND c.occurred_at >= start AND c.kind IN ('deposit', 'withdrawal');
    SELECT coalesce(sum(f.net), 0) INTO net FROM (
        SELECT x.symbol, sum(x.realized_pnl - x.fee_quote) AS net FROM trading.fills x
        WHERE x.bot_id = of_bot AND x.executed_at >= start GROUP BY x.symbol OFFSET 0
    ) f WHERE (trading.symbol_parts(f.symbol, b.currency))[2] = b.currency;
    SELECT (s.bot_metrics -> of_bot ->> 'unrealized_pnl')::numeric INTO marked_before
        FROM analytics.portfolio_snapshots s
        WHERE s.currency = b.currency AND s."timestamp" <= start AND s."timestamp" > start - interval '1 day'
        ORDER BY s."timestamp" DESC LIMIT 1;
    -- Where it is not known what positions were worth when the period began, only those opened since count.
    SELECT coalesce(sum(o.pnl), 0) INTO marked FROM (
        SELECT p.symbol, p.unrealized_pnl AS pnl FROM trading.positions p
        WHERE p.bot_id = of_bot AND p.status IN ('open', 'partially_closed')
            AND (marked_before IS NOT NULL OR p.opened_at >= start) OFFSET 0
    ) o WHERE (trading.symbol_parts(o.symbol, b.currency))[2] = b.currency;
    by_ledger := coalesce(marked_before, 0) - net - marked;
    IF of_kind = 'max_drawdown' THEN
        SELECT greatest(b.initial_capital, b.current_equity, max(m.ending_equity)) INTO base
            FROM trading.risk_metrics m WHERE m.bot_id = of_bot;
        equity := CASE WHEN told_before IS NOT NULL OR b.current_equity IS NULL
            THEN coalesce(told_before, b.initial_capital) + flows - by_ledger END;
        share := CASE WHEN base > 0 THEN (base - least(equity, b.current_equity)) / base END;
    ELSE
        share := CASE WHEN base > 0 THEN greatest(base + flows - b.current_equity, by_ledger) / base END;
    END IF;
    share := round(share, 12);
END $$;

-- How far a bot's limits are used, and how far they would be with an order; the order's judge and the fill's are one.
-- `asked` is NULL where it cannot be known: no price of the symbol is.
CREATE FUNCTION trading.risk_usage_of(
    of_bot text, of_symbol text, at timestamptz, ask_side text, ask_quantity numeric, ask_price numeric
) RETURNS TABLE (
    limit_id bigint, kind text, scope text, subject text, currency text, own_value boolean, used numeric, asked numeric,
    limit_value numeric, threshold_pct numeric, action text, base numeric
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    l record;
    cap numeric;
    ask_value numeric := ask_quantity * coalesce(ask_price, trading.risk_price(of_symbol));
BEGIN
    FOR l IN SELECT * FROM trading.risk_limits_of(of_bot, of_symbol) x ORDER BY x.id LOOP
        SELECT l.id, l.kind, l.scope, l.subject, l.currency, l.own_value, l.limit_value, l.threshold_pct, l.action
            INTO limit_id, kind, scope, subject, currency, own_value, limit_value, threshold_pct, action;
        used := NULL; asked := NULL; base := NULL;
        IF l.kind IN ('gross_exposure', 'net_exposure', 'concentration_limit', 'shared_position_limit',
                'correlated_exposure_limit') THEN
            SELECT t.used, t.asked INTO used, asked FROM (
                SELECT
                    CASE l.kind
                        WHEN 'net_exposure' THEN greatest(abs(sum(k.high) FILTER (WHERE k.is_of)),
                            abs(sum(k.low) FILTER (WHERE k.is_of)))
                        WHEN 'shared_position_limit' THEN greatest(count(*) FILTER (WHERE k.is_of AND k.high > 0),
                            count(*) FILTER (WHERE k.is_of AND k.low < 0))
                        WHEN 'concentration_limit' THEN CASE WHEN sum(k.gross) > coalesce(l.least_gross, 0)
                            THEN round(sum(k.gross) FILTER (WHERE k.is_of) / sum(k.gross), 12) END
                        ELSE sum(k.gross) FILTER (WHERE k.is_of)
                    END AS used,
                    CASE l.kind
                        WHEN 'net_exposure' THEN greatest(abs(sum(k.asked_high) FILTER (WHERE k.is_of)),
                            abs(sum(k.asked_low) FILTER (WHERE k.is_of)))
                        WHEN 'shared_position_limit' THEN greatest(
                            count(*) FILTER (WHERE k.is_of AND k.asked_high > 0),
                            count(*) FILTER (WHERE k.is_of AND k.asked_low < 0))
                        WHEN 'concentration_limit' THEN CASE WHEN sum(k.asked_gross) > coalesce(l.least_gross, 0)
                            THEN round(sum(k.asked_gross) FILTER (WHERE k.is_of) / sum(k.asked_gross), 12) END
                        ELSE sum(k.asked_gross) FILTER (WHERE k.is_of)
                    END AS asked
                FROM (
                    SELECT c.*, greatest(abs(c.high), abs(c.low)) AS gross,
                        greatest(abs(c.asked_high), abs(c.asked_low)) AS asked_gross,
                        CASE l.scope WHEN 'symbol' THEN c.symbol = l.subject WHEN 'base_asset' THEN c.base = l.subject
                            WHEN 'exchange' THEN c.exchange = l.subject
                            ELSE l.members IS NULL OR c.symbol = ANY (l.members) END AS is_of
                    FROM trading.risk_book(
                        l.deployment_mode,
                        CASE WHEN l.scope = 'symbol' AND l.kind <> 'concentration_limit' THEN l.subject END,
                        of_bot, of_symbol, ask_side, coalesce(ask_value, 1)
                    ) c WHERE l.currency = '' OR c.quote = l.currency
                ) k
            ) t;
            used := coalesce(used, 0);
            asked := CASE WHEN ask_value IS NULL AND l.kind <> 'shared_position_limit' THEN NULL
                ELSE coalesce(asked, 0) END;
        ELSIF l.kind IN ('daily_loss_limit', 'weekly_loss_limit', 'monthly_loss_limit', 'max_drawdown') THEN
            SELECT x.share, x.base INTO used, base FROM trading.risk_loss(of_bot, l.kind, at) x;
            used := coalesce(used, 0);
            asked := used;
        ELSIF l.kind = 'position_limit' AND ask_side IS NULL THEN
            SELECT count(*) INTO used FROM trading.positions p
                WHERE p.bot_id = of_bot AND p.status IN ('open', 'partially_closed');
        ELSIF ask_side IS NULL OR l.kind IN ('position_limit', 'leverage_limit') THEN
            -- The order's own figures are judged with the order, by the rule that knows its position.
            CONTINUE;
        ELSIF l.kind = 'order_quantity_limit' THEN
            used := 0; asked := ask_quantity;
        ELSIF l.kind = 'order_notional_limit' THEN
            used := 0; asked := ask_value;
        ELSE
            SELECT count(*) INTO used FROM trading.orders o
                WHERE o.bot_id = of_bot AND o.intent = 'request' AND o.updated_at > at - interval '1 minute'
                    AND o.received_at > at - interval '1 minute' AND o.error_code IS DISTINCT FROM 'risk_rejected';
            asked := used + 1;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF ask_side IS NOT NULL THEN
        SELECT x.risk_limit_id, x.size_cap INTO limit_id, cap FROM trading.risk_latches x
            WHERE x.bot_id = of_bot AND x.effect = 'half_size' AND x.ended_at IS NULL
            ORDER BY x.size_cap NULLS LAST LIMIT 1;
        IF FOUND THEN
            kind := 'half_size'; scope := 'bot'; subject := of_bot; currency := ''; own_value := false; used := 0;
            asked := ask_value; limit_value := cap; threshold_pct := 100; action := 'block'; base := NULL;
            RETURN NEXT;
        END IF;
    END IF;
END $$;

-- The same for the bot that acts, as its transactions ask.
CREATE FUNCTION trading.risk_usage(
    of_symbol text, at timestamptz, ask_side text, ask_quantity numeric, ask_price numeric, is_locking boolean
) RETURNS TABLE (
    limit_id bigint, kind text, scope text, subject text, currency text, own_value boolean, used numeric, asked numeric,
    limit_value numeric, threshold_pct numeric, action text, base numeric
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    acting text := {acting};
BEGIN
    -- Most bots have nothing to be judged by here: then this is all it costs.
    IF NOT EXISTS (
        SELECT FROM trading.bots b WHERE b.bot_id = acting AND (
            b.max_daily_loss_pct IS NOT NULL OR b.max_weekly_loss_pct IS NOT NULL OR b.max_drawdown_pct IS NOT NULL
            OR EXISTS (SELECT FROM trading.risk_limits l WHERE l.is_active AND l.deployment_mode = b.deployment_mode
                AND l.limit_value IS NOT NULL)
            OR EXISTS (SELECT FROM trading.risk_latches x WHERE x.bot_id = b.bot_id AND x.ended_at IS NULL)
        )
    ) THEN
        RETURN;
    END IF;
    IF is_locking THEN
        PERFORM trading.risk_lock(acting, ARRAY[of_symbol]);
    END IF;
    RETURN QUERY SELECT * FROM trading.risk_usage_of(acting, of_symbol, at, ask_side, ask_quantity, ask_price);
END $$;

-- A batch takes the locks of all its orders at once.
CREATE FUNCTION trading.risk_lock_all(of_symbols text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM trading.risk_lock({acting}, of_symbols);
END $$;

-- Whether any limit counts what fills of a mode change, beside the bots' own values.
CREATE FUNCTION trading.risk_is_watched(of_mode text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM trading.risk_limits l WHERE l.is_active AND l.deployment_mode = of_mode AND l.limit_value IS NOT NULL
    );
END $$;

-- One row. Sums exist only where all of the money is alike; `money` has every group.
WITH clock AS (
    SELECT now() AS moment, date_trunc('day', now(), 'UTC') AS midnight
), traded AS (
    SELECT
        b.deployment_mode,
        analytics.quote_currency(t.symbol, b.currency) AS currency,
        sum(t.pnl_usd) AS pnl,
        count(*) AS trades
    FROM clock c
    JOIN trading.trades t ON t.entry_time >= c.midnight AND t.entry_time < c.midnight + interval '24 hours'
    JOIN trading.bots b ON b.bot_id = t.bot_id
    WHERE t.status = 'filled'
    GROUP BY 1, 2
), held AS (
    SELECT
        deployment_mode,
        currency,
        sum(current_equity) AS equity,
        count(*) AS bots,
        count(*) FILTER (WHERE current_equity IS NULL) AS silent
    FROM trading.bots
    WHERE status = 'active'
    GROUP BY 1, 2
), money AS (
    SELECT
        jsonb_agg(
            jsonb_build_object(
                'deployment_mode', deployment_mode,
                'currency', currency,
                'today_pnl', trim_scale(coalesce(t.pnl, 0))::text,
                'today_trades', coalesce(t.trades, 0),
                'equity', trim_scale(h.equity)::text,
                'active_bots', coalesce(h.bots, 0),
                'bots_without_equity', coalesce(h.silent, 0)
            )
            ORDER BY deployment_mode, currency
        ) AS groups
    FROM traded t
    FULL JOIN held h USING (deployment_mode, currency)
)
SELECT
    1::smallint AS id,
    c.moment AS snapshot_time,
    (SELECT count(*) FROM trading.bots WHERE status = 'active')::integer AS active_bots,
    (SELECT count(*) FROM trading.bots WHERE status = 'paused')::integer AS paused_bots,
    (SELECT count(*) FROM trading.bots WHERE status = 'stopped')::integer AS stopped_bots,
    (SELECT count(*) FROM trading.positions WHERE status IN ('open', 'partially_closed'))::integer
        AS total_open_positions,
    (SELECT CASE count(*) WHEN 0 THEN 0 WHEN 1 THEN sum(pnl) END FROM traded)::numeric(76, 36) AS today_pnl,
    (SELECT coalesce(sum(trades), 0) FROM traded)::integer AS today_trades,
    (
        SELECT count(*) FROM trading.orders
        WHERE status IN ('pending', 'submitted', 'partially_filled', 'untriggered', 'triggered')
    )::integer AS active_orders,
    (
        SELECT count(*) FROM audit.system_events
        WHERE event_level IN ('ERROR', 'CRITICAL') AND event_time > c.moment - interval '1 hour'
    )::integer AS errors_last_hour,
    (SELECT CASE count(*) WHEN 1 THEN sum(equity) END FROM held)::numeric(76, 36) AS total_portfolio_equity,
    (
        SELECT count(*) FROM audit.risk_events
        WHERE NOT resolved AND event_time > c.moment - interval '24 hours'
    )::integer AS unresolved_risk_events,
    coalesce(m.groups, '[]'::jsonb) AS money
FROM clock c
CROSS JOIN money m

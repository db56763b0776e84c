-- Money is added up by currency first; a day in several currencies has no sum, only its groups.
WITH closed AS (
    SELECT
        (t.entry_time AT TIME ZONE 'UTC')::date AS trade_date,
        t.bot_id,
        analytics.quote_currency(t.symbol, b.currency) AS currency,
        count(*) AS trades,
        count(*) FILTER (WHERE t.pnl_usd > 0) AS wins,
        count(*) FILTER (WHERE t.pnl_usd < 0) AS losses,
        sum(t.pnl_usd) AS pnl,
        max(t.pnl_usd) AS best,
        min(t.pnl_usd) AS worst,
        sum(t.fees) AS fees,
        sum(t.pnl_pct) AS pnl_pct,
        sum(t.holding_time_seconds) AS seconds_held,
        count(t.holding_time_seconds) AS trades_timed
    FROM trading.trades t
    JOIN trading.bots b ON b.bot_id = t.bot_id
    WHERE t.status = 'filled' AND t.exit_time IS NOT NULL
    GROUP BY 1, 2, 3
), days AS (
    SELECT
        trade_date,
        bot_id,
        count(*) = 1 AS is_one_currency,
        min(currency) AS currency,
        sum(trades) AS trades,
        sum(wins) AS wins,
        sum(losses) AS losses,
        sum(pnl) AS pnl,
        max(best) AS best,
        min(worst) AS worst,
        sum(fees) AS fees,
        sum(pnl_pct) AS pnl_pct,
        sum(seconds_held) AS seconds_held,
        sum(trades_timed) AS trades_timed,
        jsonb_agg(
            jsonb_build_object(
                'currency', currency,
                'total_trades', trades,
                'total_pnl', trim_scale(pnl)::text,
                'total_fees', trim_scale(fees)::text
            )
            ORDER BY currency
        ) AS money
    FROM closed
    GROUP BY 1, 2
)
SELECT
    (to_char(d.trade_date, 'YYYY-MM-DD') || ':' || d.bot_id)::varchar(61) AS id,
    d.trade_date,
    d.bot_id,
    b.bot_name,
    b.strategy_name,
    b.deployment_mode,
    CASE WHEN d.is_one_currency THEN d.currency END::varchar(20) AS currency,
    d.trades::integer AS total_trades,
    d.wins::integer AS winning_trades,
    d.losses::integer AS losing_trades,
    CASE WHEN d.is_one_currency THEN d.pnl END::numeric(76, 36) AS total_pnl,
    CASE WHEN d.is_one_currency THEN d.pnl / d.trades END::numeric(76, 36) AS avg_pnl,
    (d.pnl_pct / d.trades)::numeric(24, 12) AS avg_pnl_pct,
    CASE WHEN d.is_one_currency THEN d.best END::numeric(76, 36) AS max_win,
    CASE WHEN d.is_one_currency THEN d.worst END::numeric(76, 36) AS max_loss,
    CASE WHEN d.is_one_currency THEN d.fees END::numeric(76, 36) AS total_fees,
    (d.seconds_held / nullif(d.trades_timed, 0) / 3600)::numeric(24, 12) AS avg_holding_hours,
    (d.wins / nullif(d.trades, 0))::numeric(24, 12) AS win_rate,
    d.money
FROM days d
JOIN trading.bots b ON b.bot_id = d.bot_id

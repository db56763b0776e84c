SELECT
    p.id,
    p.position_id,
    p.bot_id,
    b.bot_name,
    b.deployment_mode,
    p.symbol,
    analytics.quote_currency(p.symbol, b.currency)::varchar(20) AS currency,
    p.side,
    p.size,
    p.avg_entry_price,
    p.current_price,
    p.unrealized_pnl,
    p.unrealized_pnl_pct,
    p.leverage,
    (p.size * p.current_price)::numeric(76, 36) AS position_value_usd,
    p.opened_at,
    (extract(epoch FROM now() - p.opened_at) / 3600)::numeric(24, 12) AS hours_held,
    p.strategy,
    p.stop_loss,
    p.take_profit
FROM trading.positions p
JOIN trading.bots b ON b.bot_id = p.bot_id
WHERE p.status IN ('open', 'partially_closed')

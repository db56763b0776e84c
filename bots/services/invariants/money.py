"""Balances and cash flows."""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from bots.services.invariants.base import Invariant, invariant

# What a bot tells is kept even when it does not add up, but then it is flagged.
RECENT = '(%(recent)s::timestamptz IS NULL OR b."timestamp" >= %(recent)s)'
EQUITY = f"""
    SELECT b.bot_id, b.balance_id, b.equity, b.total_balance, b.unrealized_pnl
    FROM account_balance b
    WHERE {RECENT} AND b.equity <> b.total_balance + b.unrealized_pnl AND NOT 'equity_mismatch' = ANY (b.flags)
"""  # no value stands in it  # nosec B608
PARTS = f"""
    SELECT b.bot_id, b.balance_id, b.total_balance, b.available_balance, b.locked_balance
    FROM account_balance b
    WHERE {RECENT} AND (
        (b.available_balance + b.locked_balance <> b.total_balance AND NOT 'balance_mismatch' = ANY (b.flags))
        OR (least(b.available_balance, b.locked_balance) < 0 AND NOT 'negative_balance' = ANY (b.flags))
    )
"""  # no value stands in it  # nosec B608
MOVEMENTS = """
    SELECT coalesce(b.bot_id, c.bot_id) AS bot_id, b.balance_id, b.snapshot_type, b."timestamp", c.cash_flow_id,
        c.kind, c.amount, c.currency, c.occurred_at
    FROM (
        SELECT * FROM account_balance b
        WHERE b.snapshot_type IN ('deposit', 'withdrawal') AND b.source = 'api'
            AND (%(recent)s::timestamptz IS NULL OR b."timestamp" >= %(recent)s)
    ) b
    FULL JOIN (
        SELECT * FROM cash_flows
        WHERE kind IN ('deposit', 'withdrawal') AND source = 'api'
            AND (%(recent)s::timestamptz IS NULL OR occurred_at >= %(recent)s)
    ) c ON c.bot_id = b.bot_id AND c.cash_flow_id = b.balance_id
    LEFT JOIN bots t ON t.bot_id = c.bot_id
    WHERE b.balance_id IS NULL OR c.cash_flow_id IS NULL OR c.kind <> b.snapshot_type
        OR c.occurred_at <> b."timestamp" OR c.currency <> t.currency
        OR sign(c.amount) <> CASE c.kind WHEN 'deposit' THEN 1 ELSE -1 END
"""
INITIAL = """
    SELECT b.bot_id, b.initial_capital, b.currency, count(c.id) AS initial_flows, min(c.amount) AS amount,
        min(c.currency) AS flow_currency
    FROM bots b LEFT JOIN cash_flows c ON c.bot_id = b.bot_id AND c.kind = 'initial'
    GROUP BY b.bot_id, b.initial_capital, b.currency
    HAVING count(c.id) <> 1 OR min(c.amount) <> b.initial_capital OR min(c.currency) <> b.currency
"""

INVARIANTS: tuple[Invariant, ...] = (
    invariant(
        "I19_equity_is_balance_plus_unrealized",
        "A balance's equity is its total and unrealised P&L together, or the balance is flagged.",
        EQUITY,
    ),
    invariant(
        "I20_available_plus_locked_is_total",
        "A balance's parts add up to its total and none is negative, or the balance is flagged.",
        PARTS,
    ),
    invariant(
        "I21_told_deposits_and_withdrawals_are_cash_flows",
        "Every deposit and withdrawal that was told is one cash flow of that time, sign and currency.",
        MOVEMENTS,
    ),
    invariant(
        "I22_initial_cash_flow_is_initial_capital",
        "Every bot has exactly one initial cash flow: its initial capital.",
        INITIAL,
    ),
)

"""Invariants of what is computed from the ledger: daily metrics and portfolio snapshots.

A fact that came after a row was computed makes the row stale, not wrong: it is computed again soon, and no invariant
speaks of it until then.
"""

# ruff: noqa: S608 (the queries are put together from our own text alone)

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from analytics.metrics.canonical import DEFINITION, inputs_hash
from analytics.models import PortfolioSnapshot, RiskMetrics
from analytics.selectors.grid import EPOCH, SLOT
from analytics.selectors.history import BotRow, bots_read, histories_read, samples_read
from analytics.selectors.sql import fetch
from analytics.services.risk_metrics import day_inputs
from bots.ledger.symbols import QUOTES, split_symbol
from bots.services.invariants.base import Findings, Invariant, findings, invariant
from bots.services.invariants.rows import not_finite
from bots.services.invariants.window import Window

# Jobs fill in what is missing: metrics within the hour, snapshots with the next slot.
METRICS_DUE = timedelta(hours=1)
SNAPSHOTS_DUE = 2 * SLOT
# Days whose inputs a full run hashes again; the newest day's inputs hold all trades, balances and flows before it.
HASHED = timedelta(days=7)
BOTS_AT_ONCE = 25

# In a sweep: rows of metrics computed since, or of the last days; the trades of their days, and recent ones.
TABLES = {
    "risk_metrics": """
        SELECT * FROM trading.risk_metrics
        WHERE calculated_at >= %(from)s OR date >= (%(recent)s AT TIME ZONE 'UTC')::date
    """,
    "trades": """
        SELECT t.* FROM (
            SELECT i.id FROM (
                SELECT DISTINCT bot_id, date FROM trading.risk_metrics
                WHERE calculated_at >= %(from)s OR date >= (%(recent)s AT TIME ZONE 'UTC')::date
            ) d JOIN trading.trades i ON i.bot_id = d.bot_id AND i.exit_time >= d.date::timestamp AT TIME ZONE 'UTC'
                AND i.exit_time < (d.date + 1)::timestamp AT TIME ZONE 'UTC'
            UNION
            SELECT id FROM trading.trades WHERE exit_time >= date_trunc('day', %(recent)s, 'UTC')
        ) AS k(id) JOIN trading.trades t USING (id)
    """,
    "portfolio_snapshots": """SELECT * FROM analytics.portfolio_snapshots WHERE "timestamp" >= %(recent)s""",
}
WITHOUT_BOT = """
    SELECT r.bot_id, r.date, r.definition FROM risk_metrics r
    WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.bot_id = r.bot_id)
"""
# Closed trades by bot and UTC day of their exit, and whether one of them is quoted in another currency than the bot's:
# those are counted in converted money, which no sum of the ledger shows.
DAYS = """
    WITH pairs AS (
        SELECT DISTINCT t.bot_id, t.symbol, split_part(t.symbol, ':', 1) AS pair, b.currency
        FROM trades t JOIN bots b USING (bot_id) WHERE t.exit_time IS NOT NULL
    ), quoted AS (
        SELECT bot_id, symbol, currency <> CASE
            WHEN position('/' IN pair) > 0 THEN split_part(pair, '/', 2)
            WHEN position('-' IN pair) > 0 THEN split_part(pair, '-', 2)
            WHEN position('_' IN pair) > 0 THEN split_part(pair, '_', 2)
            ELSE coalesce((
                SELECT q FROM unnest(%(quotes)s::text[]) AS q
                WHERE right(pair, length(q)) = q AND length(pair) > length(q) ORDER BY length(q) DESC LIMIT 1
            ), currency)
        END AS is_unlike
        FROM pairs
    ), days AS (
        SELECT t.bot_id, (t.exit_time AT TIME ZONE 'UTC')::date AS date, count(*) AS trades,
            count(*) FILTER (WHERE t.pnl_usd > 0) AS wins, count(*) FILTER (WHERE t.pnl_usd < 0) AS losses,
            sum(t.pnl_usd) AS net, coalesce(sum(t.pnl_usd) FILTER (WHERE t.pnl_usd > 0), 0) AS profit,
            coalesce(-sum(t.pnl_usd) FILTER (WHERE t.pnl_usd < 0), 0) AS loss, bool_or(q.is_unlike) AS has_unlike
        FROM trades t JOIN quoted q USING (bot_id, symbol)
        WHERE t.exit_time IS NOT NULL
        GROUP BY 1, 2
    )
"""
# Only rows that differ are looked at more closely: did a fact come after they were computed, or just before and was
# committed after?
COMMIT_DELAY = "interval '1 second'"
SETTLED = f"""
    NOT EXISTS (
        SELECT 1 FROM trading.fills f WHERE f.bot_id = r.bot_id AND f.received_at > r.calculated_at - {COMMIT_DELAY}
            AND f.executed_at < (r.date + 1)::timestamp AT TIME ZONE 'UTC'
    ) AND NOT EXISTS (
        SELECT 1 FROM trading.trades t WHERE t.bot_id = r.bot_id AND t.updated_at > r.calculated_at - {COMMIT_DELAY}
            AND t.exit_time < (r.date + 1)::timestamp AT TIME ZONE 'UTC'
    )
"""  # no value stands in it  # nosec B608
COUNTS = f"""
    {DAYS}, different AS MATERIALIZED (
        SELECT r.bot_id, r.date, r.calculated_at, r.total_trades, coalesce(d.trades, 0) AS trades, r.winning_trades,
            coalesce(d.wins, 0) AS wins, r.losing_trades, coalesce(d.losses, 0) AS losses
        FROM risk_metrics r LEFT JOIN days d USING (bot_id, date)
        WHERE r.definition = %(definition)s AND (r.total_trades, r.winning_trades, r.losing_trades)
            IS DISTINCT FROM (coalesce(d.trades, 0), coalesce(d.wins, 0), coalesce(d.losses, 0))
            AND NOT coalesce(d.has_unlike, false)
    )
    SELECT * FROM different r WHERE {SETTLED}
"""  # no value stands in it  # nosec B608
PROFIT = f"""
    {DAYS}, different AS MATERIALIZED (
        SELECT r.bot_id, r.date, r.calculated_at, r.net_profit, coalesce(d.net, 0) AS net, r.gross_profit,
            coalesce(d.profit, 0) AS profit, r.gross_loss, coalesce(d.loss, 0) AS loss
        FROM risk_metrics r LEFT JOIN days d USING (bot_id, date)
        WHERE r.definition = %(definition)s AND (r.net_profit, r.gross_profit, r.gross_loss)
            IS DISTINCT FROM (coalesce(d.net, 0), coalesce(d.profit, 0), coalesce(d.loss, 0))
            AND NOT coalesce(d.has_unlike, false)
    )
    SELECT * FROM different r WHERE {SETTLED}
"""  # no value stands in it  # nosec B608
# Missing in the middle of a bot's rows, or for longer than the job that makes them needs.
MISSING = """
    WITH days AS (
        SELECT t.bot_id, (t.exit_time AT TIME ZONE 'UTC')::date AS date, count(*) AS closed_trades,
            max(t.updated_at) AS known_at
        FROM trades t JOIN bots b USING (bot_id)
        WHERE t.exit_time < date_trunc('day', now() - %(due)s, 'UTC') AND b.status <> 'archived'
        GROUP BY 1, 2
    ), spans AS (
        SELECT bot_id, min(date) AS first, max(date) AS last, min(calculated_at) AS calculated_at
        FROM trading.risk_metrics WHERE definition = %(definition)s GROUP BY bot_id
    )
    SELECT d.bot_id, d.date, d.closed_trades FROM days d LEFT JOIN spans s USING (bot_id)
    WHERE NOT EXISTS (
        SELECT 1 FROM trading.risk_metrics r
        WHERE r.bot_id = d.bot_id AND r.date = d.date AND r.definition = %(definition)s
    ) AND (d.known_at < now() - %(due)s
        OR (d.date > s.first AND d.date < s.last AND d.known_at < s.calculated_at))
"""
SLOTS = """
    SELECT currency, "timestamp", NULL AS next, 'off the grid' AS problem FROM portfolio_snapshots
    WHERE "timestamp" <> date_bin(%(slot)s, "timestamp", %(epoch)s)
    UNION ALL
    SELECT currency, "timestamp", next, 'a gap' FROM (
        SELECT currency, "timestamp", created_at, lead("timestamp") OVER series AS next,
            lead(created_at) OVER series AS next_created_at
        FROM portfolio_snapshots WINDOW series AS (PARTITION BY currency ORDER BY "timestamp")
    ) s
    WHERE next > "timestamp" + %(slot)s AND greatest(created_at, next_created_at) < now() - %(due)s
"""
TOTALS = """
    SELECT p.currency, p."timestamp", p.total_equity, b.equity, p.total_balance, b.balance,
        p.total_unrealized_pnl, b.unrealized_pnl, p.total_realized_pnl, b.realized_pnl, p.total_margin_used,
        b.margin_used, p.portfolio_exposure, b.exposure, p.total_open_positions, b.open_positions,
        p.daily_pnl, b.daily, p.weekly_pnl, b.weekly, p.monthly_pnl, b.monthly
    FROM portfolio_snapshots p CROSS JOIN LATERAL (
        SELECT coalesce(sum((m ->> 'equity')::numeric), 0) AS equity,
            coalesce(sum((m ->> 'balance')::numeric), 0) AS balance,
            coalesce(sum((m ->> 'unrealized_pnl')::numeric), 0) AS unrealized_pnl,
            coalesce(sum((m ->> 'realized_pnl')::numeric), 0) AS realized_pnl,
            coalesce(sum((m ->> 'margin_used')::numeric), 0) AS margin_used,
            coalesce(sum((m ->> 'exposure')::numeric), 0) AS exposure,
            coalesce(sum((m ->> 'open_positions')::int), 0) AS open_positions,
            count(*) FILTER (WHERE (m ->> 'open_positions')::int > 0) AS in_trade,
            count(*) FILTER (WHERE m ->> 'status' = 'active') AS active,
            coalesce(sum((m ->> 'daily_pnl')::numeric), 0) AS daily,
            coalesce(sum((m ->> 'weekly_pnl')::numeric), 0) AS weekly,
            coalesce(sum((m ->> 'monthly_pnl')::numeric), 0) AS monthly
        FROM jsonb_each(p.bot_metrics) AS e(bot_id, m)
    ) b
    WHERE (%(recent)s::timestamptz IS NULL OR p.created_at >= %(recent)s) AND (
        (p.total_equity, p.total_balance, p.total_unrealized_pnl, p.total_realized_pnl, p.total_margin_used,
            coalesce(p.portfolio_exposure, 0), p.total_open_positions, p.bots_in_trade, p.active_bots,
            p.daily_pnl, p.weekly_pnl, p.monthly_pnl)
        IS DISTINCT FROM (b.equity, b.balance, b.unrealized_pnl, b.realized_pnl, b.margin_used, b.exposure,
            b.open_positions, b.in_trade, b.active, b.daily, b.weekly, b.monthly)
        OR p.total_equity <> p.total_balance + p.total_unrealized_pnl
    )
"""
NEWEST = """
    SELECT bot_id, date, inputs_hash FROM (
        SELECT bot_id, date, inputs_hash, calculated_at,
            row_number() OVER (PARTITION BY bot_id ORDER BY date DESC) AS age
        FROM risk_metrics WHERE definition = %(definition)s
    ) r
    WHERE age <= %(days)s AND (%(from)s::timestamptz IS NULL OR calculated_at >= %(from)s) ORDER BY bot_id, date
"""
TRADED_SYMBOLS = """
    SELECT DISTINCT t.bot_id, t.symbol, b.currency FROM trades t JOIN bots b USING (bot_id)
    WHERE t.exit_time IS NOT NULL AND t.bot_id = ANY(%(bots)s::text[])
"""
# As SETTLED, for every kind of fact that the inputs hold. A rebuild that began at %(since)s has written trades that no
# fact has changed.
STALE = f"""
    SELECT w.bot_id, w.date FROM unnest(%(bots)s::text[], %(dates)s::date[]) AS w(bot_id, date)
    JOIN risk_metrics r ON r.bot_id = w.bot_id AND r.date = w.date AND r.definition = %(definition)s
    CROSS JOIN LATERAL (
        SELECT (w.date + 1)::timestamp AT TIME ZONE 'UTC' AS end, r.calculated_at - {COMMIT_DELAY} AS known_at
    ) e
    WHERE EXISTS (SELECT 1 FROM fills f
            WHERE f.bot_id = w.bot_id AND f.executed_at < e.end AND f.received_at > e.known_at)
        OR EXISTS (SELECT 1 FROM trades t
            WHERE t.bot_id = w.bot_id AND t.exit_time < e.end AND t.updated_at > e.known_at
                AND (t.origin <> 'fills' OR %(since)s::timestamptz IS NULL OR t.updated_at < %(since)s::timestamptz))
        OR EXISTS (SELECT 1 FROM account_balance a
            WHERE a.bot_id = w.bot_id AND a."timestamp" < e.end AND a.created_at > e.known_at)
        OR EXISTS (SELECT 1 FROM cash_flows c
            WHERE c.bot_id = w.bot_id AND c.occurred_at < e.end AND c.created_at > e.known_at)
"""  # no value stands in it  # nosec B608


class Hashed(NamedTuple):
    """One stored row of metrics: whose it is, which day, and what it says its inputs were."""

    bot_id: str
    date: date
    inputs_hash: str


def _inputs(window: Window | None) -> Findings:
    """Hash the inputs of each bot's newest rows again: of one computed since in a sweep, of a week in a full run."""
    days, written = (1, window.written_from) if window else (HASHED.days, None)
    rows = [Hashed(*row) for row in fetch(NEWEST, definition=DEFINITION, days=days, **{"from": written})]
    unlike = _bots_in_other_currencies(sorted({row.bot_id for row in rows}))
    by_bot: dict[str, list[Hashed]] = defaultdict(list)
    for row in rows:
        if row.bot_id not in unlike:
            by_bot[row.bot_id].append(row)
    bots = bots_read(sorted(by_bot))
    different = [
        found
        for start in range(0, len(bots), BOTS_AT_ONCE)
        for found in _different(bots[start : start + BOTS_AT_ONCE], by_bot)
    ]
    keys = {"bots": [row.bot_id for row, _ in different], "dates": [row.date for row, _ in different]}
    stale = set(fetch(STALE, definition=DEFINITION, **keys, since=None)) if different else set()
    return findings(
        {"bot_id": row.bot_id, "date": row.date, "inputs_hash": row.inputs_hash, "inputs_hash_now": now}
        for row, now in different
        if (row.bot_id, row.date) not in stale
    )


def _bots_in_other_currencies(bots: list[str]) -> set[str]:
    """Return those bots with trades in another currency than their own: candles, which convert them, may change."""
    return {
        bot_id
        for bot_id, symbol, currency in fetch(TRADED_SYMBOLS, bots=bots)
        if split_symbol(symbol, currency)[1] != currency
    }


def _different(bots: Sequence[BotRow], rows: Mapping[str, list[Hashed]]) -> list[tuple[Hashed, str | None]]:
    """Return the rows whose inputs have another hash now, and that hash: None where they are no inputs any more."""
    try:
        return list(_hashed_differently(bots, rows))
    except ValueError:
        # A number that is none, or facts that contradict each other, of one of these bots.
        if len(bots) == 1:
            return [(row, None) for row in rows[bots[0].bot_id]]
    return [found for bot in bots for found in _different([bot], rows)]


def _hashed_differently(
    bots: Sequence[BotRow], rows: Mapping[str, list[Hashed]]
) -> Iterator[tuple[Hashed, str | None]]:
    days = sorted({row.date for bot in bots for row in rows[bot.bot_id]})
    histories = histories_read(bots, last_day=days[-1])
    while days:
        # Samples of a week at a time; the newest rows of bots that ended long ago lie far apart.
        week = [day for day in days if day < days[0] + HASHED]
        days = days[len(week) :]
        samples_read(histories, first_day=week[0], last_day=week[-1])
        for bot in bots:
            for row in (row for row in rows[bot.bot_id] if row.date in week):
                is_there = bot.first_day is not None and row.date >= bot.first_day
                now = inputs_hash(day_inputs(histories[bot.bot_id], row.date)) if is_there else None
                if now != row.inputs_hash:
                    yield row, now


_definition = {"definition": DEFINITION}
INVARIANTS: tuple[Invariant, ...] = (
    invariant("I17_metrics_have_a_bot", "No row of metrics is without its bot.", WITHOUT_BOT, tables=TABLES),
    invariant(
        "I18_computed_numbers_are_finite",
        "No number of a row of metrics or of a snapshot is NaN or infinite.",
        not_finite(RiskMetrics, PortfolioSnapshot),
        tables=TABLES,
    ),
    invariant(
        "I23_metrics_counts_are_those_of_the_trades",
        "A day's counts of trades, wins and losses are those of the trades that closed on that UTC day.",
        COUNTS,
        {**_definition, "quotes": list(QUOTES)},
        tables=TABLES,
    ),
    invariant(
        "I24_metrics_profit_is_sum_of_the_day",
        "A day's profit, wins and losses are the sums over the trades that closed on that UTC day.",
        PROFIT,
        {**_definition, "quotes": list(QUOTES)},
        tables=TABLES,
    ),
    Invariant(
        "I25_metrics_inputs_hash_matches_inputs",
        "A row of metrics was computed from what the ledger says today.",
        _inputs,
    ),
    invariant(
        "I26_metrics_for_every_day_with_a_closed_trade",
        "Every bot has metrics for each past UTC day on which a trade of it closed.",
        MISSING,
        {**_definition, "due": METRICS_DUE},
        tables=TABLES,
    ),
    invariant(
        "I27_snapshots_fill_their_grid",
        "Portfolio snapshots stand on the five-minute grid, without a gap.",
        SLOTS,
        {"slot": SLOT, "epoch": EPOCH, "due": SNAPSHOTS_DUE},
        tables=TABLES,
    ),
    invariant(
        "I28_snapshot_totals_are_sums_of_their_bots",
        "A snapshot's totals are the sums over the bots in it, and its equity is balance and unrealised P&L together.",
        TOTALS,
        tables={},
    ),
)

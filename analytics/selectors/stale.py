"""Which stored metrics no longer say what the ledger says, and which are missing."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from analytics.metrics.canonical import DEFINITION
from analytics.metrics.returns import ONE_DAY
from analytics.selectors.grid import EPOCH
from analytics.selectors.history import BotRow, midnight
from analytics.selectors.sql import fetch

# A fact's stamp is made when its transaction begins; it can be seen only after the commit, at most this much later.
COMMIT_DELAY = timedelta(seconds=60)

# Facts of days that were over when they came. A late fill also shows in the trades it moves or removes.
LATE = """
    WITH facts AS (
        SELECT bot_id, executed_at AS at, received_at AS known_at FROM fills
        WHERE executed_at < %(end)s AND received_at > %(since)s
        UNION ALL
        SELECT bot_id, exit_time, updated_at FROM trades
        WHERE exit_time < %(end)s AND updated_at > %(since)s
        UNION ALL
        SELECT bot_id, "timestamp", created_at FROM account_balance
        WHERE "timestamp" < %(end)s AND created_at > %(since)s
        UNION ALL
        SELECT bot_id, occurred_at, created_at FROM cash_flows
        WHERE occurred_at < %(end)s AND created_at > %(since)s
    ), days AS (
        SELECT bot_id, (at AT TIME ZONE 'UTC')::date AS day, max(known_at) AS known_at FROM facts GROUP BY 1, 2
    )
    SELECT r.bot_id, min(r.date) FROM days d
    JOIN risk_metrics r ON r.bot_id = d.bot_id AND r.date >= d.day
    WHERE r.definition = %(definition)s AND r.date <= %(last)s AND r.calculated_at < d.known_at + %(delay)s
    GROUP BY r.bot_id
"""
MISSING = """
    SELECT s.bot_id, min(d.day)::date
    FROM unnest(%(bots)s::text[], %(first_days)s::date[]) AS s(bot_id, first_day)
    CROSS JOIN LATERAL generate_series(s.first_day::timestamp, %(last)s::timestamp, interval '1 day') AS d(day)
    WHERE NOT EXISTS (
        SELECT 1 FROM risk_metrics r
        WHERE r.bot_id = s.bot_id AND r.date = d.day::date AND r.definition = %(definition)s
    )
    GROUP BY s.bot_id
"""


def first_late_days(*, since: datetime | None, last: date) -> dict[str, date]:
    """Return, by bot, the first day whose stored metrics are older than a fact they depend on.

    since: only facts that arrived after it are looked at; None looks at all. last: last UTC day that counts.
    """
    rows = fetch(
        LATE,
        since=since or EPOCH,
        end=midnight(last + ONE_DAY),
        last=last,
        delay=COMMIT_DELAY,
        definition=DEFINITION,
    )
    return dict(rows)


def first_missing_days(bots: Sequence[BotRow], *, last: date) -> dict[str, date]:
    """Return, by bot, the first day from its first fact to the last day that has no stored metrics."""
    begun = [bot for bot in bots if bot.first_day is not None and bot.first_day <= last]
    bot_ids = [bot.bot_id for bot in begun]
    first_days = [bot.first_day for bot in begun]
    return dict(fetch(MISSING, bots=bot_ids, first_days=first_days, last=last, definition=DEFINITION))

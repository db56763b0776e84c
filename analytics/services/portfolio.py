"""Portfolio snapshots: one row a five-minute slot and currency, without gaps, and what goes with them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from analytics.metrics.borders import EXACT, to_money
from analytics.models import PortfolioSnapshot
from analytics.selectors.grid import EPOCH, SLOT, ZERO, slot_at, slots_between
from analytics.selectors.portfolio import PortfolioFigures, portfolios_at, portfolios_now
from analytics.selectors.sql import fetch
from bots.ledger.shapes import plain
from bots.ledger.symbols import split_symbol
from bots.live.publish import LiveUpdate, publish
from tradingdb.lib.errors import ValidationFailed

# A slot is taken from the present while it is this young; later the ledger tells what it was.
PRESENT = timedelta(minutes=1)
SLOTS_AT_ONCE = 288

MISSING = """
    SELECT s.slot, c.currency
    FROM (
        SELECT currency, min("timestamp") AS first FROM portfolio_snapshots GROUP BY currency
    ) c
    CROSS JOIN LATERAL generate_series(
        date_bin(%(step)s, c.first - interval '1 microsecond', %(epoch)s) + %(step)s, %(until)s, %(step)s
    ) AS s(slot)
    WHERE NOT EXISTS (
        SELECT 1 FROM portfolio_snapshots p WHERE p."timestamp" = s.slot AND p.currency = c.currency
    )
    ORDER BY 1, 2 LIMIT %(limit)s
"""
CLOSED = """
    SELECT b.bot_id, b.currency, t.symbol, sum(t.pnl_usd)
    FROM bots b LEFT JOIN trades t ON t.bot_id = b.bot_id AND t.exit_time IS NOT NULL
    GROUP BY 1, 2, 3
"""
# Rows are locked in the order of their keys, so that two such updates cannot wait for each other.
TOTALS = """
    WITH due AS (
        SELECT b.bot_id, t.total FROM bots b
        JOIN unnest(%(bots)s::text[], %(totals)s::numeric[]) AS t(bot_id, total) ON t.bot_id = b.bot_id
        WHERE b.total_pnl <> t.total ORDER BY b.bot_id FOR NO KEY UPDATE OF b
    )
    UPDATE bots b SET total_pnl = due.total FROM due WHERE b.bot_id = due.bot_id
    RETURNING b.bot_id, b.total_pnl
"""


def portfolio_snapshot(*, slot: datetime) -> int:
    """Keep the portfolio of each currency at a slot of the five-minute grid; return the number of new rows.

    A slot that has its row keeps it. A slot more than a minute old is told from the ledger and marked as backfilled.
    Raises ValidationFailed for a moment that is no slot or has not come.
    """
    now = timezone.now()
    if slot != slot_at(slot) or slot > now:
        raise ValidationFailed(f"{slot.isoformat()} is no past slot of the five-minute grid.", slot=slot.isoformat())
    is_present = now - slot < PRESENT
    figures = portfolios_now(at=slot) if is_present else portfolios_at([slot])[slot]
    return _store([one for one in figures if one.bots], is_backfilled=not is_present)


def portfolio_fill_gaps(*, until: datetime, limit: int = SLOTS_AT_ONCE) -> int:
    """Make the snapshots that are missing between a currency's first one and `until`; return how many.

    The oldest come first, at most `limit` in one call: a long outage is caught up in several.
    """
    missing = fetch(MISSING, until=slot_at(until), step=SLOT, epoch=EPOCH, limit=limit)
    if not missing:
        return 0
    by_slot = portfolios_at(sorted({slot for slot, _ in missing}))
    known = {(figures.at, figures.currency): figures for some in by_slot.values() for figures in some}
    # A currency whose bots are all archived goes on with zeros: its series keeps no gap.
    rows = [known.get((slot, currency), PortfolioFigures(slot, currency, {}, None)) for slot, currency in missing]
    return _store(rows, is_backfilled=True)


def portfolio_backfill(*, first: datetime, last: datetime) -> int:
    """Make the snapshots of a time before the first one, from the ledger; return how many are new.

    first and last are slots. What lies between the last and the rows that are there is filled by portfolio_fill_gaps.
    """
    made = 0
    while first <= last:
        end = min(last, first + SLOT * (SLOTS_AT_ONCE - 1))
        by_slot = portfolios_at(slots_between(slot_at(first), end))
        made += _store([figures for some in by_slot.values() for figures in some if figures.bots], is_backfilled=True)
        first = end + SLOT
    return made


def bots_refresh_total_pnl() -> int:
    """Bring every bot's `total_pnl` in line with its closed trades in its currency; return how many changed."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for bot_id, currency, symbol, net in fetch(CLOSED):
        like = symbol is not None and split_symbol(symbol, currency)[1] == currency
        totals[bot_id] = EXACT.add(totals[bot_id], net if like else ZERO)
    values = [to_money(total) for total in totals.values()]
    changed = fetch(TOTALS, bots=list(totals), totals=values)
    updates = [
        LiveUpdate(kind="bot", bot_id=bot_id, symbol="", data={"bot_id": bot_id, "total_pnl": plain(total)})
        for bot_id, total in changed
    ]
    transaction.on_commit(partial(publish, updates))
    return len(changed)


def _store(portfolios: Sequence[PortfolioFigures], *, is_backfilled: bool) -> int:
    """Insert the rows that are not there; the unique key decides between two who do so at once."""
    there = set(
        PortfolioSnapshot.objects.filter(timestamp__in={one.at for one in portfolios}).values_list(
            "timestamp", "currency"
        )
    )
    new = [
        PortfolioSnapshot(
            timestamp=one.at,
            currency=one.currency,
            bot_metrics={bot_id: _json(asdict(figures)) for bot_id, figures in one.bots.items()},
            is_backfilled=is_backfilled,
            **one.columns(),
        )
        for one in portfolios
        if (one.at, one.currency) not in there
    ]
    PortfolioSnapshot.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
    return len(new)


def _json(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as JSON keeps them: decimals as text, whole, so that they add up to the totals exactly."""
    return {
        name: f"{value.normalize(EXACT):f}" if isinstance(value, Decimal) else value for name, value in figures.items()
    }

"""What all factories share: counting, the common moment, and which rows have no facts behind them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from analytics.models import PortfolioSnapshot, RiskMetrics
from bots.models import AccountBalance, CashFlow, Fill, Order, Position, Trade

numbers = count(1)

# What services derive from facts; made here it has no facts behind it, and whose it is holds no invariant.
DERIVED = (Fill, Order, Position, Trade, AccountBalance, CashFlow, RiskMetrics, PortfolioSnapshot)
# Their bots, or the currencies of their snapshots, in this test; the check at its end leaves them out.
HAND_MADE: set[str] = set()

PASSWORD = "correct horse battery staple"


def utc(text: str) -> datetime:
    """Return an ISO time as aware UTC: `utc("2026-11-19 23:59:59.999999")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = utc("2026-11-19 12:00")


def create(model: type[Any], columns: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    """Store a row; whose derived row it is holds no invariant from now on."""
    row = model.objects.create(**{**defaults, **columns})
    if model in DERIVED:
        HAND_MADE.add(getattr(row, "bot_id", None) or row.currency)
    return row

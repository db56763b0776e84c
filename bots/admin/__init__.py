"""The admin of the ledger, one module per aggregate; importing them registers their pages."""

from bots.admin import (
    accounts,
    balances,
    bots,
    cases,
    control,
    fills,
    ingest,
    limits,
    orders,
    positions,
    reviews,
    signals,
    strategies,
    tokens,
    trades,
    unattributed,
)

__all__ = [
    "accounts",
    "balances",
    "bots",
    "cases",
    "control",
    "fills",
    "ingest",
    "limits",
    "orders",
    "positions",
    "reviews",
    "signals",
    "strategies",
    "tokens",
    "trades",
    "unattributed",
]

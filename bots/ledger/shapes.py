"""How ledger rows look on the wire: decimals as plain text, times in UTC with Z, the field names of the contract."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

WIRE_PLACES = Decimal(1).scaleb(-18)
# Wide enough for numeric(76,36) before it is cut to the 18 decimals of the wire.
WIDE = Context(prec=120, rounding=ROUND_HALF_EVEN)
READY = frozenset({str, int, bool, float, type(None)})

ORDER = (
    "order_id", "bot_id", "symbol", "side", "order_type", "intent", "status", "reported_status", "quantity",
    "filled_quantity",
    "remaining_quantity", "avg_fill_price", "price", "stop_price", "fees", "leverage", "reduce_only", "order_purpose",
    "strategy", "client_order_id", "exchange_order_id", "signal_id", "position_id", "trade_id", "rejection_reason",
    "error_code", "retry_count", "order_metadata", "flags", "created_at", "submitted_at", "filled_at", "updated_at",
)  # fmt: skip
FILL = (
    "fill_id", "bot_id", "order_id", "symbol", "side", "price", "quantity", "fee", "fee_currency", "fee_quote",
    "liquidity", "exchange_trade_id", "position_id", "opened_position_id", "closed_quantity", "realized_pnl", "flags",
    "executed_at", "received_at",
)  # fmt: skip
POSITION = (
    "position_id", "bot_id", "symbol", "side", "status", "size", "quantity", "avg_entry_price", "cost_basis",
    "current_price", "realized_pnl", "unrealized_pnl", "total_pnl", "unrealized_pnl_pct", "fees", "leverage",
    "stop_loss", "take_profit", "take_profit_levels", "trailing_stop",
    "strategy", "position_metadata", "fill_count", "version",
    "opened_at", "closed_at", "last_updated", "marked_at",
)  # fmt: skip
TRADE = (
    "trade_id", "bot_id", "position_id", "symbol", "side", "status", "origin", "quantity", "entry_price", "exit_price",
    "entry_time", "exit_time", "holding_time_seconds", "gross_pnl", "fees", "net_pnl", "pnl_usd", "pnl_pct",
    "position_size_usd", "reported_pnl", "leverage", "exit_reason", "strategy", "flags", "notes",
)  # fmt: skip
SIGNAL = (
    "signal_id", "bot_id", "symbol", "signal_type", "price", "strategy", "strength", "confidence", "timestamp",
    "valid_until", "indicators", "market_conditions", "suggested_stop_loss", "suggested_take_profit",
    "suggested_position_size", "executed", "execution_time", "execution_order_id", "execution_trade_id", "rejected",
    "rejection_reason", "outcome", "outcome_pnl",
)  # fmt: skip
BALANCE = (
    "balance_id", "bot_id", "timestamp", "total_balance", "available_balance", "locked_balance", "equity",
    "margin_used", "margin_available", "margin_level", "unrealized_pnl", "realized_pnl", "daily_pnl", "snapshot_type",
    "flags",
)  # fmt: skip


def plain(value: Decimal) -> str:
    """Return a decimal as text without exponent or trailing zeros, at most 18 places after the point."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0")
        if len(text) - text.index(".") > 19:
            return plain(value.quantize(WIRE_PLACES, context=WIDE))
        text = text.removesuffix(".")
    return "0" if text == "-0" else text


def stamp(value: datetime) -> str:
    """Return a time as RFC 3339 in UTC with Z; microseconds only where there are any."""
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat()[:-6] + "Z"


def wire(value: Any) -> Any:
    """Return any column value as JSON can carry it."""
    # Most columns by far; asking for the exact type costs a fifth of asking for each class in turn.
    if type(value) in READY:
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: wire(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(inner) for inner in value]
    return value


def shape(row: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the wire form of one row, with the fields in the order given; columns that were not read are left out."""
    # A call for every column would cost more than all the rest.
    return {
        name: value if type(value := row[name]) in READY else plain(value) if type(value) is Decimal else wire(value)
        for name in fields
        if name in row
    }


def trade_shape(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trade as the contract names it: `net_pnl`, and open or closed instead of the seed's fill words."""
    full = {**row, "net_pnl": row["pnl_usd"], "status": "open" if row["exit_time"] is None else "closed"}
    return shape(full, TRADE)

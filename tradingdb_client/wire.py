"""From Python values to what travels: decimals as strings, times as RFC 3339 in UTC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

DecimalLike = Decimal | str | int
TimeLike = datetime | str

DECIMAL_FIELDS = frozenset(
    {
        "price",
        "stop_price",
        "quantity",
        "fee",
        "fees",
        "commission",
        "slippage",
        "amount",
        "size",
        "equity",
        "strength",
        "confidence",
        "stop_loss",
        "take_profit",
        "trailing_stop",
        "trailing_stop_pct",
        "suggested_stop_loss",
        "suggested_take_profit",
        "suggested_position_size",
        "entry_price",
        "exit_price",
        "avg_entry_price",
        "avg_fill_price",
        "position_size_usd",
        "pnl_usd",
        "pnl_pct",
        "gross_pnl",
        "net_pnl",
        "signal_strength",
        "confidence_score",
        "total_balance",
        "available_balance",
        "locked_balance",
        "margin_used",
        "margin_available",
        "unrealized_pnl",
        "realized_pnl",
        "daily_pnl",
        "margin_level",
    }
)
TIME_FIELDS = frozenset(
    {
        "timestamp",
        "valid_until",
        "created_at",
        "executed_at",
        "at",
        "entry_time",
        "exit_time",
        "as_of",
        "event_time",
        "start",
        "end",
    }
)


def decimal_text(value: DecimalLike, *, name: str) -> str:
    """Return a finite decimal as plain digits, without an exponent.

    Raises TypeError for a float, which has already lost the exact value, and ValueError for what is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise TypeError(f"{name}: pass a Decimal, a string or an int, not {type(value).__name__}.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"{name}: {value!r} is not a number.") from error
    if not number.is_finite():
        raise ValueError(f"{name}: {value} is not finite.")
    return format(number, "f")


def time_text(value: TimeLike, *, name: str) -> str:
    """Return an aware time, or the text of one, in UTC with `Z`. Raises ValueError for a naive one."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.utcoffset() is None:
        raise ValueError(f"{name}: {moment.isoformat()} has no time zone.")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encode_field(name: str, value: Any) -> Any:
    """Return one field of the contract as it travels; ladders and other nested JSON stay as they are."""
    if value is None or isinstance(value, dict | list):
        return value
    if name in DECIMAL_FIELDS:
        return decimal_text(value, name=name)
    if name in TIME_FIELDS:
        return time_text(value, name=name)
    return value


def encode_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as they travel. A None means "not given"; an order inside a fill is encoded like one."""
    return {
        name: encode_fields(value) if name == "order" and isinstance(value, Mapping) else encode_field(name, value)
        for name, value in fields.items()
        if value is not None
    }


def encode_candle(row: Iterable[Any]) -> list[Any]:
    """Return one candle: timestamp, five or six decimals, and the count of trades."""
    timestamp, *values = row
    amounts = [None if value is None else decimal_text(value, name="candle") for value in values[:6]]
    return [time_text(timestamp, name="timestamp"), *amounts, *values[6:]]


def json_bytes(body: Any) -> bytes:
    """Return the JSON of a body; Decimals and times at any depth become text. Raises ValueError for NaN."""
    text = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.encode()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value, name="value")
    if isinstance(value, datetime):
        return time_text(value, name="value")
    raise TypeError(f"{type(value).__name__} has no JSON form.")

"""What the model of the ledger hears: the bodies of orders, fills and news, and the words they use."""

from decimal import Decimal
from typing import NamedTuple

# Fractional minutes after the start of the tests; "now" lies after all of them.
NOW = 10.0**9
ENDS = ("cancelled", "rejected", "expired", "failed", "deactivated")
AFTER_PARTIAL = {"filled", "cancelled", "expired", "failed", "deactivated"}
WORDS = {"pending", "submitted", "untriggered", "triggered", "partially_filled", "filled", *ENDS}
MAY_FOLLOW = {
    "pending": WORDS - {"pending"},
    "submitted": WORDS - {"pending", "submitted"},
    "untriggered": WORDS - {"pending", "untriggered"},
    "triggered": WORDS - {"pending", "untriggered", "triggered"},
    "partially_filled": AFTER_PARTIAL,
}
STRICT = ("ACTIVE", "REDUCING", "HALTED")


class ToldOrder(NamedTuple):
    """The body of an order; two that are equal mean the same."""

    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    intent: str = "report"
    status: str | None = None
    leverage: Decimal | None = None
    reduce_only: bool = False
    order_purpose: str | None = None
    order_type: str = "market"
    price: Decimal | None = None


class ToldFill(NamedTuple):
    """The body of a fill; `at` in minutes."""

    fill_id: str
    order_id: str
    price: Decimal
    quantity: Decimal
    at: float
    fee: Decimal | None = None
    fee_currency: str | None = None
    exchange_trade_id: str | None = None


class ToldNews(NamedTuple):
    """The body of an order's update; without `at` it is news of now."""

    order_id: str
    status: str | None
    at: float | None
    retry_count: int | None = None


Told = ToldOrder | ToldFill | ToldNews

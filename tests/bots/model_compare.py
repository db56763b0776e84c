"""What the tables hold of one bot, in the model's words, and what differs from the model."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any

from django.db.models import Sum

from audit.models import RiskEvent
from bots.models import (
    Bot,
    ControlState,
    Fill,
    IngestConflict,
    Order,
    ParkedFact,
    Position,
    ReconciliationCase,
    Trade,
)
from tests.bots.ledger_tools import START
from tests.bots.model_fold import exact

ORDER = (
    "symbol", "side", "quantity", "status", "reported_status", "filled_quantity", "remaining_quantity",
    "filled_notional", "avg_fill_price", "fees", "flags", "retry_count", "filled_at",
)  # fmt: skip
FILL = (
    "order_id", "symbol", "side", "price", "quantity", "executed_at", "fee_quote", "flags", "closed_quantity",
    "closing_fee_quote", "realized_pnl",
)  # fmt: skip
POSITION = (
    "symbol", "side", "status", "size", "quantity", "cost_basis", "avg_entry_price", "entry_notional", "exit_notional",
    "realized_pnl", "unrealized_pnl", "fees", "total_pnl", "current_price", "opened_at", "closed_at",
    "opening_fill_id", "closing_fill_id", "last_fill_id", "fill_count", "entry_trade_ids", "exit_trade_ids",
)  # fmt: skip
TRADE = (
    "symbol", "side", "quantity", "entry_price", "exit_price", "position_size_usd", "entry_time", "exit_time",
    "holding_time_seconds", "gross_pnl", "fees", "pnl_usd", "pnl_pct", "exit_reason",
)  # fmt: skip


def in_words(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with numbers as fractions and times as minutes after the start."""
    return {name: minutes(value) if isinstance(value, datetime) else exact(value) for name, value in row.items()}


def minutes(moment: datetime) -> float:
    return (moment - START).total_seconds() / 60


def stored(bot: Bot) -> dict[str, Any]:
    """Return everything of a bot that the model speaks of; a position goes by the fill that opened it."""
    of_bot = {"bot": bot}
    opened_by = dict(Position.objects.filter(**of_bot).values_list("position_id", "opening_fill_id"))
    # A link to a row that is not there differs from every fill id.
    opening = {None: None, **opened_by}.get
    trades = {row.pop("position_id"): row for row in Trade.objects.filter(**of_bot).values("position_id", *TRADE)}
    positions = {}
    for row in Position.objects.filter(**of_bot).values("position_id", *POSITION):
        trade = trades.pop(row.pop("position_id"), None)
        positions[row["opening_fill_id"]] = {**in_words(row), "trade": trade and in_words(trade)}
    assert not trades, f"trades without a position: {trades}"
    cases = ReconciliationCase.objects.filter(**of_bot).values_list("kind", "symbol", "subject_id", "status")
    return {
        "orders": {
            row.pop("order_id"): {"position": opening(row.pop("position_id"), "nowhere"), **in_words(row)}
            for row in Order.objects.filter(**of_bot).values("order_id", "position_id", *ORDER)
        },
        "fills": {row.pop("fill_id"): _fill(row, opening) for row in _fills(bot)},
        "positions": positions,
        "parked": Counter(
            (kind, fact_id if kind == "fill" else order_id)
            for kind, fact_id, order_id in ParkedFact.objects.filter(**of_bot, state="parked").values_list(
                "kind", "fact_id", "order_id"
            )
        ),
        "conflicts": _counted(
            ((kind, natural_id), times)
            for kind, natural_id, times in IngestConflict.objects.filter(**of_bot).values_list(
                "kind", "natural_id", "received_count"
            )
        ),
        "open cases": {(*case,) for *case, status in cases if status != "resolved"},
        "closed cases": Counter((*case,) for *case, status in cases if status == "resolved"),
        # A refusal that comes again is counted in the event that is open.
        "risk events": Counter(
            dict(RiskEvent.objects.filter(bot_id=bot.bot_id).values_list("risk_type").annotate(Sum("seen_count")))
        ),
        "control": ControlState.objects.filter(scope="bot", target=bot.bot_id).values_list("state", flat=True).first()
        or "ACTIVE",
    }


def _fills(bot: Bot) -> Iterable[dict[str, Any]]:
    return Fill.objects.filter(bot=bot).values("fill_id", "position_id", "opened_position_id", *FILL)


def _fill(row: dict[str, Any], opening: Any) -> dict[str, Any]:
    links = {"position": opening(row.pop("position_id"), "nowhere")}
    links["opened"] = opening(row.pop("opened_position_id"), "nowhere")
    return {**in_words(row), **links}


def _counted(rows: Iterable[tuple[tuple[str, str], int]]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for key, times in rows:
        counts[key] += times
    return counts


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Return each place where the two differ, with both values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted({*expected, *found}, key=repr)
        return [
            line
            for key in keys
            for line in differences(expected.get(key, "nothing"), found.get(key, "nothing"), f"{path}/{key}")
        ]
    if expected == found:
        return []
    return [f"{path}: stored {_shown(found)}, the model says {_shown(expected)}"]


def _shown(value: Any) -> str:
    return f"{value} = {float(value)}" if isinstance(value, Fraction) else repr(value)

"""An order that was made while its bot was halted, and told afterwards: stored, since it happened, and raised."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from audit.choices import RiskAction, RiskType
from bots.choices import CaseKind
from bots.ledger.facts import NewOrder
from bots.ledger.shapes import plain, stamp
from bots.live.publish import LiveUpdate
from bots.services.breaches import open_case
from bots.services.context import BotContext
from bots.services.plan import Row, Sql, insert

SEVERITY = "critical"


def disobedience(bot: BotContext, order: NewOrder, halts: Sequence[Row], now: datetime) -> list[Sql]:
    """Return what an order leaves that was made under these halts (the eldest first): a risk event and a case."""
    values = {
        "bot_id": bot.bot_id, "symbol": order.symbol, "order_id": order.order_id, "event_time": now,
        "risk_type": RiskType.HALT_NOT_OBEYED, "current_value": order.quantity, "limit_value": Decimal(0),
        "action_taken": RiskAction.MANUAL_REVIEW_REQUIRED, "details": _details(order, halts, now),
    }  # fmt: skip
    since = stamp(halts[0]["changed_at"])
    case = open_case(
        bot, CaseKind.HALT_NOT_OBEYED, symbol=order.symbol, subject_id=order.order_id, now=now,
        expected={"orders": "none", "halted_since": since},
        reported={"quantity": plain(order.quantity), "created_at": stamp(order.created_at or now)},
    )  # fmt: skip
    return [insert("risk_events", values, suffix=""), case]


def disobedience_update(bot: BotContext, order: NewOrder, halts: Sequence[Row], now: datetime) -> LiveUpdate:
    """Return what the live layer hears of it."""
    data = {
        "risk_type": str(RiskType.HALT_NOT_OBEYED), "order_id": order.order_id, "current_value": plain(order.quantity),
        "limit_value": "0", "action_taken": str(RiskAction.MANUAL_REVIEW_REQUIRED), "event_time": stamp(now),
        **_details(order, halts, now),
    }  # fmt: skip
    return LiveUpdate(kind="risk", bot_id=bot.bot_id, symbol=order.symbol, data=data)


def _details(order: NewOrder, halts: Sequence[Row], now: datetime) -> dict[str, Any]:
    return {
        "severity": SEVERITY,
        "created_at": stamp(order.created_at or now),
        "side": str(order.side),
        "halts": [
            {"id": row["id"], "scope": row["scope"], "reason": row["reason"], "since": stamp(row["changed_at"])}
            for row in halts
        ],
    }

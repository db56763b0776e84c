"""The permit: whether a bot may place new orders, until when, and why not."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.conf import settings

from bots.choices import BotStatus, ControlLevel, ControlScope
from bots.ledger.risk import Restriction, level_of
from bots.ledger.shapes import stamp

Row = Mapping[str, Any]
WORDS = {
    "paused": "The bot is paused: it may only reduce.",
    "stopped": "The bot is stopped.",
    "archived": "The bot is archived.",
}


class Permit(TypedDict):
    """The answer of GET /permit. `version` grows with every change of a control state that applies."""

    state: str
    version: int
    valid_until: str
    reasons: list[str]


def restrictions_from(rows: Sequence[Row]) -> tuple[Restriction, ...]:
    """Return the control states as the rule takes them."""
    return tuple(
        Restriction(row["scope"], row["target"], ControlLevel(row["state"]), row["version"], row["reason"])
        for row in rows
    )


def permit_from(status: BotStatus, rows: Sequence[Row], now: datetime) -> Permit:
    """Build the permit from the control states that apply; a restricted symbol is no matter of the permit."""
    restrictions = restrictions_from([row for row in rows if row["scope"] != ControlScope.SYMBOL])
    reasons = [r.reason for r in restrictions if r.level != ControlLevel.ACTIVE]
    if status in WORDS:
        reasons.append(WORDS[status])
    return {
        "state": str(level_of(status, restrictions)),
        "version": sum(r.version for r in restrictions),
        "valid_until": stamp(now + timedelta(seconds=settings.PERMIT_SECONDS)),
        "reasons": reasons,
    }

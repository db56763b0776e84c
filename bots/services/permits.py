"""Permits: whether a bot may place new orders, and why not."""

from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.conf import settings
from django.utils import timezone

from bots.choices import ControlLevel, ControlScope
from bots.ledger.risk import Restriction, level_of
from bots.ledger.shapes import stamp
from bots.services.context import BotContext
from bots.services.plan import Last, Plan, Row, Sql

CONTROLS = """
    SELECT scope, target, state, version, reason, changed_at FROM control_states
    WHERE scope = 'all' OR (scope = 'bot' AND target = %(bot)s) OR (scope = 'exchange' AND target = %(exchange)s)
        OR (scope = 'symbol' AND target = %(symbol)s)
"""
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


class Halt(TypedDict):
    """The strictest restriction that is in force."""

    id: int
    scope: str
    reason: str
    since: str


def controls(bot: BotContext, symbol: str = "") -> Sql:
    """Read every control state that applies to the bot (and to a symbol)."""
    return Sql(CONTROLS, {"bot": bot.bot_id, "exchange": bot.exchange, "symbol": symbol})


def restrictions_from(rows: list[Row]) -> tuple[Restriction, ...]:
    """Return the control states as the rule takes them."""
    return tuple(
        Restriction(row["scope"], row["target"], ControlLevel(row["state"]), row["version"], row["reason"])
        for row in rows
    )


def permit_from(bot: BotContext, rows: list[Row], now: datetime) -> Permit:
    """Build the permit from the control states that apply."""
    restrictions = restrictions_from(rows)
    reasons = [r.reason for r in restrictions if r.level != ControlLevel.ACTIVE]
    if bot.status in WORDS:
        reasons.append(WORDS[bot.status])
    return {
        "state": str(level_of(bot.status, restrictions)),
        "version": sum(r.version for r in restrictions),
        "valid_until": stamp(now + timedelta(seconds=settings.PERMIT_SECONDS)),
        "reasons": reasons,
    }


def halt_from(rows: list[Row]) -> Halt | None:
    """Return the strictest restriction in force, the widest scope first; None when nothing restricts."""
    order = {ControlLevel.HALTED: 0, ControlLevel.REDUCING: 1}
    scopes = list(ControlScope)
    strict = [row for row in rows if row["state"] != ControlLevel.ACTIVE]
    if not strict:
        return None
    row = min(strict, key=lambda row: (order[ControlLevel(row["state"])], scopes.index(ControlScope(row["scope"]))))
    return {"id": row["version"], "scope": row["scope"], "reason": row["reason"], "since": stamp(row["changed_at"])}


def get_permit(bot: BotContext) -> Plan[dict[str, Any]]:
    """Read the permit."""
    (rows,) = yield Last([controls(bot)])
    return dict(permit_from(bot, rows, timezone.now()))

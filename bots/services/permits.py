"""Permits: whether a bot may place new orders, and why not."""

from datetime import datetime
from typing import Any, TypedDict

from django.utils import timezone

from bots.choices import ControlLevel, ControlScope, ToldBy
from bots.ledger.risk import SEVERITY
from bots.ledger.shapes import stamp
from bots.live.permit import Permit, permit_from, restrictions_from
from bots.services.context import BotContext
from bots.services.plan import Last, Plan, Row, Sql, TryAgain

__all__ = [
    "Halt", "Permit", "Restricted", "controls", "controls_and_status", "controls_told", "done", "get_permit",
    "halt_from", "halts_at", "halts_from", "permit_from", "restrictions_from", "states_now", "told",
]  # fmt: skip
COLUMNS = "c.scope, c.target, c.state, c.version, c.reason, c.changed_at, c.server_seq"
# Every scope that a bot is in; %(symbol)s is empty where no order is asked for.
CONTROLS = f"""
    SELECT {COLUMNS} FROM control_states c
    WHERE c.scope = 'all' OR (c.scope = 'bot' AND c.target = %(bot)s)
        OR (c.scope = 'exchange' AND c.target = %(exchange)s) OR (c.scope = 'symbol' AND c.target = %(symbol)s)
"""  # noqa: S608 (columns come from code)  # nosec B608
# The same, and the bot's own status as one more row: read after the lock, which its change takes as well.
CONTROLS_AND_STATUS = f"""
    {CONTROLS}
    UNION ALL
    SELECT 'status', b.bot_id, b.status, 0, '', NULL, 0 FROM bots b WHERE b.bot_id = %(bot)s
"""  # noqa: S608 (our own text)  # nosec B608
# Any bot may trade any symbol, so it is told of every symbol that is restricted.
CONTROLS_TOLD = f"""
    SELECT {COLUMNS} FROM control_states c
    WHERE c.scope = 'all' OR (c.scope = 'bot' AND c.target = %(bot)s::varchar)
        OR (c.scope = 'exchange' AND c.target = %(exchange)s::varchar) OR (c.scope = 'symbol' AND c.state <> 'ACTIVE')
"""  # noqa: S608 (columns come from code)  # nosec B608
# What was halted at a moment of the past, as the history has it.
HALTS_AT = """
    SELECT h.id, h.scope, h.target, h.reason, h.changed_at FROM
        (VALUES ('all', ''), ('exchange', %(exchange)s::varchar), ('symbol', %(symbol)s::varchar),
            ('bot', %(bot)s::varchar)) AS s(scope, target)
    CROSS JOIN LATERAL (
        SELECT c.id, c.scope, c.target, c.state, c.reason, c.changed_at FROM control_changes c
        WHERE c.scope = s.scope AND c.target = s.target AND c.changed_at <= %(at)s::timestamptz
        ORDER BY c.changed_at DESC, c.id DESC LIMIT 1
    ) h
    WHERE h.state = 'HALTED'
    UNION ALL
    SELECT 0, 'status', b.bot_id, 'The bot is ' || b.status || '.', b.updated_at FROM bots b
    WHERE b.bot_id = %(bot)s::varchar AND b.status IN ('stopped', 'archived') AND b.updated_at <= %(at)s::timestamptz
    ORDER BY changed_at
"""
# Which orders were made under a halt.
HALTED_ORDERS = f"""
    SELECT a.order_id FROM unnest(%(orders)s::text[], %(symbols)s::varchar[], %(times)s::timestamptz[])
        AS a(order_id, symbol, at)
    WHERE EXISTS ({HALTS_AT.replace("%(symbol)s::varchar", "a.symbol").replace("%(at)s::timestamptz", "a.at")})
"""  # noqa: S608 (our own text)  # nosec B608
# A bot is told once for each restriction; what it acknowledges stands for all that it was told up to that number.
TOLD = "SELECT control_told(%(bot)s::text, %(exchange)s::text, %(by)s::text, %(now)s::timestamptz)"
DONE = """
    UPDATE control_receipts SET done_at = greatest(%(now)s::timestamptz, received_at)
    WHERE bot_id = %(bot)s::varchar AND done_at IS NULL AND change_id <= %(id)s::bigint
        AND EXISTS (SELECT FROM control_receipts r WHERE r.bot_id = %(bot)s::varchar AND r.change_id = %(id)s::bigint)
"""


class Halt(TypedDict):
    """A restriction that is in force. `id` is the number of the change that set it, which the bot acknowledges."""

    id: int
    scope: str
    reason: str
    since: str


class Restricted(Halt):
    """The same with what exactly is restricted, and how far."""

    target: str
    state: str


def controls(bot: BotContext, symbol: str) -> Sql:
    """Read every control state that applies to an order of the bot in a symbol."""
    return Sql(CONTROLS, _scopes(bot, symbol))


def controls_and_status(bot: BotContext, symbol: str) -> Sql:
    """Read the same and the bot's status; give its rows to `states_now`."""
    return Sql(CONTROLS_AND_STATUS, _scopes(bot, symbol))


def states_now(bot: BotContext, rows: list[Row]) -> list[Row]:
    """Return the control states of `controls_and_status`. Raises TryAgain when the bot has another status meanwhile."""
    if any(row["scope"] == "status" and row["state"] != bot.status for row in rows):
        raise TryAgain
    return [row for row in rows if row["scope"] != "status"]


def controls_told(bot: BotContext) -> Sql:
    """Read every control state that a bot is told of."""
    return Sql(CONTROLS_TOLD, {"bot": bot.bot_id, "exchange": bot.exchange})


def halts_at(bot: BotContext, symbol: str, at: datetime) -> Sql:
    """Read the halts that were in force for a bot and a symbol at a moment, the eldest first."""
    return Sql(HALTS_AT, _scopes(bot, symbol) | {"at": at})


def told(bot: BotContext, by: ToldBy, now: datetime) -> Sql:
    """Note that the bot hears of every restriction in force with this answer."""
    return Sql(TOLD, {"bot": bot.bot_id, "exchange": bot.exchange, "by": str(by), "now": now})


def done(bot: BotContext, acknowledged: int, now: datetime) -> Sql:
    """Note that the bot obeys what it was told up to a number; a number it was never told counts for nothing."""
    return Sql(DONE, {"bot": bot.bot_id, "id": acknowledged, "now": now})


def _scopes(bot: BotContext, symbol: str) -> dict[str, Any]:
    return {"bot": bot.bot_id, "exchange": bot.exchange, "symbol": symbol}


def halts_from(rows: list[Row]) -> list[Restricted]:
    """Return every restriction in force, the strictest first and the widest scope first among those."""
    scopes = list(ControlScope)
    strict = [row for row in rows if row["state"] != ControlLevel.ACTIVE]
    strict.sort(key=lambda row: (-SEVERITY[ControlLevel(row["state"])], scopes.index(ControlScope(row["scope"]))))
    return [
        {
            "id": row["server_seq"], "scope": row["scope"], "target": row["target"], "state": row["state"],
            "reason": row["reason"], "since": stamp(row["changed_at"]),
        }
        for row in strict
    ]  # fmt: skip


def halt_from(halts: list[Restricted]) -> Halt | None:
    """Return the strictest restriction of the bot itself; None when nothing but single symbols is restricted."""
    for halt in halts:
        if halt["scope"] != ControlScope.SYMBOL:
            return {"id": halt["id"], "scope": halt["scope"], "reason": halt["reason"], "since": halt["since"]}
    return None


def get_permit(bot: BotContext) -> Plan[dict[str, Any]]:
    """Read the permit."""
    now = timezone.now()
    rows, _ = yield Last([controls_told(bot), told(bot, ToldBy.PERMIT, now)])
    return dict(permit_from(bot.status, rows, now))

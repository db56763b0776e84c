"""What follows when a fact breaks a rule: it is stored all the same, a case is opened, the bot is restricted."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from bots.choices import CaseKind, ControlLevel, ControlScope
from bots.ledger.shapes import plain
from bots.live.publish import LiveUpdate
from bots.services.context import AccountContext, BotContext
from bots.services.control import restrict, restricted
from bots.services.plan import Plan, Sql, insert, param

OPEN_CASE = """
    INSERT INTO reconciliation_cases
        (kind, account_id, bot_id, symbol, subject_id, expected, reported, opened_at, last_seen_at)
    VALUES (%(kind)s, %(account)s, %(bot)s, %(symbol)s, %(subject)s, %(expected)s, %(reported)s, %(now)s, %(now)s)
    ON CONFLICT (kind, account_id, bot_id, symbol, subject_id) WHERE status <> 'resolved'
    DO UPDATE SET last_seen_at = excluded.last_seen_at, reported = excluded.reported, expected = excluded.expected,
        gone_since = NULL
"""


def open_case(
    whose: BotContext | AccountContext, kind: CaseKind, *, symbol: str, subject_id: str, expected: Mapping[str, str],
    reported: Mapping[str, str], now: datetime,
) -> Sql:  # fmt: skip
    """Open a case, or refresh the open one: one open case per kind, account, bot, symbol and subject.

    A case of an account on which several bots trade has no bot: an account is not a bot.
    """
    return Sql(
        OPEN_CASE,
        {
            "kind": str(kind),
            "account": whose.account_id,
            "bot": whose.bot_id,
            "symbol": symbol,
            "subject": subject_id,
            "expected": param(expected),
            "reported": param(reported),
            "now": now,
        },
    )


def breach(
    bot: BotContext, kind: CaseKind, *, symbol: str, subject_id: str, current: Decimal, limit: Decimal, now: datetime
) -> Plan[list[LiveUpdate]]:
    """Open the case; an overfill also leaves a risk event and lets the bot only reduce from now on."""
    case = open_case(
        bot, kind, symbol=symbol, subject_id=subject_id, now=now,
        expected={"quantity": plain(limit)}, reported={"quantity": plain(current)},
    )  # fmt: skip
    if kind != CaseKind.OVERFILL:
        yield [case]
        return []
    reason = f"Order {subject_id} is filled beyond its quantity: {plain(current)} of {plain(limit)}."
    event = {
        "bot_id": bot.bot_id, "symbol": symbol, "order_id": subject_id, "risk_type": "overfill", "event_time": now,
        "current_value": current, "limit_value": limit, "action_taken": "new_trades_blocked",
    }  # fmt: skip
    _, _, changed = yield [
        case,
        insert("risk_events", event, suffix=""),
        reduce_only(bot, reason, now),
    ]
    return restricted(changed)


def reduce_only(bot: BotContext, reason: str, now: datetime) -> Sql:
    """Let a bot only reduce from now on, unless it is halted anyway."""
    return restrict(scope=ControlScope.BOT, target=bot.bot_id, state=ControlLevel.REDUCING, reason=reason, now=now)

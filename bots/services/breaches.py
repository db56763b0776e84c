"""What follows when a fact breaks a rule: it is stored all the same, a case is opened, the bot is restricted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from bots.choices import CaseKind, ControlLevel, ControlScope
from bots.ledger.shapes import plain, stamp
from bots.live.publish import LiveUpdate
from bots.services.context import AccountContext, BotContext
from bots.services.plan import Plan, Row, Sql, insert, param

OPEN_CASE = """
    INSERT INTO reconciliation_cases
        (kind, account_id, bot_id, symbol, subject_id, expected, reported, opened_at, last_seen_at)
    VALUES (%(kind)s, %(account)s, %(bot)s, %(symbol)s, %(subject)s, %(expected)s, %(reported)s, %(now)s, %(now)s)
    ON CONFLICT (kind, account_id, bot_id, symbol, subject_id) WHERE status <> 'resolved'
    DO UPDATE SET last_seen_at = excluded.last_seen_at, reported = excluded.reported, expected = excluded.expected,
        gone_since = NULL
"""
# Only ever stricter: a halt stays a halt.
REDUCE = """
    INSERT INTO control_states AS c (scope, target, state, reason, changed_at, changed_by_name)
    VALUES ('bot', %(bot)s, 'REDUCING', %(reason)s, %(now)s, 'system')
    ON CONFLICT (scope, target) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, changed_at = excluded.changed_at,
        changed_by_name = excluded.changed_by_name, changed_by_id = NULL, version = c.version + 1
    WHERE c.state = 'ACTIVE'
    RETURNING version
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


def restriction(bot: BotContext, reason: str, now: datetime) -> Sql:
    """Let a bot only reduce from now on, unless it is restricted already."""
    return Sql(REDUCE, {"bot": bot.bot_id, "reason": reason, "now": now})


def restricted(bot: BotContext, changed: Sequence[Row], reason: str, now: datetime) -> list[LiveUpdate]:
    """Return what the live layer hears of a restriction, given the rows it returned."""
    if not changed:
        return []
    data = {
        "scope": str(ControlScope.BOT), "target": bot.bot_id, "state": str(ControlLevel.REDUCING), "reason": reason,
        "since": stamp(now), "version": changed[0]["version"],
    }  # fmt: skip
    return [LiveUpdate(kind="halt", bot_id=bot.bot_id, symbol="", data=data)]


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
    _, _, changed = yield [case, insert("risk_events", event, suffix=""), restriction(bot, reason, now)]
    return restricted(bot, changed, reason, now)

"""Where a bot stands when it asks for an order, read in the transaction that would store it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots.choices import Direction
from bots.ledger.facts import NewOrder
from bots.ledger.risk import Ask, Reason, Standing, Usage, admit
from bots.ledger.shapes import plain, stamp
from bots.live.publish import LiveUpdate
from bots.services.context import BotContext
from bots.services.permits import controls, restrictions_from
from bots.services.plan import Plan, Row, Sql, param

# In one statement: what is held in this symbol, how many other symbols are in use, and the equities limits refer to.
STANDING = """
    SELECT p.side, p.size,
        (SELECT count(*) FROM (
            SELECT symbol FROM positions WHERE bot_id = %(bot)s AND status IN ('open', 'partially_closed')
            UNION
            SELECT symbol FROM orders WHERE bot_id = %(bot)s AND NOT reduce_only
                AND status IN ('pending', 'submitted', 'partially_filled', 'untriggered', 'triggered')
        ) used WHERE used.symbol <> %(symbol)s) AS symbols_in_use,
        b.current_equity,
        (SELECT equity FROM account_balance WHERE bot_id = %(bot)s AND "timestamp" < %(day)s
            ORDER BY "timestamp" DESC LIMIT 1) AS day_start,
        (SELECT equity FROM account_balance WHERE bot_id = %(bot)s AND "timestamp" < %(week)s
            ORDER BY "timestamp" DESC LIMIT 1) AS week_start,
        (SELECT max(ending_equity) FROM risk_metrics WHERE bot_id = %(bot)s) AS peak
    FROM bots b
    LEFT JOIN positions p ON p.bot_id = b.bot_id AND p.symbol = %(symbol)s AND p.status IN ('open', 'partially_closed')
    WHERE b.bot_id = %(bot)s
"""
USAGE = """
    SELECT limit_id, kind, subject, currency, own_value, used, asked, limit_value, action
    FROM risk_usage(%(symbol)s, %(now)s, %(side)s, %(quantity)s, %(price)s, %(locks)s)
"""
# What an amount column holds.
LARGEST = Decimal(10) ** 19
LOCK_ALL = "SELECT risk_lock_all(%(symbols)s::text[])"
ENFORCE = """
    SELECT scope, target, state, version, reason, changed_at FROM risk_enforce(%(symbol)s::text, %(now)s)
"""
REFUSED = """
    SELECT risk_refused(%(type)s, %(rule)s, %(limit_id)s::bigint, %(symbol)s, %(order)s, %(current)s::numeric,
        %(limit)s::numeric, %(details)s, %(now)s)
"""
# The risk event's type for each rule that is none itself.
RISK_TYPE = {"reduce_only": "position_limit"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an order comes to: the reasons that refuse it, and how far each limit is used with it."""

    reasons: list[Reason]
    usages: list[Usage]


def evaluate(bot: BotContext, order: NewOrder, states: list[Row], now: datetime) -> Plan[list[Reason]]:
    """Return the reasons that refuse an order, given the control states that apply; none admits it.

    Where bots are counted together, whoever asks next waits for the end of this transaction.
    """
    return (yield from judge(bot, order, states, now, locks=True)).reasons


def judge(bot: BotContext, order: NewOrder, states: list[Row], now: datetime, *, locks: bool) -> Plan[Judgement]:
    """Judge an order by the control states and by every limit that it touches."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    params = {
        "bot": bot.bot_id,
        "symbol": order.symbol,
        "day": midnight,
        "week": midnight - timedelta(days=midnight.weekday()),
    }
    asked = {
        "symbol": order.symbol, "now": now, "side": order.side, "quantity": order.quantity,
        "price": order.price if order.price is not None else order.stop_price, "locks": locks,
    }  # fmt: skip
    (row,), used = yield [Sql(STANDING, params), Sql(USAGE, asked)]
    peaks = [value for value in (bot.initial_capital, row["peak"], row["current_equity"]) if value is not None]
    standing = Standing(
        status=bot.status,
        restrictions=restrictions_from(states),
        held_side=Direction(row["side"]) if row["side"] else None,
        held_size=row["size"] or Decimal(0),
        symbols_in_use=row["symbols_in_use"],
        equity=row["current_equity"],
        equity_day_start=row["day_start"] or bot.initial_capital,
        equity_week_start=row["week_start"] or bot.initial_capital,
        equity_peak=max(peaks),
    )
    ask = Ask(side=order.side, quantity=order.quantity, leverage=order.leverage, reduce_only=order.reduce_only)
    usages = [_usage(each) for each in used]
    return Judgement(admit(ask, standing, bot.limits, usages), usages)


def _usage(row: Row) -> Usage:
    return Usage(
        limit_id=row["limit_id"], kind=row["kind"], subject=row["subject"], currency=row["currency"],
        used=row["used"], asked=row["asked"], limit=row["limit_value"], action=row["action"],
        is_own=row["own_value"],
    )  # fmt: skip


def lock_limits(symbols: list[str]) -> Sql:
    """Take the locks of every limit over bots that orders in these symbols touch, all at once."""
    return Sql(LOCK_ALL, {"symbols": symbols})


def refusal_events(bot: BotContext, order: NewOrder, reasons: list[Reason], now: datetime) -> list[Sql]:
    """Return what notes a refusal: one open risk event a rule and symbol, counted when it comes again."""
    return [
        Sql(
            REFUSED,
            {
                "type": RISK_TYPE.get(reason["rule"], reason["rule"]),
                "rule": " ".join((reason["rule"], reason.get("unit", ""), reason.get("subject", ""))),
                "limit_id": None,
                "symbol": order.symbol,
                "order": order.order_id,
                "current": _number(reason["current"]),
                "limit": _number(reason["limit"]),
                "details": param(dict(reason)),
                "now": now,
            },
        )
        for reason in reasons
    ]


def is_watched(bot: BotContext, row: Row) -> bool:
    """Whether a fill of the bot can break a limit: its own on losses, or one that people set."""
    own = bot.limits
    losses = (own.daily_loss, own.weekly_loss, own.drawdown)
    return bool(row["risk_watched"]) or any(limit is not None for limit in losses)


def enforcement(symbol: str, now: datetime) -> Sql:
    """Look at the limits that a fill in a symbol can break and restrict who broke one, in the fill's transaction."""
    return Sql(ENFORCE, {"symbol": symbol, "now": now})


def restriction_updates(rows: list[Row]) -> list[LiveUpdate]:
    """Return what the restricted bots, and browsers, must hear."""
    return [
        LiveUpdate(
            kind="halt", bot_id=row["target"], symbol="",
            data={"scope": row["scope"], "target": row["target"], "state": row["state"], "reason": row["reason"],
                  "since": stamp(row["changed_at"]), "version": row["version"]},
        )
        for row in rows
    ]  # fmt: skip


def check_order(bot: BotContext, order: NewOrder) -> Plan[dict[str, Any]]:
    """Say whether an order would be admitted now, why not, and how far each limit would be used; stores nothing."""
    (states,) = yield [controls(bot, order.symbol)]
    judged = yield from judge(bot, order, states, timezone.now(), locks=False)
    halved = any(usage.kind == "half_size" for usage in judged.usages)
    return {
        "allowed": not judged.reasons,
        "reasons": judged.reasons,
        "limits": [_told(usage) for usage in judged.usages if usage.limit is not None],
        "size_factor": "0.5" if halved else "1",
    }


def _told(usage: Usage) -> dict[str, str]:
    assert usage.limit is not None
    return {
        "rule": usage.rule,
        "subject": usage.subject,
        "unit": usage.unit,
        "current": plain(usage.used),
        "with_order": "unknown" if usage.asked is None else plain(usage.asked),
        "limit": plain(usage.limit),
        "headroom": plain(usage.headroom),
    }


def _number(text: str) -> Decimal:
    """Return a rule's value as a column takes it; states such as HALTED have none."""
    value = Decimal(text) if text.lstrip("-").replace(".", "", 1).isdigit() else Decimal(0)
    return max(min(value, LARGEST), -LARGEST)

"""Where a bot stands when it asks for an order, read in the transaction that would store it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots.choices import Direction
from bots.ledger.facts import NewOrder
from bots.ledger.risk import Ask, Reason, Standing, admit
from bots.services.context import BotContext
from bots.services.permits import controls, restrictions_from
from bots.services.plan import Plan, Row, Sql, insert

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
# The risk event's type for each rule.
RISK_TYPE = {"reduce_only": "position_limit"}


def evaluate(bot: BotContext, order: NewOrder, states: list[Row], now: datetime) -> Plan[list[Reason]]:
    """Return the reasons that refuse an order, given the control states that apply; none admits it."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    params = {
        "bot": bot.bot_id,
        "symbol": order.symbol,
        "day": midnight,
        "week": midnight - timedelta(days=midnight.weekday()),
    }
    ((row,),) = yield [Sql(STANDING, params)]
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
    return admit(ask, standing, bot.limits)


def refusal_events(bot: BotContext, order: NewOrder, reasons: list[Reason], now: datetime) -> list[Sql]:
    """Return the risk events that a refusal leaves, one a rule."""
    return [
        insert(
            "risk_events",
            {
                "bot_id": bot.bot_id,
                "symbol": order.symbol,
                "order_id": order.order_id,
                "event_time": now,
                "risk_type": RISK_TYPE.get(reason["rule"], reason["rule"]),
                "current_value": _number(reason["current"]),
                "limit_value": _number(reason["limit"]),
                "action_taken": "new_trades_blocked",
                "details": dict(reason),
            },
            suffix="",
        )
        for reason in reasons
    ]


def check_order(bot: BotContext, order: NewOrder) -> Plan[dict[str, Any]]:
    """Say whether an order would be admitted now; stores nothing but the risk events of a refusal."""
    now = timezone.now()
    (states,) = yield [controls(bot, order.symbol)]
    reasons = yield from evaluate(bot, order, states, now)
    if reasons:
        yield refusal_events(bot, order, reasons, now)
    return {"allowed": not reasons, "reasons": reasons}


def _number(text: str) -> Decimal:
    """Return a rule's value as a number; states such as HALTED have none."""
    return Decimal(text) if text.lstrip("-").replace(".", "", 1).isdigit() else Decimal(0)

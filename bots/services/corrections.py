"""Corrections: a fact is never edited. What was wrong is taken back by a fill against it, and what is right is added.

Both stand under report-orders of their own, so that the order of the wrong fill keeps what was told of it. The position
and, once it is flat, the profit come out as if only the right fill had been there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import Liquidity, OrderIntent, OrderType, Side
from bots.ledger.facts import NewFill, NewOrder
from bots.selectors.corrections import FIX, SOURCE, VOID
from bots.services.carried_orders import record_fill_with_order
from bots.services.context import BotContext, bot_context
from bots.services.locks import lock_symbol
from bots.services.plan import Outcome, Plan, Row, Sql, run, within
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.times import refuse_future, to_utc

FILL = "SELECT * FROM fills WHERE bot_id = %(bot)s AND fill_id = %(id)s"
CHANGEABLE = ("price", "quantity", "fee", "fee_currency", "liquidity", "executed_at")
# What the columns for amounts hold with all their decimals.
LARGEST = Decimal(10) ** 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is wrong with one fill: the columns as they should be; none at all when it never happened."""

    fill_id: str
    right: Mapping[str, Any] | None
    reason: str
    details: Mapping[str, str] = field(default_factory=dict)


def correct_fill(bot: BotContext, correction: Correction) -> Plan[Outcome]:
    """Take one fill back and put the right one in its place; the same again is refused.

    Raises NotFound, ValidationFailed when nothing would change, Conflict when it was corrected before.
    """
    wrong = yield from _wrong_fill(bot, correction.fill_id)
    changes = _changes(wrong, correction)
    told = dict(correction.details) | {"corrects": wrong["fill_id"], "reason": correction.reason}
    out = Side.SELL if wrong["side"] == Side.BUY else Side.BUY
    # A moment later, so that it can only take back what is there.
    back = {name: wrong[name] for name in CHANGEABLE} | {
        "executed_at": wrong["executed_at"] + timedelta(microseconds=1)
    }
    back["fee"] = None if wrong["fee"] is None else wrong["fee"].copy_negate()
    outcomes = [(yield from _book(bot, f"{VOID}{wrong['id']}", wrong["symbol"], str(out), back, told))]
    if changes is not None:
        right = {name: wrong[name] for name in CHANGEABLE} | changes
        outcomes.append((yield from _book(bot, f"{FIX}{wrong['id']}", wrong["symbol"], wrong["side"], right, told)))
    updates = tuple(update for outcome in outcomes for update in outcome.updates)
    fills = [outcome.body["fill"] for outcome in outcomes]
    return Outcome(201, {"corrects": wrong["fill_id"], "fills": fills}, updates=updates)


def _wrong_fill(bot: BotContext, fill_id: str) -> Plan[Row]:
    (rows,) = yield [Sql(FILL, {"bot": bot.bot_id, "id": fill_id})]
    if not rows:
        raise NotFound("No such fill.", fill_id=fill_id)
    if rows[0]["fill_id"].startswith(VOID) and rows[0]["source"] == SOURCE:
        raise ValidationFailed("It is half of a correction: correct the fill that took its place.")
    void = f"{VOID}{rows[0]['id']}"
    _, voids = yield [lock_symbol(bot.bot_id, rows[0]["symbol"]), Sql(FILL, {"bot": bot.bot_id, "id": void})]
    if voids:
        instead = f"{FIX}{rows[0]['id']}"
        raise Conflict(f"Fill {fill_id} is corrected already. Correct {instead}, if there is one.", fill_id=fill_id)
    return rows[0]


def _changes(wrong: Row, correction: Correction) -> dict[str, Any] | None:
    if correction.right is None:
        return None
    unknown = set(correction.right) - set(CHANGEABLE)
    if unknown:
        raise ValidationFailed(f"Only {', '.join(CHANGEABLE)} can be corrected.", fields=sorted(unknown))
    changes = {name: value for name, value in correction.right.items() if wrong[name] != value}
    if not changes:
        raise ValidationFailed("Nothing differs from what is stored.")
    _check(changes)
    return changes


def _check(right: Mapping[str, Any]) -> None:
    """Refuse figures that no fill can have: what a person types is held to what bots are held to."""
    for name in ("price", "quantity"):
        if name in right and not (isinstance(right[name], Decimal) and 0 < right[name] < LARGEST):
            raise ValidationFailed(f"The {name} must be a number above zero.")
    if right.get("fee") is not None and not abs(right["fee"]) < LARGEST:
        raise ValidationFailed("The fee must be a number.")
    if right.get("liquidity") not in (None, *Liquidity.values):
        raise ValidationFailed(f"Liquidity is one of {', '.join(Liquidity.values)}.")
    if "executed_at" in right:
        try:
            refuse_future(to_utc(right["executed_at"]), timezone.now())
        except ValueError as e:
            raise ValidationFailed(f"The time of the fill {e}.") from e


def _book(
    bot: BotContext, name: str, symbol: str, side: str, figures: Mapping[str, Any], told: Mapping[str, str]
) -> Plan[Outcome]:
    order: dict[str, Any] = {
        "order_id": name, "symbol": symbol, "side": side, "order_type": str(OrderType.MARKET),
        "quantity": figures["quantity"], "intent": str(OrderIntent.REPORT), "created_at": figures["executed_at"],
        "order_metadata": dict(told),
    }  # fmt: skip
    fill = {"fill_id": name, "order_id": name, **figures}
    plan = record_fill_with_order(
        bot, NewFill(body=fill, source=SOURCE, **fill), NewOrder(body=order, source=SOURCE, **order)
    )
    outcome = yield from within(plan)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def fill_correct(*, bot_id: str, fill_id: str, right: Mapping[str, Any] | None, reason: str, actor: Actor) -> Outcome:
    """Correct one fill of a bot by correcting entries: `right` has what differs, None says it never happened.

    Raises NotFound, ValidationFailed and Conflict.
    """
    if not reason.strip():
        raise ValidationFailed("Say why.")
    correction = Correction(fill_id=fill_id, right=right, reason=reason.strip())
    return run(partial(_correct, bot_context(bot_id), correction, actor))


def _correct(bot: BotContext, correction: Correction, actor: Actor) -> Plan[Outcome]:
    outcome = yield from within(correct_fill(bot, correction))
    after = {"fills": [fill["fill_id"] for fill in outcome.body["fills"]]}
    # Sync alone: the action is written by the ORM, in this transaction.
    actor.record("fill.correct", "fill", f"{bot.bot_id} {correction.fill_id}", after=after, reason=correction.reason)
    return outcome

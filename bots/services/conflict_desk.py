"""Conflicting bodies in the hands of people: decided once, with words. No fact is edited: a decision adds facts."""

from functools import partial
from typing import Any

from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import CaseKind, ConflictDecision, ConflictStatus, FactKind, OrderIntent
from bots.ledger.bodies import fact_from
from bots.ledger.facts import NewBalance, NewEvent, NewFill, NewOrder, NewSignal
from bots.selectors.conflicts import is_twin, stored_body
from bots.services.balances import record_balance
from bots.services.breaches import open_case
from bots.services.context import BotContext, bot_context
from bots.services.corrections import CHANGEABLE, Correction, correct_fill
from bots.services.events import record_events
from bots.services.fills import record_fill
from bots.services.locks import lock_desk
from bots.services.orders import record_order
from bots.services.plan import Outcome, Plan, Row, Sql, run, update, within
from bots.services.signals import record_signal
from bots.services.trades import NewTrade, record_trade
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

SOURCE = "conflict"
ROW = "SELECT * FROM ingest_conflicts WHERE id = %(id)s"
ID_OF = {
    FactKind.SIGNAL: "signal_id",
    FactKind.ORDER: "order_id",
    FactKind.FILL: "fill_id",
    FactKind.TRADE: "trade_id",
    FactKind.BALANCE: "balance_id",
    FactKind.EVENT: "event_id",
}


def _decide(conflict_id: int, decision: ConflictDecision, resolution: str, actor: Actor) -> Plan[Outcome]:
    _, rows = yield [lock_desk("conflict", conflict_id), Sql(ROW, {"id": conflict_id})]
    if not rows:
        raise NotFound("No such conflict.", id=conflict_id)
    row = rows[0]
    if row["status"] == ConflictStatus.RESOLVED:
        if row["decision"] not in (None, decision):
            raise Conflict("It is decided already, otherwise.", id=conflict_id)
        return Outcome(200, {}, True)
    row["stored_body"] = stored_body(bot_id=row["bot_id"], kind=row["kind"], kept=row["stored_body"])
    # Sync alone, as the action below: what a bot is comes from the ORM's connection.
    bot = bot_context(row["bot_id"])
    effect = Outcome(200, {})
    if decision == ConflictDecision.CORRECTED:
        effect = yield from within(_correct(bot, row, resolution))
    elif decision == ConflictDecision.BOTH:
        effect = yield from within(_store_both(bot, row))
    stored_as = effect.body.get("stored_as")
    values: dict[str, Any] = {"status": ConflictStatus.RESOLVED, "decision": decision, "resolution": resolution}
    values |= {"stored_as": stored_as, "resolved_at": timezone.now()}
    values["resolved_by_id"] = actor.user.pk if actor.user else None
    yield [update("ingest_conflicts", values, where="id = %(k_id)s", keys={"k_id": conflict_id})]
    after = {"kind": row["kind"], "natural_id": row["natural_id"], "bot_id": row["bot_id"]}
    after |= {"decision": str(decision), "stored_as": stored_as}
    actor.record("conflict.resolve", "ingest_conflict", str(conflict_id), after=after, reason=resolution)
    return Outcome(200, {}, updates=effect.updates)


def _correct(bot: BotContext, row: Row, resolution: str) -> Plan[Outcome]:
    """Put the received content in place of ours: for a fill by correcting entries, for the rest a case for a person."""
    if row["kind"] != FactKind.FILL:
        case = open_case(
            bot, CaseKind.CONTENT_CONFLICT, symbol="", subject_id=row["natural_id"], now=timezone.now(),
            expected=row["received_body"], reported=row["stored_body"],
        )  # fmt: skip
        yield [case]
        return Outcome(200, {})
    details = {"conflict": str(row["id"])}
    received = fact_from(NewFill, row["received_body"], source=SOURCE)
    if is_twin(row["kind"], row["natural_id"], row["stored_body"]):
        return (yield from _replace(bot, row, received, Correction(
            fill_id=row["stored_body"]["fill_id"], right=None, reason=resolution, details=details
        )))  # fmt: skip
    right = {name: getattr(received, name) for name in CHANGEABLE}
    done = yield from correct_fill(
        bot, Correction(fill_id=row["natural_id"], right=right, reason=resolution, details=details)
    )
    return Outcome(200, {"stored_as": done.body["fills"][-1]["fill_id"]}, updates=done.updates)


def _replace(bot: BotContext, row: Row, received: NewFill, correction: Correction) -> Plan[Outcome]:
    """Take the stored fill of an execution back and store the received one; the execution's id stays where it is."""
    owner = row["stored_body"].get("bot_id", bot.bot_id)
    gone = yield from within(correct_fill(bot_context(owner), correction))
    kept = fact_from(NewFill, {**row["received_body"], "exchange_trade_id": None}, source=SOURCE)
    stored = yield from _recorded(record_fill(bot, kept))
    return Outcome(200, {"stored_as": received.fill_id}, updates=gone.updates + stored.updates)


def _store_both(bot: BotContext, row: Row) -> Plan[Outcome]:
    """Store the received content under an id of its own, as the bot would have."""
    if is_twin(row["kind"], row["natural_id"], row["stored_body"]):
        raise ValidationFailed("One execution cannot be two fills: decide which one is right.")
    kind = FactKind(row["kind"])
    if kind not in ID_OF:
        raise ValidationFailed(f"{kind.label} has no id of its own.")
    name = f"{row['natural_id'][:80]}-c{row['id']}"
    body = {**row["received_body"], ID_OF[kind]: name}
    done = yield from _recorded(_record(bot, kind, body))
    return Outcome(200, {"stored_as": name}, updates=done.updates)


def _record(bot: BotContext, kind: FactKind, body: dict[str, Any]) -> Plan[Outcome]:
    if kind == FactKind.FILL:
        return record_fill(bot, fact_from(NewFill, body, source=SOURCE))
    if kind == FactKind.ORDER:
        # It is real, so it is at the exchange, whatever the bot asked for.
        told = body | {"intent": str(OrderIntent.REPORT)}
        return record_order(bot, fact_from(NewOrder, told, source=SOURCE))
    if kind == FactKind.SIGNAL:
        return record_signal(bot, fact_from(NewSignal, body, source=SOURCE))
    if kind == FactKind.BALANCE:
        return record_balance(bot, fact_from(NewBalance, body, source=SOURCE))
    if kind == FactKind.TRADE:
        return record_trade(bot, fact_from(NewTrade, body, source=SOURCE))
    return record_events(bot, [fact_from(NewEvent, body, source=SOURCE)])


def _recorded(plan: Plan[Outcome]) -> Plan[Outcome]:
    outcome = yield from within(plan)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def conflict_decide(*, conflict_id: int, decision: str, resolution: str, actor: Actor) -> None:
    """Decide a conflict: ours is right (kept), the received one is (corrected), or both are real (both).

    `corrected` takes a wrong fill back and adds the right one; for other facts it opens a case. `both` stores the
    received content under a new id. The same decision again changes nothing.

    Raises NotFound, ValidationFailed and Conflict.
    """
    if not resolution.strip():
        raise ValidationFailed("A closed conflict needs a resolution.")
    if decision not in ConflictDecision.values:
        raise ValidationFailed(f"A decision is one of {', '.join(ConflictDecision.values)}.")
    run(partial(_decide, conflict_id, ConflictDecision(decision), resolution.strip(), actor))

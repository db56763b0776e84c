"""The inbox: fills of an account whose bot is not known, until staff say whose they are or its bot reports them.

What staff do runs on Django's connection alone, so these plans write the action with the ORM, in their transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import CaseKind, InboxStatus, OrderIntent, OrderType
from bots.ledger.content import content_hash
from bots.ledger.facts import Fact, NewFill, NewOrder
from bots.ledger.shapes import FILL, plain, shape, stamp
from bots.services.breaches import open_case
from bots.services.carried_orders import record_fill_with_order
from bots.services.context import AccountContext, BotContext, bot_context, read_account
from bots.services.fills import record_fill
from bots.services.locks import lock_desk, lock_symbol
from bots.services.plan import Outcome, Plan, Row, Sql, TryAgain, insert, param, run, update, within
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

SOURCE = "inbox"
FIELDS = (
    "exchange_trade_id", "symbol", "side", "price", "quantity", "fee", "fee_currency", "liquidity", "executed_at",
    "exchange_order_id", "client_order_id",
)  # fmt: skip
INBOX = ("id", *FIELDS, "status", "bot_id", "fill_id", "source", "received_at")
KNOWN_FILL = """
    SELECT * FROM fills
    WHERE account_id = %(account)s AND symbol = %(symbol)s AND exchange_trade_id = %(execution)s
"""
KNOWN_ROW = """
    SELECT * FROM unattributed_fills
    WHERE account_id = %(account)s AND symbol = %(symbol)s AND exchange_trade_id = %(execution)s
"""
ROW = "SELECT * FROM unattributed_fills WHERE id = %(id)s"
ONCE = "ON CONFLICT (account_id, symbol, exchange_trade_id) DO NOTHING RETURNING *"
OTHER_BODY = """
    UPDATE unattributed_fills SET other_bodies = other_bodies || jsonb_build_array(%(body)s::jsonb)
    WHERE id = %(id)s AND NOT other_bodies @> jsonb_build_array(%(body)s::jsonb)
"""
# Orders that staff had to make for other fills are full; an order of the bot itself is the one the exchange names.
ORDERS = """
    SELECT order_id FROM orders
    WHERE bot_id = %(bot)s AND symbol = %(symbol)s AND side = %(side)s AND source <> 'inbox'
        AND (order_id = %(order)s::varchar
            OR (%(order)s::varchar IS NULL
                AND (exchange_order_id = %(exchange_order)s::varchar OR client_order_id = %(client_order)s::varchar)))
    ORDER BY created_at LIMIT 1
"""
# When the last one of a symbol is settled, its case is marked; a person closes it.
CASE_GONE = """
    UPDATE reconciliation_cases c SET gone_since = %(now)s
    WHERE c.kind = 'unattributed' AND c.account_id = %(account)s AND c.symbol = %(symbol)s
        AND c.status <> 'resolved' AND c.gone_since IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM unattributed_fills u
            WHERE u.account_id = %(account)s AND u.symbol = %(symbol)s AND u.status = 'open'
        )
"""
CASE_BACK = """
    UPDATE reconciliation_cases SET gone_since = NULL
    WHERE kind = 'unattributed' AND account_id = %(account)s AND symbol = %(symbol)s AND status <> 'resolved'
"""
KEY = "id = %(k_id)s"
# A fill and the row of its execution can be stored at the same moment, each unseen by the other.
SETTLE = """
    UPDATE unattributed_fills u SET status = 'assigned', bot_id = f.bot_id, fill_id = f.fill_id, resolved_at = now(),
        note = 'Reported by bot ' || f.bot_id || ' as fill ' || f.fill_id || '.'
    FROM fills f
    WHERE u.status = 'open' AND f.account_id = u.account_id AND f.symbol = u.symbol
        AND f.exchange_trade_id = u.exchange_trade_id
    RETURNING u.account_id, u.symbol
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFill(Fact):
    """One execution as an account's stream or an importer sees it: nothing says whose it is."""

    exchange_trade_id: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    executed_at: datetime
    fee: Decimal | None = None
    fee_currency: str | None = None
    liquidity: str | None = None
    exchange_order_id: str | None = None
    client_order_id: str | None = None


def record_account_fill(name: str, fill: AccountFill) -> Plan[Outcome]:
    """Put one execution into the inbox of an account, unless it is a fill of one of its bots already.

    Nobody is told whose it is by an order id alone: its bot may yet report it, under its own fill id, and then the
    row is settled. The same again changes nothing; other content is kept beside the first and goes to a case.
    """
    account = yield from read_account(name=name)
    now = timezone.now()
    key = {"account": account.account_id, "symbol": fill.symbol, "execution": fill.exchange_trade_id}
    fills, rows = yield [Sql(KNOWN_FILL, key), Sql(KNOWN_ROW, key)]
    if fills:
        if not _same(fills[0], fill):
            yield [_differs(account, fills[0], fill, now)]
        return Outcome(200, {"state": "known", "bot_id": fills[0]["bot_id"], "fill_id": fills[0]["fill_id"]}, True)
    if rows:
        return (yield from _again(account, rows[0], fill, now))
    values = {each: getattr(fill, each) for each in FIELDS}
    values |= {"account_id": account.account_id, "body": fill.body, "content_hash": content_hash(fill.body)}
    (stored, _) = yield [
        insert("unattributed_fills", values | {"source": fill.source}, suffix=ONCE),
        _case(account, fill, now),
    ]
    if not stored:
        # Another stream of the account brought it meanwhile.
        raise TryAgain
    return Outcome(201, shape(stored[0], INBOX))


def _again(account: AccountContext, row: Row, fill: AccountFill, now: datetime) -> Plan[Outcome]:
    if not _same(row, fill):
        yield [Sql(OTHER_BODY, {"id": row["id"], "body": param(fill.body)})]
        yield [_differs(account, row, fill, now)]
    return Outcome(200, shape(row, INBOX), True)


def _same(row: Row, fill: AccountFill) -> bool:
    return all(row[name] == getattr(fill, name) for name in ("side", "price", "quantity"))


def _case(account: AccountContext, fill: AccountFill, now: datetime) -> Sql:
    reported = {"exchange_trade_id": fill.exchange_trade_id, "executed_at": stamp(fill.executed_at)}
    return open_case(
        account, CaseKind.UNATTRIBUTED, symbol=fill.symbol, subject_id="", now=now, expected={},
        reported=_words(fill.side, fill.price, fill.quantity) | reported,
    )  # fmt: skip


def _differs(account: AccountContext, row: Row, fill: AccountFill, now: datetime) -> Sql:
    whose = account if row.get("bot_id") is None else AccountContext(
        account_id=account.account_id, name=account.name, bots=(row["bot_id"],)
    )  # fmt: skip
    return open_case(
        whose, CaseKind.CONTENT_CONFLICT, symbol=fill.symbol, subject_id=row.get("fill_id") or fill.exchange_trade_id,
        expected=_words(row["side"], row["price"], row["quantity"]),
        reported=_words(fill.side, fill.price, fill.quantity), now=now,
    )  # fmt: skip


def _words(side: str, price: Decimal, quantity: Decimal) -> dict[str, str]:
    return {"side": side, "price": plain(price), "quantity": plain(quantity)}


def _assign(row_id: int, bot: BotContext, order_id: str | None, reason: str, actor: Actor) -> Plan[Outcome]:
    row = yield from _open_row(row_id)
    if row["account_id"] != bot.account_id:
        raise ValidationFailed(f"{bot.bot_id} does not trade on this account.", bot_id=bot.bot_id)
    # Its order is looked for, and the fill folded, under the lock of everything that folds.
    key = {"account": row["account_id"], "symbol": row["symbol"], "execution": row["exchange_trade_id"]}
    names = {"order": order_id, "exchange_order": row["exchange_order_id"], "client_order": row["client_order_id"]}
    wanted = {"bot": bot.bot_id, "symbol": row["symbol"], "side": row["side"], **names}
    _, fills, orders = yield [lock_symbol(bot.bot_id, row["symbol"]), Sql(KNOWN_FILL, key), Sql(ORDERS, wanted)]
    if fills:
        return (yield from _known(row, fills[0]))
    if order_id is not None and not orders:
        words = f"{bot.bot_id} has no order {order_id} to {row['side']} {row['symbol']}."
        raise ValidationFailed(words, order_id=order_id)
    fill = _fill(row, orders[0]["order_id"] if orders else f"{SOURCE}_{row['id']}")
    plan = record_fill(bot, fill) if orders else record_fill_with_order(bot, fill, _order(row, fill.order_id, reason))
    outcome = yield from within(plan)
    if outcome.error is not None:
        # Another bot of the account reported it just now; the next look finds its fill.
        raise TryAgain
    # The trigger has settled the row; here stands who did it, and why.
    settled = {"resolved_by_id": actor.user.pk if actor.user else None, "reason": reason, "note": ""}
    yield [update("unattributed_fills", settled, where=KEY, keys={"k_id": row["id"]})]
    after = {"bot_id": bot.bot_id, "fill_id": fill.fill_id, "order_id": fill.order_id}
    actor.record("unattributed_fill.assign", "unattributedfill", str(row["id"]), after=after, reason=reason)
    return outcome


def _known(row: Row, fill: Row) -> Plan[Outcome]:
    """Settle a row whose execution is a fill already: it came while both were on their way."""
    now = timezone.now()
    note = f"Reported by bot {fill['bot_id']} as fill {fill['fill_id']}."
    settled = {"status": InboxStatus.ASSIGNED, "bot_id": fill["bot_id"], "fill_id": fill["fill_id"], "note": note}
    yield [
        update("unattributed_fills", settled | {"resolved_at": now}, where=KEY, keys={"k_id": row["id"]}),
        Sql(CASE_GONE, {"account": row["account_id"], "symbol": row["symbol"], "now": now}),
    ]
    words = f"Bot {fill['bot_id']} has reported it meanwhile, as fill {fill['fill_id']}."
    return Outcome(409, shape(fill, FILL), error=AlreadySettled(words, id=row["id"]))


def _open_row(row_id: int) -> Plan[Row]:
    _, rows = yield [lock_desk(SOURCE, row_id), Sql(ROW, {"id": row_id})]
    if not rows:
        raise NotFound("No such fill in the inbox.", id=row_id)
    row = rows[0]
    if row["status"] == InboxStatus.ASSIGNED:
        raise AlreadySettled(f"It is fill {row['fill_id']} of bot {row['bot_id']} already.", id=row_id)
    if row["status"] == InboxStatus.DISMISSED:
        raise AlreadySettled("It is dismissed. Open it again first.", id=row_id)
    return row


def _fill(row: Row, order_id: str) -> NewFill:
    told: dict[str, Any] = {
        "fill_id": f"{SOURCE}_{row['id']}",
        "order_id": order_id,
        **{name: row[name] for name in ("price", "quantity", "executed_at", "fee", "fee_currency", "liquidity")},
        "exchange_trade_id": row["exchange_trade_id"],
    }
    return NewFill(body=told, source=SOURCE, **told)


def _order(row: Row, order_id: str, reason: str) -> NewOrder:
    """The order that must have been there, since it was filled."""
    told: dict[str, Any] = {
        "order_id": order_id,
        "order_type": str(OrderType.MARKET),
        "intent": str(OrderIntent.REPORT),
        **{name: row[name] for name in ("symbol", "side", "quantity", "exchange_order_id", "client_order_id")},
        "created_at": row["executed_at"],
        "order_metadata": {"made_for": "a fill from the inbox", "reason": reason},
    }
    return NewOrder(body=told, source=SOURCE, **told)


class AlreadySettled(Conflict):
    """Somebody, or the bot itself, was faster."""

    code = "already_settled"


def account_record_fill(*, account_id: str, fill: AccountFill) -> Outcome:
    """Put one execution of an account whose bot is not known into the inbox. Raises NotFound for an unknown account."""
    return run(partial(record_account_fill, account_id, fill))


def unattributed_assign(*, row_id: int, bot_id: str, reason: str, actor: Actor, order_id: str | None = None) -> Outcome:
    """Make a fill of a bot of an inbox row, through the one service for fills, under its order or one made for it.

    Raises NotFound, ValidationFailed (a bot of another account, an order that does not fit), AlreadySettled.
    """
    return run(partial(_assign, row_id, bot_context(bot_id), order_id, _said(reason), actor))


def unattributed_dismiss(*, row_id: int, reason: str, actor: Actor) -> Outcome:
    """Say why a row of the inbox is nobody's fill. Raises NotFound, ValidationFailed, AlreadySettled."""
    return run(partial(_dismiss, row_id, _said(reason), actor))


def _dismiss(row_id: int, reason: str, actor: Actor) -> Plan[Outcome]:
    row = yield from _open_row(row_id)
    now = timezone.now()
    values = {"status": InboxStatus.DISMISSED, "reason": reason, "resolved_at": now}
    values["resolved_by_id"] = actor.user.pk if actor.user else None
    rows, _ = yield [
        update("unattributed_fills", values, where=KEY + " AND status = 'open'", keys={"k_id": row_id}),
        Sql(CASE_GONE, {"account": row["account_id"], "symbol": row["symbol"], "now": now}),
    ]
    if not rows:
        # Its bot reported it just now.
        raise TryAgain
    row = rows[0]
    actor.record("unattributed_fill.dismiss", "unattributedfill", str(row_id), reason=reason)
    return Outcome(200, shape(row, INBOX))


def unattributed_reopen(*, row_id: int, reason: str, actor: Actor) -> Outcome:
    """Take a dismissal back. Raises NotFound, ValidationFailed, Conflict when it is not dismissed."""
    return run(partial(_reopen, row_id, _said(reason), actor))


def _reopen(row_id: int, reason: str, actor: Actor) -> Plan[Outcome]:
    values = {"status": InboxStatus.OPEN, "reason": "", "resolved_at": None, "resolved_by_id": None}
    _, rows = yield [
        lock_desk(SOURCE, row_id),
        update("unattributed_fills", values, where=KEY + " AND status = 'dismissed'", keys={"k_id": row_id}),
    ]
    if not rows:
        raise Conflict("Only a dismissed fill can be opened again.", id=row_id)
    yield [Sql(CASE_BACK, {"account": rows[0]["account_id"], "symbol": rows[0]["symbol"]})]
    actor.record("unattributed_fill.reopen", "unattributedfill", str(row_id), reason=reason)
    return Outcome(200, shape(rows[0], INBOX))


def _said(reason: str) -> str:
    if not reason.strip():
        raise ValidationFailed("Say why.")
    return reason.strip()


def unattributed_settle() -> int:
    """Settle rows that have become fills without anyone noticing; return how many there were."""

    def plan() -> Plan[Outcome]:
        now = timezone.now()
        (rows,) = yield [Sql(SETTLE, {})]
        gone = sorted({(row["account_id"], row["symbol"]) for row in rows})
        if gone:
            yield [Sql(CASE_GONE, {"account": account, "symbol": symbol, "now": now}) for account, symbol in gone]
        return Outcome(200, {"settled": len(rows)})

    settled: int = run(plan).body["settled"]
    return settled

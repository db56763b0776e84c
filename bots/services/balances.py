"""Balances, and the cash flows that come with deposits and withdrawals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from bots.choices import CaseKind, FactKind, SnapshotType
from bots.ledger.content import content_hash
from bots.ledger.facts import NewBalance
from bots.ledger.fold import EXACT
from bots.ledger.shapes import BALANCE, plain, shape, stamp
from bots.live.publish import LiveUpdate
from bots.services.breaches import open_case, reduce_only
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.control import restricted
from bots.services.plan import Last, Outcome, Plan, Row, Sql, TryAgain, insert
from bots.services.sets import End, insert_many, one_by_one

BALANCE_ROW = """
    SELECT * FROM account_balance WHERE bot_id = %(bot)s AND balance_id = %(id)s AND "timestamp" = %(at)s
"""
KEY_ROW = (
    "SELECT content_hash, fact_at FROM ingest_keys WHERE bot_id = %(bot)s AND kind = %(kind)s AND natural_id = %(id)s"
)
# Only the newest balance is the bot's equity; a late one is history.
EQUITY = """
    UPDATE bots SET current_equity = %(equity)s WHERE bot_id = %(bot)s AND NOT EXISTS (
        SELECT 1 FROM account_balance WHERE bot_id = %(bot)s AND "timestamp" > %(at)s
    )
    RETURNING bot_id, status, deployment_mode, currency, current_equity, error_count, last_heartbeat
"""
NEWER = 'SELECT 1 FROM account_balance WHERE bot_id = %(bot)s AND "timestamp" > %(at)s LIMIT 1'
KNOWN = """
    SELECT natural_id FROM ingest_keys
    WHERE bot_id = %(bot)s AND kind = 'balance' AND natural_id = ANY(%(ids)s::varchar[])
"""
NEWEST = 'SELECT "timestamp" FROM account_balance WHERE bot_id = %(bot)s ORDER BY "timestamp" DESC LIMIT 1'
CLAIM = "ON CONFLICT (bot_id, kind, natural_id) DO NOTHING RETURNING id"
MOVEMENTS = {SnapshotType.DEPOSIT: 1, SnapshotType.WITHDRAWAL: -1}


def record_balance(bot: BotContext, balance: NewBalance) -> Plan[Outcome]:
    """Store one balance; a deposit or withdrawal is a cash flow as well. Below zero, or older than one we have, it is
    stored and flagged; below zero now, the bot may only reduce."""
    digest = content_hash(balance.body)
    at = balance.timestamp
    claim = insert("ingest_keys", _key(bot, balance, digest), suffix=CLAIM)
    claimed, newer = yield [claim, Sql(NEWER, {"bot": bot.bot_id, "at": at})]
    if not claimed:
        return (yield from _repeat(bot, balance, digest))
    flags = [*_flags(balance), *(["stale"] if newer else [])]
    statements = [
        insert("account_balance", _values(bot, balance, flags)),
        _equity(bot, balance),
    ]
    sign = MOVEMENTS.get(SnapshotType(balance.snapshot_type))
    if sign is not None and balance.amount is not None:
        flow: dict[str, Any] = {"bot_id": bot.bot_id, "cash_flow_id": balance.balance_id, "kind": balance.snapshot_type}
        flow |= {"amount": balance.amount * sign, "currency": bot.currency, "occurred_at": at, "source": balance.source}
        statements.append(insert("cash_flows", flow, suffix=""))
    now, reason = timezone.now(), f"Balance {balance.balance_id} is below zero: {_parts(balance)}."
    is_below = "negative_balance" in flags
    if is_below:
        statements += [_case(bot, balance, now), *([] if newer else [reduce_only(bot, reason, now)])]
    rows = yield Last(statements)
    body = shape(rows[0][0], BALANCE)
    updates = [_bot_update(row, body) for row in rows[1]]
    if is_below and not newer:
        updates += restricted(rows[-1])
    return Outcome(201, body, updates=tuple(updates))


def record_balances(bot: BotContext, balances: Sequence[NewBalance]) -> Plan[list[End]]:
    """Store balances, no two of one id: together, where none is known, moves money, or is below zero."""
    asked = {"bot": bot.bot_id, "ids": [balance.balance_id for balance in balances]}
    known, newest = yield [Sql(KNOWN, asked), Sql(NEWEST, asked)]
    latest: datetime | None = newest[0]["timestamp"] if newest else None
    current: NewBalance | None = None
    values = []
    for balance in balances:
        flags = _flags(balance)
        if known or SnapshotType(balance.snapshot_type) in MOVEMENTS or "negative_balance" in flags:
            return (yield from one_by_one([record_balance(bot, balance) for balance in balances]))
        is_stale = latest is not None and balance.timestamp < latest
        values.append(_values(bot, balance, [*flags, *(["stale"] if is_stale else [])]))
        if not is_stale:
            latest, current = balance.timestamp, balance
    claims = [_key(bot, balance, content_hash(balance.body)) for balance in balances]
    writes = [insert_many("ingest_keys", claims, suffix=CLAIM), insert_many("account_balance", values)]
    if current is not None:
        # The equity after the last of them; what it was in between nobody saw.
        writes.append(_equity(bot, current))
    claimed, rows, *bots = yield writes
    if len(claimed) != len(balances):
        # Another call brought one of them meanwhile; look again.
        raise TryAgain
    bodies = {row["balance_id"]: shape(row, BALANCE) for row in rows}
    updates = [
        _bot_update(row, bodies[current.balance_id]) for returned in bots for row in returned if current is not None
    ]
    ends: list[End] = [Outcome(201, bodies[balance.balance_id]) for balance in balances]
    ends[-1] = Outcome(201, bodies[balances[-1].balance_id], updates=tuple(updates))
    return ends


def _equity(bot: BotContext, balance: NewBalance) -> Sql:
    return Sql(EQUITY, {"bot": bot.bot_id, "equity": balance.equity, "at": balance.timestamp})


def _bot_update(row: Row, body: dict[str, Any]) -> LiveUpdate:
    return LiveUpdate(kind="bot", bot_id=row["bot_id"], symbol="", data=_bot_data(row, body))


def _key(bot: BotContext, balance: NewBalance, digest: bytes) -> dict[str, Any]:
    key = {"bot_id": bot.bot_id, "kind": FactKind.BALANCE, "natural_id": balance.balance_id}
    return key | {"content_hash": digest, "fact_at": balance.timestamp}


def _values(bot: BotContext, balance: NewBalance, flags: list[str]) -> dict[str, Any]:
    return {name: getattr(balance, name) for name in FIELDS} | {"bot_id": bot.bot_id, "flags": flags}


def _parts(balance: NewBalance) -> str:
    names = ("total_balance", "available_balance", "locked_balance", "equity")
    parts = {name: getattr(balance, name) for name in names}
    return ", ".join(f"{name.removesuffix('_balance')} {plain(value)}" for name, value in parts.items() if value < 0)


def _case(bot: BotContext, balance: NewBalance, now: datetime) -> Sql:
    names = ("total_balance", "available_balance", "equity")
    reported = {name: plain(getattr(balance, name)) for name in names}
    return open_case(
        bot, CaseKind.NEGATIVE_BALANCE, symbol="", subject_id="", expected={"equity": "0"}, now=now,
        reported=reported | {"balance_id": balance.balance_id, "timestamp": stamp(balance.timestamp)},
    )  # fmt: skip


FIELDS = (
    "balance_id", "timestamp", "total_balance", "available_balance", "locked_balance", "equity", "margin_used",
    "margin_available", "margin_level", "unrealized_pnl", "realized_pnl", "daily_pnl", "snapshot_type", "source",
)  # fmt: skip


def _flags(balance: NewBalance) -> list[str]:
    """Return what does not add up; the balance is stored as it was told."""
    flags = []
    if min(balance.total_balance, balance.available_balance, balance.locked_balance, balance.equity) < 0:
        flags.append("negative_balance")
    if EXACT.add(balance.available_balance, balance.locked_balance) != balance.total_balance:
        flags.append("balance_mismatch")
    if EXACT.add(balance.total_balance, balance.unrealized_pnl) != balance.equity:
        flags.append("equity_mismatch")
    return flags


def _bot_data(row: dict[str, object], body: dict[str, object]) -> dict[str, object]:
    return {
        "bot_id": row["bot_id"],
        "status": row["status"],
        "deployment_mode": row["deployment_mode"],
        "currency": row["currency"],
        "equity": body["equity"],
    }


def _repeat(bot: BotContext, balance: NewBalance, digest: bytes) -> Plan[Outcome]:
    key = {"bot": bot.bot_id, "kind": str(FactKind.BALANCE), "id": balance.balance_id}
    ((known,),) = yield [Sql(KEY_ROW, key)]
    (rows,) = yield [Sql(BALANCE_ROW, {"bot": bot.bot_id, "id": balance.balance_id, "at": known["fact_at"]})]
    body = shape(rows[0], BALANCE) if rows else {"balance_id": balance.balance_id}
    if bytes(known["content_hash"]) == digest:
        return Outcome(200, body, replayed=True)
    return (yield from conflict(bot, FactKind.BALANCE, balance.balance_id, stored=body, received=balance.body))


def balance_record(*, bot_id: str, balance: NewBalance) -> Outcome:
    """Store one balance of a bot. Raises NotFound and Conflict."""
    return run_for(bot_id, lambda bot: record_balance(bot, balance))

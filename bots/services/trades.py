"""Whole round trips, told by bots that report only closed trades."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots.choices import CaseKind, Direction, FactKind, Side, TradeOrigin
from bots.ledger.content import content_hash
from bots.ledger.facts import Fact, Json
from bots.ledger.fold import EXACT, fraction
from bots.ledger.shapes import plain, trade_shape
from bots.live.publish import LiveUpdate
from bots.services.breaches import open_case
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Sql, insert

# A reported P&L may differ from ours by this share before it is a case.
PNL_TOLERANCE = Decimal("1e-6")
PNL_MISMATCH = "pnl_mismatch"
DIRECTIONS: dict[str, Direction] = {
    str(Side.BUY): Direction.LONG,
    str(Side.SELL): Direction.SHORT,
    str(Direction.LONG): Direction.LONG,
    str(Direction.SHORT): Direction.SHORT,
}
STORED = "SELECT * FROM trades WHERE bot_id = %(bot)s AND trade_id = %(id)s"
# Stored as they were told.
TOLD = (
    "trade_id", "symbol", "quantity", "entry_price", "entry_time", "exit_price", "exit_time", "trade_type", "leverage",
    "stop_loss", "take_profit", "exit_reason", "strategy", "exchange_order_id", "entry_logic", "exit_logic", "interval",
    "max_favorable_excursion", "max_adverse_excursion", "signal_strength", "confidence_score", "strategy_params",
    "market_regime", "entry_conditions", "exit_conditions", "is_paper_trade", "notes",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrade(Fact):
    """A round trip from flat to flat; without exit it is still open. `side` is one of the seed's four words."""

    trade_id: str
    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    entry_time: datetime
    exit_price: Decimal | None = None
    exit_time: datetime | None = None
    pnl_usd: Decimal | None = None
    fees: Decimal = Decimal(0)
    trade_type: str = "market"
    leverage: Decimal = Decimal(1)
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    exit_reason: str | None = None
    strategy: str = ""
    exchange_order_id: str | None = None
    entry_logic: str | None = None
    exit_logic: str | None = None
    interval: str | None = None
    max_favorable_excursion: Decimal | None = None
    max_adverse_excursion: Decimal | None = None
    signal_strength: Decimal | None = None
    confidence_score: Decimal | None = None
    strategy_params: Json | None = None
    market_regime: str | None = None
    entry_conditions: Json | None = None
    exit_conditions: Json | None = None
    is_paper_trade: bool = False
    notes: str | None = None


def record_trade(bot: BotContext, trade: NewTrade) -> Plan[Outcome]:
    """Store one reported round trip; the same one again changes nothing.

    The P&L is computed. A reported one that disagrees is kept beside it, flagged, and opens a case.
    """
    now = timezone.now()
    digest = content_hash(trade.body)
    values = {name: getattr(trade, name) for name in TOLD} | _derived(trade)
    values |= {"bot_id": bot.bot_id, "source": trade.source, "config_version": bot.config_version}
    values |= {"content_hash": digest, "updated_at": now}
    (rows,) = yield [insert("trades", values, suffix="ON CONFLICT (bot_id, trade_id) DO NOTHING RETURNING *")]
    if rows:
        body = trade_shape(rows[0])
        if rows[0]["flags"]:
            yield [_case(bot, trade, net=rows[0]["pnl_usd"], now=now)]
        update = LiveUpdate(kind="trade", bot_id=bot.bot_id, symbol=trade.symbol, data=body)
        return Outcome(201, body, updates=(update,))
    ((stored,),) = yield [Sql(STORED, {"bot": bot.bot_id, "id": trade.trade_id})]
    body = trade_shape(stored)
    if stored["content_hash"] is not None and bytes(stored["content_hash"]) == digest:
        return Outcome(200, body, replayed=True)
    return (yield from conflict(bot, FactKind.TRADE, trade.trade_id, stored=body, received=trade.body))


def _derived(trade: NewTrade) -> dict[str, Any]:
    side = DIRECTIONS[trade.side]
    notional = EXACT.multiply(trade.entry_price, trade.quantity)
    gross, seconds = Decimal(0), None
    if trade.exit_price is not None and trade.exit_time is not None:
        move = EXACT.subtract(trade.exit_price, trade.entry_price)
        gross = EXACT.multiply(move if side == Direction.LONG else move.copy_negate(), trade.quantity)
        seconds = int((trade.exit_time - trade.entry_time).total_seconds())
    net = EXACT.subtract(gross, trade.fees)
    return {
        "side": side,
        "origin": TradeOrigin.REPORTED,
        "position_size_usd": notional,
        "avg_fill_price": trade.entry_price,
        "gross_pnl": gross,
        "fees": trade.fees,
        "commission": trade.fees,
        "pnl_pct": fraction(net, notional),
        "holding_time_seconds": seconds,
        "reported_pnl": trade.pnl_usd,
        "flags": [PNL_MISMATCH] if disagrees(trade.pnl_usd, net) else [],
    }


def disagrees(reported: Decimal | None, computed: Decimal) -> bool:
    """Whether a reported P&L differs from ours by more than 1e-6 of the larger one."""
    if reported is None:
        return False
    larger = max(reported.copy_abs(), computed.copy_abs())
    return EXACT.subtract(reported, computed).copy_abs() > EXACT.multiply(PNL_TOLERANCE, larger)


def _case(bot: BotContext, trade: NewTrade, *, net: Decimal, now: datetime) -> Sql:
    assert trade.pnl_usd is not None
    return open_case(
        bot, CaseKind.PNL_MISMATCH, symbol=trade.symbol, subject_id=trade.trade_id, now=now,
        expected={"net_pnl": plain(net)}, reported={"net_pnl": plain(trade.pnl_usd)},
    )  # fmt: skip


def trade_record(*, bot_id: str, trade: NewTrade) -> Outcome:
    """Store one reported round trip of a bot. Raises NotFound and Conflict."""
    return run_for(bot_id, lambda bot: record_trade(bot, trade))

"""Signals: what a strategy said."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from bots.choices import FactKind
from bots.ledger.content import content_hash
from bots.ledger.facts import NewSignal
from bots.ledger.shapes import SIGNAL, shape
from bots.live.publish import LiveUpdate
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Row, Sql, insert
from bots.services.sets import End, insert_many, one_by_one

UNLESS_KNOWN = "ON CONFLICT (bot_id, signal_id) DO NOTHING RETURNING *"


def record_signals(bot: BotContext, signals: Sequence[NewSignal]) -> Plan[list[End]]:
    """Store signals, no two of one id."""
    values = [_values(bot, signal, content_hash(signal.body)) for signal in signals]
    (rows,) = yield [insert_many("signals", values, suffix=UNLESS_KNOWN)]
    ends: dict[str, End] = {row["signal_id"]: _stored(bot, row) for row in rows}
    known = [signal for signal in signals if signal.signal_id not in ends]
    answers = yield from one_by_one([record_signal(bot, signal) for signal in known])
    ends |= zip((signal.signal_id for signal in known), answers, strict=True)
    return [ends[signal.signal_id] for signal in signals]


def record_signal(bot: BotContext, signal: NewSignal) -> Plan[Outcome]:
    """Store one signal; the same one again changes nothing."""
    digest = content_hash(signal.body)
    values = _values(bot, signal, digest)
    (rows,) = yield [insert("signals", values, suffix=UNLESS_KNOWN)]
    if rows:
        return _stored(bot, rows[0])
    keys = {"bot": bot.bot_id, "id": signal.signal_id}
    ((stored,),) = yield [Sql("SELECT * FROM signals WHERE bot_id = %(bot)s AND signal_id = %(id)s", keys)]
    body = shape(stored, SIGNAL)
    if stored["content_hash"] is not None and bytes(stored["content_hash"]) == digest:
        return Outcome(200, body, replayed=True)
    return (yield from conflict(bot, FactKind.SIGNAL, signal.signal_id, stored=body, received=signal.body))


def _values(bot: BotContext, signal: NewSignal, digest: bytes) -> dict[str, Any]:
    return {
        "bot_id": bot.bot_id,
        "signal_id": signal.signal_id,
        "symbol": signal.symbol,
        "signal_type": signal.signal_type,
        "price": signal.price,
        "strategy": signal.strategy,
        "strength": signal.strength,
        "confidence": signal.confidence,
        "timestamp": signal.timestamp or timezone.now(),
        "valid_until": signal.valid_until,
        "indicators": signal.indicators,
        "market_conditions": signal.market_conditions,
        "suggested_stop_loss": signal.suggested_stop_loss,
        "suggested_take_profit": signal.suggested_take_profit,
        "suggested_position_size": signal.suggested_position_size,
        "source": signal.source,
        "config_version": bot.config_version,
        "content_hash": digest,
    }


def _stored(bot: BotContext, row: Row) -> Outcome:
    body = shape(row, SIGNAL)
    update = LiveUpdate(kind="signal", bot_id=bot.bot_id, symbol=row["symbol"], data=body)
    return Outcome(201, body, updates=(update,))


def signal_record(*, bot_id: str, signal: NewSignal) -> Outcome:
    """Store one signal of a bot. Raises NotFound and Conflict."""
    return run_for(bot_id, lambda bot: record_signal(bot, signal))

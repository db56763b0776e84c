"""Signals: what a strategy said."""

from django.utils import timezone

from bots.choices import FactKind
from bots.ledger.content import content_hash
from bots.ledger.facts import NewSignal
from bots.ledger.shapes import SIGNAL, shape
from bots.live.publish import LiveUpdate
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Sql, insert


def record_signal(bot: BotContext, signal: NewSignal) -> Plan[Outcome]:
    """Store one signal; the same one again changes nothing."""
    digest = content_hash(signal.body)
    values = {
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
    (rows,) = yield [insert("signals", values, suffix="ON CONFLICT (bot_id, signal_id) DO NOTHING RETURNING *")]
    if rows:
        body = shape(rows[0], SIGNAL)
        update = LiveUpdate(kind="signal", bot_id=bot.bot_id, symbol=signal.symbol, data=body)
        return Outcome(201, body, updates=(update,))
    keys = {"bot": bot.bot_id, "id": signal.signal_id}
    ((stored,),) = yield [Sql("SELECT * FROM signals WHERE bot_id = %(bot)s AND signal_id = %(id)s", keys)]
    body = shape(stored, SIGNAL)
    if stored["content_hash"] is not None and bytes(stored["content_hash"]) == digest:
        return Outcome(200, body, replayed=True)
    return (yield from conflict(bot, FactKind.SIGNAL, signal.signal_id, stored=body, received=signal.body))


def signal_record(*, bot_id: str, signal: NewSignal) -> Outcome:
    """Store one signal of a bot. Raises NotFound and Conflict."""
    return run_for(bot_id, lambda bot: record_signal(bot, signal))

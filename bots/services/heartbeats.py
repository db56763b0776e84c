"""Heartbeats: a sign of life, answered with the permit and the versions of the configuration."""

from django.utils import timezone

from bots.choices import ToldBy
from bots.ledger.facts import Heartbeat
from bots.ledger.shapes import plain, stamp
from bots.live.publish import LiveUpdate
from bots.services.context import BotContext, run_for
from bots.services.permits import controls_told, done, halt_from, halts_from, permit_from, told
from bots.services.plan import Last, Outcome, Plan, Sql

BEAT = """
    UPDATE bots SET last_heartbeat = %(now)s, started_at = coalesce(started_at, %(now)s),
        current_equity = coalesce(%(equity)s::numeric, current_equity),
        error_count = coalesce(%(errors)s::integer, error_count),
        latency_ms = coalesce(%(latency)s::double precision, latency_ms),
        acknowledged_halt = coalesce(%(acknowledged)s::bigint, acknowledged_halt)
    WHERE bot_id = %(bot)s
    RETURNING bot_id, status, deployment_mode, currency, current_equity, error_count, last_heartbeat
"""
VERSIONS = "SELECT config_key, version FROM bot_configurations WHERE bot_id = %(bot)s AND is_active ORDER BY config_key"


def record_heartbeat(bot: BotContext, beat: Heartbeat) -> Plan[Outcome]:
    """Note that the bot lives and tell it what it may do."""
    now = timezone.now()
    values = {
        "bot": bot.bot_id,
        "now": now,
        "equity": beat.equity,
        "errors": beat.error_count,
        "latency": beat.latency_ms,
        "acknowledged": beat.acknowledged_halt,
    }
    # What it acknowledges it was told before; what it is told now it may acknowledge next time.
    notes = [] if beat.acknowledged_halt is None else [done(bot, beat.acknowledged_halt, now)]
    statements = [Sql(BEAT, values), controls_told(bot), Sql(VERSIONS, {"bot": bot.bot_id}), *notes]
    rows, states, versions, *_ = yield Last([*statements, told(bot, ToldBy.HEARTBEAT, now)])
    row, halts = rows[0], halts_from(states)
    body = {
        "server_time": stamp(now),
        "bot_status": row["status"],
        "permit": permit_from(bot.status, states, now),
        "halt": halt_from(halts),
        "halts": halts,
        "config_versions": {version["config_key"]: version["version"] for version in versions},
    }
    data = {
        "bot_id": bot.bot_id,
        "status": row["status"],
        "deployment_mode": row["deployment_mode"],
        "currency": row["currency"],
        "equity": plain(row["current_equity"]) if row["current_equity"] is not None else None,
        "error_count": row["error_count"],
        "last_heartbeat": stamp(now),
    }
    return Outcome(200, body, updates=(LiveUpdate(kind="bot", bot_id=bot.bot_id, symbol="", data=data),))


def bot_record_heartbeat(*, bot_id: str, beat: Heartbeat) -> Outcome:
    """Record one heartbeat of a bot. Raises NotFound."""
    return run_for(bot_id, lambda bot: record_heartbeat(bot, beat))

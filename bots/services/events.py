"""Events that bots report: stored together or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from bots.choices import FactKind
from bots.ledger.content import canonical_json, content_hash
from bots.ledger.facts import NewEvent
from bots.ledger.shapes import shape, stamp
from bots.live.publish import LiveUpdate
from bots.services.conflicts import conflict
from bots.services.context import BotContext, run_for
from bots.services.plan import Outcome, Plan, Sql, TryAgain
from bots.services.sets import End, one_by_one
from tradingdb.lib.logs import redact, scrub

CLAIM = """
    INSERT INTO ingest_keys (bot_id, kind, natural_id, content_hash, fact_at)
    SELECT %(bot)s, 'event', k.id, k.digest, k.at
    FROM unnest(%(ids)s::varchar[], %(digests)s::bytea[], %(times)s::timestamptz[]) AS k(id, digest, at)
    ORDER BY k.id
    ON CONFLICT (bot_id, kind, natural_id) DO NOTHING RETURNING natural_id
"""
KNOWN = """
    SELECT natural_id, content_hash, fact_at FROM ingest_keys
    WHERE bot_id = %(bot)s AND kind = 'event' AND natural_id = ANY(%(ids)s::varchar[])
"""
STORED = """
    SELECT event_id, event_type, event_level, message, component, details, event_time, symbol, order_id, trade_id,
        error_code, stack_trace
    FROM system_events WHERE bot_id = %(bot)s AND event_id = %(id)s AND event_time = %(at)s
"""
FIELDS = (
    "event_id",
    "event_type",
    "event_level",
    "message",
    "component",
    "symbol",
    "order_id",
    "trade_id",
    "error_code",
    "stack_trace",
)
STORE = f"""
    INSERT INTO system_events (bot_id, source, event_time, details, {", ".join(FIELDS)})
    SELECT %(bot)s, %(source)s, e.event_time, e.details::jsonb, {", ".join(f"e.{name}" for name in FIELDS)}
    FROM unnest(%(event_time)s::timestamptz[], %(details)s::text[],
        {", ".join(f"%({name})s::text[]" for name in FIELDS)})
        AS e(event_time, details, {", ".join(FIELDS)})
"""  # noqa: S608 (names come from code)  # nosec B608


def record_events(bot: BotContext, events: Sequence[NewEvent]) -> Plan[Outcome]:
    """Store events in one piece; those that are known already count as replayed, one with other content refuses all."""
    now = timezone.now()
    digests = {event.event_id: content_hash(event.body) for event in events}
    # Told by their digests as they came; kept and shown without the secrets that a bot's text may hold.
    events = [clean(event) for event in events]
    (known,) = yield [Sql(KNOWN, {"bot": bot.bot_id, "ids": list(digests)})]
    for row in known:
        if bytes(row["content_hash"]) != digests[row["natural_id"]]:
            return (yield from _conflict(bot, events, row))
    new = [event for event in events if event.event_id not in {row["natural_id"] for row in known}]
    body = {"received": len(events), "stored": len(new), "replayed": len(known)}
    if not new:
        return Outcome(200, body, replayed=True)
    claimed, _ = yield _store(bot, new, digests, now)
    if len(claimed) != len(new):
        # Another call brought one of them meanwhile; look again.
        raise TryAgain
    return Outcome(201, body, updates=tuple(_live(bot, event, now) for event in new))


def _store(bot: BotContext, new: Sequence[NewEvent], digests: Mapping[str, bytes], now: datetime) -> list[Sql]:
    keys = {
        "bot": bot.bot_id,
        "ids": [event.event_id for event in new],
        "digests": [digests[event.event_id] for event in new],
        "times": [event.event_time or now for event in new],
    }
    columns: dict[str, Any] = {name: [getattr(event, name) for event in new] for name in FIELDS}
    columns |= {"bot": bot.bot_id, "source": new[0].source, "event_time": keys["times"]}
    columns["details"] = [None if event.details is None else canonical_json(event.details) for event in new]
    return [Sql(CLAIM, keys), Sql(STORE, columns)]


def record_each_event(bot: BotContext, events: Sequence[NewEvent]) -> Plan[list[End]]:
    """Store events, no two of one id, each of which may be refused by itself."""
    now = timezone.now()
    digests = {event.event_id: content_hash(event.body) for event in events}
    events = [clean(event) for event in events]
    (rows,) = yield [Sql(KNOWN, {"bot": bot.bot_id, "ids": list(digests)})]
    known = {row["natural_id"] for row in rows}
    new = [event for event in events if event.event_id not in known]
    ends: dict[str, End] = {}
    if new:
        claimed, _ = yield _store(bot, new, digests, now)
        if len(claimed) != len(new):
            raise TryAgain
        body = {"received": 1, "stored": 1, "replayed": 0}
        ends = {event.event_id: Outcome(201, body, updates=(_live(bot, event, now),)) for event in new}
    others = [event for event in events if event.event_id in known]
    answers = yield from one_by_one([record_events(bot, [event]) for event in others])
    ends |= zip((event.event_id for event in others), answers, strict=True)
    return [ends[event.event_id] for event in events]


def clean(event: NewEvent) -> NewEvent:
    """Return an event with the secrets in its free text blotted out."""
    return replace(
        event,
        body=scrub(event.body),
        message=redact(event.message),
        details=scrub(event.details),
        stack_trace=redact(event.stack_trace) if event.stack_trace else event.stack_trace,
    )


def _conflict(bot: BotContext, events: Sequence[NewEvent], row: dict[str, Any]) -> Plan[Outcome]:
    event = next(event for event in events if event.event_id == row["natural_id"])
    (rows,) = yield [Sql(STORED, {"bot": bot.bot_id, "id": event.event_id, "at": row["fact_at"]})]
    stored = shape(rows[0], tuple(rows[0])) if rows else {"event_id": event.event_id}
    return (yield from conflict(bot, FactKind.EVENT, event.event_id, stored=stored, received=event.body))


def _live(bot: BotContext, event: NewEvent, now: datetime) -> LiveUpdate:
    data = {"event_id": event.event_id, "event_type": event.event_type, "event_level": event.event_level}
    data |= {"message": event.message, "event_time": stamp(event.event_time or now), "bot_id": bot.bot_id}
    return LiveUpdate(kind="event", bot_id=bot.bot_id, symbol=event.symbol or "", data=data)


def events_record(*, bot_id: str, events: Sequence[NewEvent]) -> Outcome:
    """Store events of a bot, all or none. Raises NotFound and Conflict."""
    return run_for(bot_id, lambda bot: record_events(bot, events))

"""The watch over limits: what moves without a fill (marks, told equity, time), and what ends by itself.

Each look is a short transaction of its own, and looking twice changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import Counter

from audit.services.actions import Actor
from bots.choices import ControlLevel, LatchEffect, LimitKind
from bots.ledger.fold import fraction
from bots.live.publish import publish
from bots.models import Bot, ControlState, RiskLatch, RiskLimit
from bots.selectors.limits import PLACES
from bots.services.control import control_set
from bots.services.plan import Row
from bots.services.risk import restriction_updates

WATCH = Actor(name="risk limits")
RESTRICTED = Counter("tradingdb_risk_restrictions", "Bots that the watch over limits has restricted.", ["state"])
ENDED = Counter("tradingdb_risk_latches_ended", "Pauses and half sizes that the watch has ended.", ["effect"])
# One watch at a time; another one has nothing to add.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('bots.risk_watch', 0))"
ENFORCE = "SELECT scope, target, state, version, reason, changed_at FROM risk_enforce_of(%s, %s, %s)"
# What nobody has looked at for a while is over: its position is gone, or its limit is off.
FORGET = """
    UPDATE risk_events SET is_over = false
    WHERE is_over AND NOT resolved AND limit_id IS NOT NULL AND last_seen_at < %s
"""
FORGET_AFTER = timedelta(minutes=5)
LOSS = "SELECT share, base FROM risk_loss(%s, %s, %s)"
NOTE = """
    SELECT risk_note(%(limit)s, %(kind)s, %(subject)s, '', %(level)s, '*', '', %(used)s, %(value)s, %(action)s,
        jsonb_build_object('kind', %(kind)s::text, 'mode', %(mode)s::text, 'currency', %(currency)s::text,
            'action', %(does)s::text, 'positions', p.held), jsonb_array_length(p.held), %(now)s)
    FROM (
        SELECT coalesce(jsonb_agg(to_jsonb(x)), '[]') AS held
        FROM (SELECT * FROM risk_positions('all', 'all', %(mode)s, NULL) LIMIT 100) x
    ) p
"""
ACT = """
    SELECT scope, target, state, version, reason, changed_at
    FROM risk_act(%(limit)s, %(kind)s, %(does)s, %(bots)s::text[], %(used)s, NULL, %(why)s, %(now)s)
"""
NO_MORE = """
    UPDATE risk_events SET is_over = false
    WHERE limit_id = %(limit)s AND is_over AND NOT resolved AND (level = 'breach' OR %(is_calm)s)
"""


def risk_watch(*, now: datetime | None = None) -> int:
    """Look at every limit that moves by itself, act on what is broken, end what is over; return how many bots were
    restricted or let go."""
    now = now or timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(PLACES)
        places = cursor.fetchall()
    changed = sum(_look(bot_id, symbol, now) for bot_id, symbol in places)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FORGET, [now - FORGET_AFTER])
    return changed + _end_pauses(now) + _end_half_sizes(now)


def _look(bot_id: str, symbol: str | None, now: datetime) -> int:
    with transaction.atomic():
        return _restrict(ENFORCE, [bot_id, symbol, now])


def _restrict(sql: str, params: Any) -> int:
    rows = _rows(sql, params)
    for row in rows:
        RESTRICTED.labels(row["state"]).inc()
    if rows:
        transaction.on_commit(partial(publish, restriction_updates(rows)))
    return len(rows)


def _rows(sql: str, params: Any) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _end_pauses(now: datetime) -> int:
    """Let bots go whose pause is over, unless somebody has changed their state since."""
    due = RiskLatch.objects.filter(effect=LatchEffect.PAUSE, ended_at__isnull=True, until__lte=now)
    return sum(_end_pause(latch_id, now) for latch_id in due.order_by("bot_id", "pk").values_list("pk", flat=True))


def the_pause_was_ours() -> None:
    """Release: whoever set the limit decided that its pause ends by itself, and nobody has changed the state since."""


@transaction.atomic
def _end_pause(latch_id: int, now: datetime) -> int:
    latch = RiskLatch.objects.select_for_update().filter(pk=latch_id, ended_at__isnull=True).first()
    if latch is None:
        return 0
    state = ControlState.objects.filter(scope="bot", target=latch.bot_id).first()
    is_ours = state is not None and state.version == latch.control_version and state.state != ControlLevel.ACTIVE
    if is_ours:
        words = f"The pause for {latch.risk_limit.get_kind_display()} is over."
        control_set(
            scope="bot", target=latch.bot_id, state=ControlLevel.ACTIVE, reason=words, actor=WATCH,
            on_release=the_pause_was_ours,
        )  # fmt: skip
    _end(latch, now, "its time has come" if is_ours else "its time has come; the state was changed meanwhile")
    return int(is_ours)


def _end(latch: RiskLatch, now: datetime, words: str) -> None:
    latch.ended_at, latch.ended_by = now, words
    latch.save(update_fields=["ended_at", "ended_by"])
    ENDED.labels(latch.effect).inc()


def _end_half_sizes(now: datetime) -> int:
    """End half size where half of the greatest loss is back."""
    rows = RiskLatch.objects.filter(effect=LatchEffect.HALF_SIZE, ended_at__isnull=True)
    return sum(_end_half_size(latch_id, now) for latch_id in rows.order_by("bot_id", "pk").values_list("pk", flat=True))


@transaction.atomic
def _end_half_size(latch_id: int, now: datetime) -> int:
    latch = RiskLatch.objects.select_for_update().filter(pk=latch_id, ended_at__isnull=True).first()
    if latch is None or not latch.start_equity or latch.worst_loss_pct is None:
        return 0
    ((share, base),) = [tuple(row.values()) for row in _rows(LOSS, [latch.bot_id, latch.risk_limit.kind, now])]
    loss = fraction(latch.start_equity - (base - (share or 0) * base), latch.start_equity)
    if loss <= latch.worst_loss_pct / 2:
        _end(latch, now, "half of the loss is back")
        return 1
    if loss > latch.worst_loss_pct:
        latch.worst_loss_pct = loss
        latch.save(update_fields=["worst_loss_pct"])
    return 0


@dataclass(frozen=True, slots=True)
class Drawdown:
    """How far a portfolio stands below its highest equity."""

    mode: str
    currency: str
    equity: Decimal
    peak: Decimal

    @property
    def share(self) -> Decimal:
        return max(fraction(self.peak - self.equity, self.peak), Decimal(0)) if self.peak > 0 else Decimal(0)


def portfolio_drawdowns_judge(drawdowns: Sequence[Drawdown], *, now: datetime) -> int:
    """Hold portfolios to their limits; return how many bots were restricted."""
    limits = RiskLimit.objects.filter(kind=LimitKind.PORTFOLIO_DRAWDOWN, is_active=True)
    of = {(one.mode, one.currency): one for one in drawdowns}
    found = [(limit, of.get((limit.deployment_mode, limit.currency))) for limit in limits.order_by("pk")]
    return sum(_judge_drawdown(limit, one, now) for limit, one in found if one is not None)


@transaction.atomic
def _judge_drawdown(limit: RiskLimit, one: Drawdown, now: datetime) -> int:
    assert limit.limit_value is not None
    is_broken = one.share >= limit.limit_value
    is_calm = one.share * 100 < limit.limit_value * limit.threshold_pct
    params: dict[str, Any] = {
        "limit": limit.pk, "kind": limit.kind, "subject": "all", "level": "breach" if is_broken else "warning",
        "used": one.share, "value": limit.limit_value, "does": limit.action, "mode": one.mode,
        "currency": one.currency, "now": now, "is_calm": is_calm,
        "action": ("trading_halted" if limit.action == "HALTED" else "reduce_only") if is_broken else "alert_sent",
        "why": f"The portfolio in {one.currency} is {one.share:.4f} below its peak, of {limit.limit_value:f} at most.",
    }  # fmt: skip
    if not is_broken:
        with connection.cursor() as cursor:
            cursor.execute(NO_MORE, params)
    if is_calm:
        return 0
    ((is_new,),) = [tuple(row.values()) for row in _rows(NOTE, params)]
    if not is_new or not is_broken:
        return 0
    bots = Bot.objects.running().filter(deployment_mode=one.mode, currency=one.currency)
    return _restrict(ACT, params | {"bots": sorted(bots.values_list("bot_id", flat=True))})

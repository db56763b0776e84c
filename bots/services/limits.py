"""Limits in the hands of people: set, changed and switched off with a reason; none is ever deleted."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import DeploymentMode, LimitAction, LimitKind, LimitScope
from bots.ledger.shapes import wire
from bots.models import RiskLatch, RiskLimit
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried

FIELDS = (
    "kind", "scope", "target", "deployment_mode", "limit_value", "currency", "least_gross", "threshold_pct", "action",
    "is_active",
)  # fmt: skip
CHANGEABLE = ("limit_value", "least_gross", "threshold_pct", "action", "is_active")


class Default(NamedTuple):
    """A limit that every installation begins with; without a value it is each bot's own."""

    kind: LimitKind
    action: LimitAction
    value: str | None = None
    words: str = "The value is the bot's own; what a breach does is as the old risk monitors had it."


# The last two are off: they show what can be had.
DEFAULTS = (
    Default(LimitKind.POSITION_LIMIT, LimitAction.BLOCK),
    Default(LimitKind.LEVERAGE_LIMIT, LimitAction.BLOCK),
    Default(LimitKind.DAILY_LOSS_LIMIT, LimitAction.PAUSE_DAY),
    Default(LimitKind.WEEKLY_LOSS_LIMIT, LimitAction.PAUSE_WEEK),
    Default(LimitKind.MAX_DRAWDOWN, LimitAction.REDUCING),
    Default(LimitKind.WEEKLY_LOSS_LIMIT, LimitAction.HALF_SIZE, "0.04", "As LXAlgo had it; on where it fits."),
    Default(LimitKind.MONTHLY_LOSS_LIMIT, LimitAction.REDUCING, "0.15", "As Momentum had it; on where it fits."),
)


def risk_limits_begin(*, using: str = "default") -> int:
    """Add the limits that every installation begins with, unless there are limits already; return how many."""
    rows = RiskLimit.objects.using(using)
    if rows.exists():
        return 0
    made = [
        RiskLimit(
            kind=default.kind, scope=LimitScope.BOT, deployment_mode=mode, limit_value=default.value,
            action=default.action, is_active=default.value is None, reason=default.words,
        )
        for default in DEFAULTS
        for mode in (DeploymentMode.LIVE, DeploymentMode.DEMO)
    ]  # fmt: skip
    return len(rows.bulk_create(made, ignore_conflicts=True))


@atomic_retried
def risk_limit_create(*, actor: Actor, reason: str, **columns: Any) -> RiskLimit:
    """Set a new limit. Raises ValidationFailed, and Conflict where one like it is in force."""
    row = RiskLimit(**columns, reason=reason.strip(), changed_by_name=actor.label[:100])
    _check(row)
    row.save()
    actor.record("risk_limit.create", "risk_limit", str(row.pk), after=_state(row), reason=row.reason)
    return row


@atomic_retried
def risk_limit_update(*, limit_id: int, changes: Mapping[str, Any], actor: Actor, reason: str) -> RiskLimit:
    """Change a limit's value, threshold or action, or switch it on or off; the same again changes nothing.

    Raises NotFound, ValidationFailed, and Conflict where one like it is in force.
    """
    fixed = sorted(set(changes) - {*CHANGEABLE})
    if fixed:
        raise ValidationFailed(f"Set a new limit for another {', '.join(fixed)}; these cannot be changed.")
    row = RiskLimit.objects.select_for_update().filter(pk=limit_id).first()
    if row is None:
        raise NotFound("No such limit.", id=limit_id)
    new = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not new:
        return row
    before = {name: wire(getattr(row, name)) for name in new}
    for name, value in new.items():
        setattr(row, name, value)
    row.reason, row.changed_by_name = reason.strip(), actor.label[:100]
    _check(row)
    row.save()
    after = {name: wire(value) for name, value in new.items()}
    actor.record("risk_limit.update", "risk_limit", str(limit_id), before=before, after=after, reason=row.reason)
    return row


@atomic_retried
def risk_latch_end(*, latch_id: int, actor: Actor, reason: str) -> RiskLatch:
    """End a pause or half size before its time; a pause's control state stays for who may release it.

    Raises NotFound, and ValidationFailed without a reason.
    """
    row = RiskLatch.objects.select_for_update().filter(pk=latch_id).first()
    if row is None:
        raise NotFound("No such latch.", id=latch_id)
    if not reason.strip():
        raise ValidationFailed("A reason is needed.")
    if row.ended_at is None:
        row.ended_at, row.ended_by = timezone.now(), f"{actor.label}: {reason.strip()}"[:100]
        row.save(update_fields=["ended_at", "ended_by"])
        actor.record("risk_latch.end", "risk_latch", str(latch_id), after={"bot_id": row.bot_id}, reason=reason)
    return row


def _check(row: RiskLimit) -> None:
    try:
        with transaction.atomic():
            row.full_clean()
    except ValidationError as e:
        words = "; ".join(e.messages)
        if "risk_limits_one_active" in words:
            raise Conflict("A limit like it is in force already; change that one.") from e
        raise ValidationFailed(words) from e


def _state(row: RiskLimit) -> dict[str, Any]:
    return {name: wire(getattr(row, name)) for name in FIELDS}

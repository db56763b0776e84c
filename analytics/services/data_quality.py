"""Data-quality cases: raised by checks, taken and resolved by people, cleared when their cause is gone.

At most one case of a kind, table and subject waits at a time. A check that sees the same again refreshes that case;
after it is resolved, the next sight opens a new one.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone

from analytics.choices import QualityKind, QualitySeverity, QualityStatus
from analytics.models import DataQualityCase
from audit.services.actions import Actor
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

CLEARED = "Gone by itself: a later check did not find it any more."
# One statement, so that two checks at the same moment meet at the unique index: the second waits and refreshes.
# What was seen last wins; a sight that was overtaken by a later one moves nothing but the beginning.
RAISE = """
    INSERT INTO data_quality_cases AS c
        (kind, table_name, subject, severity, row_count, details, first_seen_at, last_seen_at)
    VALUES (%(kind)s, %(table)s, %(subject)s, %(severity)s, %(rows)s, %(details)s::jsonb, %(now)s, %(now)s)
    ON CONFLICT (kind, table_name, subject) WHERE status <> 'resolved' DO UPDATE SET
        severity = CASE WHEN excluded.last_seen_at >= c.last_seen_at THEN excluded.severity ELSE c.severity END,
        row_count = CASE WHEN excluded.last_seen_at >= c.last_seen_at THEN excluded.row_count ELSE c.row_count END,
        details = CASE WHEN excluded.last_seen_at >= c.last_seen_at THEN excluded.details ELSE c.details END,
        first_seen_at = least(c.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(c.last_seen_at, excluded.last_seen_at)
    RETURNING *
"""
CLEAR = """
    UPDATE data_quality_cases SET status = 'resolved', resolution = %(note)s, resolved_at = %(now)s
    WHERE kind = %(kind)s AND table_name = %(table)s AND subject = %(subject)s AND status <> 'resolved'
        AND last_seen_at <= %(now)s
    RETURNING *
"""


def raise_case(
    *,
    kind: QualityKind,
    table: str,
    subject: str = "",
    severity: QualitySeverity = QualitySeverity.WARNING,
    rows: int = 0,
    details: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> DataQualityCase:
    """Open a case, or refresh the one that waits: last sight, severity, rows and details; owner and status stay.

    table: with its schema, trading.market_data. rows: how many are concerned. now: when the check looked.
    Runs in the caller's transaction; many cases in one transaction are raised in the order of table and subject.
    Raises ValueError for details that are no JSON.
    """
    values = {
        "kind": QualityKind(kind).value,
        "table": table,
        "subject": subject,
        "severity": QualitySeverity(severity).value,
        "rows": rows,
        "details": json.dumps(dict(details or {}), cls=DjangoJSONEncoder, allow_nan=False),
        "now": now or timezone.now(),
    }
    [case] = DataQualityCase.objects.raw(RAISE, values)
    return case


def clear_case(
    *, kind: QualityKind, table: str, subject: str = "", note: str = CLEARED, now: datetime | None = None
) -> DataQualityCase | None:
    """Resolve the waiting case, for its cause is gone; return it, or None where none waits. The row is kept.

    now: when the check looked; a case that was seen after that stays open. Nobody has resolved it, so `resolved_by`
    is NULL and no action of a person is recorded.
    """
    values = {
        "kind": QualityKind(kind).value,
        "table": table,
        "subject": subject,
        "note": note.strip() or CLEARED,
        "now": now or timezone.now(),
    }
    return next(iter(DataQualityCase.objects.raw(CLEAR, values)), None)


@transaction.atomic
def take_case(*, case_id: int, actor: Actor) -> DataQualityCase:
    """Make the actor the owner of a case that waits; the same again changes nothing.

    Raises NotFound, and Conflict for a resolved case.
    """
    case = _locked(case_id)
    if case.status == QualityStatus.RESOLVED:
        raise Conflict("The case is resolved.", id=case_id)
    if case.status == QualityStatus.ACKNOWLEDGED and case.owner == actor.user:
        return case
    before = _state(case)
    case.status, case.owner = QualityStatus.ACKNOWLEDGED, actor.user
    case.save(update_fields=["status", "owner"])
    actor.record("data_quality.take", "data_quality_case", str(case_id), before=before, after=_state(case))
    return case


@transaction.atomic
def resolve_case(*, case_id: int, resolution: str, actor: Actor) -> DataQualityCase:
    """Resolve a case with what was done about it; the same words again change nothing.

    Raises NotFound, ValidationFailed without words, and Conflict for a case that was resolved otherwise.
    """
    words = resolution.strip()
    if not words:
        raise ValidationFailed("A resolved case needs a resolution.")
    case = _locked(case_id)
    if case.status == QualityStatus.RESOLVED:
        if case.resolution == words:
            return case
        raise Conflict("The case is resolved already.", id=case_id)
    before = _state(case)
    case.status, case.resolution = QualityStatus.RESOLVED, words
    case.resolved_by, case.resolved_at = actor.user, timezone.now()
    case.save(update_fields=["status", "resolution", "resolved_by", "resolved_at"])
    actor.record(
        "data_quality.resolve", "data_quality_case", str(case_id), before=before, after=_state(case), reason=words
    )
    return case


def _locked(case_id: int) -> DataQualityCase:
    case = DataQualityCase.objects.select_for_update(of=("self",)).select_related("owner").filter(pk=case_id).first()
    if case is None:
        raise NotFound("No such case.", id=case_id)
    return case


def _state(case: DataQualityCase) -> dict[str, str]:
    return {"status": str(case.status), "owner": str(case.owner or ""), "resolution": case.resolution}

"""Reconciliation cases in the hands of people: looked into, explained, closed; never silently."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import CaseStatus
from bots.models import ReconciliationCase
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried

CHANGEABLE = frozenset({"status", "cause", "resolution", "owner"})


@atomic_retried
def case_update(*, case_id: int, changes: Mapping[str, Any], actor: Actor) -> ReconciliationCase:
    """Change status, cause, resolution or owner of a case; the same again changes nothing.

    Closing needs a resolution; a closed case can be opened again unless a newer one took its place (Conflict).
    Raises NotFound and ValidationFailed.
    """
    if set(changes) - CHANGEABLE:
        raise ValidationFailed(f"Only {', '.join(sorted(CHANGEABLE))} can be changed.")
    case = ReconciliationCase.objects.select_for_update().filter(pk=case_id).first()
    if case is None:
        raise NotFound("No such case.", id=case_id)
    new = {name: value for name, value in changes.items() if getattr(case, name) != value}
    if not new:
        return case
    before = {name: str(getattr(case, name)) for name in new}
    for name, value in new.items():
        setattr(case, name, value)
    _close_or_open(case, actor)
    try:
        with transaction.atomic():
            case.save()
    except IntegrityError as e:
        raise Conflict("A newer case of the same kind is open.", id=case_id) from e
    after = {name: str(value) for name, value in new.items()}
    actor.record("case.update", "reconciliation_case", str(case_id), before=before, after=after, reason=case.resolution)
    return case


def _close_or_open(case: ReconciliationCase, actor: Actor) -> None:
    if case.status != CaseStatus.RESOLVED:
        case.resolved_at, case.resolved_by = None, None
        return
    if not case.resolution.strip():
        raise ValidationFailed("A closed case needs a resolution.")
    if case.resolved_at is None:
        case.resolved_at, case.resolved_by = timezone.now(), actor.user

"""Conflicting bodies in the hands of people: judged once, with words; the ledger itself does not change."""

from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import ConflictStatus
from bots.models import IngestConflict
from tradingdb.lib.errors import NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried


@atomic_retried
def conflict_resolve(*, conflict_id: int, resolution: str, actor: Actor) -> IngestConflict:
    """Close a conflict with the person's words; closing it again changes nothing. Raises NotFound, ValidationFailed."""
    if not resolution.strip():
        raise ValidationFailed("A closed conflict needs a resolution.")
    row = IngestConflict.objects.select_for_update().filter(pk=conflict_id).first()
    if row is None:
        raise NotFound("No such conflict.", id=conflict_id)
    if row.status == ConflictStatus.RESOLVED:
        return row
    row.status, row.resolution = ConflictStatus.RESOLVED, resolution.strip()
    row.resolved_at, row.resolved_by = timezone.now(), actor.user
    row.save(update_fields=["status", "resolution", "resolved_at", "resolved_by"])
    after = {"kind": row.kind, "natural_id": row.natural_id, "bot_id": row.bot_id}
    actor.record("conflict.resolve", "ingest_conflict", str(row.pk), after=after, reason=row.resolution)
    return row

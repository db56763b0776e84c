"""Risk events in the hands of people."""

from django.utils import timezone

from audit.models import RiskEvent
from audit.services.actions import Actor
from tradingdb.lib.errors import NotFound
from tradingdb.lib.retry import atomic_retried


@atomic_retried
def risk_event_resolve(*, event_id: int, notes: str, actor: Actor) -> tuple[RiskEvent, bool]:
    """Close a risk event with the person's words; return it, and whether this call closed it. Raises NotFound."""
    event = RiskEvent.objects.select_for_update().filter(pk=event_id).first()
    if event is None:
        raise NotFound("No such risk event.", id=event_id)
    if event.resolved:
        return event, False
    event.resolved = True
    event.resolved_at = timezone.now()
    event.resolved_by = actor.user
    event.resolution_notes = notes
    event.save(update_fields=["resolved", "resolved_at", "resolved_by", "resolution_notes"])
    actor.record("risk_event.resolve", "risk_event", str(event_id), after={"risk_type": event.risk_type}, reason=notes)
    return event, True

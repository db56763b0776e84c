"""Events that the system itself reports."""

from collections.abc import Mapping
from typing import Any

from audit.choices import EventLevel
from audit.models import SystemEvent


def event_record(
    *,
    event_type: str,
    message: str,
    level: str = EventLevel.INFO,
    component: str = "",
    details: Mapping[str, Any] | None = None,
) -> SystemEvent:
    """Write one event of the system, such as SYSTEM_START."""
    return SystemEvent.objects.create(
        event_type=event_type,
        event_level=level,
        message=message,
        component=component or None,
        details=dict(details) if details is not None else None,
        source="system",
    )

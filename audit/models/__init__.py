"""Models of the audit app, one module per aggregate."""

from audit.models.actions import UserAction
from audit.models.events import SystemEvent
from audit.models.risk_events import RiskEvent

__all__ = ["RiskEvent", "SystemEvent", "UserAction"]

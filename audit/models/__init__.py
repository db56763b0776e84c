"""Models of the audit app, one module per aggregate."""

from audit.models.actions import UserAction
from audit.models.commands import CommandAudit
from audit.models.events import SystemEvent
from audit.models.health import SystemHealth
from audit.models.invariant_runs import InvariantRun
from audit.models.logs import SystemLog
from audit.models.risk_events import RiskEvent
from audit.models.system_metrics import SystemMetric
from audit.models.trail import AuditCheck, Change, Seal

__all__ = [
    "AuditCheck",
    "Change",
    "CommandAudit",
    "InvariantRun",
    "RiskEvent",
    "Seal",
    "SystemEvent",
    "SystemHealth",
    "SystemLog",
    "SystemMetric",
    "UserAction",
]

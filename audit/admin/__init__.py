"""The admin of the audit app, one module per aggregate."""

from audit.admin import actions, commands, events, health, invariant_runs, logs, risk_events, system_metrics, trail

__all__ = [
    "actions",
    "commands",
    "events",
    "health",
    "invariant_runs",
    "logs",
    "risk_events",
    "system_metrics",
    "trail",
]

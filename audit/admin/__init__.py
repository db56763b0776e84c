"""The admin of the audit app, one module per aggregate."""

from audit.admin import actions, events, risk_events

__all__ = ["actions", "events", "risk_events"]

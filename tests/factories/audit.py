"""Logs, readings, commands and runs of the invariants."""

from decimal import Decimal
from typing import Any

from audit.models import AuditCheck, Change, CommandAudit, InvariantRun, Seal, SystemHealth, SystemLog, SystemMetric
from tests.factories.base import NOON, create, numbers


def SystemLogFactory(**columns: Any) -> SystemLog:  # noqa: N802
    """A warning of the live layer."""
    defaults = {"timestamp": NOON, "level": "WARNING", "component": "bots.live.publish", "message": "Redis is away."}
    return create(SystemLog, columns, defaults)


def SystemMetricFactory(**columns: Any) -> SystemMetric:  # noqa: N802
    """A reading of a machine with little to do."""
    defaults = {
        "timestamp": NOON,
        "host": f"host_{next(numbers)}",
        "cpu_usage": Decimal("12.5"),
        "memory_usage": Decimal(40),
        "disk_usage": Decimal(55),
        "network_sent_bytes": 10_000,
        "network_received_bytes": 20_000,
        "execution_latency": 1,
        "api_request_count": 600,
        "api_error_count": 0,
    }
    return create(SystemMetric, columns, defaults)


def SystemHealthFactory(**columns: Any) -> SystemHealth:  # noqa: N802
    """A part of the notifications that was well at noon."""
    defaults = {
        "system": "notification",
        "component": f"channel_{next(numbers)}",
        "status": "HEALTHY",
        "last_success": NOON,
        "avg_response_time_ms": 20,
        "checked_at": NOON,
    }
    return create(SystemHealth, columns, defaults)


def CommandAuditFactory(**columns: Any) -> CommandAudit:  # noqa: N802
    """A report that a registered person asked for."""
    defaults = {
        "telegram_user_id": "123456789",
        "command": "/report",
        "full_message": "/report daily",
        "is_registered_user": True,
        "user_email": "person@example.com",
        "success": True,
        "response_time_ms": 120,
        "created_at": NOON,
    }
    return create(CommandAudit, columns, defaults)


def InvariantRunFactory(**columns: Any) -> InvariantRun:  # noqa: N802
    """A run that found nothing."""
    defaults = {"at": NOON, "duration_ms": 70, "kind": "full", "ok": True, "counts": {"one": 0}, "version": "0.1.0"}
    return create(InvariantRun, columns, defaults)


def ChangeFactory(**columns: Any) -> Change:  # noqa: N802
    """A person's edit of a limit, as no trigger wrote it."""
    defaults = {
        "at": NOON,
        "xid": 1,
        "actor": "ann@example.com",
        "login": "tradingdb",
        "request_id": "",
        "reason": "",
        "table_name": "bots",
        "row_id": "bot_001",
        "operation": "update",
        "before": {"max_positions": 5},
        "after": {"max_positions": 7},
    }
    return create(Change, columns, defaults)


def SealFactory(**columns: Any) -> Seal:  # noqa: N802
    """A seal over nothing, signed by nobody."""
    defaults = {
        "number": next(numbers),
        "kind": "seal",
        "sealed_at": NOON,
        "cluster": "1",
        "low": 0,
        "high": 1,
        "running": [],
        "waited": [],
        "floor": 0,
        "rows": 0,
        "root": bytes(32),
        "marks": b"",
        "previous": bytes(32),
        "hash": bytes(32),
        "key": "0" * 16,
        "signature": bytes(64),
    }
    return create(Seal, columns, defaults)


def AuditCheckFactory(**columns: Any) -> AuditCheck:  # noqa: N802
    """A check that found nothing."""
    defaults = {
        "at": NOON, "kind": "full", "ok": True, "from_seal": 0, "to_seal": 3, "rows": 10, "duration_ms": 5,
    }  # fmt: skip
    return create(AuditCheck, columns, defaults)

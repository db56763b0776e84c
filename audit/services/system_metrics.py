"""Readings of the machine that runs the jobs."""

import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from audit.models import SystemMetric
from audit.services.api_calls import calls_in
from audit.services.health_checks import query_ms

CPU_SECONDS = 0.5
ONE_MINUTE = timedelta(minutes=1)


def system_metric_record(*, now: datetime) -> bool:
    """Read the machine and keep the reading under its minute; return whether the minute had none yet.

    Takes half a second, the time over which the cores are watched.
    """
    minute = now.replace(second=0, microsecond=0)
    calls = calls_in(minute - ONE_MINUTE)
    row = SystemMetric(
        timestamp=minute,
        host=socket.gethostname()[:100],
        execution_latency=query_ms(),
        api_request_count=calls.requests if calls else None,
        api_error_count=calls.errors if calls else None,
        **read_machine(),
    )
    before = SystemMetric.objects.filter(host=row.host, timestamp=minute).exists()
    # Two at once are settled by the unique key.
    SystemMetric.objects.bulk_create([row], ignore_conflicts=True)
    return not before


def read_machine() -> Mapping[str, Any]:
    """Return the load of processor, memory and disk in percent, and the bytes that went over the network."""
    network = psutil.net_io_counters()
    return {
        "cpu_usage": percent(psutil.cpu_percent(interval=CPU_SECONDS)),
        "memory_usage": percent(psutil.virtual_memory().percent),
        "disk_usage": percent(psutil.disk_usage(str(existing(settings.STATE_DIR))).percent),
        # A machine without any interface has sent nothing.
        "network_sent_bytes": network.bytes_sent if network else 0,
        "network_received_bytes": network.bytes_recv if network else 0,
    }


def percent(value: float) -> Decimal:
    """Return a meter reading with the column's two places."""
    return Decimal(str(round(value, 2)))


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there: with servers elsewhere there is no state folder."""
    return next(each for each in (folder, *folder.parents) if each.exists())

"""What the audit trail tells at GET /metrics; asked of the database when somebody scrapes."""

import math

from django.db import DatabaseError, InterfaceError
from prometheus_client import Gauge
from psycopg_pool import PoolTimeout

from audit.trail.seals import unsealed


def unsealed_seconds() -> float:
    """Return the age of the oldest change without a seal; NaN while the database is away."""
    try:
        return unsealed().seconds
    except (DatabaseError, InterfaceError, PoolTimeout):
        return math.nan


UNSEALED = Gauge("tradingdb_audit_unsealed_seconds", "Age of the oldest change of the audit trail without a seal.")
UNSEALED.set_function(unsealed_seconds)

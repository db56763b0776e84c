"""Jobs of the bots app. None is tried again after a failure: the next one comes in seconds and does it all."""

from celery import shared_task
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from bots.live.rebuild import rebuild_if_empty, repair
from bots.services.heartbeat_watch import heartbeat_watch
from bots.services.invariants.run import broken, invariants_sweep, invariants_verify
from bots.services.marks import positions_mark
from bots.services.risk_watch import risk_watch
from bots.services.unattributed import unattributed_settle
from bots.services.unsound import unsound_rebuild

AWAY = (OperationalError, InterfaceError, RedisError)


@shared_task(acks_late=True, throws=AWAY)
def mark_positions() -> int:
    """Value open positions at the last known prices; return how many rows changed."""
    return positions_mark()


@shared_task(acks_late=True, throws=AWAY)
def watch_heartbeats() -> int:
    """Tell of bots that went late, went down or came back; return how many events were written."""
    return heartbeat_watch()


@shared_task(acks_late=True, throws=AWAY)
def repair_live() -> int:
    """Bring Redis in line with PostgreSQL where a publish was lost; return how many entries were wrong."""
    return 0 if rebuild_if_empty() else repair()


# The first run, and each night's, look at everything; sweeps of what was touched take seconds.
@shared_task(acks_late=True, throws=AWAY, soft_time_limit=3500, time_limit=3600)
def sweep_invariants() -> list[str]:
    """Look for broken invariants in what was written lately; return the names of those that are red."""
    return broken(invariants_sweep())


@shared_task(acks_late=True, throws=AWAY, soft_time_limit=3500, time_limit=3600)
def verify_invariants() -> list[str]:
    """Look for broken invariants in the whole ledger; return the names of those that are red."""
    return broken(invariants_verify())


@shared_task(acks_late=True, throws=AWAY)
def rebuild_unsound() -> int:
    """Work out anew what contradicted itself when a fill was stored; return how many figures differed."""
    return unsound_rebuild()


@shared_task(acks_late=True, throws=AWAY)
def settle_inbox() -> int:
    """Settle unattributed fills that a bot has reported since; return how many there were."""
    return unattributed_settle()


@shared_task(acks_late=True, throws=AWAY)
def watch_limits() -> int:
    """Look at limits that move without a fill, and end what is over; return how many bots' states changed."""
    return risk_watch()

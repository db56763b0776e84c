"""Jobs of the bots app. None is tried again after a failure: the next one comes in seconds and does it all."""

from celery import shared_task
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from bots.live.rebuild import rebuild_if_empty, repair
from bots.services.heartbeat_watch import heartbeat_watch
from bots.services.invariants.run import invariants_sweep
from bots.services.marks import positions_mark
from bots.services.unattributed import unattributed_settle

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


@shared_task(acks_late=True, throws=AWAY)
def sweep_invariants() -> list[str]:
    """Look for broken invariants in what was written lately; return the names of those that are red."""
    report = invariants_sweep()
    return [name for name, found in report["invariants"].items() if found["count"]]


@shared_task(acks_late=True, throws=AWAY)
def settle_inbox() -> int:
    """Settle unattributed fills that a bot has reported since; return how many there were."""
    return unattributed_settle()

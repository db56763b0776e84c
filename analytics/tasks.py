"""Jobs of the analytics app. Each can run twice, late or at the same time as itself without harm."""

import time
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from analytics.metrics.borders import utc_day
from analytics.metrics.returns import ONE_DAY
from analytics.selectors.grid import slot_at
from analytics.services.portfolio import bots_refresh_total_pnl, portfolio_fill_gaps, portfolio_snapshot
from analytics.services.portfolio_risk import portfolio_drawdowns_watch, risk_groups_refresh
from analytics.services.risk_metrics import risk_metrics_compute_day, risk_metrics_refresh_stale
from analytics.services.time_series import maintain_time_series
from analytics.services.views import refresh_views as views_refresh

DATABASE_AWAY = (OperationalError, InterfaceError)

# How long one run may catch up; what is left waits for the next slot.
FILL_SECONDS = 120.0


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def compute_daily_risk_metrics(day: str | None = None) -> dict[str, int | str]:
    """Compute the metrics of one UTC day, yesterday by default, and all that any fact has made stale.

    Tried again, up to five times with growing pauses, while the database is away.
    """
    target = date.fromisoformat(day) if day else utc_day(timezone.now()) - ONE_DAY
    done = risk_metrics_compute_day(day=target) + risk_metrics_refresh_stale(lookback=None)
    return {"day": target.isoformat(), "written": done.written, "unchanged": done.unchanged}


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def refresh_stale_risk_metrics() -> dict[str, int]:
    """Compute what is missing or made stale by facts of the last two days. Not tried again: the next one comes soon."""
    done = risk_metrics_refresh_stale()
    return {"written": done.written, "unchanged": done.unchanged}


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def take_portfolio_snapshot(slot: str | None = None) -> dict[str, int | str]:
    """Keep the portfolio at one slot, the last one by default, then fill the gaps before it and refresh total P&L.

    Tried again, up to five times with growing pauses, while the database is away.
    """
    target = datetime.fromisoformat(slot) if slot else slot_at(timezone.now())
    taken = portfolio_snapshot(slot=target)
    filled, deadline = 0, time.monotonic() + FILL_SECONDS
    while some := portfolio_fill_gaps(until=target):
        filled += some
        if time.monotonic() > deadline:
            break
    return {"slot": target.isoformat(), "taken": taken, "filled": filled, "totals": bots_refresh_total_pnl()}


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def maintain_series() -> dict[str, Any]:
    """Make partitions ahead, let old rows go, watch the default partitions. What was locked waits for the next one."""
    return asdict(maintain_time_series(timezone.now()))


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def refresh_views(names: list[str]) -> dict[str, str]:
    """Refresh some of the views. Not tried again: the next one comes soon, and a failure of one view is kept."""
    return views_refresh(timezone.now(), names)


@shared_task(acks_late=True, throws=DATABASE_AWAY)
def watch_portfolio() -> int:
    """Hold portfolios to their limits on drawdown; return how many bots were restricted. The next one comes soon."""
    return portfolio_drawdowns_watch()


@shared_task(autoretry_for=DATABASE_AWAY, retry_backoff=True, max_retries=5, acks_late=True)
def refresh_risk_groups() -> int:
    """Work out which symbols move together, from the closes of whole days; return how many groups there are."""
    return risk_groups_refresh()

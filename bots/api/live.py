"""The live snapshot over HTTP: the same rows as the sockets', for scripts and for browsers without a socket."""

from typing import Any, Literal

from celery import current_app
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from kombu.exceptions import OperationalError
from pydantic import BaseModel

from bots.api.answers import TimeOut, errors, json_text
from bots.api.auth import Staff, for_staff
from bots.api.routers import staff as router
from bots.ledger.shapes import stamp
from bots.live.load import load
from bots.live.script import encode
from bots.live.state import LiveState
from bots.live.stored import stored_prices
from bots.live.view import Filter, View

# A worker answers in milliseconds; without one the caller waits this long.
WORKER_ANSWERS_SECONDS = 0.3


class LiveOut(BaseModel):
    """Everything that goes on now. `version` grows with every reading; `sources`: what can be reached."""

    type: Literal["snapshot"]
    version: int
    seq: int
    at: TimeOut
    as_of: TimeOut
    sources: dict[str, bool]
    positions: list[dict[str, Any]]
    bots: list[dict[str, Any]]
    prices: dict[str, dict[str, Any]]
    totals: dict[str, Any]
    halts: list[dict[str, Any]]


@router.get("/live", auth=for_staff(), response={200: LiveOut, **errors()})
def get_live(request: HttpRequest) -> HttpResponse:
    """Open positions, bots, prices, totals and halts, as the sockets' snapshot shows them."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    now = timezone.now()
    state = LiveState()
    prices = stored_prices()
    state.apply(prices or [])
    state.reconcile(load(now=now, known={}), since=state.clock)
    state.age(now)
    sources = {
        "postgres": True,
        "redis": prices is not None,
        "celery": prices is not None and has_worker(),
        "influx": False,
    }
    view = View(
        state, Filter(bots=staff.bots), rate=settings.LIVE_MAX_MESSAGES_PER_SECOND,
        about=lambda: {"sources": sources, "as_of": stamp(now)},
    )  # fmt: skip
    # The version is put in front of the snapshot's own fields.
    return json_text(f"{{{encode({'version': int(now.timestamp() * 1000)})[1:-1]},{view.snapshot()[1:]}")


def has_worker() -> bool:
    """Whether a Celery worker answers."""
    try:
        return bool(current_app.control.ping(timeout=WORKER_ANSWERS_SECONDS, limit=1))
    except (OperationalError, OSError):
        return False

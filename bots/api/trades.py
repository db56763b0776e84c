"""Reported round trips."""

from django.http import HttpRequest, HttpResponse

from bots.api import rows
from bots.api.answers import answer, errors
from bots.api.auth import for_bots
from bots.api.routers import bots as router
from bots.api.schemas import TradeIn
from bots.choices import TokenScope
from bots.services.trades import trade_record


@router.post(
    "/trades",
    auth=for_bots(TokenScope.LEDGER_WRITE, "facts"),
    response={201: rows.TradeOut, 200: rows.TradeOut, **errors(409, 413, 415)},
)
def report_trade(request: HttpRequest, body: TradeIn) -> HttpResponse:
    """Report a whole round trip. The same one again is a replay (200); other content under its id is a conflict."""
    outcome = trade_record(bot_id=request.auth.bot_id, trade=body.to_domain())  # type: ignore[attr-defined]
    return answer(outcome.body, status=outcome.status, replayed=outcome.replayed)

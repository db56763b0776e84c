"""What bots say of their positions: stops they set, and what they believe they hold."""

from django.http import HttpRequest, HttpResponse
from ninja import Path
from pydantic import BaseModel

from bots.api import rows
from bots.api.answers import answer, errors
from bots.api.auth import for_bots
from bots.api.routers import bots as router
from bots.api.schemas import PositionPatch, PositionsReport
from bots.choices import TokenScope
from bots.services.positions import position_update
from bots.services.reconciliation import positions_report
from tradingdb.lib.schema import Ident

WRITE = for_bots(TokenScope.LEDGER_WRITE, "facts")


class ComparisonOut(BaseModel):
    """How many symbols agree, and the open cases of those that do not."""

    matched: int
    cases: list[rows.CaseOut]  # type: ignore[valid-type]


# Before the address with an id: Django takes the first that fits.
@router.post("/positions/reported", auth=WRITE, response={200: ComparisonOut, **errors(413, 415)})
def report_positions(request: HttpRequest, body: PositionsReport) -> HttpResponse:
    """Compare what the bot or the exchange believes with what the fills say; differences open cases."""
    bot_id: str = request.auth.bot_id  # type: ignore[attr-defined]
    reported = [position.to_domain() for position in body.positions]
    return answer(positions_report(bot_id=bot_id, positions=reported, as_of=body.as_of).body)


@router.patch("/positions/{position_id}", auth=WRITE, response={200: rows.PositionOut, **errors(404, 413, 415)})
def change_position(request: HttpRequest, position_id: Path[Ident], body: PositionPatch) -> HttpResponse:
    """Set stops and notes of a position; size and prices come from fills only."""
    bot_id: str = request.auth.bot_id  # type: ignore[attr-defined]
    outcome = position_update(bot_id=bot_id, position_id=position_id, changes=body.changes())
    return answer(outcome.body, status=outcome.status, replayed=outcome.replayed)

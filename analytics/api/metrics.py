"""Daily figures, for staff."""

from datetime import date, datetime
from typing import Annotated

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import Field, PlainValidator, WithJsonSchema

from analytics.models import RiskMetrics
from bots.api import rows
from bots.api.answers import answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.pagination import PageQuery, page_of
from bots.api.routers import staff as router
from bots.selectors.lists import listing
from tradingdb.lib.schema import BotId, Line50, wrong

METRICS = tuple(
    field.attname for field in RiskMetrics._meta.concrete_fields if field.attname not in ("id", "created_at")
)
DAILY = listing(
    RiskMetrics,
    "date",
    METRICS,
    definition=lambda value: Q(definition=value),
    end=lambda value: Q(date__lte=value),
)


def _day(value: object) -> date:
    try:
        text = str(value)
        return date.fromisoformat(text) if len(text) == len("2026-11-20") else datetime.fromisoformat(text).date()
    except ValueError as e:
        raise wrong("day", "must be a day such as 2026-11-20") from e


Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class DailyQuery(PageQuery):
    """UTC days from `start` to `end`, both included."""

    bot_id: BotId | None = None
    start: Day | None = None
    end: Day | None = None
    definition: Line50 | None = Field(default=None, description="For example canonical-1; all unless it is named.")


DailyOut = rows.row_model("DailyOut", RiskMetrics, METRICS)
DailyPage = rows.page_model(DailyOut)


@router.get("/metrics/daily", auth=for_staff(), response={200: DailyPage, **errors()})
def list_daily_metrics(request: HttpRequest, query: Query[DailyQuery]) -> HttpResponse:
    """Risk and performance figures, one row a bot and UTC day, newest first; null is "undefined"."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    given = {**query.model_dump(exclude={"limit", "cursor"}), "bots": staff.bots}
    return answer(page_of(DAILY, given, query))

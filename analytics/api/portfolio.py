"""All bots together, for staff."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import BaseModel

from analytics.models import PortfolioSnapshot
from analytics.selectors.portfolio import portfolio_current
from bots.api import rows
from bots.api.answers import TimeOut, answer, errors
from bots.api.auth import Staff, for_staff
from bots.api.pagination import PageQuery, page_of
from bots.api.routers import staff as router
from bots.selectors.lists import listing
from tradingdb.lib.schema import CurrencyCode, UtcTime

COLUMNS = tuple(
    field.attname for field in PortfolioSnapshot._meta.concrete_fields if field.attname not in ("id", "created_at")
)
FIGURES = tuple(name for name in COLUMNS if name not in ("timestamp", "is_backfilled"))
SNAPSHOTS = listing(PortfolioSnapshot, "timestamp", COLUMNS, currency=lambda value: Q(currency=value))


class SnapshotQuery(PageQuery):
    """Slots from `start` on, before `end`."""

    start: UtcTime | None = None
    end: UtcTime | None = None
    currency: CurrencyCode | None = None


SnapshotOut = rows.row_model("SnapshotOut", PortfolioSnapshot, COLUMNS)
SnapshotPage = rows.page_model(SnapshotOut)
PortfolioOut = rows.row_model("PortfolioOut", PortfolioSnapshot, FIGURES)


class CurrentOut(BaseModel):
    """The portfolio of each currency now."""

    as_of: TimeOut
    portfolios: list[PortfolioOut]  # type: ignore[valid-type]


@router.get("/portfolio/current", auth=for_staff(), response={200: CurrentOut, **errors()})
def get_portfolio(request: HttpRequest) -> HttpResponse:
    """What all bots together are worth and risk now, one portfolio a currency."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    return answer(portfolio_current())


@router.get("/portfolio/snapshots", auth=for_staff(), response={200: SnapshotPage, **errors()})
def list_snapshots(request: HttpRequest, query: Query[SnapshotQuery]) -> HttpResponse:
    """Snapshots of the five-minute grid, newest first."""
    staff: Staff = request.auth  # type: ignore[attr-defined]
    staff.require_all_bots()
    return answer(page_of(SNAPSHOTS, query.model_dump(exclude={"limit", "cursor"}), query))

"""Candles in and out."""

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query
from pydantic import BaseModel

from bots.api.answers import answer, errors, json_text
from bots.api.auth import for_bots, for_readers
from bots.api.queries import CandlesQuery, SeriesQuery
from bots.api.reads import scope_of
from bots.api.routers import bots as router
from bots.api.schemas import CandlesIn, SeriesIn
from bots.choices import TokenScope
from marketdata.services.candle_rows import COLUMNS, Rows, rows_from_csv, rows_from_json
from marketdata.services.candles import Ingested, Series, candles_ingest, candles_json
from tradingdb.lib.errors import UnsupportedMediaType
from tradingdb.lib.schema import validated
from tradingdb.lib.strictjson import BULK_LIMIT, check_content_type, check_size, parse

CSV_TYPE = re.compile(r'text/csv\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)
CSV_EXAMPLE = f"{','.join(COLUMNS[:6])}\n2026-11-20T09:30:00Z,100.5,101,100,100.75,12.5\n"


class CandleTable(BaseModel):
    """Candles as rows of `columns`; prices and volumes are decimals as text."""

    columns: list[str]
    rows: list[list[str | int | None]]


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CandlesIn.model_json_schema()},
            "text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE},
        },
    }
}


@router.get("/candles", auth=for_readers(), response={200: CandleTable, **errors()})
def get_candles(request: HttpRequest, query: Query[CandlesQuery]) -> HttpResponse:
    """Candles of one series, oldest first."""
    series = Series(query.exchange, query.symbol, query.interval)
    with scope_of(request):
        return json_text(candles_json(series=series, start=query.start, end=query.end, limit=query.limit))


@router.post(
    "/candles",
    auth=for_bots(TokenScope.MARKET_WRITE, "facts"),
    response={200: Ingested, **errors(413, 415)},
    openapi_extra=BODY,
)
def post_candles(request: HttpRequest, query: Query[SeriesQuery]) -> HttpResponse:
    """Store up to 100,000 candles of one series, as JSON or as CSV with a header row.

    The same candle again changes nothing, another one of the same time replaces it, a bad row is left out alone.
    """
    series, rows = _read(request, query)
    return answer(candles_ingest(series=series, rows=rows))


def _read(request: HttpRequest, query: SeriesQuery) -> tuple[Series, Rows]:
    check_size(len(request.body), BULK_LIMIT)
    content_type = request.headers.get("Content-Type", "")
    if CSV_TYPE.fullmatch(content_type.strip()):
        named = validated(SeriesIn, query.model_dump(exclude_none=True), loc=("query",))
        return Series(named.exchange, named.symbol, named.interval), rows_from_csv(request.body, timezone.now())
    try:
        check_content_type(content_type)
    except UnsupportedMediaType as e:
        raise UnsupportedMediaType("The body must be application/json or text/csv.") from e
    body = validated(CandlesIn, parse(request.body, limit=BULK_LIMIT))
    return Series(body.exchange, body.symbol, body.interval), rows_from_json(body.candles, timezone.now())

"""What a process counts for whoever watches it: GET /metrics, in the OpenMetrics form."""

from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

# One process's own counts; with several web processes the scraper asks each (or sums over restarts).
CALLS = Counter("tradingdb_calls", "Hot calls of bots, by call and status.", ["call", "status"])
SECONDS = Histogram(
    "tradingdb_call_seconds",
    "Time from the request to the answer of a hot call.",
    ["call"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)


def metrics(request: HttpRequest) -> HttpResponse:
    """Every counter of this process; no name of a bot and no amount of money is among them."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)

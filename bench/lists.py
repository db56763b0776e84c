"""Every list of the admin over a million trades and a million candles: time on the server, queries, and plans.

Each list is opened as it comes, at its end, and with the filters people use. A line gives the median of five openings
through Django's test client, so without network; its baseline is one page of the same table by bare SQL.
"""

import json
import re
import statistics
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from bench.rows import BenchRow, row
from bots.models import Bot
from tradingdb.lib.admin import LedgerAdmin
from tradingdb.management.synthetic import Books, refresh_statistics, register_bots, store_candles, store_trades

CASES = ("L1",)
OPENINGS = 5
VIEWER = "bench@example.com"
MOST_MS, MOST_QUERIES = 300, 12
# A table of which a list must never read all rows; below it PostgreSQL rightly prefers to.
LARGE = 10_000
TABLE = re.compile(r'(?:FROM|JOIN) "(\w+)"')


def run(*, quick: bool = False) -> Iterator[BenchRow]:
    """Make the books, then measure every list."""
    size = 20_000 if quick else 1_000_000
    books = Books(bots=100, trades=size, candles=size, days=365, end=timezone.now())
    if not Bot.objects.filter(bot_id__in=books.bot_ids()).exists():
        for _ in store_trades(books, register_bots(books)):
            pass
        for _ in store_candles(books):
            pass
        refresh_statistics()
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    client = Client()
    viewer = User.objects.filter(email=VIEWER).first() or User.objects.create_user(VIEWER, None, role="admin")
    client.force_login(viewer)
    for model, page in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        for query in _queries(page):
            yield from _measure(client, model, query)


def _queries(page: Any) -> list[dict[str, str]]:
    """Return the ways in which a list is opened."""
    names = {field.name for field in page.model._meta.get_fields()}
    queries: list[dict[str, str]] = [{}]
    if isinstance(page, LedgerAdmin):
        queries.append({"end": "1"})
        if "bot" in names:
            queries.append({"bot__bot_id__exact": "generated_0007"})
        if "symbol" in names and "bot" in names:
            queries.append({"symbol": "SOLUSDT"})
        column = str(page.ordering[0]).lstrip("-") if page.ordering else page.opts.pk.name
        if not isinstance(page.opts.get_field(column), models.DateTimeField):
            return queries
        today = timezone.now().date().isoformat()
        queries.append({f"{column}_from": today, f"{column}_to": today})
    return queries


def _measure(client: Client, model: Any, query: dict[str, str]) -> Iterator[BenchRow]:
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    case = f"{model._meta.label} {' '.join(f'{name}={value}' for name, value in query.items())}".strip()
    times = []
    for _ in range(OPENINGS):
        begun = time.perf_counter()
        answer = client.get(path, query)
        times.append((time.perf_counter() - begun) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{case}: {answer.status_code}")
    with CaptureQueriesContext(connection) as captured:
        client.get(path, query)
    yield row("L1", f"{case}: ms", statistics.median(times), "ms", at_most=MOST_MS)
    yield row("L1", f"{case}: over one page by bare SQL", statistics.median(times), "ms", baseline=_bare_ms(model))
    yield row("L1", f"{case}: queries", len(captured), "queries", at_most=MOST_QUERIES)
    scans = sum(_scans(each["sql"]) for each in captured.captured_queries)
    yield row("L1", f"{case}: large tables read whole", scans, "scans", at_most=0)


def _bare_ms(model: Any) -> float:
    """Return the milliseconds of reading one page of a table in the order of its key."""
    quote = connection.ops.quote_name
    times = []
    with connection.cursor() as cursor:
        for _ in range(OPENINGS):
            begun = time.perf_counter()
            cursor.execute(
                f"SELECT * FROM {quote(model._meta.db_table)} ORDER BY {quote(model._meta.pk.column)} DESC LIMIT 51"
            )
            cursor.fetchall()
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def _scans(sql: str) -> int:
    """Return how many large tables the plan of a query reads from one end to the other."""
    if not sql.lstrip("( ").upper().startswith(("SELECT", "WITH")) or not TABLE.search(sql):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return sum(1 for node in _nodes(plan) if node["Node Type"] == "Seq Scan" and _rows(node["Relation Name"]) > LARGE)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def _rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(reltuples), 0) FROM pg_class WHERE relname = %s", [table])
        return int(cursor.fetchone()[0])

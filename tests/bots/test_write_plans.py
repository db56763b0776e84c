"""No statement of the write path reads a large table from end to end, whatever a bot sends.

The benchmark asks the same of a ledger of a million fills.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit.services.actions import SYSTEM
from bench.write_plans import LARGE, Old, planned, scans
from bots.models import Fill
from bots.services.tokens import token_create
from tradingdb.management.synthetic import Books, register_bots, store_trades

pytestmark = pytest.mark.unsound_ledger("generated books have no metrics of their days")
TRADES = 2000
BOT = "generated_0002"


@pytest.fixture(scope="module")
def books(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[str, Old]]:
    """Books of five bots with fresh statistics, in a transaction around all tests of this file."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around.__enter__()
        made = Books(bots=5, trades=TRADES, candles=0, days=30, end=timezone.now() - timedelta(hours=1))
        for _ in store_trades(made, register_bots(made)):
            pass
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(LARGE)}")
        token = token_create(bot_id=BOT, actor=SYSTEM).token
        old = Fill.objects.filter(bot_id=BOT).order_by("-executed_at")[50]
    yield token, Old(BOT, old.order_id, old.symbol, old.executed_at)
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.mark.django_db
def test_every_statement_finds_its_rows_by_an_index(books):
    statements = list(planned(*books))

    assert [(each.path, each.sql) for each in statements if each.whole] == []
    assert len(statements) > 60


@pytest.mark.django_db
def test_a_statement_that_reads_a_table_whole_is_found(books):
    assert scans("SELECT count(*) FROM fills WHERE price > 1") == ["fills"]
    assert set(scans("SELECT 1 FROM orders o JOIN order_events e ON e.details = o.order_metadata")) == {
        "orders",
        "order_events",
    }

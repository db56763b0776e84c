"""manage.py time_series: what is due is shown and changes nothing; --apply does it."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from analytics.selectors.time_series import series_states
from audit.models import SystemLog
from marketdata.models import Candle
from tests.factories import SystemLogFactory
from tests.servers_matrix.rows import candle
from tradingdb.db_backend.partitions import ensure_partitions

pytestmark = pytest.mark.usefixtures("series")


def said(*words: str) -> list[str]:
    out = StringIO()
    call_command("time_series", *words, stdout=out)
    return out.getvalue().splitlines()


def test_what_is_due_is_shown_then_done() -> None:
    now = timezone.now()
    ensure_partitions(now - timedelta(days=60))
    SystemLogFactory(timestamp=now - timedelta(days=60))
    SystemLogFactory(timestamp=now)
    candle(now - timedelta(days=400), created_at=now - timedelta(days=400))
    candle(now)

    shown = said()
    states = {state.table: state for state in series_states(now)}
    logs = states["audit.system_logs"]
    assert (SystemLog.objects.count(), Candle.objects.count()) == (2, 2)
    done = said("--apply")
    after = {state.table: state for state in series_states(now)}

    assert [line for line in shown if line.startswith("audit.system_logs ") and line.endswith("1 month")]
    assert (logs.oldest, logs.newest) == (now - timedelta(days=60), now)
    assert [line for line in logs.due if line.startswith("drop ")]
    assert [line for line in states["trading.market_data"].due if line.startswith("delete rows before ")]
    assert "deleted 1 rows of market_data" in done
    assert [line for line in done if line.startswith("dropped ")]
    assert {table: state.due for table, state in after.items()} == {key: [] for key in after}
    assert after["audit.system_logs"].oldest == now
    assert {state.waiting for state in after.values()} == {0}

"""What the reads answer to made-up requests is what the description says: status, content type, shape; never a 5xx."""

from collections.abc import Generator
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from audit.models import RiskEvent
from bots.api import live
from bots.models import Bot, ReconciliationCase
from tests.api.conftest import Caller
from tests.factories import AccountBalanceFactory, FillFactory, PositionFactory, TradeFactory

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 2


@pytest.fixture
def ledger(bot: Bot) -> None:
    """A row of each kind, so that answers are not empty."""
    FillFactory(bot=bot)
    PositionFactory(bot=bot)
    TradeFactory(bot=bot)
    AccountBalanceFactory(bot=bot)
    ReconciliationCase.objects.create(kind="position_mismatch", bot=bot, symbol="BTCUSDT")
    RiskEvent.objects.create(
        bot_id=bot.bot_id, risk_type="position_limit", current_value=4, limit_value=3, action_taken="new_trades_blocked"
    )


@pytest.fixture
def one_connection() -> Generator[None]:
    """Keep the test's transaction: a request outside Django's test client would close its connection."""
    signals.request_started.disconnect(close_old_connections)
    signals.request_finished.disconnect(close_old_connections)
    yield
    signals.request_started.connect(close_old_connections)
    signals.request_finished.connect(close_old_connections)


@pytest.mark.parametrize("who", ["bot", "staff"])
@pytest.mark.usefixtures("ledger", "one_connection")
def test_reads_answer_as_described(api: Caller, viewer: Caller, who: str, monkeypatch):
    monkeypatch.setattr(live, "has_worker", lambda: False)
    headers = (api if who == "bot" else viewer).headers
    described = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    reads = described.include(method="GET")

    for operation in (result.ok() for result in reads.get_all_operations()):
        run(operation, headers)


def run(operation: Any, headers: dict[str, str]) -> None:
    """Send a few requests that the description allows."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def try_one(case: Any) -> None:
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    try_one()

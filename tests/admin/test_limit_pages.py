"""The pages of limits: what is used of each, exposure over bots, and changes with a reason by admins alone."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from audit.models import UserAction
from bots.models import RiskLatch, RiskLimit
from bots.services.risk_watch import risk_watch
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory, RiskLatchFactory, RiskLimitFactory

NEW = {
    "kind": "gross_exposure", "scope": "symbol", "target": "BTCUSDT", "deployment_mode": "demo", "limit_value": "1000",
    "currency": "USDT", "least_gross": "", "threshold_pct": "80", "action": "block", "is_active": "on",
    "reason": "Enough of it.",
}  # fmt: skip


@pytest.fixture
def held(db: None) -> Any:
    bot = BotFactory()
    place(bot, "o", "buy", "7.5")
    add_fill(bot, "f", "o", "100", "7.5", executed_at=timezone.now().isoformat())
    return bot


def test_list_shows_how_far_each_limit_is_used(viewer: Any, held: Any) -> None:
    RiskLimitFactory()

    text = viewer.open("bots_risklimit_changelist").content.decode()

    assert 'value="75"' in text
    assert "75 %</meter>" in text
    assert "each bot&#x27;s own" in text or "each bot's own" in text


def test_exposure_over_bots_is_shown_by_symbol_asset_and_exchange(viewer: Any, held: Any) -> None:
    answer = viewer.open("bots_risklimit_exposure")

    text = answer.content.decode()
    assert answer.status_code == 200
    for words in ("By symbol", "By base asset", "By exchange", "All together", "BTCUSDT", "750"):
        assert words in text


def test_admin_sets_and_changes_a_limit_with_a_reason(admin: Any, trader: Any) -> None:
    assert trader.send("bots_risklimit_add", **NEW).status_code == 403
    assert admin.send("bots_risklimit_add", **{**NEW, "reason": ""}).status_code == 200
    assert admin.send("bots_risklimit_add", **NEW).status_code == 302
    row = RiskLimit.objects.get(kind="gross_exposure")
    change = {name: NEW[name] for name in ("least_gross", "threshold_pct", "action", "is_active")}

    admin.send("bots_risklimit_change", row.pk, **change, limit_value="900", reason="Less of it.")

    row.refresh_from_db()
    assert (row.limit_value, row.reason, row.changed_by_name) == (Decimal(900), "Less of it.", "admin@example.com")
    actions = UserAction.objects.filter(resource_type="risk_limit").order_by("id").values_list("action", "reason")
    assert list(actions) == [("risk_limit.create", "Enough of it."), ("risk_limit.update", "Less of it.")]


def test_page_says_why_a_limit_cannot_be(admin: Any) -> None:
    text = admin.send("bots_risklimit_add", **{**NEW, "currency": ""}).content.decode()

    assert "needed for exposures" in text
    assert not RiskLimit.objects.filter(kind="gross_exposure").exists()


def test_admin_ends_half_size_with_a_reason(admin: Any, trader: Any) -> None:
    latch = RiskLatchFactory()
    assert trader.send("bots_risklatch_end", latch.pk, reason="I may not").status_code == 403

    admin.send("bots_risklatch_end", latch.pk, reason="new money")

    assert RiskLatch.objects.get().ended_by == "admin@example.com: new money"
    assert risk_watch() == 0

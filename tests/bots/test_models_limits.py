"""Rows that limits and what follows from them may not be."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from tests.factories import NOON, BotFactory, RiskGroupFactory, RiskLatchFactory, RiskLimitFactory

pytestmark = pytest.mark.django_db
LOSS = {"kind": "daily_loss_limit", "scope": "bot", "target": "*", "currency": "", "limit_value": Decimal("0.05")}


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        # Whoever has no kind or scope fits none either; that rule is asked first.
        ("scope_fits_kind", {"kind": "mood", "currency": ""}),
        ("scope_fits_kind", {"scope": "planet"}),
        ("valid_action", {"action": "shout"}),
        ("valid_mode", {"deployment_mode": "backtest"}),
        ("scope_fits_kind", {"scope": "bot"}),
        ("target_fits_scope", {"target": ""}),
        ("target_fits_scope", {"scope": "all"}),
        ("value_has_one_place", {"limit_value": None}),
        ("value_has_one_place", {**LOSS, "kind": "position_limit", "limit_value": Decimal(3)}),
        ("positive_value", {"limit_value": Decimal(0)}),
        ("money_has_currency", {"currency": ""}),
        ("money_has_currency", {**LOSS, "currency": "USDT"}),
        ("least_gross_of_shares", {"least_gross": Decimal(1)}),
        ("threshold_is_percent", {"threshold_pct": Decimal(0)}),
        ("threshold_is_percent", {"threshold_pct": Decimal(101)}),
        ("orders_are_blocked", {**LOSS, "kind": "order_rate_limit", "action": "HALTED"}),
        ("drawdown_restricts", {"kind": "portfolio_drawdown", "scope": "all", "target": ""}),
        ("half_size_follows_losses", {"action": "half_size"}),
        ("has_reason", {"reason": ""}),
    ],
)
def test_limits_refuse(rule: str, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=f"risk_limits_{rule}"), transaction.atomic():
        RiskLimitFactory(**columns)


def test_one_limit_of_a_kind_is_in_force() -> None:
    RiskLimitFactory()
    RiskLimitFactory(is_active=False)
    with pytest.raises(IntegrityError, match="risk_limits_one_active"), transaction.atomic():
        RiskLimitFactory(limit_value=Decimal(2))


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("pause_has_end", {"effect": "scold"}),
        ("pause_has_end", {"effect": "pause"}),
        ("pause_has_end", {"until": NOON}),
        ("end_has_words", {"ended_at": NOON}),
    ],
)
def test_latches_refuse(rule: str, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=f"risk_latches_{rule}"), transaction.atomic():
        RiskLatchFactory(**columns)


@pytest.mark.parametrize(
    ("table", "column"),
    [("risk_limits", "updated_at"), ("risk_latches", "started_at"), ("risk_groups", "computed_at")],
)
def test_times_end(table: str, column: str) -> None:
    RiskLatchFactory()
    RiskGroupFactory()
    with (
        pytest.raises(IntegrityError, match=f"{table}_finite_times"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE {table} SET {column} = 'infinity'")


def test_one_latch_of_a_limit_and_bot_is_open() -> None:
    first = RiskLatchFactory(bot=BotFactory())
    RiskLatchFactory(bot=first.bot, risk_limit=first.risk_limit, ended_at=NOON, ended_by="test")
    with pytest.raises(IntegrityError, match="risk_latches_one_open"), transaction.atomic():
        RiskLatchFactory(bot=first.bot, risk_limit=first.risk_limit)


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("named", {"name": ""}),
        ("are_several", {"symbols": ["BTCUSDT"]}),
        ("enough_days", {"days": 1}),
    ],
)
def test_groups_refuse(rule: str, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=f"risk_groups_{rule}"), transaction.atomic():
        RiskGroupFactory(**columns)

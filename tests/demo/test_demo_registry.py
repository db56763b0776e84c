"""The three bots as the old systems registered them."""

from decimal import Decimal

import pytest

from demo.registry import BOTS, LXALGO, MOMENTUM, SHORTSELLER, bot
from demo.strategies import STRATEGIES


def test_the_bots_have_their_original_names_and_limits():
    limits = {
        b.bot_id: (
            b.max_positions,
            b.leverage_limit,
            b.max_daily_loss_pct,
            b.max_weekly_loss_pct,
            b.max_drawdown_pct,
        )
        for b in BOTS
    }

    assert limits == {
        "shortseller_001": (3, 10, Decimal("0.05"), Decimal("0.10"), Decimal("0.20")),
        "momentum_001": (3, 1, Decimal("0.03"), Decimal("0.08"), Decimal("0.15")),
        "lxalgo_001": (20, 1, Decimal("0.02"), Decimal("0.04"), Decimal("0.15")),
    }
    assert {(b.deployment_mode, b.initial_capital, b.exchange) for b in BOTS} == {("demo", Decimal(10_000), "bybit")}
    assert {b.strategy for b in BOTS} == set(STRATEGIES)


def test_the_configurations_are_the_original_rows():
    rows = {b.bot_id: [(c.config_key, c.config_type) for c in b.configurations] for b in BOTS}

    assert rows == {
        "shortseller_001": [],
        "momentum_001": [
            ("strategy_params", "strategy_params"),
            ("risk_params", "risk_params"),
            ("symbols", "trading_params"),
        ],
        "lxalgo_001": [
            ("strategy_params", "strategy_params"),
            ("risk_params", "risk_params"),
            ("trading_params", "trading_params"),
            ("execution_params", "execution_params"),
        ],
    }
    assert MOMENTUM.configurations[0].value["max_trades_per_day"] == MOMENTUM.max_entries_per_day
    assert len(LXALGO.configurations[0].value["rules"]) == 8


def test_a_bot_is_found_by_its_id():
    assert bot("shortseller_001") is SHORTSELLER
    with pytest.raises(KeyError):
        bot("unknown")

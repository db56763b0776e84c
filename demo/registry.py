"""The three demo bots as data: their registration, limits and configurations, for whoever registers them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """One row of `config.bot_configurations` at version 1. Shares are fractions: 0.05 is 5 %."""

    config_key: str
    config_type: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoBot:
    """One bot of the registry.

    The fields up to `max_drawdown_pct` are those of `trading.bots`. `strategy` is the code in orders and
    signals; `order_share` the value of one entry as a share of equity; `max_entries_per_day` counts
    entries in a day of replayed time.
    """

    bot_id: str
    bot_name: str
    bot_type: str
    strategy_name: str
    description: str
    max_positions: int
    leverage_limit: int
    max_daily_loss_pct: Decimal
    max_weekly_loss_pct: Decimal
    max_drawdown_pct: Decimal
    strategy: str
    order_share: Decimal
    max_entries_per_day: int
    configurations: tuple[Configuration, ...] = ()
    deployment_mode: str = "demo"
    exchange: str = "bybit"
    initial_capital: Decimal = Decimal(10_000)


_COINS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "AVAXUSDT", "MATICUSDT"]

_MOMENTUM_STRATEGY = {
    "strategy": "volatility_breakout",
    "timeframe": "4h",
    "min_volume": 1_000_000,
    "breakout_threshold": 1.5,
    "atr_multiplier": 1.5,
    "trailing_stop_activation_pct": 0.02,
    "trailing_stop_distance_pct": 0.01,
    "max_trades_per_day": 5,
    "position_size_pct": 0.05,
}
_MOMENTUM_RISK = {
    "max_position_size_pct": 0.05,
    "max_total_exposure_pct": 0.15,
    "daily_loss_limit_pct": 0.03,
    "weekly_loss_limit_pct": 0.08,
    "stop_loss_pct": 0.05,
    "take_profit_pct": 0.15,
    "max_positions": 3,
    "reduce_size_at_weekly_loss_pct": 0.04,
    "halt_trading_at_weekly_loss_pct": 0.06,
}
_MOMENTUM_SYMBOLS = {"watchlist": _COINS, "excluded": [], "min_market_cap": 1_000_000_000}

_LX_RULES = {
    "rule_1": "price above EMA 200",
    "rule_2": "RSI",
    "rule_3": "volume spike",
    "rule_4": "MACD",
    "rule_5": "support and resistance",
    "rule_6": "trend",
    "rule_7": "momentum",
    "rule_8": "market structure",
}
_LX_STRATEGY = {
    "strategy": "lx_multi_indicator",
    "rules": _LX_RULES,
    "min_rules_required": 5,
    "timeframes": ["1h", "4h"],
    "breakeven_management": {"enabled": True, "trigger_pnl_pct": 0.01, "move_stop_to_entry": True},
}
_LX_RISK = {
    "max_trades": 20,
    "position_size_pct": 0.05,
    "stop_loss_pct": 0.03,
    "take_profit_pct": 0.10,
    "circuit_breaker": {"daily_loss_pct": 0.02, "action": "halt_trading"},
    "weekly_limits": {"reduce_size_at_loss_pct": 0.04, "halt_at_loss_pct": 0.06},
    "auto_close": {"hours_in_negative": 8, "action": "close_position"},
}
_LX_TRADING = {"symbols": _COINS, "order_type": "market", "slippage_tolerance": 0.001, "max_retries": 3}
_LX_EXECUTION = {
    "update_interval_seconds": 60,
    "signal_timeout_seconds": 300,
    "order_timeout_seconds": 30,
    "position_sync_interval_seconds": 300,
    "telegram_enabled": True,
}

SHORTSELLER = DemoBot(
    bot_id="shortseller_001",
    bot_name="Multi-Asset EMA Crossover Bot",
    bot_type="shortseller",
    strategy_name="EMA 240/600 Crossover",
    description="Sells when the fast average crosses below the slow one. Paper account on replayed candles.",
    max_positions=3,
    leverage_limit=10,
    max_daily_loss_pct=Decimal("0.05"),
    max_weekly_loss_pct=Decimal("0.10"),
    max_drawdown_pct=Decimal("0.20"),
    strategy="ema_crossover",
    order_share=Decimal("0.10"),
    max_entries_per_day=6,
)
MOMENTUM = DemoBot(
    bot_id="momentum_001",
    bot_name="Volatility Breakout Momentum Bot",
    bot_type="momentum",
    strategy_name="4H Volatility Breakout",
    description="Buys a breakout out of four hours' range with a trailing stop. Paper account on replayed candles.",
    max_positions=3,
    leverage_limit=1,
    max_daily_loss_pct=Decimal("0.03"),
    max_weekly_loss_pct=Decimal("0.08"),
    max_drawdown_pct=Decimal("0.15"),
    strategy="volatility_breakout",
    order_share=Decimal("0.05"),
    max_entries_per_day=5,
    configurations=(
        Configuration("strategy_params", "strategy_params", _MOMENTUM_STRATEGY),
        Configuration("risk_params", "risk_params", _MOMENTUM_RISK),
        Configuration("symbols", "trading_params", _MOMENTUM_SYMBOLS),
    ),
)
LXALGO = DemoBot(
    bot_id="lxalgo_001",
    bot_name="LX Technical Analysis Bot",
    bot_type="lxalgo",
    strategy_name="LX Multi-Indicator Strategy",
    description="Enters when five of eight rules agree, either way. Paper account on replayed candles.",
    max_positions=20,
    leverage_limit=1,
    max_daily_loss_pct=Decimal("0.02"),
    max_weekly_loss_pct=Decimal("0.04"),
    max_drawdown_pct=Decimal("0.15"),
    strategy="lx_multi_indicator",
    order_share=Decimal("0.05"),
    max_entries_per_day=4,
    configurations=(
        Configuration("strategy_params", "strategy_params", _LX_STRATEGY),
        Configuration("risk_params", "risk_params", _LX_RISK),
        Configuration("trading_params", "trading_params", _LX_TRADING),
        Configuration("execution_params", "execution_params", _LX_EXECUTION),
    ),
)
BOTS = (SHORTSELLER, MOMENTUM, LXALGO)


def bot(bot_id: str) -> DemoBot:
    """Return a demo bot by its id. Raises KeyError for any other."""
    return {demo_bot.bot_id: demo_bot for demo_bot in BOTS}[bot_id]

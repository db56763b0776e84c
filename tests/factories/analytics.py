"""Figures, models and views."""

from decimal import Decimal
from typing import Any

from analytics.models import (
    DailyCandle,
    DailyCandleChange,
    DataQualityCase,
    EquitySnapshot,
    MLModel,
    ModelPrediction,
    PerformanceMetric,
    PerformanceSnapshot,
    PortfolioSnapshot,
    RiskMetrics,
    StrategyPerformance,
    ViewRefresh,
)
from tests.factories.base import NOON, create, numbers
from tests.factories.bots import ExchangeAccountFactory, own_bot


def RiskMetricsFactory(**columns: Any) -> RiskMetrics:  # noqa: N802
    """A quiet day of a bot with 10000: no trade, no gain."""
    money = {"starting_equity": Decimal(10000), "ending_equity": Decimal(10000)}
    return create(RiskMetrics, columns, {"date": NOON.date(), "inputs_hash": "0" * 64, **money, **own_bot(columns)})


def PortfolioSnapshotFactory(**columns: Any) -> PortfolioSnapshot:  # noqa: N802
    """A portfolio of 10000 USDT without positions."""
    defaults = {"timestamp": NOON, "total_equity": Decimal(10000), "total_balance": Decimal(10000)}
    return create(PortfolioSnapshot, columns, defaults)


def EquitySnapshotFactory(**columns: Any) -> EquitySnapshot:  # noqa: N802
    """A demo account worth 10000 USDT, a tenth of it in one position; without a bot."""
    defaults: dict[str, Any] = {
        "timestamp": NOON,
        "deployment_mode": "demo",
        "total_equity": Decimal(10000),
        "available_balance": Decimal(9000),
        "allocated_in_positions": Decimal(1000),
        "open_position_count": 1,
        "unrealized_pnl": Decimal(0),
        "realized_daily_pnl": Decimal(0),
    }
    if not {"account", "account_id", "bot", "bot_id"} & set(columns):
        defaults["account"] = ExchangeAccountFactory()
    return create(EquitySnapshot, columns, defaults)


def StrategyPerformanceFactory(**columns: Any) -> StrategyPerformance:  # noqa: N802
    """A day of a demo strategy with three wins and a loss."""
    defaults = {
        "strategy": f"strategy_{next(numbers)}",
        "deployment_mode": "demo",
        "timeframe": "daily",
        "timestamp": NOON,
        "win_count": 3,
        "loss_count": 1,
        "win_rate": Decimal("0.75"),
    }
    return create(StrategyPerformance, columns, defaults)


def PerformanceMetricFactory(**columns: Any) -> PerformanceMetric:  # noqa: N802
    """Figures of a demo bot's trades in BTCUSDT."""
    defaults = {
        "deployment_mode": "demo",
        "symbol": "BTCUSDT",
        "metrics": {"win_rate": 0.5},
        "calculated_at": NOON,
        **own_bot(columns),
    }
    return create(PerformanceMetric, columns, defaults)


def PerformanceSnapshotFactory(**columns: Any) -> PerformanceSnapshot:  # noqa: N802
    """A demo strategy that has earned 10."""
    defaults = {
        "strategy_id": f"strategy_{next(numbers)}",
        "timestamp": NOON,
        "deployment_mode": "demo",
        "pnl": {"total": "10", "realized": "10", "unrealized": "0"},
    }
    return create(PerformanceSnapshot, columns, defaults)


def MLModelFactory(**columns: Any) -> MLModel:  # noqa: N802
    """A model in training on one symbol and interval."""
    defaults = {
        "name": f"model_{next(numbers)}",
        "version": "1",
        "type": "regression",
        "framework": "pytorch",
        "hyper_parameters": {"layers": 2},
        "features_list": ["close"],
        "symbols": ["BTCUSDT"],
        "timeframes": ["5m"],
        "training_start_date": NOON.replace(month=1),
        "training_end_date": NOON.replace(month=10),
    }
    return create(MLModel, columns, defaults)


def ModelPredictionFactory(**columns: Any) -> ModelPrediction:  # noqa: N802
    """A next price of 100 for BTCUSDT, whose outcome is not known yet."""
    defaults: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "timestamp": NOON,
        "prediction_type": "next_price",
        "prediction_value": Decimal(100),
    }
    if not {"model", "model_id"} & set(columns):
        defaults["model"] = MLModelFactory()
    return create(ModelPrediction, columns, defaults)


def DataQualityCaseFactory(**columns: Any) -> DataQualityCase:  # noqa: N802
    """An open gap of five candles."""
    defaults = {
        "kind": "gap",
        "table_name": "trading.market_data",
        "subject": f"bybit SYM{next(numbers)} 5m",
        "row_count": 5,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
    }
    return create(DataQualityCase, columns, defaults)


def DailyCandleFactory(**columns: Any) -> DailyCandle:  # noqa: N802
    """A UTC day of BTCUSDT between 1 and 3, of one candle that lasts all day."""
    defaults = {
        "exchange": "bybit",
        "symbol": "BTCUSDT",
        "interval": "1d",
        "day": NOON.replace(hour=0),
        "open": Decimal(2),
        "high": Decimal(3),
        "low": Decimal(1),
        "close": Decimal(2),
        "volume": Decimal(1),
        "candles": 1,
        "coverage": Decimal(1),
    }
    return create(DailyCandle, columns, defaults)


def DailyCandleChangeFactory(**columns: Any) -> DailyCandleChange:  # noqa: N802
    """A note on a day of BTCUSDT in one-minute candles."""
    defaults = {"exchange": "bybit", "symbol": "BTCUSDT", "interval": "1m", "day": NOON.replace(hour=0)}
    return create(DailyCandleChange, columns, defaults)


def ViewRefreshFactory(**columns: Any) -> ViewRefresh:  # noqa: N802
    """A refresh of daily_ohlcv at noon that went well."""
    defaults = {
        "view_name": "daily_ohlcv",
        "refreshed_at": NOON,
        "attempted_at": NOON,
        "duration_ms": 1,
        "row_count": 1,
    }
    return create(ViewRefresh, columns, defaults)

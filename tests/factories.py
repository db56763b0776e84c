"""Rows for tests, with sensible defaults; every keyword is a column.

The factories write single rows and derive nothing: a test that needs a consistent ledger (orders, positions and
trades that follow from fills) uses the services. Times default to fixed moments of 2026, never to the clock, except
a bot's own stamps.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from accounts.models import AuthIdentity, SavedView, User, VerificationCode
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
from audit.models import CommandAudit, InvariantRun, SystemHealth, SystemLog, SystemMetric
from bots.models import (
    AccountBalance,
    Bot,
    CashFlow,
    ExchangeAccount,
    Fill,
    Order,
    Position,
    Signal,
    Strategy,
    Trade,
    TradeReview,
    UnattributedFill,
)
from config_app.models import ExchangeApiKey, StrategyTemplate, SystemSetting, WatchedSymbol
from jobs.models import JobRun, JobSchedule
from marketdata.models import Candle, OrderBookSnapshot, TechnicalIndicator
from notifications.models import Broadcast, ChannelConfig, DeliveryStatus, Feedback, Message, RateLimit

_number = count(1)

# What services derive from facts; made here it has no facts behind it, and whose it is holds no invariant.
DERIVED = (Fill, Order, Position, Trade, AccountBalance, CashFlow, RiskMetrics, PortfolioSnapshot)
# Their bots, or the currencies of their snapshots, in this test; the check at its end leaves them out.
HAND_MADE: set[str] = set()

PASSWORD = "correct horse battery staple"


def utc(text: str) -> datetime:
    """Return an ISO time as aware UTC: `utc("2026-11-19 23:59:59.999999")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = utc("2026-11-19 12:00")


def UserFactory(**columns: Any) -> User:  # noqa: N802 (reads as the class it makes, as in the house style)
    """A person, admin by default, who signs in with PASSWORD."""
    columns.setdefault("email", f"person{next(_number)}@example.com")
    columns.setdefault("role", "admin")
    return User.objects.create_user(columns.pop("email"), columns.pop("password", PASSWORD), **columns)


def ExchangeAccountFactory(**columns: Any) -> ExchangeAccount:  # noqa: N802
    """An account at bybit that settles in USDT."""
    return _create(ExchangeAccount, columns, {"account_id": f"account_{next(_number)}"})


def BotFactory(**columns: Any) -> Bot:  # noqa: N802
    """An active demo bot with 10000 USDT, on an account of its own; without an initial cash flow."""
    number = next(_number)
    defaults = {
        "bot_id": f"bot_{number:03}",
        "bot_name": f"Bot {number}",
        "bot_type": "custom",
        "strategy_name": "Test strategy",
        "deployment_mode": "demo",
        "initial_capital": Decimal(10000),
        "max_positions": 10,
        "leverage_limit": 10,
    }
    if "account" not in columns and "account_id" not in columns:
        defaults["account"] = ExchangeAccountFactory()
    return _create(Bot, columns, defaults)


def OrderFactory(**columns: Any) -> Order:  # noqa: N802
    """A pending market order to buy 2 BTCUSDT."""
    defaults = {
        "order_id": f"order_{next(_number)}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "order_type": "market",
        "quantity": Decimal(2),
        "created_at": NOON,
        **_bot(columns),
    }
    return _create(Order, columns, defaults)


def FillFactory(**columns: Any) -> Fill:  # noqa: N802
    """A fill of 1 at 100, of an order made for it unless `order_id` names one; symbol and side follow the order."""
    order_id = columns.pop("order_id", None)
    defaults: dict[str, Any] = {**_bot(columns)}
    bot = columns.get("bot") or defaults.get("bot") or Bot.objects.get(bot_id=columns["bot_id"])
    if order_id is None:
        told = {name: columns[name] for name in ("symbol", "side", "quantity") if name in columns}
        order = OrderFactory(bot=bot, **told)
    else:
        order = Order.objects.get(bot=bot, order_id=order_id)
    defaults |= {
        "fill_id": f"fill_{next(_number)}",
        "account": bot.account,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "price": Decimal(100),
        "quantity": Decimal(1),
        "executed_at": NOON,
    }
    return _create(Fill, columns, defaults)


def PositionFactory(**columns: Any) -> Position:  # noqa: N802
    """An open long position of 1 BTCUSDT at 100; cost basis and average follow from size and price."""
    size = Decimal(columns.get("size", 1))
    price = Decimal(columns.get("avg_entry_price", 100))
    defaults = {
        "position_id": f"position_{next(_number)}",
        "symbol": "BTCUSDT",
        "side": "long",
        "size": size,
        "quantity": size or Decimal(1),
        "avg_entry_price": price,
        "cost_basis": size * price,
        "entry_notional": (size or Decimal(1)) * price,
        "opened_at": NOON,
        **_bot(columns),
    }
    return _create(Position, columns, defaults)


def TradeFactory(**columns: Any) -> Trade:  # noqa: N802
    """A closed long round trip of 1 BTCUSDT from 100 to 110 in an hour, without fees: a gain of 10.

    `exit_time=None` makes an open one. A P&L that is not given follows from prices, quantity and side.
    """
    entry_time = columns.get("entry_time", NOON)
    exit_time = columns.get("exit_time", NOON.replace(hour=13))
    quantity = Decimal(columns.get("quantity", 1))
    entry_price = Decimal(columns.get("entry_price", 100))
    exit_price = Decimal(columns.get("exit_price", 110)) if exit_time is not None else None
    earned = (exit_price - entry_price) * quantity if exit_price is not None else Decimal(0)
    defaults = {
        "trade_id": f"trade_{next(_number)}",
        "symbol": "BTCUSDT",
        "side": "long",
        "quantity": quantity,
        "entry_price": entry_price,
        "exit_price": exit_price,
        "position_size_usd": quantity * entry_price,
        "entry_time": entry_time,
        "exit_time": exit_time,
        "gross_pnl": -earned if columns.get("side") == "short" else earned,
        **_bot(columns),
    }
    return _create(Trade, columns, defaults)


def AccountBalanceFactory(**columns: Any) -> AccountBalance:  # noqa: N802
    """A periodic balance of 10000, all of it available; equity follows from the total and the unrealised P&L."""
    total = Decimal(columns.get("total_balance", columns.get("equity", 10000)))
    defaults = {
        "balance_id": f"balance_{next(_number)}",
        "timestamp": NOON,
        "total_balance": total,
        "available_balance": total,
        "equity": total + Decimal(columns.get("unrealized_pnl", 0)),
        **_bot(columns),
    }
    return _create(AccountBalance, columns, defaults)


def CashFlowFactory(**columns: Any) -> CashFlow:  # noqa: N802
    """A deposit of 1000 in the bot's currency."""
    defaults: dict[str, Any] = {**_bot(columns)}
    bot = columns.get("bot") or defaults.get("bot")
    defaults |= {
        "cash_flow_id": f"flow_{next(_number)}",
        "kind": "deposit",
        "amount": Decimal(1000),
        "currency": bot.currency if bot is not None else "USDT",
        "occurred_at": NOON,
    }
    return _create(CashFlow, columns, defaults)


def _bot(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "bot" in columns or "bot_id" in columns else {"bot": BotFactory()}


def _create(model: type[Any], columns: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    row = model.objects.create(**{**defaults, **columns})
    if model in DERIVED:
        HAND_MADE.add(getattr(row, "bot_id", None) or row.currency)
    return row


# --- analytics


def RiskMetricsFactory(**columns: Any) -> RiskMetrics:  # noqa: N802
    """A quiet day of a bot with 10000: no trade, no gain."""
    money = {"starting_equity": Decimal(10000), "ending_equity": Decimal(10000)}
    return _create(RiskMetrics, columns, {"date": NOON.date(), "inputs_hash": "0" * 64, **money, **_bot(columns)})


def PortfolioSnapshotFactory(**columns: Any) -> PortfolioSnapshot:  # noqa: N802
    """A portfolio of 10000 USDT without positions."""
    defaults = {"timestamp": NOON, "total_equity": Decimal(10000), "total_balance": Decimal(10000)}
    return _create(PortfolioSnapshot, columns, defaults)


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
    return _create(EquitySnapshot, columns, defaults)


def StrategyPerformanceFactory(**columns: Any) -> StrategyPerformance:  # noqa: N802
    """A day of a demo strategy with three wins and a loss."""
    defaults = {
        "strategy": f"strategy_{next(_number)}",
        "deployment_mode": "demo",
        "timeframe": "daily",
        "timestamp": NOON,
        "win_count": 3,
        "loss_count": 1,
        "win_rate": Decimal("0.75"),
    }
    return _create(StrategyPerformance, columns, defaults)


def PerformanceMetricFactory(**columns: Any) -> PerformanceMetric:  # noqa: N802
    """Figures of a demo bot's trades in BTCUSDT."""
    defaults = {
        "deployment_mode": "demo",
        "symbol": "BTCUSDT",
        "metrics": {"win_rate": 0.5},
        "calculated_at": NOON,
        **_bot(columns),
    }
    return _create(PerformanceMetric, columns, defaults)


def PerformanceSnapshotFactory(**columns: Any) -> PerformanceSnapshot:  # noqa: N802
    """A demo strategy that has earned 10."""
    defaults = {
        "strategy_id": f"strategy_{next(_number)}",
        "timestamp": NOON,
        "deployment_mode": "demo",
        "pnl": {"total": "10", "realized": "10", "unrealized": "0"},
    }
    return _create(PerformanceSnapshot, columns, defaults)


def MLModelFactory(**columns: Any) -> MLModel:  # noqa: N802
    """A model in training on one symbol and interval."""
    defaults = {
        "name": f"model_{next(_number)}",
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
    return _create(MLModel, columns, defaults)


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
    return _create(ModelPrediction, columns, defaults)


def DataQualityCaseFactory(**columns: Any) -> DataQualityCase:  # noqa: N802
    """An open gap of five candles."""
    defaults = {
        "kind": "gap",
        "table_name": "trading.market_data",
        "subject": f"bybit SYM{next(_number)} 5m",
        "row_count": 5,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
    }
    return _create(DataQualityCase, columns, defaults)


# --- audit


def SystemLogFactory(**columns: Any) -> SystemLog:  # noqa: N802
    """A warning of the live layer."""
    defaults = {"timestamp": NOON, "level": "WARNING", "component": "bots.live.publish", "message": "Redis is away."}
    return _create(SystemLog, columns, defaults)


def SystemMetricFactory(**columns: Any) -> SystemMetric:  # noqa: N802
    """A reading of a machine with little to do."""
    defaults = {
        "timestamp": NOON,
        "host": f"host_{next(_number)}",
        "cpu_usage": Decimal("12.5"),
        "memory_usage": Decimal(40),
        "disk_usage": Decimal(55),
        "network_sent_bytes": 10_000,
        "network_received_bytes": 20_000,
        "execution_latency": 1,
        "api_request_count": 600,
        "api_error_count": 0,
    }
    return _create(SystemMetric, columns, defaults)


def SystemHealthFactory(**columns: Any) -> SystemHealth:  # noqa: N802
    """A part of the notifications that was well at noon."""
    defaults = {
        "system": "notification",
        "component": f"channel_{next(_number)}",
        "status": "HEALTHY",
        "last_success": NOON,
        "avg_response_time_ms": 20,
        "checked_at": NOON,
    }
    return _create(SystemHealth, columns, defaults)


def CommandAuditFactory(**columns: Any) -> CommandAudit:  # noqa: N802
    """A report that a registered person asked for."""
    defaults = {
        "telegram_user_id": "123456789",
        "command": "/report",
        "full_message": "/report daily",
        "is_registered_user": True,
        "user_email": "person@example.com",
        "success": True,
        "response_time_ms": 120,
        "created_at": NOON,
    }
    return _create(CommandAudit, columns, defaults)


# --- config_app


def SystemSettingFactory(**columns: Any) -> SystemSetting:  # noqa: N802
    """A setting that is a number."""
    return _create(SystemSetting, columns, {"key": f"report.hour_{next(_number)}", "value": 7})


def ExchangeApiKeyFactory(**columns: Any) -> ExchangeApiKey:  # noqa: N802
    """A key to bybit, with bytes that stand for ciphertexts."""
    defaults = {
        "exchange": "bybit",
        "label": f"key_{next(_number)}",
        "api_key_encrypted": b"ciphertext of a key",
        "api_secret_encrypted": b"ciphertext of a secret",
        "permissions": ["read", "trade"],
    }
    return _create(ExchangeApiKey, columns, defaults)


def WatchedSymbolFactory(**columns: Any) -> WatchedSymbol:  # noqa: N802
    """A pair with USDT."""
    base = f"COIN{next(_number)}"
    defaults = {
        "symbol": f"{base}USDT",
        "base_asset": base,
        "quote_asset": "USDT",
        "timeframes": ["1m", "4h"],
        "price_precision": 2,
        "quantity_precision": 3,
        "min_notional": Decimal(5),
        "min_quantity": Decimal("0.001"),
    }
    return _create(WatchedSymbol, columns, defaults)


def StrategyTemplateFactory(**columns: Any) -> StrategyTemplate:  # noqa: N802
    """A public template without an author."""
    defaults = {"name": f"Template {next(_number)}", "template_data": {"fast": 9, "slow": 26}, "is_public": True}
    return _create(StrategyTemplate, columns, defaults)


# --- accounts


def AuthIdentityFactory(**columns: Any) -> AuthIdentity:  # noqa: N802
    """A Telegram id of a person made for it."""
    defaults = {"provider": "telegram", "external_id": str(next(_number)), **_user(columns)}
    return _create(AuthIdentity, columns, defaults)


def VerificationCodeFactory(**columns: Any) -> VerificationCode:  # noqa: N802
    """A code that nobody can know: its digest is of nothing."""
    return _create(VerificationCode, columns, {"digest": bytes(32), "sent_time": NOON, **_user(columns)})


def _user(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "user" in columns or "user_id" in columns else {"user": UserFactory()}


# --- jobs


def JobScheduleFactory(**columns: Any) -> JobSchedule:  # noqa: N802
    """A schedule that computes yesterday's risk metrics at 00:30, next on the day after NOON; switched on."""
    defaults = {
        "name": f"schedule_{next(_number)}",
        "job_type": "data_processing",
        "target": "risk_metrics_day",
        "cron": "30 0 * * *",
        "next_run_at": utc("2026-11-20 00:30") if columns.get("enabled", True) else None,
    }
    return _create(JobSchedule, columns, defaults)


def JobRunFactory(**columns: Any) -> JobRun:  # noqa: N802
    """A run that waits since NOON, of a schedule made for it unless `job` is given; what it keeps follows from that."""
    job = columns.get("job") or JobScheduleFactory()
    defaults = {
        "job": job,
        "job_type": job.job_type,
        "scheduled_for": NOON,
        "enqueued_at": NOON,
        "job_snapshot": {"target": job.target, "task_params": job.task_params, "cron": job.cron, "trigger": "cron"},
    }
    return _create(JobRun, columns, defaults)


# --- notifications


def ChannelConfigFactory(**columns: Any) -> ChannelConfig:  # noqa: N802
    """A channel that is in use."""
    return _create(ChannelConfig, columns, {"channel": f"channel_{next(_number)}"})


def MessageFactory(**columns: Any) -> Message:  # noqa: N802
    """A message over telegram that is due since NOON."""
    defaults = {
        "message_type": "alert",
        "recipient_id": "chat_1",
        "channels": ["telegram"],
        "content": {"text": "It broke."},
        "created_at": NOON,
        "scheduled_for": NOON,
    }
    return _create(Message, columns, defaults)


def DeliveryStatusFactory(**columns: Any) -> DeliveryStatus:  # noqa: N802
    """An attempt over telegram that failed, of a message made for it unless `message` is given."""
    defaults = {"channel": "telegram", "status": "failed", "error_message": "no answer", "created_at": NOON}
    if "message" not in columns:
        defaults["message"] = MessageFactory()
    return _create(DeliveryStatus, columns, defaults)


def RateLimitFactory(**columns: Any) -> RateLimit:  # noqa: N802
    """A full bucket of 30 that gets 30 tokens a minute."""
    defaults = {
        "user_id": f"chat_{next(_number)}",
        "channel": "telegram",
        "tokens": 30,
        "max_tokens": 30,
        "refill_rate": 30,
        "last_refill": NOON,
    }
    return _create(RateLimit, columns, defaults)


def BroadcastFactory(**columns: Any) -> Broadcast:  # noqa: N802
    """A broadcast that reached 8 of 10."""
    defaults = {"message": "We are back.", "sent_by": "admin@example.com", "success_count": 8, "total_count": 10}
    return _create(Broadcast, columns, {**defaults, "created_at": NOON})


def FeedbackFactory(**columns: Any) -> Feedback:  # noqa: N802
    """Open feedback of nobody in particular."""
    return _create(Feedback, columns, {"message": "More charts.", "created_at": NOON})


# --- bots: strategies, reviews, signals
def StrategyFactory(**columns: Any) -> Strategy:  # noqa: N802
    """An inactive trend follower of BTCUSDT on 15-minute candles."""
    defaults = {
        "name": f"Strategy {next(_number)}",
        "type": "trend_following",
        "parameters": {"fast": 9, "slow": 21},
        "symbols": ["BTCUSDT"],
        "timeframes": ["15m"],
        "risk_parameters": {"max_position_pct": "0.25"},
    }
    return _create(Strategy, columns, defaults)


def TradeReviewFactory(**columns: Any) -> TradeReview:  # noqa: N802
    """A verdict on a trade made for it unless `trade` names one; bot and id follow the trade."""
    trade = columns.get("trade") or TradeFactory()
    defaults = {
        "trade": trade,
        "bot_id": trade.bot_id,
        "reviewed_trade_id": trade.trade_id,
        "verdict": "as_planned",
        "tags": ["breakout"],
        "note": "Entered late.",
    }
    return _create(TradeReview, columns, defaults)


def SignalFactory(**columns: Any) -> Signal:  # noqa: N802
    """A signal to go long in BTCUSDT at 100."""
    defaults = {
        "signal_id": f"signal_{next(_number)}",
        "symbol": "BTCUSDT",
        "signal_type": "long",
        "price": Decimal(100),
        "strategy": "Test strategy",
        "timestamp": NOON,
        **_bot(columns),
    }
    return _create(Signal, columns, defaults)


# --- marketdata
def CandleFactory(**columns: Any) -> Candle:  # noqa: N802
    """A flat one-minute candle of BTCUSDT at 100."""
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), Decimal(100))
    defaults = {"symbol": "BTCUSDT", "interval": "1m", "timestamp": NOON, "volume": Decimal(1), **prices}
    return _create(Candle, columns, defaults)


def OrderBookSnapshotFactory(**columns: Any) -> OrderBookSnapshot:  # noqa: N802
    """A book of BTCUSDT with two bids and one ask."""
    defaults = {
        "symbol": "BTCUSDT",
        "timestamp": NOON,
        "bids": [["99.5", "2"], ["99.4", "0.001"]],
        "asks": [["100.5", "1.25"]],
        "last_update_id": next(_number),
    }
    return _create(OrderBookSnapshot, columns, defaults)


def TechnicalIndicatorFactory(**columns: Any) -> TechnicalIndicator:  # noqa: N802
    """The RSI over 14 one-hour candles of BTCUSDT."""
    defaults = {
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "timestamp": NOON,
        "indicator_name": "rsi",
        "value": Decimal("55.5"),
        "parameters": {"period": 14},
    }
    return _create(TechnicalIndicator, columns, defaults)


# --- analytics: views
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
    return _create(DailyCandle, columns, defaults)


def DailyCandleChangeFactory(**columns: Any) -> DailyCandleChange:  # noqa: N802
    """A note on a day of BTCUSDT in one-minute candles."""
    defaults = {"exchange": "bybit", "symbol": "BTCUSDT", "interval": "1m", "day": NOON.replace(hour=0)}
    return _create(DailyCandleChange, columns, defaults)


def ViewRefreshFactory(**columns: Any) -> ViewRefresh:  # noqa: N802
    """A refresh of daily_ohlcv at noon that went well."""
    defaults = {
        "view_name": "daily_ohlcv",
        "refreshed_at": NOON,
        "attempted_at": NOON,
        "duration_ms": 1,
        "row_count": 1,
    }
    return _create(ViewRefresh, columns, defaults)


# --- accounts: saved views


def SavedViewFactory(**columns: Any) -> SavedView:  # noqa: N802
    """A private view of the trades in BTCUSDT."""
    if "owner" not in columns:
        columns["owner"] = UserFactory()
    return _create(
        SavedView, columns, {"page": "bots.trade", "name": f"View {next(_number)}", "query": "symbol=BTCUSDT"}
    )


# --- audit: runs of the invariants


def InvariantRunFactory(**columns: Any) -> InvariantRun:  # noqa: N802
    """A run that found nothing."""
    defaults = {"at": NOON, "duration_ms": 70, "kind": "full", "ok": True, "counts": {"one": 0}, "version": "0.1.0"}
    return _create(InvariantRun, columns, defaults)


# bots: the inbox


def UnattributedFillFactory(**columns: Any) -> UnattributedFill:  # noqa: N802
    """An execution of 1 BTCUSDT at 100 that nobody has claimed."""
    defaults: dict[str, Any] = {
        "exchange_trade_id": f"execution_{next(_number)}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "price": Decimal(100),
        "quantity": Decimal(1),
        "executed_at": NOON,
        "body": {"price": "100"},
        "content_hash": b"x" * 16,
    }
    if "account" not in columns and "account_id" not in columns:
        defaults["account"] = ExchangeAccountFactory()
    return _create(UnattributedFill, columns, defaults)

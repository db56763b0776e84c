"""Rows that the seeds' own tables take and ours refuse or flag, and rows that the seeds refuse and ours take.

Each case changes a good row of the seed's table and a good row of ours; what is the same in both is said once.
"""

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

Values = dict[str, Any]
NOON, ONE = "2026-11-19 12:00+00", "2026-11-19 13:00+00"
# Looks like BTCUSDT: with Cyrillic letters, with a letter that has no width.
CYRILLIC, ZERO_WIDTH = "\u0412\u0422\u0421USDT", "BTC\u200bUSDT"
UUID = "00000000-0000-4000-8000-000000000001"

# --- good rows


@dataclass(frozen=True)
class Table:
    """A table's good row, and the rows it needs to be there: tables and values, made before it in this order."""

    row: Values
    needs: tuple[tuple[str, Values], ...] = ()


_BOT = {
    "bot_id": "seed_001",
    "bot_name": "Seed",
    "bot_type": "custom",
    "strategy_name": "Test",
    "deployment_mode": "demo",
    "initial_capital": 1000,
}
_OF_BOT = (("alpha.trading.bots", _BOT),)
_CANDLE = {"open_price": 100, "high_price": 110, "low_price": 90, "close_price": 105, "volume": 1}
_TRADE = {
    "trade_id": "t1",
    "bot_id": "seed_001",
    "symbol": "BTCUSDT",
    "side": "long",
    "quantity": 1,
    "entry_price": 100,
    "position_size_usd": 100,
    "entry_time": NOON,
    "strategy": "ema",
}
_POSITION = {
    "position_id": "p1",
    "bot_id": "seed_001",
    "symbol": "BTCUSDT",
    "side": "long",
    "size": 1,
    "avg_entry_price": 100,
    "opened_at": NOON,
    "strategy": "ema",
}
_ORDER = {
    "order_id": "o1",
    "bot_id": "seed_001",
    "symbol": "BTCUSDT",
    "order_type": "market",
    "side": "buy",
    "quantity": 2,
    "created_at": NOON,
}
_SIGNAL = {
    "signal_id": "s1",
    "bot_id": "seed_001",
    "symbol": "BTCUSDT",
    "signal_type": "long",
    "price": 100,
    "timestamp": NOON,
    "strategy": "ema",
}
_BALANCE = {"bot_id": "seed_001", "total_balance": 1000, "available_balance": 1000, "equity": 1000, "timestamp": NOON}
_METRICS = {"bot_id": "seed_001", "date": "2026-11-19", "starting_equity": 1000, "ending_equity": 1000}
_EVENT = {"event_time": NOON, "event_type": "ERROR", "event_level": "ERROR", "message": "Something went wrong."}
_RISK = {
    "event_time": NOON,
    "bot_id": "seed_001",
    "risk_type": "daily_loss_limit",
    "current_value": 0.06,
    "limit_value": 0.05,
    "action_taken": "trading_halted",
}
_CONFIG = {"bot_id": "seed_001", "config_key": "risk_params", "config_value": Jsonb({"max": 1}), "version": 1}
_STRATEGY = {
    "id": UUID,
    "name": "ema",
    "type": "trend_following",
    "parameters": Jsonb({}),
    "symbols": Jsonb(["BTCUSDT"]),
    "timeframes": Jsonb(["1h"]),
    "risk_parameters": Jsonb({}),
}
_OF_STRATEGY = (("abidance.strategies", _STRATEGY),)
_OLD_ORDER = {
    "id": UUID,
    "strategy_id": UUID,
    "symbol": "BTCUSDT",
    "type": "market",
    "side": "buy",
    "status": "new",
    "size": 2,
}
_MODEL = {
    "id": UUID,
    "name": "price",
    "type": "regression",
    "framework": "pytorch",
    "version": "1",
    "hyper_parameters": Jsonb({}),
    "features_list": Jsonb(["rsi"]),
    "symbols": Jsonb(["BTCUSDT"]),
    "timeframes": Jsonb(["1h"]),
    "training_start_date": NOON,
    "training_end_date": ONE,
}

SEED: dict[str, Table] = {
    "alpha.trading.bots": Table(_BOT),
    "alpha.trading.trades": Table(_TRADE, _OF_BOT),
    "alpha.trading.positions": Table(_POSITION, _OF_BOT),
    "alpha.trading.orders": Table(_ORDER, _OF_BOT),
    "alpha.trading.market_data": Table({"symbol": "BTCUSDT", "interval": "1h", "timestamp": NOON, **_CANDLE}),
    "alpha.trading.signals": Table(_SIGNAL, _OF_BOT),
    "alpha.trading.account_balance": Table(_BALANCE, _OF_BOT),
    "alpha.trading.risk_metrics": Table(_METRICS, _OF_BOT),
    "alpha.analytics.portfolio_snapshots": Table({"timestamp": NOON, "total_equity": 1, "total_balance": 1}),
    "alpha.audit.system_events": Table(_EVENT),
    "alpha.audit.risk_events": Table(_RISK, _OF_BOT),
    "alpha.config.bot_configurations": Table(_CONFIG, _OF_BOT),
    "abidance.candlesticks": Table(
        {"symbol": "BTCUSDT", "timeframe": "1h", "timestamp": NOON, "open": 100, "high": 110, "low": 90, "close": 105,
         "volume": 1}
    ),
    "abidance.orders": Table(_OLD_ORDER, _OF_STRATEGY),
    "abidance.strategy_signals": Table(
        {"strategy_id": UUID, "symbol": "BTCUSDT", "timestamp": NOON, "signal_type": "buy", "price": 100}, _OF_STRATEGY
    ),
    "abidance.positions": Table(
        {"strategy_id": UUID, "symbol": "BTCUSDT", "direction": "long", "entry_price": 100, "current_price": 100,
         "size": 1, "remaining_size": 1, "entry_time": NOON},
        _OF_STRATEGY,
    ),
    "abidance.trades": Table(
        {"order_id": UUID, "exchange_trade_id": "x1", "symbol": "BTCUSDT", "price": 100, "size": 1, "fee": 0,
         "fee_currency": "USDT", "side": "buy", "timestamp": NOON},
        (*_OF_STRATEGY, ("abidance.orders", _OLD_ORDER)),
    ),
    "atf.trading_bots": Table({"user_id": 1, "type": "paper", "status": "running"}),
    "atf.trading_trades": Table(
        {"bot_id": 1, "symbol": "BTCUSDT", "entry_time": NOON, "entry_price": 100, "size": 1, "direction": "long",
         "status": "open"}
    ),
}  # fmt: skip

_OF_ACCOUNT = (("trading.exchange_accounts", {"id": 1, "account_id": "seed_001"}),)
_OURS = (
    *_OF_ACCOUNT,
    ("trading.bots", {**_BOT, "account_id": 1}),
    ("trading.bots", {**_BOT, "account_id": 1, "bot_id": "seed_002"}),
)
_FILL = {
    "fill_id": "f1",
    "bot_id": "seed_001",
    "account_id": 1,
    "order_id": "o1",
    "symbol": "BTCUSDT",
    "side": "buy",
    "price": 100,
    "quantity": 1,
    "exchange_trade_id": "x1",
    "executed_at": NOON,
}
OURS: dict[str, Table] = {
    "trading.bots": Table({**_BOT, "account_id": 1}, _OF_ACCOUNT),
    "trading.trades": Table(_TRADE, _OURS),
    "trading.positions": Table({**_POSITION, "quantity": 1, "cost_basis": 100}, _OURS),
    "trading.orders": Table(_ORDER, _OURS),
    "trading.fills": Table(_FILL, (*_OURS, ("trading.orders", _ORDER))),
    "trading.market_data": Table({"symbol": "BTCUSDT", "interval": "1h", "timestamp": NOON, **_CANDLE}),
    "trading.signals": Table(_SIGNAL, _OURS),
    "trading.account_balance": Table({**_BALANCE, "balance_id": "b1"}, _OURS),
    "trading.risk_metrics": Table({**_METRICS, "inputs_hash": "x"}, _OURS),
    "analytics.portfolio_snapshots": Table({"timestamp": NOON, "total_equity": 1, "total_balance": 1}),
    "audit.system_events": Table(_EVENT),
    "audit.risk_events": Table(_RISK, _OURS),
    "config.bot_configurations": Table(_CONFIG, _OURS),
}

# Beside the ledger, as (seed's table, our table): the good row is the same in both, but for what each has more.
_USER = {"id": 1, "email": "ann@example.com", "role": "trader"}
_LOGIN = {"password": "x", "is_superuser": False}
_JOB = {"id": 1, "user_id": 1, "name": "daily", "job_type": "report", "target": "risk", "cron": "0 1 * * *"}
_TEMPLATE = {"name": "ema", "template_data": Jsonb({})}
_RUN = {"job_type": "report", "job_id": 1, "status": "pending", "scheduled_for": NOON}
_BESIDE: tuple[tuple[str, str, Values, Values, Values], ...] = (
    ("abidance.strategies", "trading.strategies", _STRATEGY, {}, {}),
    (
        "abidance.order_book_snapshots", "trading.order_book_snapshots",
        {"symbol": "BTCUSDT", "timestamp": NOON, "bids": Jsonb([["99", "1"]]), "asks": Jsonb([["101", "1"]]),
         "last_update_id": 1}, {}, {},
    ),
    (
        "abidance.technical_indicators", "trading.technical_indicators",
        {"symbol": "BTCUSDT", "timeframe": "1h", "timestamp": NOON, "indicator_name": "rsi", "value": 50}, {}, {},
    ),
    (
        "abidance.equity_snapshots", "analytics.equity_snapshots",
        {"timestamp": NOON, "total_equity": 1000, "available_balance": 1000, "allocated_in_positions": 0,
         "open_position_count": 0, "unrealized_pnl": 0, "realized_daily_pnl": 0},
        {}, {"bot_id": "seed_001", "deployment_mode": "demo"},
    ),
    (
        "abidance.strategy_performance", "analytics.strategy_performance",
        {"timestamp": NOON, "timeframe": "daily", "win_count": 1, "loss_count": 0},
        {"strategy_id": UUID}, {"strategy": "ema", "deployment_mode": "demo"},
    ),
    (
        "abidance.system_metrics", "audit.system_metrics",
        {"timestamp": NOON, "cpu_usage": 5, "memory_usage": 50, "disk_usage": 50, "network_sent_bytes": 1,
         "network_received_bytes": 1, "execution_latency": 1, "api_request_count": 10, "api_error_count": 0}, {}, {},
    ),
    ("abidance.system_settings", "config.system_settings", {"key": "theme", "value": Jsonb("dark")}, {}, {}),
    (
        "abidance.api_keys", "config.api_keys",
        {"exchange": "bybit", "label": "main", "api_key_encrypted": b"\1\0\1" + b"x" * 64,
         "api_secret_encrypted": b"\1\0\1" + b"x" * 64, "permissions": Jsonb(["trade"])}, {},
        {"key_fingerprint": "0123456789abcdef", "key_version": 1, "key_set_at": NOON, "key_set_by": "admin"},
    ),
    (
        "abidance.watched_symbols", "config.watched_symbols",
        {"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "timeframes": Jsonb(["1h"]),
         "price_precision": 2, "quantity_precision": 3, "min_notional": 5, "min_quantity": 0.001}, {}, {},
    ),
    ("abidance.ml_models", "analytics.ml_models", _MODEL, {}, {}),
    (
        "abidance.model_predictions", "analytics.model_predictions",
        {"model_id": UUID, "symbol": "BTCUSDT", "timestamp": NOON, "prediction_type": "next_price",
         "prediction_value": 100}, {}, {},
    ),
    (
        "abidance.system_logs", "audit.system_logs",
        {"timestamp": NOON, "component": "web", "message": "x"}, {"level": "error"}, {"level": "ERROR"},
    ),
    ("atf.msg_system_health", "audit.system_health", {"system": "database", "status": "HEALTHY"}, {}, {}),
    ("atf.usr_users", "accounts.users", {"email": "bob@example.com", "role": "trader"}, {}, _LOGIN),
    ("atf.job_schedules", "jobs.job_schedules", _JOB, {}, {"next_run_at": ONE}),
    ("atf.job_schedule_runs", "jobs.job_schedule_runs", _RUN, {}, {}),
    (
        "atf.telegram_command_audits", "audit.command_audits",
        {"telegram_user_id": "7", "command": "/start", "success": True}, {}, {},
    ),
    (
        "atf.telegram_broadcast_logs", "messaging.broadcasts",
        {"message": "Hello", "sent_by": "ann", "success_count": 1, "total_count": 2}, {}, {},
    ),
    ("atf.telegram_feedbacks", "messaging.feedbacks", {"type": "feedback", "message": "x", "status": "open"}, {}, {}),
    ("atf.webui_audit_logs", "audit.user_actions", {"action": "login"}, {}, {}),
    ("atf.webui_strategy_templates", "config.strategy_templates", _TEMPLATE, {}, {}),
    (
        "atf.webui_performance_snapshots", "analytics.performance_snapshots",
        {"strategy_id": "ema", "timestamp": NOON, "pnl": Jsonb({"total": "1"})}, {}, {"deployment_mode": "demo"},
    ),
    (
        "atf.trading_performance_metrics", "analytics.performance_metrics",
        {"symbol": "BTCUSDT", "interval": "1h", "metrics": Jsonb({}), "calculated_at": NOON},
        {"bot_id": 1}, {"bot_id": "seed_001", "deployment_mode": "demo"},
    ),
)  # fmt: skip
_SEED_NEEDS = {
    "abidance.strategy_performance": _OF_STRATEGY,
    "abidance.model_predictions": (("abidance.ml_models", _MODEL),),
}
_OUR_NEEDS = {
    "analytics.equity_snapshots": _OURS,
    "analytics.performance_metrics": _OURS,
    "analytics.model_predictions": (("analytics.ml_models", _MODEL),),
    "jobs.job_schedules": (("accounts.users", {**_USER, **_LOGIN}),),
    "jobs.job_schedule_runs": (
        ("accounts.users", {**_USER, **_LOGIN}),
        ("jobs.job_schedules", {**_JOB, "next_run_at": ONE}),
    ),
}
HOMES = {old: new for old, new, *_ in _BESIDE}
for _old, _new, _row, _more_there, _more_here in _BESIDE:
    SEED[_old] = Table({**_row, **_more_there}, _SEED_NEEDS.get(_old, ()))
    OURS[_new] = Table({**_row, **_more_here}, _OUR_NEEDS.get(_new, ()))

# --- bad rows


@dataclass(frozen=True)
class Case:
    """One row, made by changing good ones.

    seed: table of the seed, and the change. ours: the same for us, when table or columns have other names.
    by: name of the constraint that refuses it; or `type`, `not null`, `computed`; or `flagged by` an invariant.
    first: change of a row that is there before. updates: the row that is there becomes the bad one.
    """

    name: str
    table: str
    change: Values
    by: str = ""
    our_table: str = ""
    our_change: Values | None = None
    first: Values | None = None
    our_first: Values | None = None
    updates: bool = False

    @property
    def ours(self) -> tuple[str, Values]:
        """Our table and the change of our good row."""
        table = self.our_table or HOMES.get(self.table) or self.table.removeprefix("alpha.")
        return table, self.change if self.our_change is None else self.our_change

    @property
    def before(self) -> Values | None:
        """The change of our row that is there before."""
        return self.first if self.our_first is None else self.our_first


def bad(table: str, by: str, name: str, change: Values, **more: Any) -> Case:
    """Return a case; what it is about comes last."""
    return Case(name=name, table=table, change=change, by=by, **more)

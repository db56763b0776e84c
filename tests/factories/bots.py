"""Bots, their accounts, and what they plan and judge."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bots.models import (
    Bot,
    ControlChange,
    ControlReceipt,
    ControlState,
    ExchangeAccount,
    RiskGroup,
    RiskLatch,
    RiskLimit,
    Signal,
    Strategy,
)
from tests.factories.base import NOON, create, numbers


def ExchangeAccountFactory(**columns: Any) -> ExchangeAccount:  # noqa: N802
    """An account at bybit that settles in USDT."""
    return create(ExchangeAccount, columns, {"account_id": f"account_{next(numbers)}"})


def BotFactory(**columns: Any) -> Bot:  # noqa: N802
    """An active demo bot with 10000 USDT, on an account of its own; without an initial cash flow."""
    number = next(numbers)
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
    return create(Bot, columns, defaults)


def own_bot(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "bot" in columns or "bot_id" in columns else {"bot": BotFactory()}


def ControlStateFactory(**columns: Any) -> ControlState:  # noqa: N802
    """A halt of a symbol nobody trades; the database numbers it and keeps it as a change."""
    defaults = {"scope": "symbol", "target": f"X{next(numbers)}USDT", "state": "HALTED", "reason": "test"}
    made = create(ControlState, columns, defaults)
    made.refresh_from_db()
    return made


def ControlChangeFactory(**columns: Any) -> ControlChange:  # noqa: N802
    """The change that the database keeps of a new state."""
    return ControlChange.objects.get(pk=ControlStateFactory(**columns).server_seq)


def ControlReceiptFactory(**columns: Any) -> ControlReceipt:  # noqa: N802
    """A bot that was told of the newest change with a heartbeat."""
    is_named = "change" in columns or "change_id" in columns
    given = {} if is_named else {"change": ControlChange.objects.first() or ControlChangeFactory()}
    return create(ControlReceipt, columns, {"told_by": "heartbeat", **given, **own_bot(columns)})


def StrategyFactory(**columns: Any) -> Strategy:  # noqa: N802
    """An inactive trend follower of BTCUSDT on 15-minute candles."""
    defaults = {
        "name": f"Strategy {next(numbers)}",
        "type": "trend_following",
        "parameters": {"fast": 9, "slow": 21},
        "symbols": ["BTCUSDT"],
        "timeframes": ["15m"],
        "risk_parameters": {"max_position_pct": "0.25"},
    }
    return create(Strategy, columns, defaults)


def SignalFactory(**columns: Any) -> Signal:  # noqa: N802
    """A signal to go long in BTCUSDT at 100."""
    defaults = {
        "signal_id": f"signal_{next(numbers)}",
        "symbol": "BTCUSDT",
        "signal_type": "long",
        "price": Decimal(100),
        "strategy": "Test strategy",
        "timestamp": NOON,
        **own_bot(columns),
    }
    return create(Signal, columns, defaults)


def RiskLimitFactory(**columns: Any) -> RiskLimit:  # noqa: N802
    """At most 1000 USDT in BTCUSDT over all demo bots."""
    defaults = {
        "kind": "gross_exposure",
        "scope": "symbol",
        "target": "BTCUSDT",
        "deployment_mode": "demo",
        "limit_value": Decimal(1000),
        "currency": "USDT",
        "reason": "Enough of it.",
    }
    return create(RiskLimit, columns, defaults)


def RiskLatchFactory(**columns: Any) -> RiskLatch:  # noqa: N802
    """Half size of a bot of its own, since noon."""
    defaults = {"effect": "half_size", "started_at": NOON, "start_equity": 10000, "worst_loss_pct": "0.05"}
    if "risk_limit" not in columns:
        weekly = {"kind": "weekly_loss_limit", "scope": "bot", "target": f"bot_of_{next(numbers)}", "currency": ""}
        defaults["risk_limit"] = RiskLimitFactory(**weekly, limit_value=Decimal("0.04"), action="half_size")
    return create(RiskLatch, columns, defaults | own_bot(columns))


def RiskGroupFactory(**columns: Any) -> RiskGroup:  # noqa: N802
    """BTCUSDT and ETHUSDT, by 60 days."""
    defaults = {
        "name": f"GROUP{next(numbers)}",
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "least_correlation": Decimal("0.9"),
        "days": 60,
    }
    return create(RiskGroup, columns, defaults)

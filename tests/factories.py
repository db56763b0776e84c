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

from accounts.models import SavedView, User
from bots.models import AccountBalance, Bot, CashFlow, ExchangeAccount, Fill, Order, Position, Trade

_number = count(1)

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
    return model.objects.create(**{**defaults, **columns})


# --- accounts: saved views


def SavedViewFactory(**columns: Any) -> SavedView:  # noqa: N802
    """A private view of the trades in BTCUSDT."""
    if "owner" not in columns:
        columns["owner"] = UserFactory()
    return _create(
        SavedView, columns, {"page": "bots.trade", "name": f"View {next(_number)}", "query": "symbol=BTCUSDT"}
    )

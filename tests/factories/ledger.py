"""Rows of the ledger, as single rows: nothing is derived, and no fact stands behind them."""

from decimal import Decimal
from typing import Any

from bots.models import AccountBalance, Bot, CashFlow, Fill, Order, Position, Trade, TradeReview, UnattributedFill
from tests.factories.base import NOON, create, numbers
from tests.factories.bots import ExchangeAccountFactory, own_bot


def OrderFactory(**columns: Any) -> Order:  # noqa: N802
    """A pending market order to buy 2 BTCUSDT."""
    defaults = {
        "order_id": f"order_{next(numbers)}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "order_type": "market",
        "quantity": Decimal(2),
        "created_at": NOON,
        **own_bot(columns),
    }
    return create(Order, columns, defaults)


def FillFactory(**columns: Any) -> Fill:  # noqa: N802
    """A fill of 1 at 100, of an order made for it unless `order_id` names one; symbol and side follow the order."""
    order_id = columns.pop("order_id", None)
    defaults: dict[str, Any] = {**own_bot(columns)}
    bot = columns.get("bot") or defaults.get("bot") or Bot.objects.get(bot_id=columns["bot_id"])
    if order_id is None:
        told = {name: columns[name] for name in ("symbol", "side", "quantity") if name in columns}
        order = OrderFactory(bot=bot, **told)
    else:
        order = Order.objects.get(bot=bot, order_id=order_id)
    defaults |= {
        "fill_id": f"fill_{next(numbers)}",
        "account": bot.account,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "price": Decimal(100),
        "quantity": Decimal(1),
        "executed_at": NOON,
    }
    return create(Fill, columns, defaults)


def PositionFactory(**columns: Any) -> Position:  # noqa: N802
    """An open long position of 1 BTCUSDT at 100; cost basis and average follow from size and price."""
    size = Decimal(columns.get("size", 1))
    price = Decimal(columns.get("avg_entry_price", 100))
    defaults = {
        "position_id": f"position_{next(numbers)}",
        "symbol": "BTCUSDT",
        "side": "long",
        "size": size,
        "quantity": size or Decimal(1),
        "avg_entry_price": price,
        "cost_basis": size * price,
        "entry_notional": (size or Decimal(1)) * price,
        "opened_at": NOON,
        **own_bot(columns),
    }
    return create(Position, columns, defaults)


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
        "trade_id": f"trade_{next(numbers)}",
        "symbol": "BTCUSDT",
        "side": "long",
        "quantity": quantity,
        "entry_price": entry_price,
        "exit_price": exit_price,
        "position_size_usd": quantity * entry_price,
        "entry_time": entry_time,
        "exit_time": exit_time,
        "gross_pnl": -earned if columns.get("side") == "short" else earned,
        **own_bot(columns),
    }
    return create(Trade, columns, defaults)


def AccountBalanceFactory(**columns: Any) -> AccountBalance:  # noqa: N802
    """A periodic balance of 10000, all of it available; equity follows from the total and the unrealised P&L."""
    total = Decimal(columns.get("total_balance", columns.get("equity", 10000)))
    defaults = {
        "balance_id": f"balance_{next(numbers)}",
        "timestamp": NOON,
        "total_balance": total,
        "available_balance": total,
        "equity": total + Decimal(columns.get("unrealized_pnl", 0)),
        **own_bot(columns),
    }
    return create(AccountBalance, columns, defaults)


def CashFlowFactory(**columns: Any) -> CashFlow:  # noqa: N802
    """A deposit of 1000 in the bot's currency."""
    defaults: dict[str, Any] = {**own_bot(columns)}
    bot = columns.get("bot") or defaults.get("bot")
    defaults |= {
        "cash_flow_id": f"flow_{next(numbers)}",
        "kind": "deposit",
        "amount": Decimal(1000),
        "currency": bot.currency if bot is not None else "USDT",
        "occurred_at": NOON,
    }
    return create(CashFlow, columns, defaults)


def UnattributedFillFactory(**columns: Any) -> UnattributedFill:  # noqa: N802
    """An execution of 1 BTCUSDT at 100 that nobody has claimed."""
    defaults: dict[str, Any] = {
        "exchange_trade_id": f"execution_{next(numbers)}",
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
    return create(UnattributedFill, columns, defaults)


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
    return create(TradeReview, columns, defaults)

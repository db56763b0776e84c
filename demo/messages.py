"""What the bots say, in the bodies of the API: one function an operation, plain values in, JSON-ready out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demo.broker import Broker, Execution, Ticket, amount
from demo.candles import Candle, plain, rfc3339
from demo.registry import DemoBot
from demo.strategies.base import OPENING, Action, Intent, Side

_PURPOSE = {Action.OPEN: "entry", Action.FLIP: "entry", Action.ADD: "scale_in", Action.REDUCE: "scale_out"}
_EXIT_PURPOSE = {"stop_loss": "stop_loss", "trailing_stop": "stop_loss", "take_profit": "take_profit"}


@dataclass(frozen=True, slots=True)
class Job:
    """One order on its way: who wants it, why, and how the broker sees it."""

    bot: DemoBot
    run: str
    symbol: str
    quote: str
    candle: Candle
    intent: Intent
    ticket: Ticket

    @property
    def order_id(self) -> str:
        return f"{self.bot.bot_id}-{self.run}-o{self.ticket.number}"

    @property
    def signal_id(self) -> str | None:
        """Only orders that follow from a decision have a signal; stops and targets wait at the exchange."""
        return f"{self.bot.bot_id}-{self.run}-s{self.ticket.number}" if self.intent.order_type == "market" else None

    @property
    def signal_type(self) -> str:
        return self.intent.side if self.intent.action in OPENING else f"close_{self.intent.side}"


def signal_data(job: Job, indicators: dict[str, float | str], at: datetime) -> dict[str, Any]:
    """Body of `POST /signals`."""
    intent = job.intent
    rounded = {name: float(f"{x:.8g}") if isinstance(x, float) else x for name, x in indicators.items()}
    data: dict[str, Any] = {
        "signal_id": job.signal_id,
        "symbol": job.symbol,
        "signal_type": job.signal_type,
        "price": plain(intent.price),
        "strategy": job.bot.strategy,
        "strength": f"{intent.strength:.4f}",
        "timestamp": rfc3339(at),
        "indicators": rounded | {"reason": intent.reason, "candle_time": rfc3339(job.candle.timestamp)},
    }
    if intent.plan is not None:
        data["suggested_stop_loss"] = plain(intent.plan.stop)
        if intent.plan.take_profit is not None:
            data["suggested_take_profit"] = plain(intent.plan.take_profit)
    return data


def order_data(job: Job, order_intent: str, at: datetime) -> dict[str, Any]:
    """Body of `POST /orders`; a report tells of an order that is at the exchange already."""
    intent, ticket = job.intent, job.ticket
    metadata = {"reason": intent.reason, "candle_time": rfc3339(job.candle.timestamp)}
    if intent.action not in (Action.OPEN, Action.ADD):
        metadata["exit_reason"] = "signal_reversal" if intent.action is Action.FLIP else intent.reason
    data: dict[str, Any] = {
        "order_id": job.order_id,
        "symbol": job.symbol,
        "side": ticket.side,
        "order_type": intent.order_type,
        "quantity": plain(ticket.quantity),
        "order_purpose": _PURPOSE.get(intent.action) or _EXIT_PURPOSE.get(intent.reason, "exit"),
        "leverage": job.bot.leverage_limit,
        "reduce_only": intent.action not in OPENING,
        "strategy": job.bot.strategy,
        "intent": order_intent,
        "created_at": rfc3339(at),
        "order_metadata": metadata,
    }
    if job.signal_id is not None:
        data["signal_id"] = job.signal_id
    if intent.order_type != "market":
        data["price" if intent.order_type == "limit" else "stop_price"] = plain(intent.price)
    if order_intent == "report":
        data |= {"status": "submitted", "exchange_order_id": f"paper-{job.order_id}"}
    return data


def submitted_data(job: Job, at: datetime) -> dict[str, Any]:
    """Body of `PATCH /orders/{order_id}` once the exchange has the order."""
    return {
        "order_id": job.order_id,
        "status": "submitted",
        "exchange_order_id": f"paper-{job.order_id}",
        "at": rfc3339(at),
    }


def fill_data(job: Job, execution: Execution, part: int, at: datetime) -> dict[str, Any]:
    """Body of `POST /fills`."""
    fill_id = f"{job.bot.bot_id}-{job.run}-f{job.ticket.number}.{part}"
    return {
        "fill_id": fill_id,
        "order_id": job.order_id,
        "price": plain(execution.price),
        "quantity": plain(execution.quantity),
        "fee": plain(execution.fee),
        "fee_currency": job.quote,
        "liquidity": "maker" if job.intent.order_type == "limit" else "taker",
        "exchange_trade_id": f"paper-{fill_id}",
        "executed_at": rfc3339(at),
    }


def balance_data(balance_id: str, broker: Broker, leverage: int, snapshot_type: str, at: datetime) -> dict[str, Any]:
    """Body of `POST /balances`: available + locked = total, equity = total + unrealised."""
    total, unrealised, locked = (amount(x) for x in (broker.balance, broker.unrealised(), broker.margin(leverage)))
    return {
        "balance_id": balance_id,
        "total_balance": plain(total),
        "available_balance": plain(total - locked),
        "locked_balance": plain(locked),
        "margin_used": plain(locked),
        "equity": plain(total + unrealised),
        "unrealized_pnl": plain(unrealised),
        "snapshot_type": snapshot_type,
        "timestamp": rfc3339(at),
    }


def event_data(event_id: str, event_type: str, message: str, details: dict[str, Any], at: datetime) -> dict[str, Any]:
    """One entry of `POST /events`."""
    return {
        "event_id": event_id,
        "event_type": event_type,
        "event_level": "INFO",
        "component": "demo",
        "message": message,
        "details": details,
        "event_time": rfc3339(at),
    }


def reported_positions(broker: Broker) -> list[dict[str, str]]:
    """The `positions` of `POST /positions/reported`."""
    return [
        {
            "symbol": symbol,
            "side": Side.LONG if held.size > 0 else Side.SHORT,
            "size": plain(abs(held.size)),
            "avg_entry_price": plain(held.average_price),
        }
        for symbol, held in sorted(broker.held.items())
    ]

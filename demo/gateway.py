"""The live gateway: a trader's operations through `tradingdb_client`.

Facts wait in the client's spool while the API is away. An order is asked for, never spooled: without a
valid permit and an answer there is no order. What the ledger and the bot do not agree on, the ledger decides:
`is_out_of_step` asks for a fresh start from it.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.strategies.base import Plan
from tradingdb_client import (
    Ack,
    ApiError,
    BotHalted,
    Client,
    ClientError,
    NoPermit,
    RateLimited,
    RiskRejected,
    Unauthorized,
    Unavailable,
)

_TICK = timedelta(milliseconds=1)


class LiveGateway:
    """Sends one bot's operations. `replay_id` marks the plans it keeps as made on these candles."""

    def __init__(self, client: Client, now: Callable[[], datetime], *, replay_id: str, log: logging.Logger) -> None:
        self.client = client
        self.replay_id = replay_id
        self.position_ids: dict[str, str] = {}
        self.is_out_of_step = False
        self._wall_now = now
        self._log = log
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """The wall clock in milliseconds, later at every call: two fills never share a time."""
        moment = self._wall_now()
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        self._last = max(moment, self._last + _TICK)
        return self._last

    def may_trade(self, *, opening: bool) -> bool:
        return self.client.may_trade(reducing=not opening)

    def send(self, op: str, data: dict[str, Any]) -> bool:
        if op == "order":
            return self._request_order(data)
        try:
            ack = self._send_fact(op, data)
        except Unauthorized:
            raise
        except ApiError as error:
            self._log.warning("A %s was refused, starting again from the ledger: %s", op, error)
            self.is_out_of_step = True
            return True
        if ack.flags:
            self._log.info("A %s was stored with flags %s: %s", op, ack.flags, data)
        if op == "fill":
            self._note_fill(data, ack)
        return True

    def keep_plan(self, symbol: str, plan: Plan, step: int) -> bool:
        position_id = self.position_ids.get(symbol)
        if position_id is None:
            return False
        metadata = {"plan": plan.to_json(), "step": step, "replay_id": self.replay_id}
        try:
            self.client.position_update(
                position_id, stop_loss=plan.stop, take_profit=plan.take_profit, position_metadata=metadata
            )
        except Unauthorized:
            raise
        except ClientError as error:
            self._log.debug("The plan for %s is not kept: %s", symbol, error)
            return False
        return True

    def _request_order(self, data: dict[str, Any]) -> bool:
        what = f"{data['side']} {data['quantity']} {data['symbol']} {data['order_metadata']['reason']}"
        try:
            self.client.order(**data)
        except (RiskRejected, BotHalted) as error:
            reasons = getattr(error, "reasons", []) or error.detail
            self._log.info("%s is not allowed: %s", what, reasons)
            return False
        except NoPermit as error:
            self._log.info("%s is not placed: %s", what, error)
            if error.was_admitted:
                # The ledger has it as pending, and nobody will place it.
                self._send_fact("order_update", {"order_id": data["order_id"], "status": "cancelled", "at": self.now()})
            return False
        except (Unavailable, RateLimited) as error:
            self._log.info("%s is not placed: %s", what, error)
            return False
        except Unauthorized:
            raise
        except ApiError as error:
            self._log.warning("%s is not taken: %s", what, error)
            return False
        self._log.info("%s", what)
        return True

    def _send_fact(self, op: str, data: dict[str, Any]) -> Ack:
        client = self.client
        if op == "signal":
            return client.signal(**data)
        if op == "order_update":
            return client.order_update(**data)
        if op == "fill":
            return client.fill(**data)
        if op == "balance":
            return client.balance(**data)
        if op == "event":
            return client.events([data])  # type: ignore[list-item]
        raise ValueError(f"no such operation: {op}")

    def _note_fill(self, data: dict[str, Any], ack: Ack) -> None:
        """Remember the id of the position the fill left open."""
        position = ack.data.get("position") or {}
        symbol = position.get("symbol")
        if symbol and position.get("status") != "closed":
            self.position_ids[symbol] = position["position_id"]
        elif symbol:
            self.position_ids.pop(symbol, None)

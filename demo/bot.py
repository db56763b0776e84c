"""One bot as a process: `python -m demo.bot shortseller_001`. It knows tradingdb by its HTTP API alone."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from demo.broker import Held, amount
from demo.candles import Candle, plain
from demo.gateway import LiveGateway
from demo.messages import reported_positions
from demo.process import Outage, Settings, Time, WallTime, run_until_stopped, set_up_log
from demo.registry import DemoBot, bot
from demo.replay import EXCHANGE, Clock, Series, SeriesInfo, tick_price
from demo.strategies.base import Plan
from demo.trader import Trader
from tradingdb_client import Client, ClientError, Pace, RateLimited, Unavailable

HEARTBEAT_EVERY = timedelta(seconds=5)
REPORT_EVERY = timedelta(seconds=60)
PAGE = 1000
LONGEST_SLEEP = 0.5
_PRICE_STEP = Decimal("1e-8")
_ACTIVE = ("pending", "submitted", "partially_filled")


class BotRunner:
    """The bot's working day: heartbeats, candles, orders, reports; it carries on from what the ledger knows."""

    def __init__(self, *, demo_bot: DemoBot, clock: Clock, client: Client, time: Time, log: logging.Logger) -> None:
        self.bot = demo_bot
        self.clock = clock
        self.client = client
        self.time = time
        self.log = log
        self.outage = Outage(log)
        self.gateway = LiveGateway(client, time.now, replay_id=clock.replay_id, log=log)
        self.series: list[Series] = []
        self.trader = self._new_trader()
        self.next_step = 0
        self.next_heartbeat = self.next_report = time.now()
        self.acknowledged_halt: int | None = None
        self.latency_ms: int | None = None

    def run(self) -> None:
        """Work until the process is to stop."""
        if not self._wait_for_start():
            return
        held = [f"{held.size:f} {symbol}" for symbol, held in self.trader.broker.held.items()]
        self.log.info("trades %s; holds %s", [s.symbol for s in self.series], held or "nothing")
        self.trader.send_event("BOT_START", "Paper trading goes on.", {"step": self.next_step})
        run_until_stopped(self.time, self.turn)
        self.trader.send_balance()
        self.trader.send_event("BOT_STOP", "Paper trading pauses.", {"step": self.next_step})
        self.log.info("stopped")

    def turn(self) -> float:
        """Do what is due, and return the seconds until something is."""
        for task in (self._restore_if_needed, self._take_steps, self._beat_if_due, self._report_if_due):
            try:
                task()
            except (Unavailable, RateLimited) as error:
                self.outage.begins(error)
        due = min(self.clock.time_of(self.next_step + 1), self.next_heartbeat, self.next_report)
        return min(LONGEST_SLEEP, max(0.01, (due - self.time.now()).total_seconds()))

    def restore(self) -> None:
        """Take the account as the ledger has it: undelivered facts first, then balance, positions and plans."""
        self.client.flush()
        self._cancel_leftovers()
        positions: list[dict[str, Any]] = [dict(row) for row in self.client.positions(limit=PAGE)]
        # A fill through zero splits its fee between two positions, where it need not come out even.
        fees = sum((Decimal(fill["fee"]) for fill in self.client.fills(limit=PAGE)), Decimal(0))
        self.next_step = self.clock.step_at(self.time.now())
        self.trader = self._new_trader()
        for desk in self.trader.desks.values():
            desk.begin_lap(self.next_step)
        self.gateway.position_ids.clear()
        self.trader.broker.balance -= fees
        for position in positions:
            self.trader.broker.balance += Decimal(position["realized_pnl"])
            if Decimal(position["size"]):
                self._take_over(position)
        self.gateway.is_out_of_step = False

    def _new_trader(self) -> Trader:
        run = f"{int(self.time.now().timestamp() * 1000):x}"
        quote = self.clock.quote or "USD"
        return Trader(bot=self.bot, quote=quote, series=self.series, gateway=self.gateway, run=run)

    def restore_from_api(self) -> None:
        """Read the candles, then the account. Raises CandlesMissingError, or what the client raises."""
        self.series = [self._read_series(info) for info in self.clock.series if info.is_traded]
        self.restore()

    def _wait_for_start(self) -> bool:
        """Get all from the API once it has it; False when the process is to stop first."""
        reason = ""
        while True:
            try:
                self.restore_from_api()
            except (Unavailable, RateLimited, CandlesMissingError) as error:
                if type(error).__name__ != reason:
                    self.log.info("waits: %s", error)
                reason = type(error).__name__
            else:
                return True
            if self.time.wait(1.0):
                return False

    def _read_series(self, info: SeriesInfo) -> Series:
        candles = read_candles(self.client, info)
        if len(candles) != info.count:
            self.log.info("%s has %d candles, the replay %d", info.symbol, len(candles), info.count)
        return Series(info.symbol, info.seconds, candles)

    def _take_over(self, position: dict[str, Any]) -> None:
        """Hold an open position of the ledger, with its plan; one of other candles is to be closed."""
        symbol, entry = position["symbol"], Decimal(position["avg_entry_price"])
        sign = 1 if position["side"] == "long" else -1
        size, cost = Decimal(position["size"]).normalize(), Decimal(position["cost_basis"]).normalize()
        trader = self.trader
        trader.broker.held[symbol] = Held(sign * abs(size), sign * abs(cost))
        trader.broker.mark(symbol, entry)
        self.gateway.position_ids[symbol] = position["position_id"]
        if symbol not in trader.desks:
            # It stands still at its entry price: a series of one candle, which is always the last.
            price = entry.quantize(_PRICE_STEP).normalize()
            still = Candle(self.time.now(), price, price, price, price, Decimal(0))
            trader.open_desk(Series(symbol, 60, (still,)))
            return
        desk = trader.desks[symbol]
        metadata = position.get("position_metadata") or {}
        with suppress(KeyError, TypeError, ArithmeticError):
            plan, step = Plan.from_json(metadata["plan"]), int(metadata["step"])
            desk.plan = replace(plan, bars=plan.bars + max(0, self.next_step - 1 - step))
            if metadata["replay_id"] != self.clock.replay_id:
                desk.stale_price = entry.quantize(_PRICE_STEP).normalize()
            elif desk.series.ring.lap(step) != desk.lap:
                desk.stale_price = desk.series.candles[-1].close

    def _restore_if_needed(self) -> None:
        if self.gateway.is_out_of_step:
            self.restore()

    def _take_steps(self) -> None:
        """Take every candle that is complete, and trade on the newest; not on an account that may be wrong."""
        if self.gateway.is_out_of_step:
            return
        forming = self.clock.step_at(self.time.now())
        while self.next_step < forming:
            for symbol in self.trader.desks:
                self.trader.on_step(symbol, self.next_step, act=self.next_step == forming - 1)
            self.next_step += 1
        self._mark_to_market()

    def _mark_to_market(self) -> None:
        """Value the positions at the price of the moment."""
        now = self.time.now()
        step, tick = self.clock.step_at(now), self.clock.tick_at(now)
        for symbol, desk in self.trader.desks.items():
            self.trader.broker.mark(symbol, tick_price(desk.series.bar(step).candle, tick))

    def _beat_if_due(self) -> None:
        started = self.time.now()
        if started < self.next_heartbeat:
            return
        self.next_heartbeat = started + HEARTBEAT_EVERY
        answer = self.client.heartbeat(
            equity=plain(amount(self.trader.broker.equity())),
            latency_ms=self.latency_ms,
            acknowledged_halt=self.acknowledged_halt,
        )
        self.latency_ms = int((self.time.now() - started).total_seconds() * 1000)
        self.outage.ends()
        halt = answer["halt"]
        known, self.acknowledged_halt = self.acknowledged_halt, halt["id"] if halt else None
        if halt and halt["id"] != known:
            self.log.info("halted: %s", halt["reason"])
            # Acknowledge at once.
            self.next_heartbeat = started

    def _report_if_due(self) -> None:
        now = self.time.now()
        if now < self.next_report or self.gateway.is_out_of_step:
            return
        self.next_report = now + REPORT_EVERY
        self.trader.send_balance()
        self.client.report_positions(reported_positions(self.trader.broker), as_of=self.gateway.now())  # type: ignore[arg-type]
        if self.client.flush().rejected:
            self.gateway.is_out_of_step = True
        self._cancel_leftovers()
        for position in self.client.positions(status="open", limit=PAGE):
            self.gateway.position_ids[position["symbol"]] = position["position_id"]

    def _cancel_leftovers(self) -> None:
        """Cancel orders nobody works on any more: the bot died over them, or never heard that they arrived."""
        for status in _ACTIVE:
            for order in self.client.orders(status=status, limit=PAGE):
                self.client.order_update(order["order_id"], status="cancelled", at=self.gateway.now())
                self.log.info("order %s was left over and is cancelled", order["order_id"])


class CandlesMissingError(Exception):
    """The candles are not in the API yet."""


def read_candles(client: Client, info: SeriesInfo) -> Sequence[Candle]:
    """Return a symbol's candles from the API, oldest first. Raises CandlesMissingError while the last is missing."""
    candles: list[Candle] = []
    seen = datetime.fromisoformat(info.first_timestamp) - timedelta(seconds=1)
    last = datetime.fromisoformat(info.last_timestamp)
    while seen < last:
        table = client.get_candles(
            exchange=EXCHANGE, symbol=info.symbol, interval=info.interval, start=seen, limit=PAGE
        )
        page = [_candle(table["columns"], row) for row in table["rows"]]
        fresh = [candle for candle in page if seen < candle.timestamp <= last]
        if not fresh:
            raise CandlesMissingError(f"{info.symbol} {info.interval} is not all there yet")
        candles.extend(fresh)
        seen = candles[-1].timestamp
    return candles


def _candle(columns: Sequence[str], row: Sequence[Any]) -> Candle:
    values = dict(zip(columns, row, strict=True))
    numbers = (Decimal(values[name]).normalize() for name in ("open", "high", "low", "close", "volume"))
    return Candle(datetime.fromisoformat(values["timestamp"]), *numbers)


def main(bot_id: str) -> int:
    """Run one bot until SIGTERM or SIGINT."""
    settings = Settings.read(os.environ)
    time = WallTime()
    log = set_up_log(bot_id)
    token = json.loads((settings.folder / "tokens.json").read_text(encoding="utf-8"))[bot_id]
    clock = Clock.from_json((settings.folder / "clock.json").read_text(encoding="utf-8"))
    spool = settings.folder / "spool" / f"{bot_id}.jsonl"
    pace = Pace(first=0.2, longest=1.0)
    with Client(settings.base_url, token, timeout=5.0, retries=2, spool=spool, pace=pace) as client:
        runner = BotRunner(demo_bot=bot(bot_id), clock=clock, client=client, time=time, log=log)
        try:
            runner.run()
        except ClientError as error:
            log.warning("stops: %s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

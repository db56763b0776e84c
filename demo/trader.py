"""One bot's trading: strategy decisions become signals, orders, fills and balances. History and live share it.

The trader knows neither HTTP nor the clock: it hands every operation, in the shape of `POST /batch`, to a
gateway, which delivers it or says that an order was refused.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from demo.broker import Broker, Ticket, executions, order_quantity
from demo.messages import Job, balance_data, event_data, fill_data, order_data, signal_data, submitted_data
from demo.registry import DemoBot
from demo.replay import Bar, Series
from demo.strategies import STRATEGIES, Strategy
from demo.strategies.base import OPENING, Action, Decision, Holding, Intent, Plan, Side, close

# Candles a symbol rests after a refused order: the reason seldom goes away at once.
REST_AFTER_REFUSED_ENTRY = 30
REST_AFTER_REFUSED_EXIT = 5

_PARTS = {Action.FLIP: "one", Action.REDUCE: "half"}


class Gateway(Protocol):
    """Where a trader's operations go."""

    def now(self) -> datetime:
        """The time of the next operation; later at every call."""

    def may_trade(self, *, opening: bool) -> bool:
        """Whether an order may be sent now."""

    def send(self, op: str, data: dict[str, Any]) -> bool:
        """Deliver one operation; False when it was an order and was not accepted."""

    def keep_plan(self, symbol: str, plan: Plan, step: int) -> bool:
        """Keep how a position is meant to end, for a start after a crash; False when that did not work now."""


class Desk:
    """The trader's work in one symbol. `stale_price` is set while a position of an earlier lap must go."""

    def __init__(self, series: Series, strategy_type: type[Strategy]) -> None:
        self.series = series
        self.strategy_type = strategy_type
        self.strategy = self._new_strategy()
        self.lap: int | None = None
        self.plan: Plan | None = None
        self.kept_plan: tuple[object, ...] | None = None
        self.stale_price: Decimal | None = None
        self.rest = 0

    def begin_lap(self, step: int) -> None:
        """Forget the indicators and warm them with the candles before a step."""
        self.lap = self.series.ring.lap(step)
        self.strategy = self._new_strategy()
        for candle in self.series.before(step):
            self.strategy.on_candle(candle, None)

    def _new_strategy(self) -> Strategy:
        return self.strategy_type(seconds=self.series.seconds, price_step=self.series.price_step)


class Trader:
    """A bot with its account and one desk a symbol. Ids are `<bot>-<run>-<letter><number>`."""

    def __init__(self, *, bot: DemoBot, quote: str, series: Sequence[Series], gateway: Gateway, run: str) -> None:
        self.bot = bot
        self.quote = quote
        self.gateway = gateway
        self.run = run
        self.broker = Broker(bot.initial_capital)
        self.desks: dict[str, Desk] = {}
        for s in series:
            self.open_desk(s)
        # A report is an order that is at the exchange already; it cannot be refused.
        self.order_intent = "request"
        self.has_balance_per_fill = True
        self._number = 0
        self._entry_day, self._entries = -1, 0

    def open_desk(self, series: Series) -> None:
        """Begin to work in one more symbol."""
        self.desks[series.symbol] = Desk(series, STRATEGIES[self.bot.strategy])

    def on_step(self, symbol: str, step: int, *, act: bool = True) -> None:
        """Take the complete candle of a step; trade on it unless `act` is False (a candle that came late)."""
        desk = self.desks[symbol]
        bar = desk.series.bar(step)
        if desk.lap != bar.lap:
            if desk.lap is not None and self.broker.size(symbol):
                desk.stale_price = desk.series.candles[-1].close
            desk.begin_lap(step)
        self.broker.mark(symbol, bar.candle.close)
        decision = desk.strategy.on_candle(bar.candle, self._holding(desk))
        desk.plan = decision.plan
        desk.rest = max(0, desk.rest - 1)
        if not act:
            return
        intent = self._wanted(desk, bar, decision)
        if intent is not None:
            self._execute(desk, bar, intent)
        self._keep_plan(desk, step)

    def send_balance(self, snapshot_type: str = "periodic") -> None:
        """Report the account as it stands."""
        leverage, at = self.bot.leverage_limit, self.gateway.now()
        self.gateway.send("balance", balance_data(self._id("b"), self.broker, leverage, snapshot_type, at))

    def send_event(self, event_type: str, message: str, details: dict[str, Any]) -> None:
        """Report that something notable happened."""
        self.gateway.send("event", event_data(self._id("e"), event_type, message, details, self.gateway.now()))

    def _id(self, letter: str) -> str:
        self._number += 1
        return f"{self.bot.bot_id}-{self.run}-{letter}{self._number}"

    def _holding(self, desk: Desk) -> Holding | None:
        held = self.broker.held.get(desk.series.symbol)
        if held is None:
            return None
        side = Side.LONG if held.size > 0 else Side.SHORT
        plan = desk.plan or desk.strategy.plan_for(side, held.average_price)
        return Holding(side, abs(held.size), held.average_price, plan)

    def _wanted(self, desk: Desk, bar: Bar, decision: Decision) -> Intent | None:
        """Return the order to send: the strategy's within the bot's own limits, or the end of the lap's."""
        holding, intent = self._holding(desk), decision.intent
        if desk.rest:
            return None
        if holding is None:
            desk.stale_price = None
            return intent if not bar.is_last and self._has_room(bar) else None
        if desk.stale_price is not None:
            return close(holding, desk.stale_price, "market_close")
        if bar.is_last and (intent is None or intent.action is not Action.CLOSE):
            return close(holding, bar.candle.close, "market_close")
        if intent is not None and intent.action is Action.FLIP and not self._may_flip(bar):
            return close(holding, intent.price, "signal_reversal")
        return intent

    def _may_flip(self, bar: Bar) -> bool:
        return self._has_entries(bar) and self.gateway.may_trade(opening=True)

    def _has_room(self, bar: Bar) -> bool:
        return len(self.broker.held) < self.bot.max_positions and self._has_entries(bar)

    def _has_entries(self, bar: Bar) -> bool:
        if bar.day != self._entry_day:
            self._entry_day, self._entries = bar.day, 0
        return self._entries < self.bot.max_entries_per_day

    def _execute(self, desk: Desk, bar: Bar, intent: Intent) -> None:
        is_opening = intent.action in OPENING
        ticket = self._ticket(desk, bar, intent)
        if ticket.quantity <= 0 or not self.gateway.may_trade(opening=is_opening):
            return
        job = Job(self.bot, self.run, desk.series.symbol, self.quote, bar.candle, intent, ticket)
        gateway = self.gateway
        if job.signal_id is not None:
            gateway.send("signal", signal_data(job, desk.strategy.indicators, gateway.now()))
        if not gateway.send("order", order_data(job, self.order_intent, gateway.now())):
            desk.rest = REST_AFTER_REFUSED_ENTRY if is_opening else REST_AFTER_REFUSED_EXIT
            return
        if self.order_intent == "request":
            gateway.send("order_update", submitted_data(job, gateway.now()))
        if intent.action in (Action.OPEN, Action.FLIP):
            self._entries += 1
        self._fill(job)
        desk.plan = intent.plan

    def _fill(self, job: Job) -> None:
        """Book and report the fills of an order, and the balance behind them."""
        is_exit = job.intent.action not in (Action.OPEN, Action.ADD)
        snapshot_type = "trade_close" if is_exit else "trade_open"
        for part, execution in enumerate(executions(job.ticket), start=1):
            self.broker.apply(job.symbol, execution)
            self.gateway.send("fill", fill_data(job, execution, part, self.gateway.now()))
            if self.has_balance_per_fill:
                self.send_balance(snapshot_type)
        if is_exit and not self.has_balance_per_fill:
            self.send_balance(snapshot_type)

    def _ticket(self, desk: Desk, bar: Bar, intent: Intent) -> Ticket:
        """Return the order as the broker sees it."""
        self._number += 1
        held = abs(self.broker.size(desk.series.symbol))
        quantity = held * intent.share if intent.action is Action.REDUCE else held
        if intent.action in OPENING:
            value = self.broker.equity() * self.bot.order_share * intent.share
            fresh = order_quantity(value, intent.price)
            quantity = held + fresh if intent.action is Action.FLIP else fresh
        is_buy = (intent.side is Side.LONG) == (intent.action in OPENING)
        return Ticket(
            side="buy" if is_buy else "sell",
            quantity=quantity,
            price=intent.price,
            low=min(bar.candle.low, intent.price),
            high=max(bar.candle.high, intent.price),
            price_step=desk.series.price_step,
            number=self._number,
            slips=intent.order_type == "market",
            parts=_PARTS.get(intent.action, "any"),
        )

    def _keep_plan(self, desk: Desk, step: int) -> None:
        """Hand the plan to the gateway when more than its age has changed."""
        plan = desk.plan
        if plan is None:
            desk.kept_plan = None
            return
        lasting = (plan.stop, plan.take_profit, plan.adds, plan.is_halved, plan.is_trailing)
        if lasting != desk.kept_plan and self.gateway.keep_plan(desk.series.symbol, plan, step):
            desk.kept_plan = lasting

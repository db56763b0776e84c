"""A second ledger of one bot, in plain Python, written from docs/ledger.md: what the real one is compared with.

It shares nothing with bots/ledger and bots/services. Every call answers what the real call must answer, and
`picture` is what the tables must hold after it.
"""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any, NamedTuple

from tests.bots.model_fold import ZERO, Executed, Part, Round, folded, rounded
from tests.bots.model_told import ENDS, MAY_FOLLOW, NOW, STRICT, Told, ToldFill, ToldNews, ToldOrder


class Answer(NamedTuple):
    """What a call is answered with: status, the flags of a fill or of news, the rules that refuse a request."""

    status: int
    is_replay: bool = False
    flags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    code: str | None = None


@dataclass
class ModelOrder:
    """An order with what was told of it and what was filled."""

    told: ToldOrder
    reported: str
    rules: tuple[str, ...] = ()
    reported_at: float | None = None
    retry_count: int = 0
    flags: set[str] = field(default_factory=set)
    news: set[ToldNews] = field(default_factory=set)
    fills: list[Executed] = field(default_factory=list)

    @property
    def filled(self) -> Fraction:
        return sum((one.quantity for one in self.fills), ZERO)

    @property
    def status(self) -> str:
        if self.filled >= Fraction(self.told.quantity):
            return "filled"
        if self.reported in ENDS:
            return self.reported
        if self.fills:
            return "partially_filled"
        return "submitted" if self.reported in ("filled", "partially_filled") else self.reported

    @property
    def waits_for_fills(self) -> bool:
        return self.reported in ("filled", "partially_filled") and self.status not in ("filled", self.reported)

    def note_waiting(self) -> None:
        self.flags = self.flags - {"awaiting_fills"} | ({"awaiting_fills"} if self.waits_for_fills else set())


@dataclass
class ModelLedger:
    """One bot's ledger. `rates`: what one unit of a fee's currency is worth in USDT, at any time."""

    rates: dict[str, Fraction]
    max_positions: int
    leverage_limit: int
    orders: dict[str, ModelOrder] = field(default_factory=dict)
    fills: dict[str, ToldFill] = field(default_factory=dict)
    fill_flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parked: list[ToldFill | ToldNews] = field(default_factory=list)
    parked_at: dict[ToldNews, float] = field(default_factory=dict)
    refused: dict[str, ToldFill] = field(default_factory=dict)
    conflicts: Counter[tuple[str, str, Any]] = field(default_factory=Counter)
    open_cases: set[tuple[str, str, str]] = field(default_factory=set)
    closed_cases: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    controls: dict[tuple[str, str], str] = field(default_factory=dict)
    risk_events: Counter[str] = field(default_factory=Counter)
    unparked: int = 0
    _ticks: Any = field(default_factory=lambda: count(1))

    # --- what bots tell

    def hear(self, told: Told) -> Answer:
        if isinstance(told, ToldOrder):
            return self.order(told)
        return self.fill(told) if isinstance(told, ToldFill) else self.news(told)

    def order(self, told: ToldOrder) -> Answer:
        known = self.orders.get(told.order_id)
        if known is not None:
            if known.told != told:
                return self._conflict("order", told.order_id, told)
            if known.rules:
                return Answer(409, is_replay=True, rules=known.rules, code="risk_rejected")
            return Answer(200, is_replay=True)
        is_request = told.intent == "request"
        rules = self._refusing(told) if is_request else ()
        if not is_request and self.level(told.symbol) == "HALTED":
            # Made now, after the halt.
            self.risk_events["halt_not_obeyed"] += 1
            self.open_cases.add(("halt_not_obeyed", told.symbol, told.order_id))
        self.risk_events.update("position_limit" if rule == "reduce_only" else rule for rule in rules)
        order = ModelOrder(told, "rejected" if rules else told.status or "pending", rules)
        self.orders[told.order_id] = order
        order.note_waiting()
        waiting = [fact for fact in self.parked if fact.order_id == told.order_id]
        self.parked = [fact for fact in self.parked if fact.order_id != told.order_id]
        for fact in waiting:
            if isinstance(fact, ToldNews):
                self._news(order, fact, self.parked_at[fact])
            elif self._is_known_execution(fact, order):
                self.refused[fact.fill_id] = fact
                self._conflict("fill", fact.fill_id, fact)
            else:
                self.unparked += 1
                self._fill(order, fact)
        return Answer(409, rules=rules, code="risk_rejected") if rules else Answer(201)

    def news(self, told: ToldNews) -> Answer:
        order = self.orders.get(told.order_id)
        at = NOW + next(self._ticks) if told.at is None else told.at
        if order is not None:
            return Answer(200, is_replay=True) if told in order.news else self._news(order, told, at)
        if told in self.parked:
            return Answer(200, is_replay=True)
        self.parked.append(told)
        self.parked_at[told] = at
        return Answer(202)

    def fill(self, told: ToldFill) -> Answer:
        for known in (self.fills.get(told.fill_id), self._parked_fill(told)):
            if known == told:
                return Answer(200, is_replay=True, flags=self.fill_flags.get(told.fill_id, ()))
            if known is not None:
                return self._conflict("fill", told.fill_id, told)
        order = self.orders.get(told.order_id)
        if order is None:
            self.parked.append(told)
            return Answer(202)
        if self._is_known_execution(told, order):
            return self._conflict("fill", told.fill_id, told, code="duplicate_execution")
        return self._fill(order, told)

    def fill_with_order(self, told: ToldFill, order: ToldOrder) -> Answer:
        if order.order_id not in self.orders:
            refused = self._refused_with(told, order)
            if refused is not None:
                return refused
            self.order(order)
        return self.fill(told)

    def _refused_with(self, told: ToldFill, order: ToldOrder) -> Answer | None:
        """Return the answer to a fill that is refused once the order it brings is there: then neither is stored."""
        waiting = [one for one in self.parked if isinstance(one, ToldFill)]
        known = [one for one in (self.fills.get(told.fill_id), *waiting) if one and one.fill_id == told.fill_id]
        if any(one != told for one in known):
            return self._conflict("fill", told.fill_id, told)
        before = waiting[: waiting.index(told)] if told in waiting else waiting
        execution = told.exchange_trade_id
        waits = execution and any((one.order_id, one.exchange_trade_id) == (told.order_id, execution) for one in before)
        if waits or self._is_known_execution(told, ModelOrder(order, "pending")):
            return self._conflict("fill", told.fill_id, told, code="duplicate_execution")
        return None

    def report_positions(self, told: dict[str, Fraction], as_of: float) -> list[str]:
        """Compare signed sizes; return the symbols that differ."""
        held = {symbol: self.held(symbol, until=as_of) for symbol in self._symbols()}
        different = sorted(symbol for symbol in held | told if held.get(symbol, ZERO) != told.get(symbol, ZERO))
        self.open_cases |= {("position_mismatch", symbol, "") for symbol in different}
        return different

    # --- what people do

    def close_case(self, case: tuple[str, str, str]) -> None:
        self.open_cases.discard(case)
        self.closed_cases[case] += 1

    def control(self, scope: str, target: str, state: str) -> None:
        self.controls[scope, target] = state

    def level(self, symbol: str) -> str:
        """Return the strictest restriction that applies to an order in this symbol."""
        keys = (("all", ""), ("bot", "me"), ("symbol", symbol))
        return max((self.controls.get(key, "ACTIVE") for key in keys), key=STRICT.index)

    # --- rules

    def _parked_fill(self, told: ToldFill) -> ToldFill | None:
        waiting = [one for one in self.parked if isinstance(one, ToldFill) and one.fill_id == told.fill_id]
        if not waiting and told.order_id not in self.orders and told.fill_id in self.refused:
            return self.refused[told.fill_id]
        return waiting[0] if waiting else None

    def _conflict(self, kind: str, natural_id: str, told: Any, code: str = "conflict") -> Answer:
        self.conflicts[kind, natural_id, told] += 1
        return Answer(409, code=code)

    def _is_known_execution(self, told: ToldFill, order: ModelOrder) -> bool:
        return told.exchange_trade_id is not None and any(
            one.exchange_trade_id == told.exchange_trade_id
            and self.orders[one.order_id].told.symbol == order.told.symbol
            for one in self.fills.values()
        )

    def _news(self, order: ModelOrder, told: ToldNews, at: float) -> Answer:
        order.news.add(told)
        if told.retry_count is not None:
            order.retry_count = told.retry_count
        if told.status is None:
            return Answer(200)
        if told.status != order.reported:
            if order.reported_at is not None and at < order.reported_at:
                return Answer(200, flags=("stale",))
            froms = {order.reported, order.status} - {told.status}
            if any(told.status not in MAY_FOLLOW.get(old, ()) for old in froms):
                return Answer(200, flags=("invalid_transition",))
        known = order.reported_at if told.status == order.reported else None
        if known is not None:
            at = min(at, known) if told.status in (*ENDS, "filled") else max(at, known)
        order.reported, order.reported_at = told.status, at
        order.note_waiting()
        if told.status in ENDS and at != known:
            self._look_for_late(order, at)
        return Answer(200, flags=("awaiting_fills",) if order.waits_for_fills else ())

    def _look_for_late(self, order: ModelOrder, end: float) -> None:
        """Fills that were told before the end after which they happened."""
        if any(one.at > end for one in order.fills):
            order.flags.add("after_order_ended")
            self.open_cases.add(("fill_after_terminal", order.told.symbol, order.told.order_id))

    def _fill(self, order: ModelOrder, told: ToldFill) -> Answer:
        fee = self.fee_of(order.told.symbol, told)
        flags = []
        if order.filled + Fraction(told.quantity) > Fraction(order.told.quantity):
            flags.append("overfill")
            self.open_cases.add(("overfill", order.told.symbol, told.order_id))
            self.risk_events["overfill"] += 1
            if self.controls.get(("bot", "me"), "ACTIVE") == "ACTIVE":
                self.controls["bot", "me"] = "REDUCING"
        is_late = order.reported_at is not None and told.at > order.reported_at
        if order.reported == "rejected" or (order.reported in ENDS and is_late):
            flags.append("after_order_ended")
            self.open_cases.add(("fill_after_terminal", order.told.symbol, told.order_id))
        order.flags |= {*flags}
        if told.fee and fee is None:
            flags.append("fee_not_converted")
        price, quantity = Fraction(told.price), Fraction(told.quantity)
        order.fills.append(
            Executed(told.at, told.fill_id, told.order_id, order.told.side, price, quantity, fee or ZERO)
        )
        order.note_waiting()
        self.fills[told.fill_id] = told
        self.fill_flags[told.fill_id] = tuple(flags)
        return Answer(201, flags=tuple(flags))

    def fee_of(self, symbol: str, told: ToldFill) -> Fraction | None:
        """Return the fee in the quote currency, None where no rate is known."""
        fee = Fraction(told.fee or 0)
        if told.fee_currency in (None, "USDT"):
            return fee
        if symbol == f"{told.fee_currency}USDT":
            return fee * Fraction(told.price)
        return fee * self.rates[told.fee_currency] if told.fee_currency in self.rates else None

    def _refusing(self, told: ToldOrder) -> tuple[str, ...]:
        held = self.held(told.symbol)
        quantity = Fraction(told.quantity)
        shrinks = quantity <= abs(held) and (held > 0) == (told.side == "sell") and held != 0
        level = self.level(told.symbol)
        rules = []
        if level == "HALTED" or (level == "REDUCING" and not shrinks):
            rules.append("control_state")
        if shrinks:
            return tuple(rules)
        if told.reduce_only:
            rules.append("reduce_only")
        if told.leverage is not None and told.leverage > self.leverage_limit:
            rules.append("leverage_limit")
        active = ("pending", "submitted", "partially_filled", "untriggered", "triggered")
        waiting = (order for order in self.orders.values() if order.status in active and not order.told.reduce_only)
        used = {order.told.symbol for order in waiting}
        used |= {symbol for symbol in self._symbols() if self.held(symbol)}
        if not held and len(used - {told.symbol}) >= self.max_positions:
            rules.append("position_limit")
        return tuple(rules)

    # --- figures

    def _symbols(self) -> set[str]:
        return {order.told.symbol for order in self.orders.values()}

    def executions(self, symbol: str) -> list[Executed]:
        return [one for order in self.orders.values() if order.told.symbol == symbol for one in order.fills]

    def held(self, symbol: str, until: float = NOW) -> Fraction:
        """Return what is held, long positive."""
        signed = (
            one.quantity if one.side == "buy" else -one.quantity for one in self.executions(symbol) if one.at <= until
        )
        return sum(signed, ZERO)

    def picture(self) -> dict[str, Any]:
        """Return what the tables must hold, in the words of `tests.bots.model_compare.stored`."""
        rounds: list[Round] = []
        parts: dict[str, Part] = {}
        for symbol in sorted(self._symbols()):
            more, touched = folded(symbol, self.executions(symbol))
            rounds += more
            parts |= touched
        return {
            "orders": {order_id: self._order_row(order, parts) for order_id, order in self.orders.items()},
            "fills": {fill_id: self._fill_row(told, parts[fill_id]) for fill_id, told in self.fills.items()},
            "positions": {
                one.opening.fill_id: one.figures(exit_reason=self._exit_reason(one)) for one in rounds
            },
            "parked": Counter(
                ("fill", fact.fill_id) if isinstance(fact, ToldFill) else ("order_update", fact.order_id)
                for fact in self.parked
            ),
            "conflicts": self._conflict_counts(),
            "open cases": self.open_cases,
            "closed cases": self.closed_cases,
            "risk events": self.risk_events,
            "control": self.controls.get(("bot", "me"), "ACTIVE"),
        }  # fmt: skip

    def _conflict_counts(self) -> Counter[tuple[str, str]]:
        """Rows and repetitions: one row for each other content, counted as often as it came."""
        counts: Counter[tuple[str, str]] = Counter()
        for (kind, natural_id, _), times in self.conflicts.items():
            counts[kind, natural_id] += times
        return counts

    def _exit_reason(self, one: Round) -> str:
        assert one.last is not None
        purpose = self.orders[one.last.order_id].told.order_purpose
        if one.is_flipped or purpose in ("entry", "exit"):
            return "signal_reversal"
        return purpose if purpose in ("stop_loss", "take_profit") else "manual"

    def _order_row(self, order: ModelOrder, parts: dict[str, Part]) -> dict[str, Any]:
        quantity, filled = Fraction(order.told.quantity), order.filled
        notional = sum((one.price * one.quantity for one in order.fills), ZERO)
        newest = max(order.fills, key=lambda one: (one.at, one.fill_id), default=None)
        touched = newest and (parts[newest.fill_id].entered or parts[newest.fill_id].left)
        return {
            "symbol": order.told.symbol, "side": order.told.side, "quantity": quantity, "status": order.status,
            "reported_status": order.reported, "filled_quantity": filled,
            "remaining_quantity": max(quantity - filled, ZERO), "filled_notional": notional,
            "avg_fill_price": rounded(notional / filled, 18) if filled else None,
            "fees": sum((one.fee for one in order.fills), ZERO), "flags": sorted(order.flags),
            "retry_count": order.retry_count,
            "filled_at": newest.at if newest and order.status == "filled" else None, "position": touched,
        }  # fmt: skip

    def _fill_row(self, told: ToldFill, part: Part) -> dict[str, Any]:
        order = self.orders[told.order_id]
        return {
            "order_id": told.order_id, "symbol": order.told.symbol, "side": order.told.side,
            "price": Fraction(told.price), "quantity": Fraction(told.quantity), "executed_at": told.at,
            "fee_quote": self.fee_of(order.told.symbol, told) or ZERO, "flags": list(self.fill_flags[told.fill_id]),
            "closed_quantity": part.closed_quantity, "closing_fee_quote": part.closing_fee,
            "realized_pnl": part.realized_pnl, "position": part.left or part.entered,
            "opened": part.entered if part.left else None,
        }  # fmt: skip

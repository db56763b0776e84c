"""Runs: fills told together, of one order or of many. They leave the rows that they would leave one by one, with few
statements: orders, positions and trades are read once and written once.

Only what is unremarkable is folded so: fills that are new, newer than all others of their symbol, without a flag, of
bots whose limits nobody watches. Whatever else is among them is told by itself, at its place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Any

from django.utils import timezone

from bots.choices import OrderStatus
from bots.ledger.content import content_hash
from bots.ledger.facts import NewFill
from bots.ledger.fold import EXACT, Effect, Execution, PositionState, apply
from bots.ledger.shapes import FILL, ORDER, POSITION, shape, trade_shape
from bots.live.publish import LiveUpdate
from bots.services import ledger_store as store
from bots.services.context import BotContext
from bots.services.fill_orders import order_move, order_values, signal_executed
from bots.services.fills import broken_by, fill_values, flags_of, origin_of, own_fee_rate, record_fill
from bots.services.locks import lock_many
from bots.services.plan import Last, Outcome, Plan, Row, Sql
from bots.services.risk import is_watched
from bots.services.sets import End, insert_many, one_by_one, update_many

# Which of the fills were told before, by any name.
KNOWN = """
    SELECT array(SELECT fill_id::text FROM fills WHERE bot_id = %(bot)s AND fill_id = ANY(%(fills)s::varchar[]))
        || array(SELECT fact_id::text FROM parked_facts WHERE bot_id = %(bot)s AND kind = 'fill'
            AND fact_id = ANY(%(fills)s::varchar[]))
        || array(SELECT e.fill_id FROM unnest(%(of)s::text[], %(orders)s::varchar[], %(executions)s::text[])
                AS e(fill_id, order_id, execution)
            JOIN orders o ON o.bot_id = %(bot)s AND o.order_id = e.order_id
            WHERE execution_is_known(o.symbol, e.execution)) AS known
"""
# A run that is interrupted more often is none.
ROUNDS = 3


def record_fills(bot: BotContext, fills: Sequence[NewFill]) -> Plan[list[End]]:
    """Store fills, none of which stands there twice: together, and each remarkable one by itself."""
    ends: dict[int, End] = {}
    todo = list(range(len(fills)))
    for _ in range(ROUNDS):
        run = yield from _read(bot, [fills[number] for number in todo])
        fates = {number: run.fold(fills[number]) for number in todo}
        folded, alone, todo = ([number for number in fates if fates[number] == fate] for fate in Fate)
        if folded:
            statements = run.statements()
            run.take((yield statements if alone else Last(statements)))
            ends |= dict.fromkeys(folded, Outcome(201, {"flags": []}))
            ends[folded[-1]] = Outcome(201, {"flags": []}, updates=tuple(run.updates))
        ends |= zip(alone, (yield from one_by_one(record_fill(bot, fills[number]) for number in alone)), strict=True)
        if not todo:
            break
    ends |= zip(todo, (yield from one_by_one(record_fill(bot, fills[number]) for number in todo)), strict=True)
    return [ends[number] for number in range(len(fills))]


def _read(bot: BotContext, fills: Sequence[NewFill]) -> Plan["_Run"]:
    orders = sorted({fill.order_id for fill in fills})
    executed = [fill for fill in fills if fill.exchange_trade_id is not None]
    of_bot = {"bot": bot.bot_id, "exchange": bot.exchange, "mode": bot.mode}
    asked = {
        "fills": [fill.fill_id for fill in fills],
        "of": [fill.fill_id for fill in executed],
        "orders": [fill.order_id for fill in executed],
        "executions": [fill.exchange_trade_id for fill in executed],
    }
    _, rows, (known,) = yield [
        lock_many(bot.bot_id, [], orders),
        Sql(store.LOAD_ORDERS, of_bot | {"orders": orders}),
        Sql(KNOWN, of_bot | asked),
    ]
    return _Run(bot, timezone.now(), {row["order_id"]: row for row in rows}, {*known["known"]})


class Fate(Enum):
    """What becomes of a fill: folded with the others, told by itself, or looked at again after one that is."""

    FOLDED, ALONE, LATER = range(3)


@dataclass(slots=True)
class _Write:
    """A position as the run leaves it: `steps` fills touched it; `stored_id` is None where it is new."""

    state: PositionState
    origin: store.Origin
    mark: store.Mark
    stored_id: str | None
    steps: int = 1


@dataclass(slots=True)
class _Chain:
    """What is held in one symbol after the fills so far, and what they did to its positions."""

    state: PositionState | None
    stored_id: str | None
    mark: store.Mark
    newest: dict[str, Any]
    writes: dict[str, _Write] = field(default_factory=dict)
    is_broken: bool = False

    def touch(self, effect: Effect, origin: store.Origin) -> None:
        """Note what a fill did to one position, or two at a flip."""
        for state in (effect.reduced, effect.entered):
            if state is None:
                continue
            write = self.writes.get(state.opening_fill_id)
            if write is None:
                self.writes[state.opening_fill_id] = _Write(state, origin, self.mark, self.stored_id)
            else:
                # Its words are those of the order that opened it; why it ended, the last one says.
                write.state, write.steps = state, write.steps + 1
                write.origin = write.origin._replace(exit_reason=origin.exit_reason)
            self.stored_id = None
        self.state = effect.entered or effect.reduced
        if self.state is not None and not self.state.is_open:
            # Flat: the next position begins without a price.
            self.mark = store.Mark(None, None)


@dataclass(slots=True)
class _Run:
    """The rows as the fills so far leave them, each fill finding what the one before it left."""

    bot: BotContext
    now: datetime
    orders: dict[str, Row]
    known: set[str]
    chains: dict[str, _Chain] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    news: list[dict[str, Any]] = field(default_factory=list)
    signals: dict[str, tuple[NewFill, Row]] = field(default_factory=dict)
    updates: list[LiveUpdate] = field(default_factory=list)

    def fold(self, fill: NewFill) -> Fate:
        """Fold one fill, unless there is something about it."""
        row = self.orders.get(fill.order_id)
        if row is None or fill.fill_id in self.known or is_watched(self.bot, row):
            return Fate.ALONE
        one = self.chains.get(row["symbol"]) or self._chain(row)
        if one.is_broken:
            return Fate.LATER
        row = row | one.newest
        rate = own_fee_rate(self.bot, fill, row["symbol"])
        if rate is None or flags_of(fill, row, rate):
            one.is_broken = True
            return Fate.ALONE
        fee = EXACT.multiply(fill.fee, rate) if fill.fee is not None else Decimal(0)
        execution = Execution(fill.fill_id, fill.executed_at, row["side"], fill.price, fill.quantity, fee)
        effect = apply(one.state, execution)
        is_newest = row["newest_at"] is None or execution.key > (row["newest_at"], row["newest_id"])
        if not is_newest or broken_by(row, one.state, [effect]):
            one.is_broken = True
            return Fate.ALONE
        self._note(fill, row, effect, {"fee_rate": rate, "fee_quote": fee, "flags": []})
        one.touch(effect, origin_of(self.bot, row, effect))
        one.newest = {"newest_at": fill.executed_at, "newest_id": fill.fill_id}
        return Fate.FOLDED

    def _chain(self, row: Row) -> _Chain:
        newest = {name: row[name] for name in ("newest_at", "newest_id")}
        mark = store.Mark(row["current_price"], row["marked_at"])
        return self.chains.setdefault(row["symbol"], _Chain(store.position_from(row), row["position_id"], mark, newest))

    def _note(self, fill: NewFill, row: Row, effect: Effect, reckoned: dict[str, Any]) -> None:
        """Note what a fill leaves in its own row, its order's row, and the order's history."""
        derived = store.derived_columns(self.bot.bot_id, row["symbol"], effect)
        self.fills.append(fill_values(self.bot, fill, row, content_hash(fill.body)) | derived | reckoned)
        order = order_values(
            self.bot, fill, row, fee=reckoned["fee_quote"], flags=[], now=self.now, effect=effect
        )  # fmt: skip
        moved = order_move(self.bot, fill, row, order["status"])
        if moved is not None:
            self.news.append(moved)
        if row["signal_id"] is not None:
            # The first fill says when; the last one, which of two orders of a signal it is.
            first = self.signals.pop(fill.order_id, None)
            self.signals[fill.order_id] = first or (fill, row)
        self.orders[fill.order_id] = row | order
        # The newest of all, so the newest of its order.
        order["filled_at"] = fill.executed_at if order["status"] == OrderStatus.FILLED else None
        self.changed[fill.order_id] = {"order_id": fill.order_id} | order

    def statements(self) -> list[Sql]:
        """Return what writes all of it; `take` reads what they return."""
        bot_id, orders = self.bot.bot_id, list(self.changed.values())
        filled_at = {"filled_at": "coalesce(r.filled_at, t.filled_at)"}
        return [
            insert_many("fills", self.fills),
            update_many("orders", orders, key="order_id", bot_id=bot_id, instead=filled_at),
            *self._positions(),
            *([insert_many("order_events", self.news, suffix="")] if self.news else []),
            *chain.from_iterable(signal_executed(self.bot, *each) for each in self.signals.values()),
        ]

    def _positions(self) -> Iterator[Sql]:
        """Yield what writes positions and trades: those that are there first, which makes room for new ones."""
        written = {True: ([], []), False: ([], [])}  # type: dict[bool, tuple[list[Any], list[Any]]]
        ended = []
        for symbol, one in self.chains.items():
            for write in one.writes.values():
                is_new = write.stored_id is None
                position, trade = store.position_and_trade(
                    self.bot, symbol, write.state, origin=write.origin, mark=write.mark, now=self.now
                )
                position["version"] = write.steps
                if is_new:
                    own = store.own_columns(self.bot, symbol)
                    position |= own | store.opening_words(write.origin)
                    trade |= own | store.opening_words(write.origin, of_trade=True)
                written[is_new][0].append(position)
                written[is_new][1].append(trade)
                ended += [] if write.state.is_open else [position["position_id"]]
        positions, trades = written[False]
        if positions:
            more = {"version": "t.version + r.version"}
            yield update_many("positions", positions, key="position_id", bot_id=self.bot.bot_id, instead=more)
            yield update_many("trades", trades, key="position_id", bot_id=self.bot.bot_id)
        positions, trades = written[True]
        if positions:
            yield insert_many("positions", positions)
            yield insert_many("trades", trades)
        if ended:
            yield store.entries_and_exits(self.bot, ended)

    def take(self, rows: list[list[Row]]) -> None:
        """Note what the live layer must hear, from the rows that the statements returned."""
        fills, orders, *others = rows
        told: list[tuple[Any, dict[str, Any]]] = []
        told += [("position", shape(row, POSITION)) for returned in others for row in returned if "cost_basis" in row]
        told += [("order", shape(row, ORDER)) for row in orders]
        told += [("fill", shape(row, FILL)) for row in fills]
        trades = [row for returned in others for row in returned if "pnl_usd" in row]
        told += [("trade", trade_shape(row)) for row in trades if row["exit_time"] is not None]
        self.updates = [
            LiveUpdate(kind=kind, bot_id=self.bot.bot_id, symbol=data["symbol"], data=data) for kind, data in told
        ]

"""A view: what some browsers that asked for the same see, with one sequence of messages for all of them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bots.choices import ControlScope
from bots.live import messages
from bots.live.outlet import Outlet, text_event
from bots.live.script import LiveUpdate
from bots.live.state import Changes, LiveState
from bots.live.totals import Totals


@dataclass(frozen=True, slots=True)
class Filter:
    """What a browser asked for; None is everything."""

    bot_id: str | None = None
    symbol: str | None = None
    # Not asked for: the bots the person has; None is all of them.
    bots: frozenset[str] | None = None

    def has_bot(self, bot_id: str) -> bool:
        """Whether a bot belongs to the view."""
        return self.bot_id in (None, bot_id) and (self.bots is None or bot_id in self.bots)

    def has(self, bot_id: str, symbol: str) -> bool:
        """Whether something of this bot in this symbol belongs to the view; an empty word applies to all."""
        is_here = self.has_bot(bot_id) if bot_id else self.bots is None
        return is_here and (self.symbol in (None, symbol) or not symbol)

    def has_halt(self, data: dict[str, Any]) -> bool:
        """Whether a restriction can concern what is shown."""
        if data["scope"] == ControlScope.BOT:
            return self.has_bot(data["target"])
        return data["scope"] != ControlScope.SYMBOL or self.symbol in (None, data["target"])


class Pace:
    """At most `rate` messages in any second: the first after a quiet moment at once, the others spread evenly.

    A tenth of them is held ready, so that changes which come a little unevenly are not delayed.
    """

    def __init__(self, rate: int) -> None:
        self._ready = self._most = float(max(1, rate // 10))
        self._per_second = max(1.0, rate - self._most)
        self._at = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a message may be sent, 0 for now."""
        self._ready = min(self._most, self._ready + (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (1.0 - self._ready) / self._per_second)

    def spend(self) -> None:
        """Note that a message is sent."""
        self._ready -= 1.0


@dataclass(slots=True)
class _Pending:
    """What changed in the view since its last message, in the order in which it changed."""

    positions: dict[str, None] = field(default_factory=dict)
    closed: dict[str, None] = field(default_factory=dict)
    bots: dict[str, None] = field(default_factory=dict)
    prices: dict[str, None] = field(default_factory=dict)
    news: dict[str, list[LiveUpdate]] = field(default_factory=dict)

    def has_state(self) -> bool:
        return bool(self.positions or self.closed or self.bots or self.prices)

    def __bool__(self) -> bool:
        return bool(self.news) or self.has_state()


class View:
    """The browsers with one filter, what they have seen (`seq`), and what they have not seen yet."""

    def __init__(self, state: LiveState, filter: Filter, *, rate: int, about: Callable[[], dict[str, Any]]) -> None:
        self.state = state
        self.filter = filter
        self.outlets: set[Outlet] = set()
        self.seq = 0
        self._about = about
        self._pace = Pace(rate)
        self._totals = Totals()
        self._pending = _Pending()
        self._snapshot: str | None = None
        self.recount()

    def take(self, changes: Changes) -> None:
        """Note what changed, as far as it belongs here."""
        has, pending = self.filter.has, self._pending
        for position_id, slot in changes.closed.items():
            if has(*slot):
                pending.positions.pop(position_id, None)
                pending.closed[position_id] = None
                self._totals.drop(position_id)
        for position_id in changes.positions:
            position = self.state.positions.get(position_id)
            if position is not None and has(position.bot_id, position.symbol):
                pending.closed.pop(position_id, None)
                pending.positions[position_id] = None
                self._totals.put(position, self.state.group(position))
        pending.bots.update(dict.fromkeys(bot_id for bot_id in changes.bots if self.filter.has_bot(bot_id)))
        if changes.bots:
            self._totals.forget_bots()
        pending.prices.update(dict.fromkeys(symbol for symbol in changes.prices if self._shows_price(symbol)))
        if self.filter.bot_id is not None:
            # A symbol the bot begins to hold brings its price along.
            held = (self.state.positions[key].symbol for key in pending.positions)
            pending.prices.update(dict.fromkeys(symbol for symbol in held if symbol in self.state.prices))
        for update in changes.news:
            if self._shows(update):
                pending.news.setdefault(update["kind"], []).append(update)
        if pending:
            self._snapshot = None

    def flush(self) -> float | None:
        """Send what is pending as far as the pace allows; return the seconds until the rest may go, or None."""
        while self._pending:
            wait = self._pace.wait(time.monotonic())
            if wait > 0:
                return wait
            self._pace.spend()
            self._broadcast(self._next())
        return None

    def snapshot(self) -> str:
        """Return the whole view as one message; made once for all who ask before the next change.

        It may be ahead of the message with its number: what waits for the pace is in it, and comes once more.
        """
        if self._snapshot is None:
            state, has = self.state, self.filter.has
            self._snapshot = messages.snapshot(
                seq=self.seq,
                positions=(row.text for row in state.positions.values() if has(row.bot_id, row.symbol)),
                bots=(bot.text() for bot in state.bots.values() if self.filter.has_bot(bot.bot_id)),
                prices={symbol: price.text for symbol, price in state.prices.items() if self._shows_price(symbol)},
                totals=self._totals_row(),
                halts=[data for data in state.halts.values() if self.filter.has_halt(data)],
                **self._about(),
            )
        return self._snapshot

    def restart(self) -> None:
        """Send everyone a new snapshot: news may have been lost."""
        self._pending = _Pending()
        self.recount()
        self.seq += 1
        self._snapshot = None
        self.broadcast_text(self.snapshot())

    def recount(self) -> None:
        """Sum the positions anew."""
        self._totals = Totals()
        for position in self.state.positions.values():
            if self.filter.has(position.bot_id, position.symbol):
                self._totals.put(position, self.state.group(position))

    def broadcast_text(self, text: str) -> None:
        """Send a text to every browser of the view."""
        self._broadcast(text)

    def _broadcast(self, text: str) -> None:
        event = text_event(text)
        for outlet in self.outlets:
            outlet.push(event)

    def _next(self) -> str:
        """Return the next message: restrictions first, then the state, then the news."""
        pending = self._pending
        self.seq += 1
        self._snapshot = None
        if "halt" in pending.news:
            return messages.news("halt", seq=self.seq, updates=pending.news.pop("halt"))
        if not pending.has_state():
            kind = next(iter(pending.news))
            return messages.news(kind, seq=self.seq, updates=pending.news.pop(kind))
        state = self.state
        self._pending = _Pending(news=pending.news)
        return messages.delta(
            seq=self.seq,
            positions=(state.positions[key].text for key in pending.positions),
            closed=pending.closed,
            bots=(state.bots[key].text() for key in pending.bots),
            prices={symbol: state.prices[symbol].text for symbol in pending.prices},
            totals=self._totals_row(),
        )

    def _totals_row(self) -> dict[str, Any]:
        symbol = self.filter.symbol
        bots: Iterable[Any] = self.state.bots.values()
        realized = self.state.realized
        if self.filter.bot_id is not None or self.filter.bots is not None:
            bots = [bot for bot in bots if self.filter.has_bot(bot.bot_id)]
            realized = {key: value for key, value in realized.items() if self.filter.has_bot(key[0])}
        if symbol is not None:
            realized = {key: value for key, value in realized.items() if key[1] == symbol}
        return self._totals.row(bots, realized, has_equity=symbol is None)

    def _shows_price(self, symbol: str) -> bool:
        if self.filter.symbol is not None:
            return symbol == self.filter.symbol
        return self.filter.bot_id is None or symbol in self.state.symbols_of(self.filter.bot_id)

    def _shows(self, update: LiveUpdate) -> bool:
        if update["kind"] == "halt":
            return self.filter.has_halt(update["data"])
        return self.filter.has(update["bot_id"], update["symbol"])

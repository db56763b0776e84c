"""What is going on now, in memory: open positions, bots, prices, restrictions. Rows and time come from outside."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.choices import OPEN_POSITION_STATUSES, ControlLevel, ControlScope
from bots.ledger.fold import EXACT
from bots.ledger.symbols import split_symbol
from bots.live.load import Loaded
from bots.live.rows import ZERO, LiveBot, LivePosition, Price
from bots.live.script import LiveUpdate
from bots.models import Bot

# Closed positions that are remembered, so that late news of their former state is known to be late.
REMEMBERED = 10_000

HaltKey = tuple[str, str]
FEED = frozenset({"order", "fill", "trade", "signal", "risk", "event"})


@dataclass(slots=True)
class Changes:
    """What some updates changed: keys into the state, and the news that are passed on as they are."""

    positions: set[str] = field(default_factory=set)
    closed: dict[str, tuple[str, str]] = field(default_factory=dict)
    bots: set[str] = field(default_factory=set)
    prices: set[str] = field(default_factory=set)
    news: list[LiveUpdate] = field(default_factory=list)
    # Bots whose profit of the day has to be read again.
    traded: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.positions or self.closed or self.bots or self.prices or self.news)


class LiveState:
    """The newest known state. An older version, heartbeat or price never replaces a newer one."""

    def __init__(self) -> None:
        self.positions: dict[str, LivePosition] = {}
        self.bots: dict[str, LiveBot] = {}
        self.prices: dict[str, Price] = {}
        self.halts: dict[HaltKey, dict[str, Any]] = {}
        # How each restriction that is over was lifted.
        self.lifted: dict[HaltKey, dict[str, Any]] = {}
        self.realized: dict[tuple[str, str], Decimal] = {}
        self.unknown_bots: set[str] = set()
        self._halt_versions: dict[HaltKey, int] = {}
        self._by_symbol: defaultdict[str, dict[str, LivePosition]] = defaultdict(dict)
        self._by_slot: dict[tuple[str, str], str] = {}
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._gone: OrderedDict[str, int] = OrderedDict()
        # Counts everything applied; a load that began before an item changed does not undo the change.
        self.clock = 0
        self._touched: dict[tuple[str, str], int] = {}
        self._handlers: dict[str, Callable[[LiveUpdate, Changes], None]] = {
            "position": self._position,
            "price": self._price,
            "bot": self._bot,
            "halt": self._halt,
        }

    def apply(self, updates: Iterable[LiveUpdate]) -> Changes:
        """Take over updates in their order and return what they changed."""
        changes = Changes()
        for update in updates:
            self.clock += 1
            handler = self._handlers.get(update["kind"])
            if handler is not None:
                handler(update, changes)
            elif update["kind"] in FEED:
                changes.news.append(update)
                if update["kind"] == "trade":
                    changes.traded.add(update["bot_id"])
        return changes

    def versions(self) -> dict[str, int]:
        """Return the version of every open position."""
        return {position_id: position.version for position_id, position in self.positions.items()}

    def reconcile(self, loaded: Loaded, *, since: int) -> Changes:
        """Take over what PostgreSQL says, except where news came after the load began at clock `since`."""
        changes = Changes()
        for row in loaded.bots:
            if self._touched.get(("bot", row["bot_id"]), 0) <= since:
                self._learn_row(row, changes)
        # First what is gone: it may hold the place of what came instead.
        for position_id in [key for key in self.positions if key not in loaded.open_versions]:
            if self._touched.get(("position", position_id), 0) <= since:
                self._close(position_id, self.positions[position_id].version, changes)
        for row in loaded.positions:
            if self._touched.get(("position", row["position_id"]), 0) <= since:
                # A late fill can bring back a position that was gone: its id follows from its opening fill.
                self._gone.pop(row["position_id"], None)
            self._put(LivePosition.from_wire(row), changes)
        for data in loaded.halts:
            bot_id = data["target"] if data["scope"] == ControlScope.BOT else ""
            self._halt(LiveUpdate(kind="halt", bot_id=bot_id, symbol="", data=data), changes)
        self.set_realized(loaded.realized, set(self.bots), changes)
        self._touched = {key: clock for key, clock in self._touched.items() if clock > since}
        return changes

    def set_realized(self, realized: Mapping[tuple[str, str], Decimal], of: set[str], changes: Changes) -> None:
        """Take over today's net P&L per (bot, symbol) of some bots."""
        kept = {key: value for key, value in self.realized.items() if key[0] not in of}
        self.realized = kept | {key: value for key, value in realized.items() if key[0] in of}
        for bot_id in of & self.bots.keys():
            bot = self.bots[bot_id]
            total, excluded = ZERO, set()
            for symbol, value in ((key[1], value) for key, value in self.realized.items() if key[0] == bot_id):
                quote = split_symbol(symbol, bot.currency)[1]
                if quote == bot.currency:
                    total = EXACT.add(total, value)
                else:
                    excluded.add(quote)
            if total != bot.realized_today or sorted(excluded) != bot.excluded_currencies:
                bot.realized_today, bot.excluded_currencies = total, sorted(excluded)
                changes.bots.add(bot_id)

    def age(self, now: datetime) -> Changes:
        """Let time pass: bots become late or down without anyone telling."""
        changes = Changes()
        for bot in self.bots.values():
            liveness = Bot(status=bot.status, last_heartbeat=bot.heartbeat).liveness(now)
            if liveness != bot.liveness:
                bot.liveness = liveness
                changes.bots.add(bot.bot_id)
        return changes

    def group(self, position: LivePosition) -> tuple[str, str]:
        """Return (deployment mode, quote currency): what may be added to it."""
        bot = self.bots.get(position.bot_id)
        if bot is None:
            return "unknown", split_symbol(position.symbol, "unknown")[1]
        return bot.mode, split_symbol(position.symbol, bot.currency)[1]

    def symbols_of(self, bot_id: str) -> set[str]:
        """Return the symbols a bot holds."""
        return self._held.get(bot_id, set())

    # --- one handler for each kind that changes the state

    def _position(self, update: LiveUpdate, changes: Changes) -> None:
        data = update["data"]
        position_id = data["position_id"]
        if data["status"] in OPEN_POSITION_STATUSES:
            self._put(LivePosition.from_wire(data), changes)
        else:
            known = self.positions.get(position_id)
            if known is None or int(data["version"]) >= known.version:
                self._close(position_id, int(data["version"]), changes)

    def _put(self, position: LivePosition, changes: Changes) -> None:
        known = self.positions.get(position.position_id)
        if known is not None and position.version <= known.version:
            return
        if position.version <= self._gone.get(position.position_id, 0):
            return
        slot = (position.bot_id, position.symbol)
        other = self.positions.get(self._by_slot.get(slot, ""))
        if other is not None and other.position_id != position.position_id:
            # A bot holds one net position in a symbol, so the elder is closed, though nobody told yet.
            if position.opened_at < other.opened_at:
                return
            self._close(other.position_id, other.version, changes)
        price = self.prices.get(position.symbol)
        if price is not None and (position.marked is None or price.at >= position.marked):
            position.value_at(price.value, price.timestamp)
        self.positions[position.position_id] = position
        self._by_symbol[position.symbol][position.position_id] = position
        self._by_slot[slot] = position.position_id
        self._held[position.bot_id].add(position.symbol)
        self._touched["position", position.position_id] = self.clock
        changes.positions.add(position.position_id)
        changes.closed.pop(position.position_id, None)
        self._count(position.bot_id, changes)

    def _close(self, position_id: str, version: int, changes: Changes) -> None:
        self._gone[position_id] = max(version, self._gone.pop(position_id, 0))
        if len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)
        self._touched["position", position_id] = self.clock
        position = self.positions.pop(position_id, None)
        if position is None:
            return
        self._by_symbol[position.symbol].pop(position_id, None)
        slot = (position.bot_id, position.symbol)
        if self._by_slot.get(slot) == position_id:
            del self._by_slot[slot]
            self._held[position.bot_id].discard(position.symbol)
        changes.positions.discard(position_id)
        changes.closed[position_id] = slot
        self._count(position.bot_id, changes)

    def _count(self, bot_id: str, changes: Changes) -> None:
        bot = self.bots.get(bot_id)
        if bot is None:
            self.unknown_bots.add(bot_id)
            return
        count = len(self.symbols_of(bot_id))
        if count != bot.open_positions:
            bot.open_positions = count
            changes.bots.add(bot_id)

    def _price(self, update: LiveUpdate, changes: Changes) -> None:
        price = Price.from_wire(update["data"])
        symbol = update["data"]["symbol"]
        known = self.prices.get(symbol)
        if known is not None and price.at <= known.at:
            return
        self.prices[symbol] = price
        changes.prices.add(symbol)
        for position in self._by_symbol[symbol].values():
            if position.marked is None or price.at >= position.marked:
                position.value_at(price.value, price.timestamp)
                changes.positions.add(position.position_id)

    def _bot(self, update: LiveUpdate, changes: Changes) -> None:
        bot = self.bots.get(update["bot_id"])
        if bot is None:
            # Only part of its columns is told; the next load brings the whole row.
            self.unknown_bots.add(update["bot_id"])
            return
        self._touched["bot", bot.bot_id] = self.clock
        self._learn(bot, update["data"], changes)

    def _learn_row(self, row: Mapping[str, Any], changes: Changes) -> None:
        bot = self.bots.get(row["bot_id"])
        if bot is None:
            bot = self.bots[row["bot_id"]] = LiveBot(row["bot_id"])
            self.unknown_bots.discard(bot.bot_id)
        self._learn(bot, row, changes)
        self._count(bot.bot_id, changes)

    def _learn(self, bot: LiveBot, data: Mapping[str, Any], changes: Changes) -> None:
        changed = bot.learn(data)
        if changed:
            changes.bots.add(bot.bot_id)
        if changed & {"deployment_mode", "currency"}:
            # Its positions are summed with others from now on.
            held = ((bot.bot_id, symbol) for symbol in self.symbols_of(bot.bot_id))
            changes.positions.update(self._by_slot[slot] for slot in held)

    def _halt(self, update: LiveUpdate, changes: Changes) -> None:
        data = update["data"]
        key = (str(data["scope"]), str(data.get("target") or ""))
        if int(data["version"]) <= self._halt_versions.get(key, 0):
            return
        self._halt_versions[key] = int(data["version"])
        if data["state"] == ControlLevel.ACTIVE:
            self.halts.pop(key, None)
            self.lifted[key] = data
        else:
            self.halts[key] = data
            self.lifted.pop(key, None)
        changes.news.append(update)

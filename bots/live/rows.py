"""What the live layer holds in memory: one open position, one bot, one price, each with its wire text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.choices import Direction
from bots.ledger.fold import EXACT, fraction
from bots.ledger.shapes import plain
from bots.live.script import encode

# What a browser is told of a position; the marks come last, since they alone change with every price.
POSITION_FACTS = (
    "position_id", "bot_id", "symbol", "side", "status", "size", "avg_entry_price", "cost_basis", "realized_pnl",
    "fees", "leverage", "stop_loss", "take_profit", "strategy", "version", "opened_at", "closed_at",
)  # fmt: skip
POSITION_MARKS = ("current_price", "unrealized_pnl", "unrealized_pnl_pct", "total_pnl", "marked_at")
BOT_FACTS = (
    "bot_id", "bot_name", "bot_type", "strategy_name", "status", "deployment_mode", "exchange", "currency",
    "initial_capital", "current_equity", "total_pnl", "max_positions", "last_heartbeat", "started_at", "error_count",
    "latency_ms", "acknowledged_halt",
)  # fmt: skip
ZERO = Decimal(0)


@dataclass(slots=True)
class Price:
    """The newest price of a symbol."""

    value: Decimal
    at: datetime
    timestamp: str
    text: str

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> "Price":
        value, timestamp = str(data["price"]), str(data["timestamp"])
        text = encode({"price": value, "timestamp": timestamp})
        return cls(Decimal(value), datetime.fromisoformat(timestamp), timestamp, text)


@dataclass(slots=True)
class LivePosition:
    """An open position, valued at the newest price."""

    position_id: str
    bot_id: str
    symbol: str
    is_long: bool
    size: Decimal
    cost_basis: Decimal
    realized: Decimal
    version: int
    opened_at: str
    head: str
    exposure: Decimal | None = None
    unrealized: Decimal = ZERO
    text: str = ""
    marked: datetime | None = None

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> "LivePosition":
        """Build it from a position's wire shape, with the marks it came with."""
        facts = {name: data[name] for name in POSITION_FACTS if name in data}
        position = cls(
            position_id=data["position_id"],
            bot_id=data["bot_id"],
            symbol=data["symbol"],
            is_long=data["side"] == Direction.LONG,
            size=Decimal(data["size"]),
            cost_basis=Decimal(data["cost_basis"]),
            realized=Decimal(data["realized_pnl"]),
            version=int(data["version"]),
            opened_at=data["opened_at"],
            head=encode(facts)[:-1],
        )
        if data.get("current_price") is not None:
            position.value_at(Decimal(data["current_price"]), data.get("marked_at"))
        else:
            position.text = f"{position.head},{encode(dict.fromkeys(POSITION_MARKS))[1:]}"
        return position

    def value_at(self, price: Decimal, marked_at: str | None) -> None:
        """Value it at a price: the same figures, to the last digit, as the ledger's own."""
        worth = EXACT.multiply(price, self.size)
        self.exposure = worth
        self.unrealized = unrealized_at(price, self.size, self.cost_basis, is_long=self.is_long)
        self.marked = datetime.fromisoformat(marked_at) if marked_at else None
        total = EXACT.add(self.realized, self.unrealized)
        self.text = (
            f'{self.head},"current_price":"{plain(price)}","unrealized_pnl":"{plain(self.unrealized)}",'
            f'"unrealized_pnl_pct":"{plain(fraction(self.unrealized, self.cost_basis))}",'
            f'"total_pnl":"{plain(total)}","marked_at":{encode(marked_at)}}}'
        )


def unrealized_at(price: Decimal, size: Decimal, cost_basis: Decimal, *, is_long: bool) -> Decimal:
    """Return the gross P&L of what is held at a price, exact, in the quote currency."""
    worth = EXACT.multiply(price, size)
    return EXACT.subtract(worth, cost_basis) if is_long else EXACT.subtract(cost_basis, worth)


@dataclass(slots=True)
class LiveBot:
    """A bot with what the control room shows of it."""

    bot_id: str
    facts: dict[str, Any] = field(default_factory=dict)
    liveness: str = "new"
    open_positions: int = 0
    realized_today: Decimal = ZERO
    excluded_currencies: list[str] = field(default_factory=list)
    heartbeat: datetime | None = None
    equity: Decimal | None = None

    def learn(self, data: Mapping[str, Any]) -> set[str]:
        """Take over what is told of the bot's columns and return which changed; an older heartbeat never wins."""
        if "equity" in data:
            data = {**data, "current_equity": data["equity"]}
        told = {name: data[name] for name in BOT_FACTS if name in data and self.facts.get(name, self) != data[name]}
        beat = told.get("last_heartbeat")
        if beat is not None:
            at = datetime.fromisoformat(beat)
            if self.heartbeat is not None and at < self.heartbeat:
                del told["last_heartbeat"]
            else:
                self.heartbeat = at
        self.facts.update(told)
        if "current_equity" in told:
            self.equity = None if told["current_equity"] is None else Decimal(told["current_equity"])
        return set(told)

    @property
    def status(self) -> str:
        return str(self.facts["status"])

    @property
    def mode(self) -> str:
        return str(self.facts["deployment_mode"])

    @property
    def currency(self) -> str:
        return str(self.facts["currency"])

    def text(self) -> str:
        """Return its row as JSON; `realized_today` is in the bot's currency, `excluded_currencies` are not in it."""
        return encode(
            {
                **self.facts,
                "liveness": self.liveness,
                "open_positions": self.open_positions,
                "realized_today": plain(self.realized_today),
                "excluded_currencies": self.excluded_currencies,
            }
        )

"""What the server answers, with the field names of the HTTP contract. Decimals are strings, as they travel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypedDict, TypeVar

from .errors import RiskReason

T = TypeVar("T")
PermitState = Literal["ACTIVE", "REDUCING", "HALTED"]


@dataclass(frozen=True)
class Answer:
    """A 2xx answer, read; `server_date` is the server's clock at the time, from the Date header.

    For a fact that went to the spool instead: `spooled`, with status 0 and no data.
    """

    status: int
    replayed: bool
    data: dict[str, Any]
    server_date: datetime | None = None
    spooled: bool = False


@dataclass(frozen=True)
class Ack:
    """A write the server has on disk, or, with `spooled`, one that waits on this machine (status 0, no data).

    `replayed`: the server knew this id already, and nothing changed.
    `flags`: what the server noticed, such as "overfill" or "invalid_transition".
    """

    status: int
    replayed: bool
    data: dict[str, Any]
    flags: list[str] = field(default_factory=list)
    spooled: bool = False


@dataclass(frozen=True)
class Flushed:
    """How many spooled facts the server took, and how many it refused (these are in the rejected file)."""

    delivered: int
    rejected: int


class Page(TypedDict, Generic[T]):
    """One page of a list; `next` is the cursor of the page after it."""

    items: list[T]
    next: str | None


class Permit(TypedDict):
    """What this bot may do now. Without a valid one: no new order."""

    state: PermitState
    version: int
    valid_until: str
    reasons: list[Any]


class Halt(TypedDict):
    """The stop in force, with the text the halting person gave."""

    id: int
    scope: str
    reason: str
    since: str


class Restriction(Halt):
    """One restriction in force, of the bot or of a symbol."""

    target: str
    state: PermitState


class Heartbeat(TypedDict):
    """The answer to a heartbeat. `halt` is the strictest restriction of the bot, `halts` lists every one in force."""

    server_time: str
    bot_status: str
    permit: Permit
    halt: Halt | None
    halts: list[Restriction]
    config_versions: dict[str, int]


class Me(TypedDict):
    """The bot this token belongs to."""

    bot_id: str
    status: str
    limits: dict[str, Any]
    scopes: list[str]


class ConfigEntry(TypedDict):
    """One active configuration."""

    version: int
    config_type: str
    value: Any


class LimitUse(TypedDict):
    """How far a limit is used now and with the order; `unknown` without a price of the symbol."""

    rule: str
    subject: str
    unit: str
    current: str
    with_order: str
    limit: str
    headroom: str


class RiskCheck(TypedDict):
    """Whether an order would be admitted now, why not, how far each limit is used, and 0.5 at half size (else 1)."""

    allowed: bool
    reasons: list[RiskReason]
    limits: list[LimitUse]
    size_factor: str


class BatchResult(TypedDict, total=False):
    """What became of one operation of a batch; `code` stands on a refusal."""

    status: int
    code: str
    id: str


class CandleTable(TypedDict):
    """Candles, oldest first."""

    columns: list[str]
    rows: list[list[Any]]


class Signal(TypedDict, total=False):
    """A stored signal."""

    signal_id: str
    bot_id: str
    symbol: str
    signal_type: str
    price: str
    strategy: str
    strength: str | None
    confidence: str | None
    timestamp: str
    valid_until: str | None


class Order(TypedDict, total=False):
    """A stored order."""

    order_id: str
    bot_id: str
    symbol: str
    side: str
    order_type: str
    status: str
    price: str | None
    quantity: str
    filled_quantity: str
    remaining_quantity: str
    avg_fill_price: str | None
    exchange_order_id: str | None
    rejection_reason: str | None
    created_at: str


class Fill(TypedDict, total=False):
    """A stored fill."""

    fill_id: str
    order_id: str
    symbol: str
    side: str
    price: str
    quantity: str
    fee: str
    fee_currency: str | None
    executed_at: str


class Position(TypedDict, total=False):
    """A position; a closed one has size 0. `realized_pnl` is before fees."""

    position_id: str
    symbol: str
    side: str
    size: str
    avg_entry_price: str
    cost_basis: str
    realized_pnl: str
    unrealized_pnl: str
    fees: str
    status: str
    opened_at: str
    closed_at: str | None


class Trade(TypedDict, total=False):
    """A round trip, from flat to flat; `quantity` is all that was entered."""

    trade_id: str
    symbol: str
    side: str
    quantity: str
    entry_price: str
    exit_price: str | None
    entry_time: str
    exit_time: str | None
    gross_pnl: str | None
    net_pnl: str | None
    fees: str


class Balance(TypedDict, total=False):
    """A stored balance."""

    balance_id: str
    total_balance: str
    available_balance: str
    equity: str
    locked_balance: str | None
    margin_used: str | None
    unrealized_pnl: str | None
    snapshot_type: str
    timestamp: str

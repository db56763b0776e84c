"""The parameters of the reads."""

from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from audit.choices import RiskType
from bots.api.pagination import PageQuery, QueryModel, limit_up_to
from bots.choices import (
    BotStatus,
    CaseKind,
    CaseStatus,
    ConflictStatus,
    DeploymentMode,
    Direction,
    FactKind,
    OrderStatus,
    ParkedState,
    PositionStatus,
    Side,
    SignalType,
)
from marketdata.services.candles import MAX_READ
from tradingdb.lib.schema import BotId, Ident, Line50, Line100, Symbol, UtcTime, Word, wrong

Interval = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(s|m|h|d|w|M)$", strict=True)]
Exchange = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$", max_length=50, strict=True)]


class ListQuery(PageQuery):
    """A part of the rows. `start` is inclusive, `end` is not; `bot_id` is for staff, a bot sees its own rows."""

    bot_id: BotId | None = None
    start: UtcTime | None = None
    end: UtcTime | None = None


class LedgerQuery(ListQuery):
    """A part of the ledger's rows."""

    symbol: Symbol | None = None


class SignalQuery(LedgerQuery):
    """`side` is the signal type; `status` says what became of it."""

    side: Word[SignalType] | None = None
    status: Literal["executed", "rejected", "pending"] | None = None


class OrderQuery(LedgerQuery):
    """Times are those of `created_at`."""

    side: Word[Side] | None = None
    status: Word[OrderStatus] | None = None


class FillQuery(LedgerQuery):
    """Times are those of `executed_at`; fills have no status, so one that is asked for finds nothing."""

    side: Word[Side] | None = None
    status: Line50 | None = None


class PositionQuery(LedgerQuery):
    """Times are those of `opened_at`; `open` and `closed` include the finer statuses."""

    side: Word[Direction] | None = None
    status: Word[PositionStatus] | None = None


class TradeQuery(LedgerQuery):
    """Times are those of `entry_time`; a trade is closed when it has an exit time."""

    side: Word[Direction] | None = None
    status: Literal["open", "closed"] | None = None


class BalanceQuery(LedgerQuery):
    """Balances have neither symbol, side nor status, so one that is asked for finds nothing."""

    side: Line50 | None = None
    status: Line50 | None = None


class CaseQuery(LedgerQuery):
    """Times are those of `opened_at`."""

    kind: Word[CaseKind] | None = None
    status: Word[CaseStatus] | None = None


class ConflictQuery(ListQuery):
    """Times are those of `received_at`."""

    kind: Word[FactKind] | None = None
    status: Word[ConflictStatus] | None = None


class ParkedQuery(ListQuery):
    """Times are those of `received_at`."""

    kind: Word[FactKind] | None = None
    status: Word[ParkedState] | None = None
    order_id: Ident | None = None


def _switch(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise wrong("switch", "must be true or false")


Switch = Annotated[bool, PlainValidator(_switch), WithJsonSchema({"type": "boolean"})]


class RiskEventQuery(LedgerQuery):
    """Times are those of `event_time`."""

    risk_type: Word[RiskType] | None = None
    resolved: Switch | None = None


class ActionQuery(PageQuery):
    """Times are those of `created_at`."""

    start: UtcTime | None = None
    end: UtcTime | None = None
    user_email: Line100 | None = None
    action: Line100 | None = None
    resource_type: Line50 | None = None
    resource_id: Line100 | None = None


class BotQuery(QueryModel):
    """Some of the bots."""

    status: Word[BotStatus] | None = None
    deployment_mode: Word[DeploymentMode] | None = None


class ConfigQuery(QueryModel):
    """Staff name the bot; a bot gets its own."""

    bot_id: BotId | None = None


class SeriesQuery(QueryModel):
    """Which series the CSV belongs to; JSON says it in the body."""

    exchange: Exchange | None = None
    symbol: Symbol | None = None
    interval: Interval | None = None


class CandlesQuery(QueryModel):
    """From `start` on when it is given, else the newest; `end` is exclusive. Oldest first."""

    exchange: Exchange
    symbol: Symbol
    interval: Interval
    start: UtcTime | None = None
    end: UtcTime | None = None
    limit: limit_up_to(MAX_READ) = 1000  # type: ignore[valid-type]

"""What the calls beside the hot ones take."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from bots.api.queries import Exchange, Interval
from bots.choices import (
    BotStatus,
    CaseStatus,
    ControlLevel,
    ControlScope,
    DeploymentMode,
    Direction,
    ExitReason,
    Liquidity,
    MarketRegime,
    OrderType,
    Side,
    TokenScope,
)
from bots.services.reconciliation import ReportedPosition
from bots.services.tokens import DEFAULT_DAYS, MAX_DAYS
from bots.services.trades import NewTrade
from bots.services.unattributed import AccountFill
from marketdata.services.candle_rows import COLUMNS, MAX_ROWS
from tradingdb.lib.schema import (
    MAX_INTEGER,
    BotId,
    CountIn,
    CurrencyCode,
    DecimalIn,
    FactTime,
    Flag,
    Ident,
    JsonObject,
    Line50,
    Line100,
    Name50,
    Name100,
    NonNegativeDecimal,
    PositiveDecimal,
    Ratio01,
    Reason,
    StrictModel,
    Symbol,
    Text,
    Word,
    to_decimal,
    to_json_value,
    wrong,
)

# Far beyond any real trade, and small enough that every product of the ledger fits numeric(76,36).
LARGEST_NOTIONAL = Decimal(10) ** 30

# --- candles


class SeriesIn(StrictModel):
    """One series of candles."""

    exchange: Exchange
    symbol: Symbol
    interval: Interval


class CandlesIn(SeriesIn):
    """Candles of one series. Rows are judged one by one, so that a bad one is left out alone."""

    candles: Annotated[
        list[Any],
        Field(
            max_length=MAX_ROWS,
            description=f"Rows of {', '.join(COLUMNS[:6])}, and if known {', '.join(COLUMNS[6:])}.",
        ),
    ]


# --- facts


class TradeIn(StrictModel):
    """A whole round trip. Its P&L is computed; a reported one that disagrees is kept and flagged."""

    trade_id: Ident
    symbol: Symbol
    side: Literal["long", "short", "buy", "sell"]
    quantity: PositiveDecimal
    entry_price: PositiveDecimal
    entry_time: FactTime
    exit_price: PositiveDecimal | None = None
    exit_time: FactTime | None = None
    pnl_usd: DecimalIn | None = Field(default=None, description="Net P&L as the bot counts it.")
    fees: DecimalIn | None = Field(default=None, description="In the quote currency, both ways.")
    trade_type: Word[OrderType] = OrderType.MARKET
    leverage: PositiveDecimal | None = None
    stop_loss: PositiveDecimal | None = None
    take_profit: PositiveDecimal | None = None
    exit_reason: Word[ExitReason] | None = None
    strategy: Line50 | None = None
    exchange_order_id: Ident | None = None
    entry_logic: Line100 | None = None
    exit_logic: Line100 | None = None
    interval: Interval | None = None
    max_favorable_excursion: DecimalIn | None = None
    max_adverse_excursion: DecimalIn | None = None
    signal_strength: Ratio01 | None = None
    confidence_score: Ratio01 | None = None
    strategy_params: JsonObject | None = None
    market_regime: Word[MarketRegime] | None = None
    entry_conditions: JsonObject | None = None
    exit_conditions: JsonObject | None = None
    is_paper_trade: Flag = False
    notes: Text | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.exit_price is None) != (self.exit_time is None):
            raise wrong("exit", "exit_price and exit_time belong together")
        if self.exit_time is not None and self.exit_time < self.entry_time:
            raise wrong("exit", "exit_time must not lie before entry_time")
        largest = max(self.entry_price, self.exit_price or self.entry_price)
        if largest * self.quantity >= LARGEST_NOTIONAL:
            raise wrong("notional", "price times quantity is beyond what any exchange trades")
        return self

    def to_domain(self) -> NewTrade:
        """The trade as a fact; what was not told takes the ledger's defaults."""
        body = self.model_dump()
        defaults = {"fees": Decimal(0), "leverage": Decimal(1), "strategy": ""}
        told: dict[str, Any] = {name: defaults.get(name) if value is None else value for name, value in body.items()}
        told["trade_type"] = str(self.trade_type)
        return NewTrade(body=body, **told)


def _price_or_ladder(value: object) -> Any:
    return to_json_value(value) if isinstance(value, (list, dict)) else _positive_or_none(value)


def _positive_or_none(value: object) -> Decimal | None:
    if value is None:
        return None
    number = to_decimal(value)
    if number <= 0:
        raise wrong("positive", "must be greater than 0")
    return number


def _object_or_decimal(value: object) -> Any:
    return to_json_value(value) if isinstance(value, dict) else _positive_or_none(value)


_PRICE = {"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}
_WITH_LADDER = {"anyOf": [*_PRICE["anyOf"], {"type": "array", "items": {}}, {"type": "object"}]}
_WITH_OBJECT = {"anyOf": [*_PRICE["anyOf"], {"type": "object"}]}


class PositionPatch(StrictModel):
    """Stops and notes of a position; what is not sent stays, null takes it away."""

    stop_loss: PositiveDecimal | None = None
    take_profit: Annotated[Any, PlainValidator(_price_or_ladder), WithJsonSchema(_WITH_LADDER)] = Field(
        default=None, description="A price, or a ladder of steps."
    )
    trailing_stop: Annotated[Any, PlainValidator(_object_or_decimal), WithJsonSchema(_WITH_OBJECT)] = Field(
        default=None, description="A distance, or an object in the bot's own words."
    )
    position_metadata: JsonObject | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise wrong("empty", "must hold at least one field")
        return self

    def changes(self) -> dict[str, Any]:
        """The columns to set: a ladder has one of its own, and each takes the place of the other."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "take_profit" in sent:
            is_ladder = isinstance(sent["take_profit"], (list, dict))
            ladder = sent.pop("take_profit") if is_ladder else None
            sent |= {"take_profit": None if is_ladder else self.take_profit, "take_profit_levels": ladder}
        if isinstance(sent.get("trailing_stop"), Decimal):
            sent["trailing_stop"] = {"distance": f"{sent['trailing_stop']:f}"}
        return sent


class ReportedPositionIn(StrictModel):
    """One position as the bot or the exchange sees it; size 0 is flat."""

    symbol: Symbol
    side: Word[Direction]
    size: NonNegativeDecimal
    avg_entry_price: PositiveDecimal | None = None

    def to_domain(self) -> ReportedPosition:
        return ReportedPosition(**self.model_dump())


class PositionsReport(StrictModel):
    """All positions the bot or the exchange believes in at one moment; what is missing here is believed flat."""

    positions: Annotated[list[ReportedPositionIn], Field(max_length=5000)]
    as_of: FactTime


class AccountFillIn(StrictModel):
    """One execution as an account's stream or an importer sees it; no call takes it, snapshots of accounts do."""

    exchange_trade_id: Ident
    symbol: Symbol
    side: Word[Side]
    price: PositiveDecimal
    quantity: PositiveDecimal
    executed_at: FactTime
    fee: DecimalIn | None = None
    fee_currency: CurrencyCode | None = None
    liquidity: Word[Liquidity] | None = None
    exchange_order_id: Ident | None = None
    client_order_id: Ident | None = None

    @model_validator(mode="after")
    def _is_real(self) -> Self:
        if self.price * self.quantity >= LARGEST_NOTIONAL or abs(self.fee or Decimal(0)) >= LARGEST_NOTIONAL:
            raise wrong("notional", "price times quantity is beyond what any exchange trades")
        return self

    def to_domain(self, source: str) -> AccountFill:
        body = self.model_dump()
        return AccountFill(body=body, source=source, **body)


# --- staff


class BotIn(StrictModel):
    """A new bot; without `account_id` it gets an account of its own."""

    bot_id: BotId
    bot_name: Name100
    bot_type: Name50
    strategy_name: Name100
    deployment_mode: Word[DeploymentMode]
    initial_capital: NonNegativeDecimal
    description: Text = ""
    currency: CurrencyCode = "USDT"
    exchange: Exchange = "bybit"
    account_id: Ident | None = None
    max_positions: CountIn = 3
    leverage_limit: Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER)] = 1
    max_daily_loss_pct: Ratio01 | None = None
    max_weekly_loss_pct: Ratio01 | None = None
    max_drawdown_pct: Ratio01 | None = None


class BotPatch(StrictModel):
    """What people change of a bot. Pausing is a trader's right, everything else an admin's."""

    bot_name: Name100 | None = None
    description: Text | None = None
    status: Word[BotStatus] | None = None
    max_positions: CountIn | None = None
    leverage_limit: Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER)] | None = None
    max_daily_loss_pct: Ratio01 | None = Field(default=None, description="null takes the limit away")
    max_weekly_loss_pct: Ratio01 | None = Field(default=None, description="null takes the limit away")
    max_drawdown_pct: Ratio01 | None = Field(default=None, description="null takes the limit away")
    reason: Reason | None = None

    @model_validator(mode="after")
    def _only_limits_go(self) -> Self:
        gone = {name for name in self.model_fields_set if getattr(self, name) is None}
        fixed = sorted(gone - {"max_daily_loss_pct", "max_weekly_loss_pct", "max_drawdown_pct", "reason"})
        if fixed:
            raise wrong("null", f"must not be null: {', '.join(fixed)}")
        return self

    def changes(self) -> dict[str, Any]:
        """The columns to set."""
        return {name: getattr(self, name) for name in self.model_fields_set - {"reason"}}


class NewTokenIn(StrictModel):
    """A new token of a bot: every scope unless some are named."""

    scopes: Annotated[list[Word[TokenScope]], Field(min_length=1, max_length=3)] | None = None
    days: Annotated[int, Field(strict=True, ge=1, le=MAX_DAYS)] = DEFAULT_DAYS


# What the target of each scope looks like.
TARGETS: dict[str, TypeAdapter[str]] = {
    ControlScope.BOT: TypeAdapter(BotId),
    ControlScope.SYMBOL: TypeAdapter(Symbol),
    ControlScope.EXCHANGE: TypeAdapter(Exchange),
}


class ControlIn(StrictModel):
    """A restriction, or its end (ACTIVE). `target` is a bot_id, a symbol or an exchange; scope `all` has none."""

    scope: Word[ControlScope]
    target: Name50 | None = None
    state: Word[ControlLevel]
    reason: Reason

    @model_validator(mode="after")
    def _target_fits(self) -> Self:
        if (self.scope == ControlScope.ALL) != (self.target is None):
            raise wrong("target", "target is needed for every scope but all")
        if self.target is not None:
            try:
                TARGETS[self.scope].validate_python(self.target)
            except ValidationError as e:
                # A look-alike would halt nothing, and nobody would know.
                raise wrong("target", f"target is no {self.scope} that can be") from e
        return self


class CasePatch(StrictModel):
    """What people say about a case; closing it needs a resolution."""

    status: Word[CaseStatus] | None = None
    cause: Text | None = None
    resolution: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise wrong("empty", "must hold at least one field")
        return self


class ResolveIn(StrictModel):
    """How a risk event was dealt with."""

    notes: Reason


class ConfirmIn(StrictModel):
    """One proof of who is at the session: a code of the second factor, or the password of somebody without one."""

    password: Annotated[str, Field(min_length=1, max_length=1000, strict=True)] | None = None
    code: Annotated[str, Field(min_length=1, max_length=20, strict=True)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.password is None) == (self.code is None):
            raise wrong("proof", "needs either password or code")
        return self

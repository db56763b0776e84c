"""Closed sets of the ledger, with the seeds' words, and the table of allowed order moves."""

from django.db import models


class BotStatus(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    ARCHIVED = "archived"


class DeploymentMode(models.TextChoices):
    LIVE = "live"
    DEMO = "demo"
    BACKTEST = "backtest"


class Side(models.TextChoices):
    """Direction of an order or a fill."""

    BUY = "buy"
    SELL = "sell"


class Direction(models.TextChoices):
    """Direction of a position or a trade."""

    LONG = "long"
    SHORT = "short"


class OrderType(models.TextChoices):
    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class OrderStatus(models.TextChoices):
    PENDING = "pending"
    SUBMITTED = "submitted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    # Conditional orders: 131 of 243 real orders were in one of these, which seed 000 lacks.
    UNTRIGGERED = "untriggered"
    TRIGGERED = "triggered"
    DEACTIVATED = "deactivated"


class OrderIntent(models.TextChoices):
    """Whether a bot asks for an order or tells of one that is already at the exchange."""

    REQUEST = "request"
    REPORT = "report"


class OrderPurpose(models.TextChoices):
    ENTRY = "entry"
    EXIT = "exit"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    REDUCE_ONLY = "reduce_only"
    SCALE_IN = "scale_in"
    SCALE_OUT = "scale_out"


class Liquidity(models.TextChoices):
    MAKER = "maker"
    TAKER = "taker"


class PositionStatus(models.TextChoices):
    """Derived positions are open until flat; importers may keep partially_closed and liquidated."""

    OPEN = "open"
    PARTIALLY_CLOSED = "partially_closed"
    CLOSED = "closed"
    LIQUIDATED = "liquidated"


class TradeStatus(models.TextChoices):
    """Seed 000's words; an open round trip is a `filled` trade without exit time."""

    PENDING = "pending"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class TradeOrigin(models.TextChoices):
    """Derived from fills, or reported whole by a bot that tells only of closed trades."""

    FILLS = "fills"
    REPORTED = "reported"


class ExitReason(models.TextChoices):
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    MANUAL = "manual"
    TIME_EXIT = "time_exit"
    RISK_LIMIT = "risk_limit"
    SIGNAL_REVERSAL = "signal_reversal"
    MARKET_CLOSE = "market_close"


class MarketRegime(models.TextChoices):
    TRENDING_UP = "trending_up"
    TRENDING_DOWN = "trending_down"
    RANGING = "ranging"
    VOLATILE = "volatile"


class SignalType(models.TextChoices):
    LONG = "long"
    SHORT = "short"
    CLOSE_LONG = "close_long"
    CLOSE_SHORT = "close_short"
    HOLD = "hold"


class SignalOutcome(models.TextChoices):
    WINNER = "winner"
    LOSER = "loser"
    BREAKEVEN = "breakeven"
    NOT_EXECUTED = "not_executed"


class SnapshotType(models.TextChoices):
    PERIODIC = "periodic"
    TRADE_OPEN = "trade_open"
    TRADE_CLOSE = "trade_close"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    MANUAL = "manual"
    # Written by the old registrations although seed 000's list lacks it.
    INITIAL = "initial"


class CashFlowKind(models.TextChoices):
    INITIAL = "initial"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FUNDING = "funding"
    ADJUSTMENT = "adjustment"


class FactKind(models.TextChoices):
    """Kinds of facts that can be parked, conflict, or are deduplicated by a key of their own."""

    SIGNAL = "signal"
    ORDER = "order"
    ORDER_UPDATE = "order_update"
    FILL = "fill"
    TRADE = "trade"
    BALANCE = "balance"
    EVENT = "event"


class ParkedState(models.TextChoices):
    """Waiting for its order, applied with it, or found to be a fact the ledger has already (kept as a conflict)."""

    PARKED = "parked"
    APPLIED = "applied"
    REFUSED = "refused"


class ConflictStatus(models.TextChoices):
    OPEN = "open"
    RESOLVED = "resolved"


class ConflictDecision(models.TextChoices):
    """Which of two bodies under one id is right, as a person decided."""

    KEPT = "kept", "ours is right"
    CORRECTED = "corrected", "the received one is right"
    BOTH = "both", "both are real"


class InboxStatus(models.TextChoices):
    """Of a fill whose bot was not known when it came."""

    OPEN = "open"
    ASSIGNED = "assigned"
    DISMISSED = "dismissed"


class CaseKind(models.TextChoices):
    """Why a reconciliation case was opened."""

    OVERFILL = "overfill"
    POSITION_MISMATCH = "position_mismatch"
    UNATTRIBUTED = "unattributed"
    FILL_AFTER_TERMINAL = "fill_after_terminal"
    NEGATIVE_BALANCE = "negative_balance"
    PNL_MISMATCH = "pnl_mismatch"
    CONTENT_CONFLICT = "content_conflict"
    LEDGER_MISMATCH = "ledger_mismatch"
    HALT_NOT_OBEYED = "halt_not_obeyed"


class CaseStatus(models.TextChoices):
    OPEN = "open"
    INVESTIGATING = "investigating"
    RESOLVED = "resolved"


class ControlScope(models.TextChoices):
    """What a control state applies to."""

    ALL = "all"
    BOT = "bot"
    SYMBOL = "symbol"
    EXCHANGE = "exchange"


class ToldBy(models.TextChoices):
    """By which way a bot heard of a restriction first."""

    HEARTBEAT = "heartbeat"
    PERMIT = "permit"
    SOCKET = "socket"


class ControlLevel(models.TextChoices):
    """How far trading is restricted; upper case, as the bots read it."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class StrategyType(models.TextChoices):
    """How a strategy comes to its signals."""

    TREND_FOLLOWING = "trend_following"
    MEAN_REVERSION = "mean_reversion"
    ML_BASED = "ml_based"


class StrategyStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    TESTING = "testing"
    ERROR = "error"


class TradeVerdict(models.TextChoices):
    """What a person who looked at a trade says of it."""

    AS_PLANNED = "as_planned"
    AGAINST_PLAN = "against_plan"
    BAD_EXECUTION = "bad_execution"
    BAD_DATA = "bad_data"
    UNCLEAR = "unclear"


class TokenScope(models.TextChoices):
    READ = "read"
    LEDGER_WRITE = "ledger:write"
    MARKET_WRITE = "market:write"


ACTIVE_ORDER_STATUSES = (
    OrderStatus.PENDING,
    OrderStatus.SUBMITTED,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.UNTRIGGERED,
    OrderStatus.TRIGGERED,
)
TERMINAL_ORDER_STATUSES = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REJECTED,
    OrderStatus.EXPIRED,
    OrderStatus.FAILED,
    OrderStatus.DEACTIVATED,
)
OPEN_POSITION_STATUSES = (PositionStatus.OPEN, PositionStatus.PARTIALLY_CLOSED)


class LimitScope(models.TextChoices):
    """Whom a limit counts together: one bot by itself, or all bots of a mode in what the scope names."""

    BOT = "bot"
    ALL = "all"
    EXCHANGE = "exchange"
    SYMBOL = "symbol"
    BASE_ASSET = "base_asset"


class LimitKind(models.TextChoices):
    """What is measured. A kind is also the rule's name in refusals, but both exposures are `exposure_limit` there."""

    POSITION_LIMIT = "position_limit", "open positions"
    LEVERAGE_LIMIT = "leverage_limit", "leverage of an order"
    DAILY_LOSS_LIMIT = "daily_loss_limit", "loss of the UTC day"
    WEEKLY_LOSS_LIMIT = "weekly_loss_limit", "loss since Monday"
    MONTHLY_LOSS_LIMIT = "monthly_loss_limit", "loss of the month"
    MAX_DRAWDOWN = "max_drawdown", "drawdown from the peak"
    ORDER_QUANTITY_LIMIT = "order_quantity_limit", "quantity of an order"
    ORDER_NOTIONAL_LIMIT = "order_notional_limit", "value of an order"
    ORDER_RATE_LIMIT = "order_rate_limit", "order requests a minute"
    GROSS_EXPOSURE = "gross_exposure", "gross exposure"
    NET_EXPOSURE = "net_exposure", "net exposure"
    CONCENTRATION_LIMIT = "concentration_limit", "share of the gross exposure"
    SHARED_POSITION_LIMIT = "shared_position_limit", "bots on one side of a symbol"
    CORRELATED_EXPOSURE_LIMIT = "correlated_exposure_limit", "gross exposure in symbols that move together"
    PORTFOLIO_DRAWDOWN = "portfolio_drawdown", "drawdown of the portfolio"


class LimitAction(models.TextChoices):
    """What a breach does beside refusing whatever would make it worse."""

    BLOCK = "block", "refuse what would pass it"
    HALF_SIZE = "half_size", "half size until half of the loss is back"
    REDUCING = "REDUCING", "REDUCING until released"
    HALTED = "HALTED", "HALTED until released"
    PAUSE_DAY = "pause_until_next_day", "REDUCING until 00:01 UTC of the next day"
    PAUSE_WEEK = "pause_until_monday", "REDUCING until Monday, 00:01 UTC"


class LatchEffect(models.TextChoices):
    """What a breach holds a bot to until it ends by itself or a person ends it."""

    HALF_SIZE = "half_size"
    PAUSE = "pause"


# The values of these stand with the bot; their rows say what a breach does.
COLUMN_LIMITS = {
    LimitKind.POSITION_LIMIT: "max_positions",
    LimitKind.LEVERAGE_LIMIT: "leverage_limit",
    LimitKind.DAILY_LOSS_LIMIT: "max_daily_loss_pct",
    LimitKind.WEEKLY_LOSS_LIMIT: "max_weekly_loss_pct",
    LimitKind.MAX_DRAWDOWN: "max_drawdown_pct",
}
LOSS_LIMITS = (
    LimitKind.DAILY_LOSS_LIMIT,
    LimitKind.WEEKLY_LOSS_LIMIT,
    LimitKind.MONTHLY_LOSS_LIMIT,
    LimitKind.MAX_DRAWDOWN,
)
ALL_SCOPES = (LimitScope.ALL, LimitScope.EXCHANGE, LimitScope.SYMBOL, LimitScope.BASE_ASSET)
# Which scopes each kind can have.
LIMIT_SCOPES: dict[LimitKind, tuple[LimitScope, ...]] = {
    **dict.fromkeys((*COLUMN_LIMITS, *LOSS_LIMITS, LimitKind.ORDER_RATE_LIMIT), (LimitScope.BOT,)),
    LimitKind.ORDER_QUANTITY_LIMIT: (LimitScope.BOT, LimitScope.SYMBOL),
    LimitKind.ORDER_NOTIONAL_LIMIT: (LimitScope.BOT, LimitScope.SYMBOL),
    LimitKind.GROSS_EXPOSURE: ALL_SCOPES,
    LimitKind.NET_EXPOSURE: ALL_SCOPES,
    LimitKind.CONCENTRATION_LIMIT: (LimitScope.SYMBOL, LimitScope.BASE_ASSET),
    LimitKind.SHARED_POSITION_LIMIT: (LimitScope.SYMBOL,),
    LimitKind.CORRELATED_EXPOSURE_LIMIT: (LimitScope.ALL,),
    LimitKind.PORTFOLIO_DRAWDOWN: (LimitScope.ALL,),
}
# Money of several symbols is only added in one currency.
MONEY_LIMITS = (
    LimitKind.GROSS_EXPOSURE,
    LimitKind.NET_EXPOSURE,
    LimitKind.CONCENTRATION_LIMIT,
    LimitKind.CORRELATED_EXPOSURE_LIMIT,
    LimitKind.PORTFOLIO_DRAWDOWN,
)

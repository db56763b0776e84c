"""Admission of an order: the control state and the bot's limits, as a pure rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NotRequired, TypedDict

from bots.choices import LOSS_LIMITS, BotStatus, ControlLevel, Direction, LimitAction, LimitKind, Side
from bots.ledger.fold import fraction
from bots.ledger.shapes import plain

SEVERITY = {ControlLevel.ACTIVE: 0, ControlLevel.REDUCING: 1, ControlLevel.HALTED: 2}


class Reason(TypedDict):
    """One rule that refuses an order, with the value that broke it and the limit in force.

    Of a limit also its unit, what is left of it without the order, and what it counts (a bot, a symbol, all).
    """

    rule: str
    current: str
    limit: str
    unit: NotRequired[str]
    headroom: NotRequired[str]
    subject: NotRequired[str]


def contract(reason: Reason) -> Reason:
    """Return a reason as a refusal carries it: the fields that the contract fixes, and no other."""
    return {"rule": reason["rule"], "current": reason["current"], "limit": reason["limit"]}


@dataclass(frozen=True, slots=True)
class Restriction:
    """One control state that applies, in the words of whoever set it."""

    scope: str
    target: str
    level: ControlLevel
    version: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a bot is held to; None is "no limit". Shares are fractions."""

    max_positions: int
    leverage: int
    daily_loss: Decimal | None
    weekly_loss: Decimal | None
    drawdown: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a bot stands at the moment it asks. Equities are in its currency, None is "not known"."""

    status: BotStatus
    restrictions: tuple[Restriction, ...] = field(default=())
    held_side: Direction | None = None
    held_size: Decimal = Decimal(0)
    symbols_in_use: int = 0
    equity: Decimal | None = None
    equity_day_start: Decimal | None = None
    equity_week_start: Decimal | None = None
    equity_peak: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How far a limit is used, and how far with the order that is asked for; None: nobody can know (no price).

    `is_own` limits are the bot's own values, which `Limits` has as well; without a `limit` nothing is refused.
    """

    limit_id: int
    kind: str
    subject: str
    currency: str
    used: Decimal
    asked: Decimal | None
    limit: Decimal | None
    action: str = "block"
    is_own: bool = False

    @property
    def rule(self) -> str:
        """The rule's name in refusals."""
        return "exposure_limit" if self.kind in EXPOSURES else self.kind

    @property
    def unit(self) -> str:
        """What the figures are in."""
        return UNITS.get(self.kind, self.currency or "quote currency")

    @property
    def headroom(self) -> Decimal:
        """What is left without the order."""
        return max((self.limit or Decimal(0)) - self.used, Decimal(0))

    @property
    def refuses(self) -> bool:
        """Whether the order may not be: a loss limit that is reached, any other that the order would pass."""
        if self.limit is None or self.action == LimitAction.HALF_SIZE:
            # Half size is a limit of its own once it is in force.
            return False
        if self.kind in LOSS_LIMITS:
            return self.used >= self.limit
        return self.asked is None or (self.asked > self.limit and self.asked > self.used)

    def reason(self) -> Reason:
        """Say it as a refusal does."""
        assert self.limit is not None
        return {
            "rule": self.rule,
            "current": "unknown" if self.asked is None else plain(self.asked),
            "limit": plain(self.limit),
            "unit": self.unit,
            "headroom": plain(self.headroom),
            "subject": self.subject,
        }


EXPOSURES = frozenset({LimitKind.GROSS_EXPOSURE, LimitKind.NET_EXPOSURE})
UNITS: dict[str, str] = {
    **dict.fromkeys((*LOSS_LIMITS, LimitKind.CONCENTRATION_LIMIT, LimitKind.PORTFOLIO_DRAWDOWN), "fraction"),
    LimitKind.POSITION_LIMIT: "positions",
    LimitKind.LEVERAGE_LIMIT: "times",
    LimitKind.ORDER_QUANTITY_LIMIT: "base currency",
    LimitKind.ORDER_RATE_LIMIT: "orders a minute",
    LimitKind.SHARED_POSITION_LIMIT: "bots",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The order that is asked for."""

    side: str
    quantity: Decimal
    leverage: Decimal | None
    reduce_only: bool


def level_of(status: BotStatus, restrictions: tuple[Restriction, ...]) -> ControlLevel:
    """Return the strictest level in force; a paused bot may only shrink, a stopped one does nothing."""
    levels = [restriction.level for restriction in restrictions]
    if status == BotStatus.PAUSED:
        levels.append(ControlLevel.REDUCING)
    elif status != BotStatus.ACTIVE:
        levels.append(ControlLevel.HALTED)
    return max(levels, key=SEVERITY.__getitem__, default=ControlLevel.ACTIVE)


def shrinks(ask: Ask, standing: Standing) -> bool:
    """Whether the order only makes the held position smaller."""
    if standing.held_side is None:
        return False
    against = Side.SELL if standing.held_side == Direction.LONG else Side.BUY
    return ask.side == against and ask.quantity <= standing.held_size


def admit(ask: Ask, standing: Standing, limits: Limits, usages: Sequence[Usage] = ()) -> list[Reason]:
    """Return the reasons that refuse the order; none admits it."""
    reasons: list[Reason] = []
    smaller = shrinks(ask, standing)
    level = level_of(standing.status, standing.restrictions)
    if level == ControlLevel.HALTED or (level == ControlLevel.REDUCING and not smaller):
        reasons.append({"rule": "control_state", "current": str(level), "limit": str(ControlLevel.ACTIVE)})
    if ask.reduce_only and not smaller:
        held = plain(standing.held_size)
        reasons.append({"rule": "reduce_only", "current": plain(ask.quantity), "limit": held})
    if smaller:
        # A limit never keeps a bot from getting out.
        return reasons
    reasons += _own(ask, standing, limits)
    told = {reason["rule"] for reason in reasons}
    reasons += [usage.reason() for usage in usages if usage.refuses and not (usage.is_own and usage.rule in told)]
    return reasons


def _own(ask: Ask, standing: Standing, limits: Limits) -> Iterable[Reason]:
    """Yield what the bot's own values refuse, by the equity that it told."""
    if ask.leverage is not None and ask.leverage > limits.leverage:
        yield _reason(LimitKind.LEVERAGE_LIMIT, ask.leverage, Decimal(limits.leverage), Decimal(limits.leverage))
    if standing.held_side is None and standing.symbols_in_use >= limits.max_positions:
        most = Decimal(limits.max_positions)
        yield _reason(LimitKind.POSITION_LIMIT, Decimal(standing.symbols_in_use), most, Decimal(0))
    for rule, start, limit in (
        (LimitKind.DAILY_LOSS_LIMIT, standing.equity_day_start, limits.daily_loss),
        (LimitKind.WEEKLY_LOSS_LIMIT, standing.equity_week_start, limits.weekly_loss),
        (LimitKind.MAX_DRAWDOWN, standing.equity_peak, limits.drawdown),
    ):
        if limit is None or start is None or standing.equity is None or start <= 0:
            continue
        loss = fraction(start - standing.equity, start)
        if loss >= limit:
            yield _reason(rule, loss, limit, Decimal(0))


def _reason(rule: LimitKind, current: Decimal, limit: Decimal, headroom: Decimal) -> Reason:
    return {
        "rule": str(rule), "current": plain(current), "limit": plain(limit), "unit": UNITS[rule],
        "headroom": plain(headroom),
    }  # fmt: skip

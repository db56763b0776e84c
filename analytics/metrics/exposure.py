"""Exposure, leverage and daily P&L: what a bot has at stake, and what a day brought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext

from analytics.metrics.borders import EXACT, finite, to_money, to_ratio, total, utc_day


@dataclass(frozen=True, slots=True)
class ExposureSample:
    """What a bot held at one moment: exposure and equity in the account's currency, and how many open positions."""

    at: datetime
    exposure: Decimal
    equity: Decimal
    open_positions: int

    def __post_init__(self) -> None:
        utc_day(self.at)
        finite(self.equity, "equity")
        if finite(self.exposure, "exposure") < 0:
            raise ValueError(f"exposure is negative: {self.exposure}")
        if self.open_positions < 0:
            raise ValueError(f"open_positions is negative: {self.open_positions}")


@dataclass(frozen=True, kw_only=True)
class ExposureStats:
    """A summary of exposure samples; None where there was nothing to take it from."""

    avg_leverage: Decimal | None
    max_leverage: Decimal | None
    avg_position_size: Decimal | None
    max_exposure: Decimal | None


def exposure(positions: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Return what open positions are worth together, in the quote currency, exactly.

    positions: (size, current price) of each; longs and shorts add up and do not offset each other.

    The result is sum(|size * price|), 0 without positions. Raises ValueError if a number is not finite.
    Source: gross exposure as in AIFMD (Regulation 231/2013, article 7).
    """
    with localcontext(EXACT):
        return total(abs(finite(size, "size") * finite(price, "price")) for size, price in positions)


def leverage(*, exposure: Decimal, equity: Decimal) -> Decimal | None:
    """Return exposure / equity, no unit, to 12 decimals.

    It is None when equity is zero or less, or when it is 10^12 or more. Raises ValueError if a number is not
    finite. Source: gross leverage as in AIFMD (Regulation 231/2013, article 6).
    """
    finite(exposure, "exposure")
    if finite(equity, "equity") <= 0:
        return None
    with localcontext(EXACT):
        return to_ratio(exposure / equity)


def daily_pnl(*, starting_equity: Decimal, ending_equity: Decimal, flow: Decimal) -> Decimal:
    """Return what a day brought, in the account's currency, exactly: the change of equity without the flow.

    flow: deposits minus withdrawals of the day. Raises ValueError if a number is not finite.
    Source: the canonical definition, "equity change - flows".
    """
    finite(starting_equity, "starting_equity")
    finite(ending_equity, "ending_equity")
    finite(flow, "flow")
    with localcontext(EXACT):
        return ending_equity - starting_equity - flow


def exposure_stats(samples: Sequence[ExposureSample]) -> ExposureStats:
    """Return the summary of the samples of one day.

    avg_leverage, max_leverage: mean and largest of the samples' leverage, flat moments included, moments without
    positive equity left out. avg_position_size: mean worth of an open position, sum of exposure / number of open
    positions over all samples, to 18 decimals. max_exposure: the largest exposure, exact. The samples weigh the same.
    Source: our own definition of the seed's columns.
    """
    leverages = [
        value for sample in samples if (value := leverage(exposure=sample.exposure, equity=sample.equity)) is not None
    ]
    position_count = sum(sample.open_positions for sample in samples)
    with localcontext(EXACT):
        held = total(sample.exposure for sample in samples)
        return ExposureStats(
            avg_leverage=to_ratio(total(leverages) / len(leverages)) if leverages else None,
            max_leverage=max(leverages, default=None),
            avg_position_size=to_money(held / position_count) if position_count else None,
            max_exposure=max((sample.exposure for sample in samples), default=None),
        )

"""What the canonical set is computed from, and the hash that tells whether it has changed since."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from analytics.metrics.borders import EXACT, finite
from analytics.metrics.exposure import ExposureSample
from analytics.metrics.trades import ClosedTrade

DEFINITION = "canonical-1"


@dataclass(frozen=True)
class DayInputs:
    """Everything the metrics of one bot and one UTC day depend on. Facts after the day may be there: they do not count.

    first_day: the first UTC day on which the bot traded or showed a balance; no equity or flow may be earlier.
    starting_capital: the equity before first_day, in the portfolio's base currency, as all money here.
    equity: the last equity of each UTC day that has a balance.
    flows: deposits minus withdrawals of each UTC day that has any, WITHOUT the initial cash flow: that one is the
        starting capital, and counting it twice would make the first day a loss of everything.
    trades: all closed trades of the bot, in any order; open ones are left out by the caller.
    samples: what the bot held at moments of the day, evenly spaced; those of other days do not count.
    risk_free: risk-free return per day, as a fraction.
    """

    day: date
    first_day: date
    starting_capital: Decimal
    equity: Mapping[date, Decimal] = field(default_factory=dict)
    flows: Mapping[date, Decimal] = field(default_factory=dict)
    trades: Sequence[ClosedTrade] = ()
    samples: Sequence[ExposureSample] = ()
    risk_free: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        finite(self.starting_capital, "starting_capital")
        finite(self.risk_free, "risk_free")
        if self.day < self.first_day:
            raise ValueError(f"day {self.day} is before first_day {self.first_day}")
        if len({trade.trade_id for trade in self.trades}) < len(self.trades):
            raise ValueError("a trade_id occurs twice")

    @property
    def begins_at(self) -> datetime:
        """The midnight, UTC, with which the day begins."""
        return datetime.combine(self.day, time.min, tzinfo=UTC)

    def relevant(self) -> "DayInputs":
        """Return the same inputs without the facts that do not count, and the others in one fixed order."""
        begin, end = self.begins_at, self.begins_at + timedelta(days=1)
        trades = [trade for trade in self.trades if trade.exit_time < end]
        samples = [sample for sample in self.samples if begin <= sample.at < end]
        return replace(
            self,
            equity={day: value for day, value in sorted(self.equity.items()) if day <= self.day},
            flows={day: value for day, value in sorted(self.flows.items()) if day <= self.day and value},
            trades=sorted(trades, key=lambda trade: (trade.exit_time, trade.trade_id)),
            samples=sorted(samples, key=_sample_order),
        )


def inputs_hash(inputs: DayInputs) -> str:
    """Return the SHA-256 of the facts that count and of the definition, as 64 hexadecimal digits.

    It is the same on every machine, in every order of the facts, however a number is written (1.0 and 1.00) and
    whatever zone a time is in. It differs when a fact that counts differs, so a late fill makes a stored row
    provably stale. Raises ValueError for a number that is not finite.
    """
    facts = inputs.relevant()
    payload = {
        "definition": DEFINITION,
        "day": facts.day.isoformat(),
        "first_day": facts.first_day.isoformat(),
        "starting_capital": _number(facts.starting_capital),
        "risk_free": _number(facts.risk_free),
        "equity": [[day.isoformat(), _number(value)] for day, value in facts.equity.items()],
        "flows": [[day.isoformat(), _number(value)] for day, value in facts.flows.items()],
        "trades": [
            [trade.trade_id, _moment(trade.entry_time), _moment(trade.exit_time), _number(trade.net_pnl)]
            for trade in facts.trades
        ],
        "samples": [
            [_moment(sample.at), _number(sample.exposure), _number(sample.equity), sample.open_positions]
            for sample in facts.samples
        ],
    }
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _sample_order(sample: ExposureSample) -> tuple[datetime, Decimal, Decimal, int]:
    return sample.at, sample.exposure, sample.equity, sample.open_positions


def _number(value: Decimal) -> str:
    """Return the one way to write a number: no exponent, no trailing zeros, no minus zero."""
    return f"{finite(value, 'input').normalize(EXACT):f}" if value else "0"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")

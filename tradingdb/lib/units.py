"""What unit a numeric column is in, told by its name: one rule for admin, model pages and house tests."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.db import models


class Kind(Enum):
    """What a number is; the admin formats by it."""

    PRICE = "price"
    QUANTITY = "quantity"
    QUOTE = "quote money"
    ACCOUNT = "account money"
    SHARE = "share"
    PERCENT = "percent"
    MULTIPLE = "multiple"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind, its unit in words, and the few letters that stand in a column's header."""

    kind: Kind
    words: str
    short: str = ""


PRICE = Unit(Kind.PRICE, "quote currency for one unit of base currency")
QUANTITY = Unit(Kind.QUANTITY, "base currency", "base")
QUOTE = Unit(Kind.QUOTE, "quote currency", "quote")
ACCOUNT = Unit(Kind.ACCOUNT, "currency of the bot or of the row")
SHARE = Unit(Kind.SHARE, "fraction; 0.05 is 5 %", "%")
PERCENT = Unit(Kind.PERCENT, "percent; 95 is 95 %", "%")
MULTIPLE = Unit(Kind.MULTIPLE, "times", "×")  # noqa: RUF001 (the sign of a multiple)
NUMBER = Unit(Kind.PLAIN, "number without unit")
HOURS = Unit(Kind.PLAIN, "hours", "h")
SECONDS = Unit(Kind.PLAIN, "seconds", "s")
MILLISECONDS = Unit(Kind.PLAIN, "milliseconds", "ms")
DAYS = Unit(Kind.PLAIN, "days", "d")
BYTES = Unit(Kind.PLAIN, "bytes", "B")
FEE = Unit(Kind.PLAIN, "fee_currency of the row")
RULE = Unit(Kind.PLAIN, "unit of the rule")
PREDICTED = Unit(Kind.PLAIN, "unit of the prediction_type")

# Columns whose name says something else on this one table.
EXACT = {
    ("riskevent", "threshold_pct"): PERCENT,
    ("riskevent", "current_value"): RULE,
    ("riskevent", "limit_value"): RULE,
    ("risklimit", "threshold_pct"): PERCENT,
    ("risklimit", "limit_value"): RULE,
    ("risklimit", "least_gross"): Unit(Kind.PLAIN, "currency of the limit"),
    ("risklatch", "size_cap"): QUOTE,
    ("risklatch", "start_equity"): ACCOUNT,
    ("riskgroup", "least_correlation"): Unit(Kind.PLAIN, "correlation, 0 to 1"),
    ("systemmetric", "cpu_usage"): PERCENT,
    ("systemmetric", "memory_usage"): PERCENT,
    ("systemmetric", "disk_usage"): PERCENT,
    ("systemmetric", "execution_latency"): MILLISECONDS,
    ("invariantrun", "duration_ms"): MILLISECONDS,
    ("fill", "fee"): FEE,
    ("fill", "fee_rate"): Unit(Kind.PRICE, "quote currency for one unit of fee_currency"),
    ("cashflow", "amount"): ACCOUNT,
    ("equitysnapshot", "allocated_in_positions"): ACCOUNT,
    ("strategyperformance", "max_drawdown"): SHARE,
    ("strategyperformance", "max_drawdown_duration"): DAYS,
    ("strategyperformance", "total_return"): SHARE,
    ("strategyperformance", "annualized_return"): SHARE,
    ("modelprediction", "prediction_value"): PREDICTED,
    ("modelprediction", "actual_value"): PREDICTED,
    ("modelprediction", "prediction_error"): PREDICTED,
    ("technicalindicator", "value"): Unit(Kind.PLAIN, "unit of the indicator"),
}
# Money of these tables is in one currency per row; everywhere else it is in the symbol's quote currency.
ACCOUNT_TABLES = frozenset(
    {"bot", "accountbalance", "cashflow", "riskmetrics", "portfoliosnapshot", "equitysnapshot",
     "dailyperformancesummary", "systemhealthdashboard"}
)  # fmt: skip
MONEY = None
RULES: tuple[tuple[str, Unit | None], ...] = (
    (r".*_pct|win_rate|daily_return|volatility|cagr|current_drawdown", SHARE),
    (r"strength|confidence|signal_strength|confidence_score|coverage", SHARE),
    (r".*_hours|hours_held", HOURS),
    (r".*_seconds", SECONDS),
    (r".*_ms", MILLISECONDS),
    (r".*_days", DAYS),
    (r".*_bytes", BYTES),
    (r"(.*_)?leverage", MULTIPLE),
    (r".*_ratio|profit_factor|sqn|margin_level|rsi_\d+", NUMBER),
    (r"(.*_)?quote_volume|position_size_usd|avg_position_size", MONEY),
    (r"(.*_)?(quantity|size|volume)", QUANTITY),
    (r"(.*_)?price|.*stop_loss|.*take_profit|ema_\d+|atr_\d+|open|high|low|close", PRICE),
    (r"(.*_)?(pnl|equity|balance|capital|fees?|fee_quote|commission|slippage|notional|cost_basis|exposure)", MONEY),
    (r".*_(used|available|usd|profit|loss|win|drawdown|excursion)|c?var_95|portfolio_var_95|expectancy", MONEY),
)
SIGNED = re.compile(r"(.*_)?pnl(_usd|_pct)?|net_profit|(daily|total|annualized)_return|cagr|expectancy|amount")


def unit_of(field: Any) -> Unit | None:
    """Return the unit of a numeric column, or None for one that counts or names something."""
    if isinstance(field, models.GeneratedField):
        decimal = isinstance(field.output_field, models.DecimalField)
    else:
        decimal = isinstance(field, models.DecimalField)
    table = field.model._meta.model_name
    known = EXACT.get((table, field.name))
    if known is not None:
        return known
    for pattern, unit in RULES:
        if re.fullmatch(pattern, field.name):
            if unit is not None and (decimal or unit.kind is Kind.PLAIN):
                return unit
            if unit is None and decimal:
                return ACCOUNT if table in ACCOUNT_TABLES else QUOTE
    return None


def is_signed(name: str) -> bool:
    """Whether a column is a gain or loss, which shows its sign."""
    return SIGNED.fullmatch(name) is not None

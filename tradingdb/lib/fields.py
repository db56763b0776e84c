"""Model fields and constraints that every app uses: money, ratios, closed sets, symbols, times."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Q

# ASCII alone: no look-alike and no zero-width twin of a symbol can enter. 1000000CHEEMSUSDT and ETH/USDT:USDT are real.
SYMBOL = r"^[A-Z0-9][A-Z0-9._:/-]{0,39}$"
# As candles have it: 1m, 15m, 4h, 1d, 1M.
INTERVAL = r"^[1-9][0-9]{0,3}[smhdwM]$"

if TYPE_CHECKING:
    DecimalField = models.DecimalField[Any, Any]
else:
    DecimalField = models.DecimalField


class FiniteDecimalField(DecimalField):
    """A numeric column that refuses NaN in the database: PostgreSQL's numeric admits it and it poisons every sum."""

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        column: str | None = getattr(self, "column", None)
        # As the output of a GeneratedField it has no column of its own; its inputs are checked.
        return f"{connection.ops.quote_name(column)} <> 'NaN'::numeric" if column else None


def amount(**options: Any) -> FiniteDecimalField:
    """Money, price or quantity as it came from outside: numeric(38,18); more digits are refused, never rounded."""
    return FiniteDecimalField(max_digits=38, decimal_places=18, **options)


def exact(**options: Any) -> FiniteDecimalField:
    """A product or sum of amounts, numeric(76,36): price x quantity fits without rounding."""
    return FiniteDecimalField(max_digits=76, decimal_places=36, **options)


def ratio(**options: Any) -> FiniteDecimalField:
    """A number without unit, numeric(24,12); a share is a fraction (0.05 is 5 %), NULL is "undefined"."""
    return FiniteDecimalField(max_digits=24, decimal_places=12, **options)


def one_of(field: str, choices: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """Hold a closed set of values in the database, not only in forms. NULL passes, as in SQL."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": list(choices.values)}), name=name)


def valid_symbol(name: str, field: str = "symbol", *, blank: bool = False) -> models.CheckConstraint:
    """Hold a column to the form of a symbol; `blank` admits "" where a row need not speak of one. NULL passes."""
    rule = Q(**{f"{field}__regex": SYMBOL})
    return models.CheckConstraint(condition=rule | Q(**{field: ""}) if blank else rule, name=name)


def named(name: str, *fields: str) -> models.CheckConstraint:
    """Refuse empty text in ids and names: a row of "" is found by nobody. NULL passes."""
    return models.CheckConstraint(condition=Q(*(~Q(**{field: ""}) for field in fields)), name=name)


def positive(name: str, *fields: str) -> models.CheckConstraint:
    """Hold numbers above zero. NULL passes."""
    return models.CheckConstraint(condition=Q(**{f"{field}__gt": 0 for field in fields}), name=name)


def not_negative(name: str, *fields: str) -> models.CheckConstraint:
    """Hold numbers at zero or above. NULL passes."""
    return models.CheckConstraint(condition=Q(**{f"{field}__gte": 0 for field in fields}), name=name)


def fractions(name: str, *fields: str) -> models.CheckConstraint:
    """Hold shares between nothing and the whole, 0 to 1. NULL passes."""
    condition = Q(*(Q(**{f"{field}__gte": 0, f"{field}__lte": 1}) for field in fields))
    return models.CheckConstraint(condition=condition, name=name)


class IsFinite(Func):
    """PostgreSQL's isfinite(): false for the times 'infinity' and '-infinity', which no Python time can hold."""

    # The cast tells PostgreSQL which isfinite() is meant when a form checks a NULL.
    template = "isfinite(%(expressions)s::timestamptz)"
    output_field = models.BooleanField()


def finite_times(name: str, *fields: str) -> models.CheckConstraint:
    """Refuse 'infinity' in time columns: a row with one could be stored and never read. NULL passes."""
    return models.CheckConstraint(condition=Q(*(IsFinite(F(field)) for field in fields)), name=name)


class UtcDay(Func):
    """The start of a time's UTC day, whatever the session's time zone."""

    template = "date_bin('1 day', %(expressions)s, TIMESTAMPTZ '2000-01-01 00:00:00Z')"
    output_field = models.DateTimeField()

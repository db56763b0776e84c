"""Sums over all rows a list shows, exact, one line for each mode and currency: what is unlike is never added."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, models, transaction
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from psycopg.errors import QueryCanceled

from tradingdb.lib import display
from tradingdb.lib.columns import label_of
from tradingdb.lib.exports import ExportMixin
from tradingdb.lib.units import Kind, is_signed, unit_of

# An unfiltered list of a million rows is added up in well under that; what takes longer is refused.
TIME_LIMIT_MS = 3000
TOO_LONG = (
    f"These rows take longer than {TIME_LIMIT_MS // 1000} s to add up, so there is no sum. "
    "Narrow the list by bot, symbol or days."
)


class Group(NamedTuple):
    """What must be alike for amounts to be added, apart from their currency."""

    mode: str
    currency: str


class TotalLine(NamedTuple):
    """The sums of one group, as the page shows them."""

    group: Group
    rows: int
    sums: list[SafeString]
    headings: list[str]

    @property
    def cells(self) -> list[tuple[str, SafeString]]:
        """Each sum with its heading, which narrow screens show beside it."""
        return list(zip(self.headings, self.sums, strict=True))


class Totals(NamedTuple):
    """The fragment below a list."""

    headings: list[str]
    lines: list[TotalLine]
    note: str


def add_up(
    rows: models.QuerySet[Any], columns: Sequence[str], by: Iterable[str]
) -> list[tuple[dict[str, Any], int, dict[str, Decimal | None]]]:
    """Return the sums of each combination of the columns in `by`, with how many rows each has.

    Raises OperationalError from a QueryCanceled when it takes too long.
    """
    by = list(by)
    sums = {f"sum_{name}": Sum(name) for name in columns}
    grouped = rows.order_by().values(*by).annotate(rows_added=Count("pk"), **sums)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{TIME_LIMIT_MS}ms"])
        found = list(grouped)
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    return [
        ({name: line[name] for name in by}, line["rows_added"], {name: line[f"sum_{name}"] for name in columns})
        for line in found
    ]


class TotalsMixin(ExportMixin):
    """Adds the totals to a page that names columns to add up."""

    # Columns of money or quantity whose sum over the filtered rows means something.
    totals: ClassVar[Sequence[str]] = ()
    # Paths of the columns that say what may be added: the mode, and what the currency follows from.
    totals_by: ClassVar[Mapping[str, str]] = {}

    def get_totals_by(self) -> Mapping[str, str]:
        return self.totals_by

    def totals_group(self, kind: Kind | None, values: Mapping[str, Any]) -> Group:
        """Return mode and currency of a column's amounts, from the values of the columns in `totals_by`."""
        return Group(str(values.get("mode") or ""), str(values.get("currency") or ""))

    def totals_of(self, rows: models.QuerySet[Any]) -> Totals:
        """Return the totals of some rows; groups whose modes or currencies differ stay apart."""
        kinds = {name: unit_of(self.opts.get_field(name)) for name in self.totals}
        by = self.get_totals_by()
        counts: dict[Group, int] = {}
        sums: dict[Group, dict[str, Decimal]] = {}
        for values, count, found in add_up(rows, self.totals, by.values()):
            keys = {key: values[path] for key, path in by.items()}
            groups = {}
            for name, total in found.items():
                unit = kinds[name]
                group = groups[name] = self.totals_group(unit.kind if unit else None, keys)
                if total is not None:
                    mine = sums.setdefault(group, {})
                    mine[name] = display.WIDE.add(mine.get(name, Decimal(0)), total)
            for group in set(groups.values()):
                counts[group] = counts.get(group, 0) + count
        fields = [self.opts.get_field(name) for name in self.totals]
        headings = [label_of(field) for field in fields]
        lines = []
        for group in sorted(counts):
            shown = [show_sum(field, sums.get(group, {}).get(field.name)) for field in fields]
            lines.append(TotalLine(group, counts[group], shown, headings))
        return Totals(headings, lines, note_on(sorted(counts)))

    def get_urls(self) -> list[URLPattern]:
        if not self.totals:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_totals"
        return [path("totals/", self.admin_site.admin_view(self.totals_view), name=name), *super().get_urls()]

    def totals_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the fragment that the list puts below its rows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: Totals | None = None
        refusal = ""
        try:
            found = self.totals_of(self.filtered(request, request.GET.urlencode()))
        except IncorrectLookupParameters:
            refusal = "One of the filters cannot be used, so there is no sum."
        except OperationalError as e:
            if not isinstance(e.__cause__, QueryCanceled):
                raise
            refusal = TOO_LONG
        return render(request, "admin/totals.html", {"totals": found, "refusal": refusal})


def show_sum(field: Any, total: Decimal | None) -> SafeString:
    """Return a sum as the list shows such a column."""
    return display.pnl(total) if is_signed(field.name) else display.money(total)


def note_on(groups: Sequence[Group]) -> str:
    """Say why there is more than one line."""
    parts = []
    if len({group.mode for group in groups}) > 1:
        parts.append(" and ".join(sorted({group.mode for group in groups})))
    if len({group.currency for group in groups}) > 1:
        parts.append(" and ".join(sorted({group.currency or "an unknown currency" for group in groups})))
    return f"No sum over all: {', '.join(parts)} are not added." if parts else ""

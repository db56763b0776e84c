"""Change lists of large tables: pages by key instead of OFFSET, no COUNT; the last page costs what the first does."""

from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import IGNORED_PARAMS, ORDER_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import connection, models
from django.db.models import Q
from django.http import HttpRequest

from tradingdb.lib.strictjson import is_clean

AFTER, BEFORE, END = "after", "before", "end"
NOT_FILTERS = frozenset(IGNORED_PARAMS) - {SEARCH_VAR}
SEPARATOR = "~"


class KeysetPaginator(Paginator):
    """Names the template with the links; it holds one page and never counts."""

    template_name = "admin/keyset_pagination.html"


class Step(NamedTuple):
    """One way through the list: the parameter it came by and the key it starts from (None: from the edge)."""

    name: str
    key: tuple[Any, Any] | None

    @property
    def is_forward(self) -> bool:
        return self.name == AFTER


def estimated_rows(model: type[models.Model]) -> int:
    """Return about how many rows a table has, from PostgreSQL's statistics; partitions and chunks are added up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_class c "
            "WHERE (c.oid = %(table)s::regclass AND c.relkind <> 'p') "
            "OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s::regclass)",
            {"table": connection.ops.quote_name(model._meta.db_table)},
        )
        return int(cursor.fetchone()[0])


def distinct_values(model: type[models.Model], column: str, limit: int = 500) -> list[str]:
    """Return a text column's values by hopping from one to the next over an index that starts with it."""
    table, name = (connection.ops.quote_name(word) for word in (model._meta.db_table, column))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE hop AS ((SELECT {name} AS v FROM {table} ORDER BY {name} LIMIT 1) UNION ALL "  # noqa: S608 (names come from code)  # nosec B608
            f"SELECT (SELECT {name} FROM {table} WHERE {name} > hop.v ORDER BY {name} LIMIT 1) FROM hop "
            "WHERE hop.v IS NOT NULL) SELECT v FROM hop WHERE v IS NOT NULL LIMIT %s",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]


class Chip(NamedTuple):
    """One filter in force, and the address of the list without it."""

    text: str
    url: str


class ChippedChangeList(ChangeList):
    """A change list that names what it is filtered by."""

    unclaimed: frozenset[str] = frozenset()

    def get_filters(self, request: HttpRequest) -> Any:
        if not all(is_clean(value) for values in self.filter_params.values() for value in values):
            raise IncorrectLookupParameters("PostgreSQL has no such text.")
        found = super().get_filters(request)
        self.unclaimed = frozenset(found[2])
        return found

    def own_parameters(self) -> set[str]:
        """Return those parameters of the address that are filters of this list, its search or its order."""
        foreign = self.unclaimed | (frozenset(IGNORED_PARAMS) - {ORDER_VAR, SEARCH_VAR})
        return set(self.filter_params) - foreign

    def adds_up_at_once(self) -> bool:
        """Whether the page asks for its totals by itself: a filtered list does, a whole table waits for a click."""
        return bool(self.has_active_filters or self.query)

    def filter_query(self) -> str:
        """Return what is in force as a query string, without the place in the list."""
        return self.get_query_string().lstrip("?")

    def chips(self) -> list[Chip]:
        """Return the filters in force, each with the way out of it."""
        titles = {SEARCH_VAR: "search"}
        for spec in self.filter_specs:
            titles |= {str(name): str(spec.title) for name in spec.expected_parameters() if name}
        found = []
        for name, values in self.filter_params.items():
            text = " or ".join(str(value) for value in values if value)
            if text and name not in NOT_FILTERS:
                edge = " from" if name.endswith("_from") else " to" if name.endswith("_to") else ""
                title = titles.get(name, name.partition("__")[0].replace("_", " "))
                found.append(Chip(f"{title}{edge}: {text}", self.get_query_string({name: None})))
        return found


class KeysetChangeList(ChippedChangeList):
    """A change list ordered by one column that is never NULL, then by primary key in the same direction."""

    step: Step
    older_url = newer_url = ""
    estimate: int | None = None

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> models.QuerySet[Any]:
        if not hasattr(self, "step"):
            self.step = self._read_step()
        return super().get_queryset(request, exclude_parameters)

    def _read_step(self) -> Step:
        """Take our parameters out of the query string, so that they are no filters."""
        found = {name: self.filter_params.pop(name)[0] for name in (AFTER, BEFORE, END) if name in self.filter_params}
        for name in found:
            self.params.pop(name, None)
        for name in (AFTER, BEFORE):
            if name in found:
                return Step(name, self._decode(found[name]))
        return Step(BEFORE if END in found else AFTER, None)

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        first = str(super().get_ordering(request, queryset)[0])
        column = first.lstrip("-")
        if column in ("pk", self.pk_name):
            return [first]
        return [first, "-pk" if first.startswith("-") else "pk"]

    @property
    def pk_name(self) -> str:
        return str(self.lookup_opts.pk.name)

    def _column(self) -> Any:
        name = str(self.get_ordering(self.request, self.root_queryset)[0]).lstrip("-")
        return self.lookup_opts.pk if name == "pk" else self.lookup_opts.get_field(name)

    def _encode(self, row: models.Model) -> str:
        value = getattr(row, self._column().attname)
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        return f"{text}{SEPARATOR}{row.pk}"

    def _decode(self, raw: str) -> tuple[Any, Any]:
        text, _, pk = raw.rpartition(SEPARATOR)
        try:
            return self._column().to_python(text), self.lookup_opts.pk.to_python(pk)
        except ValidationError as e:
            raise IncorrectLookupParameters(str(e)) from e

    def _beyond(self, ordering: list[Any], key: tuple[Any, Any]) -> Q:
        """Rows past the key in the direction of the step; the first condition alone is what the index uses."""
        column = str(ordering[0]).lstrip("-")
        falling = str(ordering[0]).startswith("-")
        side = "lt" if falling == self.step.is_forward else "gt"
        if len(ordering) == 1:
            return Q(**{f"pk__{side}": key[1]})
        return Q(**{f"{column}__{side}e": key[0]}) & (Q(**{f"{column}__{side}": key[0]}) | Q(**{f"pk__{side}": key[1]}))

    def get_results(self, request: HttpRequest) -> None:
        ordering = self.get_ordering(request, self.queryset)
        rows = self.queryset if self.step.is_forward else self.queryset.reverse()
        if self.step.key is not None:
            rows = rows.filter(self._beyond(ordering, self.step.key))
        page = list(rows[: self.list_per_page + 1])
        there_is_more = len(page) > self.list_per_page
        page = page[: self.list_per_page]
        if not self.step.is_forward:
            page.reverse()
        came_from_edge = self.step.key is None
        self._link(page, older=there_is_more if self.step.is_forward else not came_from_edge,
                   newer=there_is_more if not self.step.is_forward else not came_from_edge)  # fmt: skip
        self.result_list = page
        self.result_count = self.full_result_count = len(page)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator(page, self.list_per_page)
        if not self.query and not self.has_active_filters:
            self.estimate = estimated_rows(self.model)

    def _link(self, page: list[models.Model], *, older: bool, newer: bool) -> None:
        if page and older:
            self.older_url = self.get_query_string({AFTER: self._encode(page[-1])})
        if page and newer:
            self.newer_url = self.get_query_string({BEFORE: self._encode(page[0])})
        self.first_url = self.get_query_string()
        self.end_url = self.get_query_string({END: "1"})

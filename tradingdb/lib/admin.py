"""The admin's base classes. Only this module knows django-unfold: going back to the plain admin is a change here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_date
from django.utils.module_loading import import_string

from tradingdb.lib import display
from tradingdb.lib.bot_rows import bot_of, has_bot, of_bots, visible_bots
from tradingdb.lib.columns import Column, list_column, page_column
from tradingdb.lib.errors import DomainError, ReauthenticationRequired
from tradingdb.lib.inputs import IndentedJSONField, PlainDecimalField
from tradingdb.lib.keyset import ChippedChangeList, KeysetChangeList
from tradingdb.lib.sections import Link, Section
from tradingdb.lib.totals import TotalsMixin
from tradingdb.lib.units import Kind

if TYPE_CHECKING:
    from enum import Enum

    from django.contrib.admin import ModelAdmin
    from django.contrib.admin import SimpleListFilter as DropdownFilter
    from django.contrib.admin import SimpleListFilter as TextFilter
    from django.contrib.admin.filters import ChoicesFieldListFilter as ChoicesFilter
    from django.contrib.admin.filters import DateFieldListFilter as RangeDateFilter
    from django.contrib.admin.filters import RelatedFieldListFilter as RelatedFilter

    class ActionVariant(Enum):
        DANGER = "danger"
        DEFAULT = "default"

    def unfold_action(**options: Any) -> Any: ...
else:
    from unfold.admin import ModelAdmin
    from unfold.contrib.filters.admin import AutocompleteSelectFilter as RelatedFilter
    from unfold.contrib.filters.admin import ChoicesDropdownFilter as ChoicesFilter
    from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, TextFilter
    from unfold.decorators import action as unfold_action
    from unfold.enums import ActionVariant

__all__ = [
    "ChoicesFilter",
    "ControlModelAdmin",
    "DayRangeFilter",
    "DropdownFilter",
    "ExactFilter",
    "LedgerAdmin",
    "RelatedFilter",
    "button",
    "exact_filter",
]

SEARCH_LIMIT = 200
# Ids are bigints; what is longer is none.
PAGE_KEY_DIGITS = 19
View = TypeVar("View", bound=Callable[..., Any])


def button(*, label: str, permission: str, icon: str, is_grave: bool = False) -> Callable[[View], View]:
    """Make a view method (self, request, object_id) a button of the page, for who has `has_<permission>_permission`."""

    def decorate(view: View) -> View:
        variant = ActionVariant.DANGER if is_grave else ActionVariant.DEFAULT
        path_name = view.__name__.replace("_", "-")
        made: Callable[[View], View] = unfold_action(
            description=label, url_path=path_name, permissions=[permission], icon=icon, variant=variant
        )
        return made(view)

    return decorate


class ExactFilter(TextFilter):
    """One value, written out in full, so that an index answers it."""

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        value = (self.value() or "").strip()
        return queryset.filter(**{str(self.parameter_name): self.clean(value)}) if value else queryset

    def clean(self, value: str) -> str:
        """Return what was typed as the column has it."""
        return value


def exact_filter(column: str, title: str = "") -> type[ExactFilter]:
    """Return the filter of one text column."""
    return type("ExactFilter", (ExactFilter,), {"parameter_name": column, "title": title or column.replace("_", " ")})


class DayRangeFilter(RangeDateFilter):
    """From and to as UTC days, both included, on a time or day column; a range the column's index answers."""

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        edges = {}
        for name, lookup, shift in (("from", "gte", 0), ("to", "lt", 1)):
            day = parse_date(str(self.used_parameters.get(f"{self.field_path}_{name}") or ""))
            if day is not None:
                edge: Any = day + timedelta(days=shift)
                if isinstance(self.field, models.DateTimeField):
                    edge = datetime.combine(edge, time.min, tzinfo=UTC)
                edges[f"{self.field_path}__{lookup}"] = edge
        return queryset.filter(**edges)


class ControlModelAdmin(TotalsMixin, ModelAdmin):
    """Base of every page: values shown by their type, nothing deleted, fields editable only where they are named so.

    Every list has an export and saved views; those that name `totals` have sums.
    """

    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    warn_unsaved_form = True
    save_on_top = False
    show_facets = ShowFacets.NEVER
    empty_value_display = display.DASH
    # Fields a person with the right to change may edit; every other field is shown.
    editable: ClassVar[Sequence[str]] = ()
    # Fields of the form that adds a row; none: rows are not made here.
    addable: ClassVar[Sequence[str]] = ()
    change_form_template = "admin/control_change_form.html"
    list_before_template = "admin/list_tools.html"
    list_after_template = "admin/list_totals.html"
    # What an empty list means, and what to do next.
    empty_note = "Nothing here yet."

    def units(self, row: Any) -> Mapping[Kind, str]:
        """Return the currencies of one row, by kind of number; shown beside the values on its page."""
        return {}

    def present(self, name: Any, *, in_list: bool) -> Any:
        """Return what shows a field: our method show_<field> where there is one, else a column by the field's type."""
        if not isinstance(name, str):
            return name
        if hasattr(type(self), f"show_{name}"):
            return f"show_{name}"
        try:
            field = self.opts.get_field(name)
        except FieldDoesNotExist:
            return name
        known: dict[tuple[str, bool], Column] = self.__dict__.setdefault("_known_columns", {})
        if (name, in_list) not in known:
            known[name, in_list] = list_column(field) if in_list else page_column(field, self.units)
        return known[name, in_list]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return the rows of the bots this person sees: lists, pages, exports, searches and totals start from here."""
        return of_bots(super().get_queryset(request), visible_bots(request.user))

    def may_act_on(self, request: HttpRequest, row: Any) -> bool:
        """Whether the person may intervene with the bot of a row; rows of no bot follow the role alone."""
        if row is None or not has_bot(type(row)):
            return True
        return bool(getattr(request.user, "may_act_on", lambda bot: False)(bot_of(row)))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChippedChangeList]:
        return ChippedChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self.present(name, in_list=True) for name in super().get_list_display(request)]

    def get_list_display_links(self, request: HttpRequest, list_display: Sequence[Any]) -> list[Any]:
        named = self.list_display_links or self.list_display[:1]
        return [self.present(name, in_list=True) for name in named]

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        names = self.list_display if self.sortable_by is None else self.sortable_by
        return [self.present(name, in_list=True) for name in names]

    def get_editable(self, request: HttpRequest, obj: models.Model | None) -> Iterable[str]:
        """Return the fields this person may edit in this row, or fill in when adding one."""
        if obj is None:
            return self.addable
        return self.editable if self.has_change_permission(request, obj) else ()

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        allowed = set(self.get_editable(request, obj))
        if obj is None:
            return [(None, {"fields": list(self.get_editable(request, None))})]

        def shown(name: Any) -> Any:
            if isinstance(name, (list, tuple)):
                return tuple(shown(inner) for inner in name)
            return name if name in allowed else self.present(name, in_list=False)

        groups = []
        for title, options in super().get_fieldsets(request, obj):
            names = flatten_fieldsets([(title, options)])
            if title is None or self._has_content(obj, names, allowed):
                groups.append((title, {**options, "fields": [shown(name) for name in options["fields"]]}))
        return groups

    def _has_content(self, row: models.Model, names: Sequence[Any], allowed: set[str]) -> bool:
        """Whether a group shows anything but dashes, or lets the person write; a field of the form alone is nothing."""
        return any(
            name in allowed or (hasattr(self, str(name)) or getattr(row, str(name), None) not in (None, "", [], {}))
            for name in names
        )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        allowed = set(self.get_editable(request, obj))
        return [name for name in flatten_fieldsets(self.get_fieldsets(request, obj)) if name not in allowed]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if isinstance(db_field, models.DecimalField):
            options["form_class"] = PlainDecimalField
        if isinstance(db_field, models.JSONField):
            options["form_class"] = IndentedJSONField
        made = super().formfield_for_dbfield(db_field, request, **options)
        if made is not None and isinstance(db_field, models.TextField):
            made.widget.attrs["rows"] = 3
        return made

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Say why a service refused; nothing was stored then."""
        try:
            return super().changeform_view(request, *args, **options)
        except ReauthenticationRequired:
            # The middleware asks, and sends the form again.
            raise
        except DomainError as e:
            messages.error(request, e.message)
            return HttpResponseRedirect(request.get_full_path())

    def links(self, request: HttpRequest, row: Any) -> list[Link]:
        """Return the links in the strip on top of a row's page."""
        return []

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        """Return the tables of related rows below a row's fields."""
        return []

    # Django passes the rest by name.
    def render_change_form(  # type: ignore[override]
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        # A view has rows of other tables.
        context["show_history"] = bool(self.opts.managed)
        row = options.get("obj")
        if row is not None and row.pk is not None:
            context["links"] = self.links(request, row)
            context["sections"] = self.sections(request, row)
        return super().render_change_form(request, context, **options)

    def is_offered(self, name: str, row: Any) -> bool:
        """Whether a button makes sense for this row as it is now."""
        return True

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Leave out the buttons that make no sense for this row."""
        offered = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        row = self.get_object(request, unquote(object_id)) if offered else None
        start = len(f"{self.opts.app_label}_{self.opts.model_name}_")
        if row is None or not self.may_act_on(request, row):
            return []
        return [each for each in offered if self.is_offered(each.action_name[start:], row)]

    def has_intervene_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Traders and admins: pause bots, set halts, resolve cases, write notes."""
        return bool(getattr(request.user, "may_intervene", False))

    def has_administer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins: people, tokens, limits."""
        return bool(getattr(request.user, "is_admin", False))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(self.addable) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj) and self.may_act_on(request, obj)

    def has_import_permission(self, request: HttpRequest) -> bool:
        """Rows come in by files only where a page says so."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted by hand: things are archived, revoked, resolved or switched off."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        name = str(self.opts.verbose_name_plural)
        context = {
            "title": name[:1].upper() + name[1:],
            "may_export": self.has_export_permission(request),
            "may_import": self.has_import_permission(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write nothing: actions of people go to audit.UserAction, and one history is enough."""

    log_change = log_addition

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show what changed in this row, who changed it and why, and the actions of people on it."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        read = import_string(settings.HISTORY_READER)
        resource = (self.resource_type, self.resource_id(row))
        before = request.GET.get("before", "")
        history = read(
            table=self.opts.db_table, row_id=str(row.pk), resource=resource,
            before=int(before) if before.isdecimal() and len(before) < PAGE_KEY_DIGITS else None,
        )  # fmt: skip
        query = {"resource_type": resource[0], "resource_id": resource[1]}
        context = {
            **self.admin_site.each_context(request),
            "title": f"History: {row}",
            "opts": self.opts,
            "history": history,
            "row_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk]),
            "actions_url": reverse("admin:audit_useraction_changelist", query=query),
        }
        return TemplateResponse(request, "admin/history.html", context)

    @property
    def resource_type(self) -> str:
        """The name actions of people carry for rows of this table."""
        return str(self.opts.model_name)

    def resource_id(self, row: Any) -> str:
        """The id actions of people carry for this row."""
        return str(row.pk)


class LedgerAdmin(ControlModelAdmin):
    """Rows that bots and jobs write: read here by everyone, added, changed and deleted by nobody.

    Lists page by key and never count; search compares whole ids, so that an index answers it.
    """

    sortable_by: ClassVar[tuple[str, ...]] = ()
    empty_note = "Bots report these rows; none has come yet."
    show_full_result_count = False
    # Natural ids that the search box compares; those of `scoped_search` are unique per bot.
    search_exact: ClassVar[Sequence[str]] = ()
    scoped_search: ClassVar[Sequence[str]] = ()
    # Column that names a row for its bot; links from other rows find it by that.
    natural_key: ClassVar[str] = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (*self.search_exact, *self.scoped_search)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found: set[Any] = set()
        for name in (*self.search_exact, *self.scoped_search):
            match = Q(**{name: term})
            if name in self.scoped_search:
                # The unique key starts with the bot, so each bot's key is probed.
                bots: Any = self.opts.get_field("bot").related_model
                match &= Q(bot__in=bots._default_manager.all())
            found.update(self.get_queryset(request).filter(match).values_list("pk", flat=True)[:SEARCH_LIMIT])
        return queryset.filter(pk__in=found), False

    def get_urls(self) -> list[URLPattern]:
        if not self.natural_key:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_find"
        return [path("find/", self.admin_site.admin_view(self.find_view), name=name), *super().get_urls()]

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Go to the row with this bot and natural id: rows name each other by these, not by primary key."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        match = {"bot_id": request.GET.get("bot", ""), self.natural_key: request.GET.get("id", "")}
        pk = self.get_queryset(request).filter(**match).values_list("pk", flat=True).first()
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if pk is None:
            # A fact may name a row that has not been reported yet.
            words = f"{match['bot_id']} has no {self.opts.verbose_name} {match[self.natural_key]}."
            messages.warning(request, words)
            return HttpResponseRedirect(reverse(f"{page}_changelist"))
        return HttpResponseRedirect(reverse(f"{page}_change", args=[pk]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

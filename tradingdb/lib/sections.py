"""What stands around a row's fields on its page: a strip of links, and tables of related rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import label_for_field
from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

ROWS = 20


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the strip; `count` only where it is cheap to know."""

    label: str
    url: str
    count: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table, with its heading for narrow screens."""

    heading: str
    value: Any
    is_number: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One titled table; `more_url` leads to the whole list when not all rows are shown."""

    title: str
    headings: list[tuple[str, bool]] = field(default_factory=list)
    lines: list[list[Cell]] = field(default_factory=list)
    more_url: str = ""
    empty: str = "None."
    content: SafeString | str = ""

    @staticmethod
    def line(headings: Sequence[tuple[str, bool]], values: Sequence[Any]) -> list[Cell]:
        """Return one line of the table."""
        return [Cell(label, value, right) for (label, right), value in zip(headings, values, strict=True)]


def list_url(model: type[models.Model], **query: str) -> str:
    """Return the address of a table's list, filtered."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(query)}" if query else address


def row_url(row: models.Model) -> str:
    """Return the address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def table(
    site: AdminSite,
    title: str,
    rows: models.QuerySet[Any],
    names: Sequence[str],
    *,
    more_url: str = "",
    empty: str = "None.",
) -> Section:
    """Return the first rows of a queryset, with the columns of that table's own list; the first one is a link."""
    page = site.get_model_admin(rows.model)
    presenters = [page.present(name, in_list=True) for name in names]  # type: ignore[attr-defined]
    headings = []
    for presenter in presenters:
        label = str(label_for_field(presenter, rows.model, model_admin=page))
        headings.append((label[:1].upper() + label[1:], _name(presenter).startswith("num_")))
    found = list(rows[: ROWS + 1])
    lines = []
    for row in found[:ROWS]:
        values = [_value(page, presenter, row) for presenter in presenters]
        values[0] = format_html('<a class="ref" href="{}">{}</a>', row_url(row), values[0])
        lines.append(Section.line(headings, values))
    more = more_url if len(found) > ROWS else ""
    return Section(title=title, headings=headings, lines=lines, more_url=more, empty=empty)


def _name(presenter: Any) -> str:
    return presenter if isinstance(presenter, str) else str(presenter.__name__)


def _value(page: Any, presenter: Any, row: models.Model) -> Any:
    if callable(presenter):
        return presenter(row)
    method = getattr(page, presenter, None)
    return method(row) if method is not None else getattr(row, presenter)

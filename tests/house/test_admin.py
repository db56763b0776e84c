"""Every page of the admin keeps the house's rules: one base, no secrets, lists in the order of an index."""

import re

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models.expressions import OrderBy

from analytics.models import DailyCandle, DailyOhlcv
from tradingdb.lib.admin import ControlModelAdmin, LedgerAdmin
from tradingdb.lib.keyset import KeysetChangeList
from tradingdb.management.model_pages import label, our_models

PAGES = [admin.site.get_model_admin(model) for model in our_models()]
LEDGER_PAGES = [page for page in PAGES if isinstance(page, LedgerAdmin)]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: label(page.model))
SECRETS = {"digest", "password", "content_hash", "received_hash", "api_key_hash", "pepper"}


# A plain view has no index; its list runs along that of the table it reads.
READ_FROM = {DailyOhlcv: DailyCandle}


def leads_an_index(model: type, column: str) -> bool:
    """Whether an index without condition starts with this column, or it is the primary key."""
    model = READ_FROM.get(model, model)
    # A unique rule over columns is an index too.
    firsts = {rule.fields[0] for rule in model._meta.constraints if getattr(rule, "fields", ()) and not rule.condition}
    for index in model._meta.indexes:
        first = index.expressions[0] if index.expressions else index.fields[0].lstrip("-")
        if isinstance(first, OrderBy):
            first = first.expression
        if index.condition is None:
            firsts.add(getattr(first, "name", first))
    return column in firsts or column == model._meta.pk.name


@each_page
def test_page_stands_on_our_base(page):
    assert isinstance(page, ControlModelAdmin)


@each_page
def test_page_names_no_secret(page):
    shown = {name for name in (*page.list_display, *flatten_fieldsets(page.fieldsets or [])) if isinstance(name, str)}

    assert shown & SECRETS == set()
    assert page.fieldsets, "without fieldsets the admin shows every column"


@each_page
def test_page_shows_every_column_it_names(page):
    """A typing error in a name would show a dash for ever."""
    known = {field.name for field in page.model._meta.get_fields()}
    named = {name for name in (*page.list_display, *flatten_fieldsets(page.fieldsets)) if isinstance(name, str)}

    assert {name for name in named - known - {"reason"} if not hasattr(page, name)} == set()


@pytest.mark.parametrize("page", LEDGER_PAGES, ids=lambda page: label(page.model))
def test_list_of_a_ledger_table_runs_along_an_index(page):
    column = page.ordering[0].lstrip("-")

    assert leads_an_index(page.model, column), f"no index starts with {column}"
    assert page.model._meta.get_field(column).null is False
    assert page.show_full_result_count is False
    assert page.get_changelist(None) is KeysetChangeList


def test_only_the_base_knows_the_theme():
    files = settings.BASE_DIR.glob("*/**/*.py")
    importers = {
        str(file.relative_to(settings.BASE_DIR))
        for file in files
        if not {".venv", "node_modules", "tests"} & set(file.parts)
        and re.search(r"^\s*(from|import) unfold", file.read_text(), re.MULTILINE)
    }

    assert importers == {"tradingdb/lib/admin.py"}

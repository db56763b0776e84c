"""Every page opens for whom it should, within its budget of queries, and no list counts a large table."""

import re

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import UserAction
from bots.models import Fill, Order, OrderEvent
from tradingdb.lib.admin import LedgerAdmin
from tradingdb.management.model_pages import label, our_models

MODELS = our_models()
each_model = pytest.mark.parametrize("model", MODELS, ids=label)
BUDGET = 25
LIST_BUDGET = 12
# Only admins see who may come in, and with what.
CLOSED = {
    "User", "PersonalToken", "SavedView", "BotToken", "AuthIdentity", "VerificationCode", "ExchangeApiKey",
    "BotMembership", "Session",
}  # fmt: skip
LEDGER_TABLES = {
    model._meta.db_table for model in MODELS if isinstance(django_admin.site.get_model_admin(model), LedgerAdmin)
}


def view(model, name):
    return f"{model._meta.app_label}_{model._meta.model_name}_{name}"


def counts(queries):
    """Return the statements that count rows of a large table."""
    return [
        query["sql"]
        for query in queries
        if "COUNT(" in query["sql"].upper() and any(f'"{table}"' in query["sql"] for table in LEDGER_TABLES)
    ]


@each_model
def test_list_and_page_open_within_the_budget_and_count_no_ledger_table(model, admin, house):
    row = model._default_manager.first()
    with CaptureQueriesContext(connection) as for_list:
        rows = admin.open(view(model, "changelist"))
    with CaptureQueriesContext(connection) as for_page:
        page = admin.open(view(model, "change"), row.pk)

    assert (rows.status_code, page.status_code) == (200, 200)
    assert rows.context["cl"].result_list, "the list must show a row for this test to mean something"
    assert len(for_list) <= LIST_BUDGET
    assert len(for_page) <= BUDGET
    assert counts(for_list.captured_queries) + counts(for_page.captured_queries) == []


def test_viewer_sees_everything_but_people_and_tokens(viewer, house):
    answers = {
        model.__name__: {
            viewer.open(view(model, "changelist")).status_code,
            viewer.open(view(model, "change"), model._default_manager.first().pk).status_code,
        }
        for model in MODELS
    }

    assert answers == {model.__name__: {403} if model.__name__ in CLOSED else {200} for model in MODELS}


@pytest.mark.parametrize("model", [Order, Fill, OrderEvent, UserAction], ids=label)
def test_list_looks_nothing_up_row_by_row(model, admin, house):
    assert model._default_manager.count() >= 3
    with CaptureQueriesContext(connection) as queries:
        admin.open(view(model, "changelist"))

    shapes = [re.sub(r"'[^']*'|\b\d+\b", "?", query["sql"]) for query in queries.captured_queries]
    assert {shape for shape in shapes if shapes.count(shape) >= 3} == set()


def test_start_page_shows_what_is_open_within_its_budget(admin, house):
    with CaptureQueriesContext(connection) as queries:
        page = admin.open("index")

    text = page.content.decode()
    assert page.status_code == 200
    assert len(queries) <= BUDGET
    assert counts(queries.captured_queries) == []
    assert house.position.position_id in text
    assert "daily loss limit" in text
    assert "It broke" in text
    assert "symbol BTCUSDT: HALTED" in text


def test_start_page_of_an_empty_house_says_what_to_do(admin):
    text = admin.open("index").content.decode()

    assert "No bot yet." in text
    assert "/admin/bots/bot/add/" in text


def test_nobody_sees_a_page_without_signing_in(client, db):
    for model in MODELS:
        assert client.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/").status_code == 302


def test_secrets_are_on_no_page(admin, house):
    token, personal = house.token, house.personal_token
    pages = [
        admin.open("bots_bottoken_change", token.row.pk),
        admin.open("accounts_personaltoken_change", personal.row.pk),
        admin.open("accounts_user_change", admin.user.pk),
    ]

    for page in pages:
        text = page.content.decode()
        assert token.token.partition(".")[2] not in text
        assert personal.token.partition(".")[2] not in text
        assert bytes(token.row.digest).hex() not in text
        assert admin.user.password not in text

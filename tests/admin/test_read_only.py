"""Ledger rows are read here and written by nobody, whatever a person sends."""

import pytest
from django.contrib import admin as django_admin

from audit.models import UserAction
from bots.models import Fill, Order, Position, Signal, Trade
from tradingdb.lib.admin import LedgerAdmin
from tradingdb.management.model_pages import label, our_models

LEDGER = [model for model in our_models() if isinstance(django_admin.site.get_model_admin(model), LedgerAdmin)]
WITH_NOTES = [Trade, Position, Signal]
each_with_notes = pytest.mark.parametrize("model", WITH_NOTES, ids=label)


def view(model, name):
    return f"{model._meta.app_label}_{model._meta.model_name}_{name}"


def contents(model):
    return list(model._default_manager.order_by("pk").values())


def forged(row):
    """A form with another value in every column."""
    return {field.name: "9" for field in row._meta.concrete_fields} | {"_save": "Save"}


def test_the_ledger_is_what_we_think_it_is():
    assert {model.__name__ for model in LEDGER} >= {
        "Signal", "Order", "OrderEvent", "Fill", "Position", "Trade", "AccountBalance", "CashFlow", "ParkedFact",
        "IngestConflict", "ReconciliationCase", "SystemEvent", "RiskEvent", "UserAction", "RiskMetrics",
        "PortfolioSnapshot", "Candle",
    }  # fmt: skip


def test_admin_can_neither_add_nor_delete(admin, house):
    for model in LEDGER:
        row = model._default_manager.first()
        before = contents(model)

        answers = [
            admin.open(view(model, "add")),
            admin.send(view(model, "add"), **forged(row)),
            admin.open(view(model, "delete"), row.pk),
            admin.send(view(model, "delete"), row.pk, post="yes"),
        ]
        admin.send(view(model, "changelist"), action="delete_selected", _selected_action=row.pk, post="yes")

        assert [answer.status_code for answer in answers] == [403] * 4, label(model)
        assert contents(model) == before, label(model)


def test_admin_changes_nothing_by_a_forged_form(admin, house):
    for model in (model for model in LEDGER if model not in WITH_NOTES):
        row = model._default_manager.first()
        before = contents(model)

        answer = admin.send(view(model, "change"), row.pk, **forged(row))

        assert answer.status_code == 403, label(model)
        assert contents(model) == before, label(model)


@each_with_notes
def test_a_forged_form_changes_the_notes_and_nothing_else(model, admin, house):
    row = model._default_manager.first()
    [before] = [each for each in contents(model) if each["id"] == row.pk]

    answer = admin.send(view(model, "change"), row.pk, **forged(row))

    [after] = [each for each in contents(model) if each["id"] == row.pk]
    assert answer.status_code == 302
    assert after == before | {"notes": "9"}


@each_with_notes
def test_notes_leave_an_action_with_before_and_after(model, trader, house):
    row = model._default_manager.first()
    trader.send(view(model, "change"), row.pk, notes="first")
    actions = UserAction.objects.filter(action=f"{model._meta.model_name}.notes")
    start = actions.count()

    trader.send(view(model, "change"), row.pk, notes="second")
    trader.send(view(model, "change"), row.pk, notes="second")

    last = actions.first()
    assert actions.count() == start + 1
    assert (last.user, last.before, last.after) == (trader.user, {"notes": "first"}, {"notes": "second"})
    assert last.request_id
    history = trader.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/history/").context
    assert [each.pk for each in history["history"].actions] == [last.pk, actions.last().pk]


@each_with_notes
def test_viewer_writes_no_notes(model, viewer, house):
    row = model._default_manager.first()
    before = contents(model)

    answer = viewer.send(view(model, "change"), row.pk, notes="mine")

    assert answer.status_code == 403
    assert contents(model) == before


@each_with_notes
def test_saving_notes_keeps_what_changed_since_the_page_was_opened(model, admin, house, monkeypatch):
    """The form is as old as the page; writing all of it would take back what a bot did meanwhile."""
    row = model._default_manager.first()
    page = django_admin.site.get_model_admin(model)
    original = page.get_object

    def read_then_overtaken(request, *args, **kwargs):
        found = original(request, *args, **kwargs)
        if request.method == "POST":
            model._default_manager.filter(pk=row.pk).update(config_version=77)
        return found

    monkeypatch.setattr(page, "get_object", read_then_overtaken)

    admin.send(view(model, "change"), row.pk, notes="kept")

    row.refresh_from_db()
    assert (row.notes, row.config_version) == ("kept", 77)


def test_control_states_and_tokens_are_changed_by_buttons_only(admin, house):
    for name, pk in (("bots_controlstate", 1), ("bots_bottoken", house.token.row.pk)):
        assert admin.open(f"{name}_add").status_code == 403
        assert admin.send(f"{name}_change", pk, state="ACTIVE", prefix="x").status_code in (302, 403)
    assert admin.send("bots_bottoken_delete", house.token.row.pk, post="yes").status_code == 403


@pytest.mark.parametrize("name", ["fill", "order"])
def test_rows_name_each_other_by_bot_and_id(admin, house, name):
    row = {"fill": house.fill, "order": house.order}[name]
    model = {"fill": Fill, "order": Order}[name]

    found = admin.open(f"bots_{name}_find", bot="bot_1", id=getattr(row, f"{name}_id"))
    foreign = admin.open(f"bots_{name}_find", bot="bot_2", id=getattr(row, f"{name}_id"))

    assert found.status_code == 302
    assert found.url == f"/admin/bots/{model._meta.model_name}/{row.pk}/change/"
    assert foreign.url == f"/admin/bots/{name}/"
    assert "bot_2 has no" in admin.get(foreign.url).content.decode()

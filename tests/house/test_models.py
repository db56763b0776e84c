"""Every model says what it is, is placed, guarded by named rules, registered in the admin and described by a page."""

from io import StringIO

import pytest
from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.core.management import CommandError, call_command
from django.db import models
from django.db.models import Q

from tradingdb.lib.db import SEARCH_PATH
from tradingdb.lib.units import unit_of
from tradingdb.management.model_pages import docstring, label, our_models, pages, schemas

MODELS = our_models()
each_model = pytest.mark.parametrize("model", MODELS, ids=label)
# Nobody writes into a view: its rows keep the rules and closed sets of the tables they are read from.
each_table = pytest.mark.parametrize("model", [model for model in MODELS if model._meta.managed], ids=label)


def output_of(field: models.Field) -> models.Field:
    """Return the field that says what a column holds; a computed column has one inside."""
    return field.output_field if isinstance(field, models.GeneratedField) else field


def looked_up(condition: Q) -> set[str]:
    """Return every lookup a condition uses, such as status__in."""
    found = set()
    for child in condition.children:
        if isinstance(child, Q):
            found |= looked_up(child)
        elif isinstance(child, tuple):
            # The rest are functions, such as isfinite(), which hold no closed set.
            found.add(child[0])
    return found


def test_all_our_apps_are_seen():
    assert {model._meta.app_label for model in MODELS} >= {
        "accounts",
        "analytics",
        "audit",
        "bots",
        "config_app",
        "marketdata",
    }


@each_model
def test_docstring_says_in_one_line_what_a_row_is(model):
    first = docstring(model).partition("\n")[0]

    assert first.endswith((".", ":")), f"{label(model)}: {first!r}"
    assert len(first) > 20


@each_model
def test_table_is_placed_in_a_schema(model):
    schema = schemas().get(model._meta.db_table)

    assert schema in set(SEARCH_PATH) - {"public"}, f"{model._meta.db_table} stays in public: add it to a SetSchema"


@each_model
def test_model_is_registered_in_the_admin(model):
    assert admin.site.is_registered(model)


@each_table
def test_model_has_a_rule_with_a_name(model):
    names = [rule.name for rule in model._meta.constraints]

    assert names
    assert all(names)


@each_model
def test_every_amount_and_ratio_has_a_unit(model):
    without = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(output_of(field), models.DecimalField) and unit_of(field) is None
    ]

    assert without == [], f"{label(model)}: give these a unit in tradingdb/lib/units.py"


@each_table
def test_every_closed_set_is_held_by_the_database(model):
    conditions = [rule.condition for rule in model._meta.constraints if isinstance(rule, models.CheckConstraint)]
    held = set().union(*(looked_up(condition) for condition in conditions)) if conditions else set()
    loose = []
    for field in model._meta.concrete_fields:
        choices = field.base_field.choices if isinstance(field, ArrayField) else field.choices
        if choices and not held & {f"{field.name}__in", f"{field.name}__contained_by"}:
            loose.append(field.name)

    assert loose == [], f"{label(model)}: add one_of(...)"


@each_model
def test_money_rows_are_never_deleted_with_what_they_refer_to(model):
    """Only keys and sessions go with their owner; people become NULL; everything else protects."""
    cascades = [field.name for field in model._meta.concrete_fields if field.is_relation and _cascades(field)]

    assert cascades == [] or model.__name__ in ("PersonalToken", "BotToken", "Session")


def _cascades(field: models.ForeignKey) -> bool:
    return field.remote_field.on_delete is models.CASCADE


def test_pages_in_docs_say_what_the_models_say():
    call_command("model_docs", "--check", stdout=StringIO())


def test_model_docs_writes_removes_and_finds_what_is_stale(tmp_path):
    call_command("model_docs", folder=tmp_path, stdout=StringIO())
    written = {file.name: file.read_text() for file in tmp_path.glob("*.md")}
    (tmp_path / "orders.md").write_text("old")
    (tmp_path / "gone.md").write_text("a table of the past")

    with pytest.raises(CommandError) as caught:
        call_command("model_docs", "--check", folder=tmp_path, stdout=StringIO())
    call_command("model_docs", folder=tmp_path, stdout=StringIO())

    assert written == pages()
    assert "gone.md, orders.md" in str(caught.value)
    assert {file.name: file.read_text() for file in tmp_path.glob("*.md")} == pages()

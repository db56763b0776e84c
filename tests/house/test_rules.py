"""Every time is finite and every symbol is one, in every table, by a rule of the database."""

from typing import Any

import pytest
from django.db import models
from django.db.models import F, Q

from tradingdb.lib.fields import SYMBOL, IsFinite
from tradingdb.management.model_pages import label, our_models

MODELS = [model for model in our_models() if model._meta.managed]
each_model = pytest.mark.parametrize("model", MODELS, ids=label)


def parts(condition: Any) -> list[Any]:
    """Return every lookup and expression of a condition."""
    if not isinstance(condition, Q):
        return [condition]
    return [part for child in condition.children for part in parts(child)]


def checked(model: type[models.Model]) -> list[list[Any]]:
    """Return the parts of each CHECK that the model declares."""
    return [parts(rule.condition) for rule in model._meta.constraints if isinstance(rule, models.CheckConstraint)]


def finite(model: type[models.Model]) -> list[str]:
    """Return the columns of the model's rules for finite times, one entry each time they stand in one."""
    found = [one.get_source_expressions()[0] for rule in checked(model) for one in rule if isinstance(one, IsFinite)]
    return [source.name for source in found if isinstance(source, F)]


@each_model
def test_every_time_is_finite(model):
    """'infinity' can be stored and not be read: one such row would break every page that shows it."""
    times = {
        field.name
        for field in model._meta.concrete_fields
        # A date is a time too; a computed one is made of those that are checked.
        if isinstance(field, models.DateField)
    }

    assert times - set(finite(model)) == set(), f"{label(model)}: add them to finite_times(...)"
    assert len(finite(model)) == len(set(finite(model)))


@each_model
def test_times_stand_in_one_rule_with_the_usual_name(model):
    rules = [rule.name for rule in model._meta.constraints if isinstance(rule, models.CheckConstraint)
             and any(isinstance(one, IsFinite) for one in parts(rule.condition))]  # fmt: skip

    assert rules in ([], [f"{model._meta.db_table}_finite_times"])


@each_model
def test_every_symbol_has_the_form_of_one(model):
    symbols = {field.name for field in model._meta.concrete_fields if field.name == "symbol"}
    held = {
        one[0].partition("__")[0]
        for rule in checked(model)
        for one in rule
        if isinstance(one, tuple) and one[0].endswith("__regex") and one[1] == SYMBOL
    }

    assert symbols - held == set(), f"{label(model)}: add valid_symbol(...)"

"""Whose rows are whose: the bot of a row, and the part of a table that belongs to some of the bots."""

from collections.abc import Collection
from typing import Any, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q

Rows = TypeVar("Rows", bound=models.QuerySet[Any])


def has_bot(model: type[models.Model]) -> bool:
    """Whether rows of a table belong to a bot."""
    for name in ("bot", "bot_id"):
        try:
            model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        return True
    return False


def bot_of(row: models.Model) -> str | None:
    """Return the bot of a row; None for one that has none."""
    found = getattr(row, "bot_id", None)
    return found if isinstance(found, str) and found else None


def of_bots(rows: Rows, bots: Collection[str] | None) -> Rows:
    """Return the rows of some bots; None is all of them, and a table of no bot stays whole."""
    if bots is None:
        return rows
    if {"scope", "target"} <= {field.name for field in rows.model._meta.concrete_fields}:
        # What applies to all bots applies to these.
        return rows.filter(~Q(scope="bot") | Q(target__in=bots))
    return rows.filter(bot_id__in=bots) if has_bot(rows.model) else rows


def visible_bots(user: Any) -> Collection[str] | None:
    """Return the bots whose rows a person sees; None for all. Strangers see none."""
    found: Collection[str] | None = getattr(user, "visible_bots", ())
    return found

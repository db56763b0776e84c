"""Saved views: people keep their own, traders and admins may share theirs."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import QueryDict
from django.utils.http import urlencode

from accounts.models import SavedView, User
from audit.services.actions import Actor
from tradingdb.lib.errors import Conflict, NotFound, PermissionDenied, ValidationFailed
from tradingdb.lib.strictjson import is_clean

MOST_PER_LIST = 50


class TooManyViews(Conflict):
    """A person keeps a bounded number of views of one list."""

    code = "too_many_saved_views"


def query_of(raw: str, *, allowed: Collection[str]) -> str:
    """Return a query string as lists write it, sorted and without empty values.

    Raises ValidationFailed for a parameter the list does not have.
    """
    given = {name: [value for value in values if value] for name, values in QueryDict(raw).lists()}
    foreign = sorted(set(given) - set(allowed))
    if foreign:
        raise ValidationFailed(f"This list has no filter {', '.join(name[:40] for name in foreign)}.")
    return urlencode(sorted((name, values) for name, values in given.items() if values), doseq=True)


@transaction.atomic
def view_save(*, owner: User, page: str, name: str, query: str, is_shared: bool, actor: Actor) -> SavedView:
    """Keep a view under a name; a name the person has for this list already gets the new filters.

    Raises PermissionDenied for sharing without the right to, TooManyViews, ValidationFailed for a name that is none.
    """
    if is_shared and not owner.may_intervene:
        raise PermissionDenied("Only traders and admins share views.")
    if not is_clean(name):
        raise ValidationFailed("A name is one line of text.")
    # Held while the person's views are counted and changed.
    User.objects.select_for_update().get(pk=owner.pk)
    mine = SavedView.objects.filter(owner=owner, page=page)
    view = mine.filter(name=name.strip()).first()
    if view is None and mine.count() >= MOST_PER_LIST:
        raise TooManyViews(f"You have {MOST_PER_LIST} views of this list; delete one first.")
    before = _told(view) if view is not None else None
    view = view or SavedView(owner=owner, page=page, name=name.strip())
    view.query, view.is_shared = query, is_shared
    try:
        view.full_clean()
    except ValidationError as e:
        raise ValidationFailed(" ".join(e.messages)) from e
    view.save()
    actor.record("saved_view.save", "savedview", str(view.pk), before=before, after=_told(view))
    return view


@transaction.atomic
def view_delete(*, view_id: int, owner: User, actor: Actor) -> SavedView:
    """Delete a person's own view and return what it was. Raises NotFound, for the views of others too."""
    view = SavedView.objects.select_for_update().filter(pk=view_id, owner=owner).first()
    if view is None:
        raise NotFound("You have no such view.", id=view_id)
    actor.record("saved_view.delete", "savedview", str(view.pk), before=_told(view))
    view.delete()
    return view


def _told(view: SavedView) -> dict[str, Any]:
    return {"page": view.page, "name": view.name, "query": view.query, "is_shared": view.is_shared}

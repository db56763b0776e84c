"""Pages whose edits leave a row in audit.UserAction, with the reason the person gave."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest

from audit.services.actions import Actor
from tradingdb.lib.acting import acting
from tradingdb.lib.admin import ControlModelAdmin
from tradingdb.lib.imports import ImportMixin


class ReasonedForm(forms.ModelForm):
    """A form that also asks why."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2, "class": "reason"}),
        help_text="Kept with the change, for whoever reads it later.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A row that keeps a reason keeps that of its last change, not of this one.
        self.initial["reason"] = ""


class RecordedAdmin(ImportMixin, ControlModelAdmin):
    """An editable page: only fields that changed are written; who, what and why is kept in the same transaction."""

    form = ReasonedForm

    def actor(self, request: HttpRequest) -> Actor:
        """Return the person at the page."""
        return Actor(request.user, request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Ask for the reason of a change only: a new row needs none."""
        if obj is None:
            options.setdefault("form", forms.ModelForm)
        return super().get_form(request, obj, change=change, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        reason = form.cleaned_data.get("reason", "")
        with acting(reason=reason):
            if not change:
                self.create(request, obj, form)
                return
            allowed = set(self.get_editable(request, obj)) - {"reason"}
            names = [name for name in form.changed_data if name in allowed]
            if names:
                self.update(request, obj, names, reason=reason)

    def create(self, request: HttpRequest, obj: Any, form: ModelForm) -> None:
        """Store a new row and the action of adding it."""
        obj.save()
        made = values(obj, self.get_editable(request, None))
        kind = self.resource_type
        self.actor(request).record(f"{kind}.create", kind, self.resource_id(obj), after=made)

    def update(self, request: HttpRequest, obj: Any, names: Sequence[str], *, reason: str) -> None:
        """Store the changed fields and no other, for the rest of the form is as old as the page; and the action."""
        before = values(type(obj)._default_manager.select_for_update().get(pk=obj.pk), names)
        obj.save(update_fields=names)
        self.actor(request).record(
            f"{self.resource_type}.update", self.resource_type, self.resource_id(obj),
            before=before, after=values(obj, names), reason=reason,
        )  # fmt: skip


def values(row: models.Model, names: Iterable[str]) -> dict[str, Any]:
    """Return some columns of a row; what a secret is made of is never among them."""
    columns = {field.name: field.attname for field in row._meta.concrete_fields}
    return {name: getattr(row, columns[name]) for name in names if name in columns and name != "password"}

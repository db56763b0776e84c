"""Buttons that ask first: a page says what will happen and takes a reason, then one service is called."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from tradingdb.lib.acting import acting
from tradingdb.lib.admin import ControlModelAdmin, button
from tradingdb.lib.errors import DomainError, ReauthenticationRequired
from tradingdb.lib.recording import require_fresh
from tradingdb.lib.sections import row_url

# What a confirmed button does: change something, and say so, or answer with a page of its own.
Change = Callable[[Any, HttpRequest, Any, dict[str, Any]], str | HttpResponse]


WORDS_FOR_WHY = ("reason", "resolution", "notes", "note")


class ReasonForm(forms.Form):
    """The least that every action asks for."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Kept with the action, for whoever reads it later.",
    )


class RowForm(forms.Form):
    """A form whose choices depend on the row it is asked about."""

    def fit(self, row: Any) -> None:
        """Offer what makes sense for this row."""
        raise NotImplementedError


def asking(
    *,
    label: str,
    permission: str,
    icon: str,
    form_class: type[forms.Form] = ReasonForm,
    is_grave: bool = False,
    needs_proof: bool = False,
) -> Callable[[Change], Callable[..., HttpResponse]]:
    """Make a method (self, request, row, data) a button with a page that asks. The docstring says what will happen.

    With `needs_proof` the person proves to be there before the page is shown, and again if it took too long.
    """

    def decorate(change: Change) -> Callable[..., HttpResponse]:
        explanation = " ".join((change.__doc__ or "").split())

        @button(label=label, permission=permission, icon=icon, is_grave=is_grave)
        @wraps(change)
        def view(page: ControlModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
            row = page.get_object(request, unquote(object_id))
            if row is None:
                raise Http404
            if not page.may_act_on(request, row):
                raise PermissionDenied
            if not page.is_offered(change.__name__, row):
                messages.error(request, f"{label} is not possible as things are now.")
                return HttpResponseRedirect(row_url(row))
            if needs_proof:
                require_fresh(request)
            form = form_class(request.POST if request.method == "POST" else None)
            if isinstance(form, RowForm):
                form.fit(row)
            if request.method == "POST" and form.is_valid():
                try:
                    with acting(reason=reason_of(form.cleaned_data)):
                        answer = change(page, request, row, form.cleaned_data)
                except ReauthenticationRequired:
                    raise
                except DomainError as e:
                    form.add_error(None, e.message)
                else:
                    if isinstance(answer, HttpResponse):
                        return answer
                    messages.success(request, answer)
                    return HttpResponseRedirect(row_url(row))
            words = {"label": label, "explanation": explanation, "is_grave": is_grave}
            return ask_page(page, request, form, row=row, words=words)

        return view

    return decorate


def reason_of(data: dict[str, Any]) -> str:
    """Return the words in which a form asks why, whatever it calls them."""
    return next((str(data[name]) for name in WORDS_FOR_WHY if data.get(name)), "")


def ask_page(
    page: ControlModelAdmin, request: HttpRequest, form: forms.Form, *, row: Any, words: dict[str, Any]
) -> HttpResponse:
    """Return the page that asks; 409 when a service refused."""
    context = {
        **page.admin_site.each_context(request),
        "title": f"{words['label']}: {row}" if row is not None else words["label"],
        "opts": page.opts,
        "row": row,
        "row_url": row_url(row) if row is not None else "",
        "form": form,
        "media": page.media,
        **words,
    }
    status = 409 if form.is_bound and form.non_field_errors() else 200
    return TemplateResponse(request, "admin/ask.html", context, status=status)

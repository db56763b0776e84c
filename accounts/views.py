"""The person's own pages: overview, confirmation, password, sessions, identities."""

from typing import Any

from allauth.account.internal.flows.reauthentication import resume_request
from allauth.account.views import login as allauth_login
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm
from allauth.mfa.webauthn.internal import auth as webauthn
from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts.models import AuthIdentity, User
from accounts.services.attempts import Attempt
from accounts.services.factors import has_app, has_factor, has_passkey
from accounts.services.identities import identity_confirm
from accounts.services.people import person_change_password
from accounts.services.reauthentication import note_fresh, reauthenticate
from accounts.services.sessions import own_session_end, session_id, sessions_end, sessions_of
from audit.services.actions import Actor
from tradingdb.lib.errors import DomainError, RateLimited


class PasswordConfirmForm(forms.Form):
    """The password, again."""

    password = forms.CharField(
        strip=False, max_length=200, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class CodeConfirmForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = forms.CharField(
        max_length=20, widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"})
    )


class PasswordForm(forms.Form):
    """The old password, and the new one twice."""

    old = forms.CharField(
        label="Old password", strip=False, max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )  # fmt: skip
    new = forms.CharField(
        label="New password", strip=False, max_length=200, help_text="At least 12 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    again = forms.CharField(
        label="New password, again", strip=False, max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("new") != data.get("again"):
            self.add_error("again", "The two differ.")
        return data


class IdentityForm(forms.Form):
    """Where the person is known, under which id, and the code that came there."""

    provider = forms.CharField(max_length=32, initial="telegram")
    external_id = forms.CharField(label="Your id there", max_length=255)
    code = forms.CharField(
        max_length=6, widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"})
    )


def admin_login(request: HttpRequest) -> HttpResponseBase:
    """Answer at the admin's own login address: with the way to the one sign-in, and to a posted form as that does."""
    if request.method == "POST":
        answer: HttpResponseBase = allauth_login(request)
        return answer
    query = request.GET.urlencode()
    # A script takes the token from here and posts at once.
    get_token(request)
    return HttpResponseRedirect(reverse("account_login") + (f"?{query}" if query else ""))


def person(request: HttpRequest) -> User:
    """Return the person of a view that needs one."""
    assert isinstance(request.user, User)
    return request.user


@require_safe
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Who one is here, and the way to everything one may change about it."""
    user = person(request)
    context = {"has_app": has_app(user), "has_passkey": has_passkey(user), "bots": sorted(user.visible_bots or ())}
    return render(request, "account/home.html", context)


def next_of(request: HttpRequest) -> str:
    """Return where to go on to: an address of this site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("account_home")


@sensitive_post_parameters()
@never_cache
@login_required
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the proof that the person is there, and go on with what asked for it."""
    user = person(request)
    has_second, has_key = has_factor(user), has_passkey(user)
    form_class: type[forms.Form] = CodeConfirmForm if has_second else PasswordConfirmForm
    form, status = form_class(), 200
    if request.method == "POST":
        try:
            if "credential" in request.POST and has_key:
                _confirm_by_passkey(request, user)
                return _go_on(request)
            form = form_class(request.POST)
            if form.is_valid():
                reauthenticate(user=user, request=request, **form.cleaned_data)
                return _go_on(request)
        except RateLimited:
            raise
        except DomainError as e:
            form.add_error(None, e.message) if form.is_bound else messages.error(request, e.message)
        except forms.ValidationError as e:
            messages.error(request, " ".join(e.messages))
        status = 403
    context: dict[str, Any] = {"form": form, "has_second": has_second, "next": next_of(request)}
    if has_key:
        context["webauthn_form"] = ReauthenticateWebAuthnForm(user=user)
        context["js_data"] = {"request_options": webauthn.begin_authentication(user)}
    return render(request, "account/confirm.html", context, status=status)


def _confirm_by_passkey(request: HttpRequest, user: User) -> None:
    attempt = Attempt(user.email, request, kind="confirm")
    attempt.take()
    form = ReauthenticateWebAuthnForm(user=user, data=request.POST)
    if not form.is_valid():
        Actor(user, request).record("reauthentication.failed", "user", user.email)
        raise forms.ValidationError("The passkey did not prove it.")
    form.save()
    attempt.succeeded()
    note_fresh(user, request, method="passkey")


def _go_on(request: HttpRequest) -> HttpResponse:
    """Repeat what was interrupted, or go to where the person came from."""
    answer: HttpResponse | None = resume_request(request)
    return answer or HttpResponseRedirect(next_of(request))


@sensitive_post_parameters()
@never_cache
@login_required
def password(request: HttpRequest) -> HttpResponse:
    """Change the own password; other sessions end."""
    user, form = person(request), PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        attempt = Attempt(user.email, request, kind="confirm")
        attempt.take()
        try:
            changed = person_change_password(
                user=user, old=form.cleaned_data["old"], new=form.cleaned_data["new"],
                actor=Actor(user, request), session=request.session.session_key,
            )  # fmt: skip
        except DomainError as e:
            form.add_error(None, e.message)
        else:
            attempt.succeeded()
            update_session_auth_hash(request, changed)
            messages.success(request, "Your password is changed, and your other sessions ended.")
            return HttpResponseRedirect(reverse("account_home"))
    return render(request, "account/password.html", {"form": form})


@never_cache
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    """Show where one is signed in, and end one of them or all others."""
    user, here = person(request), request.session.session_key
    if request.method == "POST":
        actor = Actor(user, request)
        try:
            if request.POST.get("session") == "others":
                messages.success(request, f"{sessions_end(user=user, actor=actor, but=here)} sessions ended.")
            else:
                own_session_end(user=user, named=request.POST.get("session", ""), actor=actor)
                messages.success(request, "The session ended.")
        except DomainError as e:
            messages.error(request, e.message)
        return HttpResponseRedirect(reverse("account_sessions"))
    rows = [(session_id(row), row, row.session_key == here) for row in sessions_of(user)]
    return render(request, "account/sessions.html", {"rows": rows})


@never_cache
@login_required
def identities(request: HttpRequest) -> HttpResponse:
    """Show how one is known elsewhere, and take the code that proves another name."""
    user, form = person(request), IdentityForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = identity_confirm(user_id=user.pk, actor=Actor(user, request), **form.cleaned_data)
        except DomainError as e:
            form.add_error(None, e.message)
        else:
            messages.success(request, f"You are known as {row}.")
            return HttpResponseRedirect(reverse("account_identities"))
    rows = AuthIdentity.objects.filter(user=user)
    return render(request, "account/identities.html", {"rows": rows, "form": form})


@require_POST
def seen(request: HttpRequest) -> HttpResponse:
    """Take a sign of life from a page that is used without loading another; 401 when the session is over."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return HttpResponse(status=204)

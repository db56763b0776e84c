"""People: who may come in, as what. Only admins see these pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin  # noqa: F401 (registers the groups)
from django.contrib.auth.models import Group
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.choices import Role
from accounts.models import AuthIdentity, BotMembership, PersonalToken, Session, User
from accounts.models.identities import PROVIDER
from accounts.services.factors import factors_remove
from accounts.services.people import ENDING, person_create, person_set_password, person_update
from accounts.services.sessions import sessions_end
from accounts.services.tokens import DEFAULT_DAYS, MAX_DAYS, personal_token_create, personal_token_revoke
from accounts.services.verification import issue_code
from audit.admin.recorded import RecordedAdmin
from audit.models import UserAction
from audit.services.actions import Actor
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin, RelatedFilter
from tradingdb.lib.asking import ReasonForm, asking
from tradingdb.lib.recording import require_fresh
from tradingdb.lib.sections import Link, Section, list_url, row_url, table

# What a person may do follows from the role, and the groups are written from it: nobody shall look for it there.
admin.site.unregister(Group)
# Addresses and factors of django-allauth: people set theirs up themselves, and their secrets are shown nowhere.
for model in (EmailAddress, Authenticator):
    admin.site.unregister(model)
ROLE_TONES: Mapping[str, str] = {Role.ADMIN: "warn", Role.TRADER: "info", Role.VIEWER: "neutral"}


def new_password_field(label: str, help_text: str) -> forms.CharField:
    """Return an input that no browser fills in by itself."""
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, help_text=help_text, widget=widget, max_length=200, strip=False)


class NewUserForm(forms.ModelForm):
    """A new person, with a first password."""

    password = new_password_field("Password", "At least 12 characters; the person changes it after the first login.")


class PasswordForm(ReasonForm):
    """A new password for somebody else."""

    field_order = ("password", "reason")
    password = new_password_field("New password", "At least 12 characters.")


class TokenForm(forms.Form):
    """What a personal token is for, and for how long."""

    name = forms.CharField(max_length=100, help_text="What the token is for.")
    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS, help_text="Days until it expires.")


class ProviderForm(forms.Form):
    """Where the code goes."""

    provider = forms.RegexField(PROVIDER, max_length=32, initial="telegram", help_text="For example telegram or email.")


@admin.register(User)
class UserAdmin(RecordedAdmin):
    list_display = ("email", "full_name", "role", "is_active", "last_login", "created_at")
    list_filter = ("role", "is_active")
    search_fields = ("email", "full_name")
    ordering = ("email",)
    addable = ("email", "full_name", "role", "password")
    editable = ("full_name", "role", "has_all_bots", "is_active", "reason")
    fieldsets = (
        (None, {"fields": ("email", "full_name", ("role", "has_all_bots"), "is_active")}),
        ("Why", {"fields": ("reason",)}),
        ("History", {"fields": (("last_login", "created_at"), ("updated_at", "metadata"))}),
    )
    actions_detail = ("new_token", "new_password", "end_sessions", "new_code", "remove_factors")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is None:
            options["form"] = NewUserForm
        return super().get_form(request, obj, change=change, **options)

    def resource_id(self, row: User) -> str:
        return row.email

    @admin.display(description="Role", ordering="role")
    def show_role(self, user: User) -> SafeString:
        return display.badge(user.role, tone=ROLE_TONES.get(user.role, ""))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for the proof before the form is filled in: it has a password in it, which is kept nowhere."""
        if self.has_add_permission(request):
            require_fresh(request)
        return super().add_view(request, form_url, extra_context)

    def create(self, request: HttpRequest, obj: User, form: ModelForm) -> None:
        obj.pk = person_create(**form.cleaned_data, actor=self.actor(request)).pk

    def update(self, request: HttpRequest, obj: User, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        if not ENDING.isdisjoint(changes):
            require_fresh(request, keeps_form=True)
        person_update(user_id=obj.pk, changes=changes, actor=self.actor(request), reason=reason)

    @asking(label="Set password", permission="administer", icon="password", form_class=PasswordForm, needs_proof=True)
    def new_password(self, request: HttpRequest, row: User, data: dict[str, Any]) -> str:
        """Gives this person a new password. Their open sessions end."""
        person_set_password(user_id=row.pk, actor=self.actor(request), **data)
        return f"{row} has a new password."

    @asking(label="New token", permission="administer", icon="key", form_class=TokenForm, needs_proof=True)
    def new_token(self, request: HttpRequest, row: User, data: dict[str, Any]) -> HttpResponse:
        """Makes an API token with which this person's programs may do what the person may. It is shown once."""
        made = personal_token_create(user=row, name=data["name"], days=data["days"], actor=self.actor(request))
        base = request.build_absolute_uri("/").rstrip("/")
        curl = f'curl -H "Authorization: Bearer $TOKEN" {base}/api/v1/bots'
        context = {
            **self.admin_site.each_context(request),
            "title": f"New token of {row}",
            "opts": self.opts,
            "secret": made.token,
            "row_url": row_url(row),
            "snippets": [{"title": "Try it with curl", "text": curl}],
        }
        return TemplateResponse(request, "admin/secret_shown.html", context, headers={"Cache-Control": "no-store"})

    @asking(label="End sessions", permission="administer", icon="logout", needs_proof=True, is_grave=True)
    def end_sessions(self, request: HttpRequest, row: User, data: dict[str, Any]) -> str:
        """Signs this person out everywhere. Open pages close within five seconds."""
        ended = sessions_end(user=row, actor=self.actor(request), reason=data["reason"])
        return f"{ended} sessions of {row} ended."

    @asking(label="New code", permission="administer", icon="pin", form_class=ProviderForm, needs_proof=True)
    def new_code(self, request: HttpRequest, row: User, data: dict[str, Any]) -> str:
        """Makes a six-digit code, good once and for an hour. Give it to the person on the channel it proves; the
        person enters it under Identities. It is shown once."""
        made = issue_code(user_id=row.pk, provider=data["provider"], actor=self.actor(request))
        return f"The code for {row} at {data['provider']} is {made.code}."

    @asking(label="Remove factors", permission="administer", icon="no_encryption", needs_proof=True, is_grave=True)
    def remove_factors(self, request: HttpRequest, row: User, data: dict[str, Any]) -> str:
        """Takes away the app, the passkeys and the recovery codes of a person who lost them, and ends the sessions.
        Make sure it is the person who asks."""
        factors_remove(user=row, actor=self.actor(request), reason=data["reason"])
        return f"{row} has no second factor any more."

    def links(self, request: HttpRequest, row: User) -> list[Link]:
        return [Link("What this person did", list_url(UserAction, user__id__exact=str(row.pk)))]

    def sections(self, request: HttpRequest, row: User) -> list[Section]:
        tokens = PersonalToken.objects.filter(user=row)
        columns = ("prefix", "name", "state", "created_at", "expires_at", "last_used_at")
        identities = AuthIdentity.objects.filter(user=row).select_related("user")
        known = ("external_id", "provider", "created_at")
        return [
            table(self.admin_site, "Personal tokens", tokens, columns, empty="No token has been made."),
            table(self.admin_site, "Sessions", Session.objects.filter(user=row, expire_date__gt=timezone.now()),
                  ("show_id", "started_at", "seen_at", "ip_address", "user_agent"), empty="Not signed in."),
            table(self.admin_site, "Bots", BotMembership.objects.filter(user=row).select_related("bot"),
                  ("created_at", "show_bot", "may_act"),
                  empty="All bots." if row.visible_bots is None else "No bot yet: give some under Bot memberships."),
            table(self.admin_site, "Known elsewhere as", identities, known, empty="Under no other name."),
        ]  # fmt: skip


@admin.register(PersonalToken)
class PersonalTokenAdmin(ControlModelAdmin):
    list_display = ("prefix", "name", "show_user", "state", "created_at", "expires_at", "last_used_at")
    list_filter = (("user", RelatedFilter),)
    list_select_related = ("user",)
    search_fields = ("prefix", "name")
    empty_note = "No token yet. Tokens are made on the page of a person."
    ordering = ("-created_at",)
    fieldsets = (
        (
            None,
            {"fields": (("prefix", "name"), ("show_user", "state"), ("created_at", "expires_at"),
                        ("last_used_at", "revoked_at"))},
        ),
    )  # fmt: skip
    actions_detail = ("revoke",)

    @admin.display(description="Person")
    def show_user(self, token: PersonalToken) -> SafeString:
        return display.link(token.user, "accounts_user_change", token.user_id)

    @admin.display(description="State")
    def state(self, token: PersonalToken) -> SafeString:
        return display.token_state(revoked_at=token.revoked_at, expires_at=token.expires_at, now=timezone.now())

    def is_offered(self, name: str, row: PersonalToken) -> bool:
        return row.revoked_at is None

    @asking(label="Revoke", permission="administer", icon="block", form_class=forms.Form, is_grave=True)
    def revoke(self, request: HttpRequest, row: PersonalToken, data: dict[str, Any]) -> str:
        """The token opens nothing from now on, and cannot be brought back."""
        personal_token_revoke(user=row.user, prefix=row.prefix, actor=Actor(request.user, request))
        return f"Token {row.prefix} is revoked."

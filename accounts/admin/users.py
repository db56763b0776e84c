"""People: who may come in, as what. Only admins see these pages."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from accounts.models import AuthIdentity, PersonalToken, User
from accounts.services.people import person_create, person_set_password, person_update
from accounts.services.tokens import DEFAULT_DAYS, MAX_DAYS, personal_token_create, personal_token_revoke
from audit.admin.recorded import RecordedAdmin
from audit.models import UserAction
from audit.services.actions import Actor
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin, RelatedFilter
from tradingdb.lib.asking import ReasonForm, asking
from tradingdb.lib.sections import Link, Section, list_url, row_url, table

# What a person may do follows from the role; Django's groups would give nothing, so nobody shall look for it there.
admin.site.unregister(Group)
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


@admin.register(User)
class UserAdmin(RecordedAdmin):
    list_display = ("email", "full_name", "role", "is_active", "last_login", "created_at")
    list_filter = ("role", "is_active")
    search_fields = ("email", "full_name")
    ordering = ("email",)
    addable = ("email", "full_name", "role", "password")
    editable = ("full_name", "role", "is_active", "reason")
    fieldsets = (
        (None, {"fields": ("email", "full_name", "role", "is_active")}),
        ("Why", {"fields": ("reason",)}),
        ("History", {"fields": (("last_login", "created_at"), ("updated_at", "metadata"))}),
    )
    actions_detail = ("new_token", "new_password")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is None:
            options["form"] = NewUserForm
        return super().get_form(request, obj, change=change, **options)

    def resource_id(self, row: User) -> str:
        return row.email

    @admin.display(description="Role", ordering="role")
    def show_role(self, user: User) -> SafeString:
        return display.badge(user.role, tone=ROLE_TONES.get(user.role, ""))

    def create(self, request: HttpRequest, obj: User, form: ModelForm) -> None:
        obj.pk = person_create(**form.cleaned_data, actor=self.actor(request)).pk

    def update(self, request: HttpRequest, obj: User, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        person_update(user_id=obj.pk, changes=changes, actor=self.actor(request), reason=reason)

    @asking(label="Set password", permission="administer", icon="password", form_class=PasswordForm)
    def new_password(self, request: HttpRequest, row: User, data: dict[str, Any]) -> str:
        """Gives this person a new password. Their open sessions end."""
        person_set_password(user_id=row.pk, actor=self.actor(request), **data)
        return f"{row} has a new password."

    @asking(label="New token", permission="administer", icon="key", form_class=TokenForm)
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

    def links(self, request: HttpRequest, row: User) -> list[Link]:
        return [Link("What this person did", list_url(UserAction, user__id__exact=str(row.pk)))]

    def sections(self, request: HttpRequest, row: User) -> list[Section]:
        tokens = PersonalToken.objects.filter(user=row)
        columns = ("prefix", "name", "state", "created_at", "expires_at", "last_used_at")
        identities = AuthIdentity.objects.filter(user=row).select_related("user")
        known = ("external_id", "provider", "created_at")
        return [
            table(self.admin_site, "Personal tokens", tokens, columns, empty="No token has been made."),
            table(self.admin_site, "Known elsewhere as", identities, known, empty="Under no other name."),
        ]


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

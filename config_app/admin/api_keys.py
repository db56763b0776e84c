"""Keys to exchanges: that there is one, and what it may do. Secrets go in here and never come out."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from config_app.models import ExchangeApiKey
from config_app.services.api_keys import (
    LONGEST,
    PURPOSE_LENGTH,
    RESOURCE,
    ExchangeSecret,
    api_key_clear,
    api_key_create,
    api_key_set,
    api_key_test,
    api_key_update,
)
from tradingdb.lib import display
from tradingdb.lib.asking import ReasonForm, asking
from tradingdb.lib.recording import require_fresh


def secret_field(label: str, help_text: str = "", *, is_long: bool = False, **options: Any) -> forms.CharField:
    """Return an input whose content is in no page, and that no browser keeps or fills in."""
    attrs = {"autocomplete": "new-password", "spellcheck": "false", **({"rows": 3} if is_long else {})}
    widget = SecretArea(attrs=attrs) if is_long else forms.PasswordInput(attrs=attrs)
    return forms.CharField(label=label, help_text=help_text, widget=widget, max_length=LONGEST, **options)


class SecretArea(forms.Textarea):
    """Several lines that are not given back when the form is shown again."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class SecretForm(ReasonForm):
    """Key and secret as the exchange gave them."""

    field_order = ("api_key", "api_secret", "passphrase", "reason")
    api_key = secret_field("Key")
    api_secret = secret_field(
        "Secret", "As the exchange shows it once; a private key with all its lines.", is_long=True
    )
    passphrase = secret_field("Passphrase", "For exchanges that ask for one.", required=False)


class PurposeForm(ReasonForm):
    """Why a key is decrypted."""

    reason = forms.CharField(max_length=PURPOSE_LENGTH, widget=forms.Textarea(attrs={"rows": 2}))


@admin.register(ExchangeApiKey)
class ExchangeApiKeyAdmin(RecordedAdmin):
    list_display = (
        "label", "exchange", "state", "is_testnet", "is_active", "key_fingerprint", "key_set_at", "key_set_by",
        "last_used_at",
    )  # fmt: skip
    list_filter = ("exchange", "is_testnet", "is_active")
    search_fields = ("label", "exchange", "key_fingerprint")
    empty_note = "No key yet. Add one with its exchange and a label, then set it on its page."
    ordering = ("exchange", "label")
    addable = ("exchange", "label", "is_testnet", "permissions")
    editable = ("label", "is_testnet", "is_active", "permissions", "reason")
    fieldsets = (
        (None, {"fields": ("exchange", "label", ("is_testnet", "is_active"), "permissions")}),
        (
            "Secret",
            {"fields": (("state", "key_fingerprint"), ("key_set_at", "key_set_by"), ("key_version", "last_used_at"))},
        ),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("created_at", "updated_at"),)}),
    )
    actions_detail = ("set_key", "test_key", "clear_key")
    resource_type = RESOURCE

    @admin.display(description="State")
    def state(self, row: ExchangeApiKey) -> SafeString:
        if not row.is_set:
            return display.badge("not set", tone="warn")
        return display.badge("set", tone="ok") if row.is_active else display.badge("switched off", tone="neutral")

    @admin.display(description="Permissions")
    def show_permissions(self, row: ExchangeApiKey) -> SafeString:
        words = row.permissions
        return display.text(", ".join(map(str, words))) if isinstance(words, list) else display.body(words)

    def is_offered(self, name: str, row: ExchangeApiKey) -> bool:
        return name == "set_key" or row.is_set

    def create(self, request: HttpRequest, obj: ExchangeApiKey, form: ModelForm) -> None:
        require_fresh(request, keeps_form=True)
        obj.pk = api_key_create(**form.cleaned_data, actor=self.actor(request)).pk

    def update(self, request: HttpRequest, obj: ExchangeApiKey, names: Sequence[str], *, reason: str) -> None:
        require_fresh(request, keeps_form=True)
        changes = {name: getattr(obj, name) for name in names}
        api_key_update(key_id=obj.pk, changes=changes, actor=self.actor(request), reason=reason)

    @asking(label="Set key", permission="administer", icon="key", form_class=SecretForm, needs_proof=True)
    def set_key(self, request: HttpRequest, row: ExchangeApiKey, data: dict[str, Any]) -> str:
        """Encrypts key and secret and keeps them here, in place of those before. No page shows them again."""
        reason = data.pop("reason")
        made = api_key_set(key_id=row.pk, secret=ExchangeSecret(**data), actor=self.actor(request), reason=reason)
        return f"{row} is set; its fingerprint is {made.key_fingerprint}."

    @asking(label="Test", permission="administer", icon="lock_open", form_class=PurposeForm, needs_proof=True)
    def test_key(self, request: HttpRequest, row: ExchangeApiKey, data: dict[str, Any]) -> str:
        """Decrypts the key and says whether it is the one that was set. It is not shown, and no exchange is called."""
        version = api_key_test(key_id=row.pk, actor=self.actor(request), reason=data["reason"])
        return f"{row} opens with version {version} of the key file."

    @asking(label="Clear", permission="administer", icon="delete", needs_proof=True, is_grave=True)
    def clear_key(self, request: HttpRequest, row: ExchangeApiKey, data: dict[str, Any]) -> str:
        """Removes key and secret for good; what trades with them stops doing so. The exchange still knows them: revoke
        them there."""
        api_key_clear(key_id=row.pk, actor=self.actor(request), reason=data["reason"])
        return f"{row} has no key any more."

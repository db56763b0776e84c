"""How people are known elsewhere, and the codes that were sent to them. Only admins see these pages."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.models import AuthIdentity, VerificationCode
from accounts.services.verification import VALID_FOR
from audit.admin.recorded import RecordedAdmin
from tradingdb.lib import display
from tradingdb.lib.admin import DayRangeFilter, LedgerAdmin, RelatedFilter, exact_filter


@admin.register(AuthIdentity)
class AuthIdentityAdmin(RecordedAdmin):
    list_display = ("external_id", "provider", "show_user", "created_at")
    list_filter = (("user", RelatedFilter), exact_filter("provider"))
    list_select_related = ("user",)
    search_fields = ("external_id", "user__email")
    search_help_text = "Id at the provider, or e-mail address"
    empty_note = "Nobody is known elsewhere yet. Add a person's id at a provider here."
    ordering = ("provider", "external_id")
    addable = ("user", "provider", "external_id")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": (("show_user", "provider"), ("external_id", "created_at"))}),
        ("Details", {"fields": ("metadata",)}),
    )
    resource_type = "auth_identity"

    @admin.display(description="Person", ordering="user__email")
    def show_user(self, row: AuthIdentity) -> SafeString:
        return display.link(row.user, "accounts_user_change", row.user_id)


@admin.register(VerificationCode)
class VerificationCodeAdmin(LedgerAdmin):
    list_display = ("sent_time", "show_user", "provider", "state", "attempts", "used_at")
    list_filter = (("user", RelatedFilter), exact_filter("provider"), ("sent_time", DayRangeFilter))
    list_select_related = ("user",)
    empty_note = "No code has been sent yet."
    ordering = ("-sent_time",)
    fieldsets = (
        (
            None,
            {"fields": (("show_user", "provider"), ("sent_time", "state"), ("attempts", "used_at"), "created_at")},
        ),
    )  # fmt: skip

    @admin.display(description="Person")
    def show_user(self, row: VerificationCode) -> SafeString:
        return display.link(row.user, "accounts_user_change", row.user_id)

    @admin.display(description="State")
    def state(self, row: VerificationCode) -> SafeString:
        if row.used_at is not None:
            return display.badge("used", tone="neutral")
        if row.is_spent:
            return display.badge("failed")
        is_old = timezone.now() >= row.sent_time + VALID_FOR
        return display.badge("expired") if is_old else display.badge("sent", tone="info")

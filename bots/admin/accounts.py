"""Accounts at exchanges, and the bots that trade on each."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from audit.admin.recorded import RecordedAdmin
from bots.choices import CaseStatus, InboxStatus
from bots.models import Bot, ExchangeAccount, ReconciliationCase, UnattributedFill
from tradingdb.lib.sections import Section, list_url, table

KEY = "Exchange key"


@admin.register(ExchangeAccount)
class ExchangeAccountAdmin(RecordedAdmin):
    list_display = (
        "account_id", "exchange", "currency", "description", "is_active", "positions_reported_at", "created_at"
    )  # fmt: skip
    list_filter = ("exchange", "is_active")
    search_fields = ("account_id",)
    empty_note = "No account yet. A bot that is registered brings its own, or add one here."
    ordering = ("account_id",)
    addable = ("account_id", "exchange", "currency", "description")
    # Exchange and currency are what its fills were counted in: they stay.
    editable = ("description", "is_active", "api_key", "reason")
    importable = ("account_id", "exchange", "currency", "description", "is_active")
    import_key = ("account_id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "account_id",
                    ("exchange", "currency"),
                    "description",
                    "is_active",
                    ("positions_reported_at", "created_at"),
                )
            },
        ),
        (KEY, {"fields": ("api_key",)}),
        ("Why", {"fields": ("reason",)}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show which key an account has to admins alone."""
        groups = super().get_fieldsets(request, obj)
        return [group for group in groups if group[0] != KEY or self.has_administer_permission(request)]

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        bots = Bot.objects.filter(account=row)
        columns = ("bot_id", "bot_name", "status", "deployment_mode", "heartbeat", "num_equity")
        cases = ReconciliationCase.objects.filter(account=row).exclude(status=CaseStatus.RESOLVED)
        inbox = UnattributedFill.objects.filter(account=row, status=InboxStatus.OPEN)
        return [
            table(self.admin_site, "Bots", bots, columns, empty="No bot trades on it."),
            table(self.admin_site, "Open cases", cases, ("opened_at", "kind", "bot", "symbol", "state", "gone_since"),
                  more_url=list_url(ReconciliationCase, account__id__exact=str(row.pk))),
            table(self.admin_site, "Fills without a bot", inbox,
                  ("received_at", "symbol", "side", "quantity", "price", "executed_at", "exchange_trade_id"),
                  more_url=list_url(UnattributedFill, account__id__exact=str(row.pk))),
        ]  # fmt: skip

"""API tokens of bots: made on a bot's page, revoked here. The digest is never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.services.actions import Actor
from bots.admin.ledger import bot_link
from bots.models import BotToken
from bots.services.tokens import token_revoke
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin, RelatedFilter
from tradingdb.lib.asking import asking


@admin.register(BotToken)
class BotTokenAdmin(ControlModelAdmin):
    list_display = ("prefix", "show_bot", "state", "scopes", "created_by", "created_at", "expires_at", "last_used_at")
    list_filter = (("bot", RelatedFilter),)
    search_fields = ("prefix",)
    empty_note = "No token yet. Tokens are made on the page of a bot."
    ordering = ("-created_at",)
    fieldsets = (
        (
            None,
            {"fields": (("prefix", "bot"), ("state", "scopes"), ("created_by", "created_at"),
                        ("expires_at", "last_used_at"), "revoked_at")},
        ),
    )  # fmt: skip
    actions_detail = ("revoke",)

    @admin.display(description="Bot")
    def show_bot(self, token: BotToken) -> SafeString:
        return bot_link(token.bot_id)

    @admin.display(description="State")
    def state(self, token: BotToken) -> SafeString:
        return display.token_state(revoked_at=token.revoked_at, expires_at=token.expires_at, now=timezone.now())

    @admin.display(description="Scopes")
    def show_scopes(self, token: BotToken) -> SafeString:
        return display.text(", ".join(token.scopes))

    def is_offered(self, name: str, row: BotToken) -> bool:
        return row.revoked_at is None

    @asking(label="Revoke", permission="administer", icon="block", form_class=forms.Form, is_grave=True)
    def revoke(self, request: HttpRequest, row: BotToken, data: dict[str, Any]) -> str:
        """The token opens nothing from now on, and cannot be brought back. A bot that still uses it stops reporting."""
        token_revoke(bot_id=row.bot_id, prefix=row.prefix, actor=Actor(request.user, request))
        return f"Token {row.prefix} is revoked."

"""Sessions, and the bots of people who have not all of them. Only admins see these pages."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.models import BotMembership, Session
from accounts.services.memberships import membership_end, membership_set
from accounts.services.sessions import session_end, session_id
from audit.admin.recorded import RecordedAdmin
from audit.services.actions import Actor
from tradingdb.lib import display
from tradingdb.lib.admin import ControlModelAdmin, RelatedFilter
from tradingdb.lib.asking import asking
from tradingdb.lib.recording import require_fresh


@admin.register(Session)
class SessionAdmin(ControlModelAdmin):
    list_display = ("show_id", "show_user", "started_at", "seen_at", "ip_address", "user_agent")
    list_filter = (("user", RelatedFilter),)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    search_help_text = "E-mail address"
    empty_note = "Nobody is signed in."
    ordering = ("-seen_at",)
    not_exported = ("session_key", "session_data")
    fieldsets = (
        (
            None,
            {"fields": (("show_id", "show_user"), ("started_at", "seen_at"), ("expire_date", "ip_address"),
                        "user_agent")},
        ),
    )  # fmt: skip
    actions_detail = ("end",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Leave out browsers on which nobody is signed in."""
        return super().get_queryset(request).filter(user__isnull=False, expire_date__gt=timezone.now())

    @admin.display(description="Session")
    def show_id(self, row: Session) -> SafeString:
        return display.text(session_id(row))

    @admin.display(description="Person")
    def show_user(self, row: Session) -> SafeString:
        return display.link(row.user, "accounts_user_change", row.user_id)

    def resource_id(self, row: Session) -> str:
        return session_id(row)

    @asking(label="End", permission="administer", icon="logout", needs_proof=True, is_grave=True)
    def end(self, request: HttpRequest, row: Session, data: dict[str, Any]) -> str:
        """Signs this browser out. Its open pages close within five seconds."""
        session_end(row=row, actor=Actor(request.user, request), reason=data["reason"])
        return "The session ended."


@admin.register(BotMembership)
class BotMembershipAdmin(RecordedAdmin):
    list_display = ("created_at", "show_user", "show_bot", "may_act")
    list_filter = (("user", RelatedFilter), ("bot", RelatedFilter))
    list_select_related = ("user", "bot")
    search_fields = ("user__email", "bot__bot_id")
    search_help_text = "E-mail address or bot"
    empty_note = "Everybody has all bots. Take that away on the page of a person, and give single bots here."
    ordering = ("user", "bot")
    addable = ("user", "bot", "may_act")
    editable = ("may_act", "reason")
    autocomplete_fields = ("user", "bot")
    fieldsets = (
        (None, {"fields": (("show_user", "show_bot"), ("may_act", "created_at"))}),
        ("Why", {"fields": ("reason",)}),
    )
    actions_detail = ("take_away",)

    @admin.display(description="Person", ordering="user__email")
    def show_user(self, row: BotMembership) -> SafeString:
        return display.link(row.user, "accounts_user_change", row.user_id)

    @admin.display(description="Bot", ordering="bot")
    def show_bot(self, row: BotMembership) -> SafeString:
        return display.link(row.bot_id, "bots_bot_change", row.bot_id)

    def create(self, request: HttpRequest, obj: BotMembership, form: ModelForm) -> None:
        require_fresh(request, keeps_form=True)
        obj.pk = membership_set(
            user_id=obj.user_id, bot_id=obj.bot_id, may_act=obj.may_act, actor=self.actor(request)
        ).pk

    def update(self, request: HttpRequest, obj: BotMembership, names: Sequence[str], *, reason: str) -> None:
        require_fresh(request, keeps_form=True)
        membership_set(
            user_id=obj.user_id, bot_id=obj.bot_id, may_act=obj.may_act, actor=self.actor(request), reason=reason
        )

    @asking(label="Take away", permission="administer", icon="person_remove", needs_proof=True)
    def take_away(self, request: HttpRequest, row: BotMembership, data: dict[str, Any]) -> str:
        """The person does not see this bot any more, from the next page on."""
        membership_end(row=row, actor=self.actor(request), reason=data["reason"])
        return f"{row.user} does not see {row.bot_id} any more."
